"""What Python's, NumPy's and the libraries' everyday functions do with losses and loaders."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

from xent.audit._follow import loops, objects
from xent.audit._follow.averaging import averages, counters, shown
from xent.audit._follow.code import columns
from xent.audit._follow.code.data_calls import DATA_CALLS, LibraryCall
from xent.audit._follow.pytorch import tensors
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    LOOPS,
    BatchSize,
    Choice,
    Const,
    Dictionary,
    Entries,
    External,
    Function,
    Index,
    Instance,
    Length,
    Loss,
    Made,
    Opaque,
    Sequence,
    Tensor,
    TensorCount,
    Total,
    Value,
    Zero,
)

LOSS_CLASS = re.compile(r"torch\.nn\.[A-Z]\w*Loss")


UNPACKED = (  # what the code of a loop says of a batch that is a tuple, and of one that is a dict
    r"^\s*\w+(, \w+)+ = (tuple)?[\[(]*({0}|map\(.*, {0}\)|.* for \w+ in {0})[\])]*$"
    r"|\b{0}\[('\w+'|\d)\]\.(to|cuda)\(|\*\*{0}\b"
)
RENAMED = r"^\s*{0} = (?!tuple\(|[\[{{])"


def _is_of_parts(run: Walk, batch: ast.expr) -> bool:
    """Whether a loop goes over batches of this name, and takes their tensors out of them."""
    for loop in run.loops:
        target = getattr(loop.node, "target", None)
        named = target.elts[-1] if isinstance(target, ast.Tuple) and target.elts else target
        enumerated = named is target or "enumerate(" in ast.unparse(loop.node.iter)  # type: ignore[attr-defined]
        if not isinstance(named, ast.Name) or not isinstance(batch, ast.Name) or not enumerated:
            continue
        if named.id == batch.id and loop.frame is run.frame and loops.is_batches(loop):
            code = ast.unparse(loop.node)
            unpacked = re.search(UNPACKED.format(named.id), code, re.M)
            return unpacked is not None and not re.search(RENAMED.format(named.id), code, re.M)
    return False


def _len(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value | None:
    value = args[0] if args else None
    if isinstance(node, ast.Call) and node.args and _is_of_parts(run, node.args[0]):
        return TensorCount()
    if isinstance(value, Opaque | Tensor) and value.batch is not None:
        return BatchSize(value.batch)
    if isinstance(value, Sequence):
        if value.filled is not None:
            return Length(value.filled.source or value)
        if value.total is not None:
            return replace(value.total, term=Const(1))
        if value.items and not value.grown:
            return Const(len(value.items))
    if isinstance(value, Instance) and not value.of.descends_from("Dataset"):
        length = loops.of_method(run, value, "__len__", node)
        return length if isinstance(length, Length) else Length(value)
    if isinstance(value, Made) and value.name == "enumerate":
        return Length(value.args[0]) if value.args else None
    return Length(value) if value is not None else None


def _first(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    return args[0] if args else next(iter(options.values()), Opaque())


def _copy(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    return objects.copied(run, _first(run, args, options, node))


def _max(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    """max(1, len(loader)): what the guard against zero leaves."""
    others = [a for a in args if not isinstance(a, Const | Zero)]
    guarded = others[0] if len(args) == 2 and len(others) == 1 else None
    if isinstance(guarded, Choice):  # n = 0, and what a loop made of it
        counted = [one for one in guarded.options if not isinstance(one, Const | Zero)]
        guarded = counted[0] if len(counted) == 1 else None
    if isinstance(guarded, Length | Total | BatchSize | Entries | Index):
        return guarded
    return Made("max", args, options, run.place(node))


def _number(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    value = _first(run, args, options, node)
    if isinstance(value, Choice):
        return run.join([_number(run, [one], {}, node) for one in value.options]) or value
    return value.but(grad=False) if isinstance(value, Loss) else value


def _progress(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    if args:
        return args[0]
    return options.get("iterable", Opaque())


def _zip(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    return columns.zipped(args) or Made("zip", args, options, run.place(node))


def _cat(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value | None:
    filled = columns.appended(run, args, node)
    return filled if filled is not None else tensors.function(run, "torch.cat", args, options, node)


def _print(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> None:
    shown.arguments(run, "print", args, options, node)


def _mean(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value | None:
    value = args[0] if args else None
    if isinstance(value, Sequence) and value.total is not None and "weights" not in options:
        total = value.total
        if counters.never_emptied(run, total, node):
            return None
        return averages.divided(
            run, total, Total(total.loops, Const(1), total.place, under=total.under), node
        )
    return value if isinstance(value, Loss) else None


def _sum(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value | None:
    value = args[0] if args else None
    if isinstance(value, Sequence):
        total = value.total
        if total is not None and total.loops[-1].kind == "items":
            return averages.start(run, Zero(0, ()), total.term, total.loops, node)  # of one batch
        if total is not None:
            return total
        if isinstance(value.element, BatchSize) and value.over is not None:
            return Entries(value.element.loop, value.over, False)  # boxes of all images of a batch
        if isinstance(value.element, BatchSize):
            return Total((value.element.loop,), value.element, run.place(node))
        if value.items and all(_is_parameters(item) for item in value.items):
            return value
        part = value.element
        if isinstance(part, Opaque) and part.batch is not None and "loss" in ast.unparse(node):
            return Opaque("sum of losses", part.batch, made=part.made)
        items = value.items or []
        losses = [item for item in items if isinstance(item, Loss)]
        if losses and len(losses) == len(items):
            return losses[0].but(summands=tuple(each.backward for each in losses[1:]))
    return value if isinstance(value, Loss) else None


def _is_parameters(value: Value) -> bool:
    return isinstance(value, Made) and value.name == "parameters"


def _map(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    """map(f, loader), as the loop that it is; map(float, losses) are the losses."""
    if len(args) != 2 or not isinstance(args[0], Function):
        return args[1] if len(args) == 2 else Opaque("map")
    outside = tuple(run.loops)
    loop = loops.of_iterable(run, node, args[1])
    run.loops.append(loop)
    try:
        value = run.call_value(args[0], [loops.element(run, loop, args[1])], {}, node)
    finally:
        loops.leave(run, loop)
    total = Total((loop,), value, run.place(node), under=run.under())
    return Sequence(None, outside, total if isinstance(value, Loss) else None, value, loop)


def _reduce(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value | None:
    """functools.reduce with an addition is a sum."""
    by = args[0].node.body if isinstance(args[0], Function) else None
    adds = isinstance(by, ast.BinOp) and isinstance(by.op, ast.Add)
    named = isinstance(args[0], External) and args[0].name in ("operator.add", "torch.add")
    return _sum(run, args[1:2], {}, node) if adds or named else Opaque("reduced")


def _exp(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value | None:
    value = args[0] if args else None
    return value.but(exp=True) if isinstance(value, Loss) else None


def _asks(node: ast.AST) -> bool:
    """Whether a loop goes on as long as a call says: nobody knows for how many rounds."""
    calls = [one for one in ast.walk(node.test) if isinstance(one, ast.Call)]  # type: ignore[attr-defined]
    return any(ast.unparse(one.func) not in ("next", "len") for one in calls)


def _next(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    loop = run.loops[-1] if run.loops else None
    of = args[0] if args else None
    over = loops.bare(of) if isinstance(of, Made) and of.name == "iter" else None
    if loop is not None and loop.kind == "while" and not _asks(loop.node) and over is not None:
        loop.kind, loop.source = "batches", over
    return Opaque("batch", loop)


def _list(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    if not args:
        return Sequence([], tuple(run.loops))
    return args[0]


def _dict(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value | None:
    given = args[0] if args else Dictionary({})
    if not isinstance(given, Dictionary):
        return None
    made = Dictionary({**given.items, **options}, loops=tuple(run.loops))
    made.items = {key: objects.begun(made, value) for key, value in made.items.items()}
    return made


def _defaultdict(
    run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    kind = getattr(args[0], "name", "") if args else ""
    if kind in ("float", "int"):
        return Dictionary({}, Zero(0, tuple(run.loops), run.place(node)))
    if kind == "list":
        return Dictionary({}, Sequence([], tuple(run.loops)))
    made: Value = args[0] if args else Opaque("value")
    if isinstance(made, External):
        made = run.call_value(made, [], {}, node)  # meters of a file that is not there
    return Dictionary({}, made, tuple(run.loops))


def _fromkeys(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    keys = args[0].items if args and isinstance(args[0], Sequence) else None
    made = Dictionary({}, loops=tuple(run.loops))
    value = objects.begun(made, args[1] if len(args) > 1 else Const(None))
    if keys and all(isinstance(key, Const) for key in keys):
        made.items = {key.value: value for key in keys}  # type: ignore[attr-defined]
    else:
        made.default = value if isinstance(value, Zero) else Opaque("value")
    return made


def _counter(
    run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    if args:
        return None
    around = tuple(run.loops)
    return Dictionary({}, Zero(0, around, run.place(node)), around, counter=True)


def _getattr(
    run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    if len(args) > 1 and isinstance(args[1], Const):
        run.at = node
        found = objects.attribute(run, args[0], args[1].value)
        run.at = None
        return found
    return None


def _isinstance(
    run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    """Whether a module or loss is of a class of PyTorch's; of others it is not known."""
    module, of = args if len(args) == 2 else (None, None)
    kinds = (of.items or []) if isinstance(of, Sequence) else [of]
    names = [kind.name for kind in kinds if isinstance(kind, External)]
    if isinstance(module, Loss) and module.grad and ("torch.Tensor" in names or names == ["float"]):
        return Const(names != ["float"])
    if isinstance(module, Made) and module.name.startswith("torch.nn."):
        if module.name in names or "torch.nn.Module" in names:
            return Const(True)
        losses = [name for name in (module.name, *names) if LOSS_CLASS.fullmatch(name)]
        if names and len(losses) == len(kinds) + 1:
            return Const(False)  # of another loss
    return None


