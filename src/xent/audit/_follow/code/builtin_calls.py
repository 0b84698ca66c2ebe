"""What Python's, NumPy's and the libraries' everyday functions do with losses and loaders."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

from xent.audit._follow import loops, objects, rows
from xent.audit._follow.averaging import averages, counters, shown
from xent.audit._follow.code import columns
from xent.audit._follow.code.data_calls import DATA_CALLS, LibraryCall
from xent.audit._follow.pytorch import tensors
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    LOOPS,
    BatchSize,
    Choice,
    Class,
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
    Mean,
    Opaque,
    Sequence,
    Tensor,
    Total,
    Value,
    Zero,
)

LOSS_CLASS = re.compile(r"torch\.nn\.[A-Z]\w*Loss")


def _len(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    if not args:
        return Opaque("len")
    value = args[0]
    if isinstance(value, Tensor) and value.batch is not None:
        return BatchSize(value.batch)
    if isinstance(value, Opaque) and value.batch is not None:
        return BatchSize(value.batch)
    if isinstance(value, Sequence):
        if value.filled is not None and value.filled.source is not None:
            return Length(value.filled.source)
        if value.total is not None:
            return replace(value.total, term=Const(1))
        if value.items is not None and value.items:
            return Const(len(value.items))
    if isinstance(value, Instance):
        member = value.of.member("__len__")
        if isinstance(member, Function) and not value.of.descends_from("Dataset"):
            length = loops.of_method(run, value, "__len__", node)
            return length if isinstance(length, Length) else Length(value)
    if isinstance(value, Made) and value.name in ("enumerate", "generator"):
        return Length(value.args[0]) if value.args else Opaque("len")
    return Length(value)


def _first(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    return args[0] if args else next(iter(options.values()), Opaque("first"))


def _max(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    """max(1, len(loader)): what the guard against zero leaves."""
    others = [a for a in args if not isinstance(a, Const | Zero)]
    guarded = others[0] if len(args) == 2 and len(others) == 1 else None
    if isinstance(guarded, Choice):  # n = 0, and what a loop made of it
        counted = [one for one in guarded.options if not isinstance(one, Const | Zero)]
        guarded = counted[0] if len(counted) == 1 else None
    if isinstance(guarded, Length | Total | BatchSize | Entries | Index):
        return guarded
    return Made("max", args, options)


def _number(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    value = _first(run, args, options, node)
    return value.but(grad=False) if isinstance(value, Loss) else value


def _made(name: str) -> LibraryCall:
    def call(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
        return Made(name, args, options, run.place(node))

    return call


def _progress(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    if args:
        return args[0]
    return options.get("iterable", Opaque("progress"))


def _trange(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    return Made("range", args, {})


def _zip(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    return columns.zipped(args) or Made("zip", args, options, run.place(node))


def _cat(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    name = "torch.cat"
    known: Value | None = columns.appended(run, args, node)
    if known is None:
        known = tensors.function(run, name, args, options, node)
    return known if known is not None else Made(name, args, options, run.place(node))


def _print(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    shown.arguments(run, "print", args, options, node)
    return Const(None)


def _mean(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    value = args[0] if args else Opaque("mean")
    if isinstance(value, Sequence) and value.total is not None and "weights" not in options:
        total = value.total
        if counters.never_emptied(run, total, node):
            return Opaque("mean")
        return averages.divided(
            run, total, Total(total.loops, Const(1), total.place, under=total.under), node
        )
    if isinstance(value, Loss | Total):
        return value
    return Opaque("mean")


def _sum(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    value = args[0] if args else Opaque("sum")
    if isinstance(value, Sequence):
        total = value.total
        if total is not None and total.loops[-1].kind == "items" and len(total.loops) == 1:
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
        losses = [item for item in value.items or () if isinstance(item, Loss)]
        if losses and len(losses) == len(value.items or ()):
            return losses[0].but(summands=tuple(each.backward for each in losses[1:]))
    return value if isinstance(value, Loss | Total) else Opaque("sum")


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
    return Sequence(None, outside, total if isinstance(value, Loss) else None, value)


def _reduce(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    """functools.reduce with an addition is a sum."""
    if len(args) < 2:
        return Opaque("reduced")
    by = args[0].node.body if isinstance(args[0], Function) else None
    adds = isinstance(by, ast.BinOp) and isinstance(by.op, ast.Add)
    named = isinstance(args[0], External) and args[0].name in ("operator.add", "torch.add")
    return _sum(run, args[1:2], {}, node) if adds or named else Opaque("reduced")


def _exp(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    value = args[0] if args else Opaque("exp")
    if isinstance(value, Loss):
        return value.but(exp=True, scale=0 if value.scale == 0 else None)
    return Opaque("perplexity")


def _next(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    loop = next((one for one in reversed(run.loops)), None)
    of = args[0] if args else None
    if loop is not None and loop.kind == "while" and isinstance(of, Made) and of.name == "iter":
        loop.kind, loop.source = "batches", loops.bare(of)
    return Opaque("batch", loop)


def _list(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    if not args:
        return Sequence([], tuple(run.loops))
    return args[0]


def _dict(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    if args and not isinstance(args[0], Dictionary):
        return Opaque("dict")
    items = args[0].items if args and isinstance(args[0], Dictionary) else {}
    return Dictionary({**items, **options}, loops=tuple(run.loops))


def _defaultdict(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    kind = getattr(args[0], "name", "") if args else ""
    if kind in ("float", "int"):
        return Dictionary({}, Zero(0, tuple(run.loops), run.place(node)))
    if kind == "list":
        return Dictionary({}, Sequence([], tuple(run.loops)))
    made: Value = Opaque("value")
    if args and isinstance(args[0], Class | Function):
        made = args[0]
    if args and isinstance(args[0], External) and "." in args[0].name:
        made = run.call_value(args[0], [], {}, node)  # meters of a file that is not there
    return Dictionary({}, made, tuple(run.loops))


def _fromkeys(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    keys = args[0].items if args and isinstance(args[0], Sequence) else None
    value = args[1] if len(args) > 1 else Const(None)
    if isinstance(value, Const) and value.value == 0 and value.value is not False:
        value = Zero(0, tuple(run.loops), run.place(node))
    if not keys or not all(isinstance(key, Const) for key in keys):
        return Dictionary({}, value if isinstance(value, Zero) else Opaque("value"))
    return Dictionary({key.value: value for key in keys}, loops=tuple(run.loops))  # type: ignore[attr-defined]


def _counter(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    if args or options:
        return Opaque("counts")
    loops_ = tuple(run.loops)
    return Dictionary({}, Zero(0, loops_, run.place(node)), loops_, counter=True)


def _getattr(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    if len(args) > 1 and isinstance(args[1], Const) and isinstance(args[1].value, str):
        return objects.attribute(run, args[0], args[1].value)
    return Opaque("attribute")


def _none(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    return Opaque("result")


def _isinstance(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    """Whether a module of PyTorch's is of a class of PyTorch's; of others it is not known."""
    module = args[0] if len(args) == 2 else None
    if isinstance(module, Made) and module.name.startswith("torch.nn."):
        kinds = (args[1].items or []) if isinstance(args[1], Sequence) else [args[1]]
        names = [kind.name for kind in kinds if isinstance(kind, External)]
        if module.name in names or "torch.nn.Module" in names:
            return Const(True)
        losses = [name for name in (module.name, *names) if LOSS_CLASS.fullmatch(name)]
        if names and len(losses) == len(kinds) + 1:
            return Const(False)  # of another loss
    return Opaque("result")


def _set_grad(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    return Made("torch.set_grad_enabled", args, options)


def _zeros(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    """torch.zeros(1), torch.tensor(0.): a number that a total may start from."""
    value = args[0] if args else Const(1)
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("tensor"):
        if isinstance(value, Const | Zero) and value.value == 0:
            return Zero(0, tuple(run.loops), run.place(node))
        if isinstance(value, Loss | Total | Mean | Sequence):
            return value
        made = Opaque("tensor", getattr(value, "batch", None))
        if (long := rows.count(value)) is not None:
            made.parts["length"] = Const(long)
        return made
    if isinstance(value, Const) and value.value in (1, ()):
        return Zero(0, tuple(run.loops), run.place(node))
    array = Made("torch.zeros", args, options, run.place(node))
    array.attrs[LOOPS] = Sequence([], tuple(run.loops))
    return array


BUILTIN_CALLS: dict[str, LibraryCall] = {
    **DATA_CALLS,
    "len": _len,
    "print": _print,
    "sum": _sum,
    "np.sum": _sum,
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
    "hasattr": _none,
    "enumerate": _made("enumerate"),
    "zip": _zip,
    "range": _made("range"),
    "iter": _made("iter"),
    "tqdm.trange": _trange,
    "tqdm.auto.trange": _trange,
    "tqdm.notebook.trange": _trange,
    "collections.defaultdict": _defaultdict,
    "collections.Counter": _counter,
    "torch.set_grad_enabled": _set_grad,
    "torch.zeros": _zeros,
    "torch.tensor": _zeros,
    "numpy.zeros": _zeros,
    "torch.empty": _zeros,
    "numpy.empty": _zeros,
    "torch.as_tensor": _zeros,
    "torch.Tensor": _zeros,
    "torch.FloatTensor": _zeros,
}
for _name in [
    "tqdm.tqdm",
    "tqdm.auto.tqdm",
    "tqdm.notebook.tqdm",
    "tqdm.tqdm_notebook",
    "tqdm.autonotebook.tqdm",
    "tqdm.rich.tqdm",
    "tqdm",
    "rich.progress.track",
    "fastprogress.progress_bar",
    "alive_progress.alive_it",
    "fastprogress.fastprogress.progress_bar",
    "prefetch_generator.BackgroundGenerator",
    "progressbar.progressbar",
    "tqdm.std.tqdm",
]:
    BUILTIN_CALLS[_name] = _progress
for _name in [
    "float",
    "int",
    "round",
    "abs",
    "numpy.float32",
    "numpy.float64",
    "numpy.round",
    "numpy.array",
    "pandas.Series",
    "str",
]:
    BUILTIN_CALLS[_name] = _first
for _name in [
    "numpy.asarray",
    "torch.stack",
    "torch.autograd.Variable",
    "torch.squeeze",
    "copy.deepcopy",
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
for _name in ["math.exp", "numpy.exp"]:
    BUILTIN_CALLS[_name] = _exp
for _name in ("float", "int", "numpy.float32", "numpy.float64"):
    BUILTIN_CALLS[_name] = _number
