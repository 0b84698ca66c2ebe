"""What Python's, NumPy's and the libraries' everyday functions do with losses and loaders."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace

from xent.audit._follow import loops, objects
from xent.audit._follow.averaging import averages, counters, shown
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    BatchSize,
    Choice,
    Const,
    Dictionary,
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
    of_tokens,
)

LOSS_CLASS = re.compile(r"torch\.nn\.[A-Z]\w*Loss")

# None where nothing is known of what it returns.
LibraryCall = Callable[[Walk, list[Value], dict[str, Value], ast.AST], Value | None]


def _len(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value | None:
    if not args:
        return None
    value = args[0]
    if isinstance(value, Opaque | Tensor) and value.batch is not None:
        return BatchSize(value.batch)
    if isinstance(value, Sequence):
        if value.filled is not None:
            return Length(value.filled.source or value)
        if value.total is not None:
            return replace(value.total, term=Const(1))
        if value.items:
            return Const(len(value.items))
    if isinstance(value, Instance):
        member = value.of.member("__len__")
        if isinstance(member, Function) and not value.of.descends_from("Dataset"):
            length = loops.of_method(run, value, "__len__", node)
            return length if isinstance(length, Length) else Length(value)
    if isinstance(value, Made) and value.name == "enumerate":
        return Length(value.args[0]) if value.args else None
    return Length(value)


def _first(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    return args[0] if args else next(iter(options.values()), Opaque())


def _max(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    """max(1, len(loader)): what the guard against zero leaves."""
    others = [a for a in args if not isinstance(a, Const | Zero)]
    guarded = others[0] if len(args) == 2 and len(others) == 1 else None
    if isinstance(guarded, Choice):  # n = 0, and what a loop made of it
        counted = [one for one in guarded.options if not isinstance(one, Const | Zero)]
        guarded = counted[0] if len(counted) == 1 else None
    if isinstance(guarded, Length | Total | BatchSize | Index):
        return guarded
    return Made("max", args, options, run.place(node))


def _number(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    value = _first(run, args, options, node)
    return value.but(grad=False) if isinstance(value, Loss) else value


def _progress(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    if args:
        return args[0]
    return options.get("iterable", Opaque())


def _print(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    shown.arguments(run, "print", args, options, node)
    return Const(None)


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
        if value.total is not None:
            return value.total
        if isinstance(value.element, BatchSize):
            return Total((value.element.loop,), value.element, run.place(node))
        items = value.items or []
        losses = [item for item in items if isinstance(item, Loss)]
        if losses and len(losses) == len(items):
            return losses[0].but(summands=tuple(each.backward for each in losses[1:]))
    return value if isinstance(value, Loss) else None


def _exp(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value | None:
    value = args[0] if args else None
    if isinstance(value, Loss):
        return value.but(exp=True, scale=0 if value.scale == 0 else None)
    return None


def _next(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value | None:
    return Opaque("batch", run.loops[-1] if run.loops else None)


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
    return None


def _counter(
    run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    if args or options:
        return None
    return Dictionary({}, Zero(0, tuple(run.loops), run.place(node)))


def _getattr(
    run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    if len(args) > 1 and isinstance(args[1], Const) and isinstance(args[1].value, str):
        return objects.attribute(run, args[0], args[1].value)
    return None


def _isinstance(
    run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
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
    return None


def _tensor(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    """torch.tensor(0.), torch.tensor([0.]): a number that a total may start from."""
    value = args[0] if args else options.get("data")
    if isinstance(value, Sequence) and value.items is not None and len(value.items) == 1:
        value = value.items[0]
    if isinstance(value, Const | Zero) and value.value == 0:
        return Zero(0, tuple(run.loops), run.place(node))
    if isinstance(value, Loss | Total | Mean | Sequence):
        return value
    known = of_tokens(value) if value is not None else {}
    return Opaque("tensor", getattr(value, "batch", None), known)


def _zeros(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value | None:
    """torch.zeros(1), torch.zeros(()): such a number as well."""
    size = args[0] if args else None
    if isinstance(size, Sequence) and size.items is not None:
        one = size.items in ([], [Const(1)])
    else:
        one = size == Const(1)
    return Zero(0, tuple(run.loops), run.place(node)) if one else None


def _pad_sequence(
    run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    value = options.get("padding_value", args[2] if len(args) > 2 else Const(0))
    made = Opaque("", getattr(args[0], "batch", None) if args else None)
    made.parts["padded"] = value
    return made


def _random_split(
    run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    lengths = options.get("lengths", args[1] if len(args) > 1 else None)
    if not isinstance(lengths, Sequence) or lengths.items is None:
        return None
    parts: list[Value] = []
    for length in lengths.items:
        share = isinstance(length, Const) and isinstance(length.value, float)
        parts.append(Opaque("part", parts={} if share else {"length": length}))
    return Sequence(parts)


def _collator(
    run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    """X504: a collator of transformers ignores padding, which is the end of the text as well."""
    tokenizer = options.get("tokenizer", args[0] if args else None)
    masked = options.get("mlm", args[1] if len(args) > 1 else None)
    causal = isinstance(masked, Const) and masked.value is False
    if causal and isinstance(tokenizer, Made) and "pad is eos" in tokenizer.attrs:
        text = run.frame.module.source.text
        if not any(word in text for word in ("group_texts", "pack", "block_size")):
            run.report("X504", run.place(node))
    return None


BUILTIN_CALLS: dict[str, LibraryCall] = {
    "len": _len,
    "print": _print,
    "sum": _sum,
    "numpy.sum": _sum,
    "max": _max,
    "torch.utils.data.random_split": _random_split,
    "next": _next,
    "list": _list,
    "tuple": _list,
    "dict": _dict,
    "getattr": _getattr,
    "isinstance": _isinstance,
    "collections.defaultdict": _defaultdict,
    "collections.Counter": _counter,
    "torch.zeros": _zeros,
    "torch.tensor": _tensor,
    "numpy.zeros": _zeros,
    "torch.nn.utils.rnn.pad_sequence": _pad_sequence,
    "transformers.DataCollatorForLanguageModeling": _collator,
    "torch.as_tensor": _tensor,
    "torch.from_numpy": _tensor,
    "torch.Tensor": _tensor,
    "torch.FloatTensor": _tensor,
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
    "str",
    "numpy.array",
    "numpy.asarray",
    "numpy.round",
    "torch.stack",
    "torch.squeeze",
    "torch.autograd.Variable",
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