def _tensor(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    """torch.tensor(0.), torch.tensor([0.]): a number that a total may start from."""
    value = args[0] if args else options.get("data")
    if isinstance(value, Sequence) and value.items is not None and len(value.items) == 1:
        value = value.items[0]
    if isinstance(value, Const | Zero) and value.value == 0:
        return Zero(0, tuple(run.loops), run.place(node))
    return value if value is not None else Opaque("tensor")


def _zeros(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    """torch.zeros(1), torch.zeros(()): such a number as well."""
    size = args[0] if args else None
    if size == Const(1) or (isinstance(size, Sequence) and size.items in ([], [Const(1)])):
        return Zero(0, tuple(run.loops), run.place(node))
    array = Made("torch.zeros", args, options, run.place(node))
    array.attrs[LOOPS] = Sequence([], tuple(run.loops))
    return array


BUILTIN_CALLS: dict[str, LibraryCall] = {
    **DATA_CALLS,
    "len": _len,
    "print": _print,
    "sum": _sum,
    "numpy.sum": _sum,
    "max": _max,
    "map": _map,
    "torch.cat": _cat,
    "numpy.append": _cat,
    "numpy.concatenate": _cat,
    "functools.reduce": _reduce,
    "next": _next,
    "list": _list,
    "tuple": _list,
    "dict": _dict,
    "dict.fromkeys": _fromkeys,
    "getattr": _getattr,
    "isinstance": _isinstance,
    "zip": _zip,
    "collections.defaultdict": _defaultdict,
    "collections.Counter": _counter,
    "torch.zeros": _zeros,
    "torch.tensor": _tensor,
    "numpy.zeros": _zeros,
    "torch.as_tensor": _tensor,
    "torch.from_numpy": _tensor,
    "torch.Tensor": _tensor,
    "torch.FloatTensor": _tensor,
    "torch.empty": _zeros,
    "numpy.empty": _zeros,
}
for _name in [
    "tqdm.tqdm",
    "tqdm.tqdm_notebook",
    "tqdm",
    "rich.progress.track",
    "fastprogress.progress_bar",
    "alive_progress.alive_it",
    "fastprogress.fastprogress.progress_bar",
    "prefetch_generator.BackgroundGenerator",
    "progressbar.progressbar",
]:
    BUILTIN_CALLS[_name] = _progress
for _name in [
    "round",
    "abs",
    "pandas.Series",
    "str",
    "numpy.array",
    "numpy.asarray",
    "numpy.round",
    "torch.stack",
    "torch.squeeze",
    "torch.autograd.Variable",
]:
    BUILTIN_CALLS[_name] = _first
for _name in [
    "numpy.mean",
    "numpy.average",
    "statistics.mean",
    "statistics.fmean",
    "numpy.nanmean",
]:
    BUILTIN_CALLS[_name] = _mean
BUILTIN_CALLS["copy.deepcopy"] = _copy
for _name in ["math.exp", "numpy.exp"]:
    BUILTIN_CALLS[_name] = _exp
for _name in ("float", "int", "numpy.float32", "numpy.float64"):
    BUILTIN_CALLS[_name] = _number
