"""What a loop iterates: progress bars taken off, batches told from numbers and lists."""

from __future__ import annotations

import ast
import re
from typing import Any

from xent.audit._follow import batches, objects, rows
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    Const,
    Dictionary,
    Expression,
    External,
    Function,
    Index,
    Instance,
    Length,
    Loop,
    Made,
    Mode,
    Opaque,
    Sequence,
    Value,
    of_tokens,
)

FEW = 3  # items of any kind that are followed one by one
LAYERS = 12  # layers of a list


def unrolled(source: Value) -> list[Value] | None:
    """Return the items to follow one by one, where they are few and known."""
    if isinstance(source, Sequence) and source.items is not None and source.total is None:
        items = source.items
    elif isinstance(source, Dictionary):
        items = [Const(key) for key in source.items]
    elif isinstance(source, Made) and source.name == "enumerate" and source.args:
        inner = unrolled(source.args[0])
        if inner is None:
            return None
        items = [Sequence([Const(number), item]) for number, item in enumerate(inner)]
    elif isinstance(source, Made) and source.name == "zip":
        columns = [unrolled(part) for part in source.args]
        if any(column is None for column in columns):
            return None
        items = [Sequence(list(row)) for row in zip(*columns, strict=False)]
    else:
        return None
    few = LAYERS if items and all(isinstance(i, Made | Instance) for i in items) else FEW
    return list(items) if 0 < len(items) <= few else None  # the body may add to what it goes over


def of_iterable(run: Walk, node: ast.AST, source: Value) -> Loop:
    """Make the loop over something."""
    inner = bare(source)
    if isinstance(inner, Instance):  # a loader around a loader
        given = bare(of_method(run, inner, "__iter__", node) or inner)
        unread = isinstance(given, Opaque) and _counts_batches(run, inner, node)
        inner = inner if unread else given
    kind, step, trained = "batches", None, False
    if isinstance(inner, Made) and inner.name == "range":
        kind = "range"
        last = inner.args[1] if len(inner.args) > 1 else inner.args[0] if inner.args else None
        stride = inner.args[2] if len(inner.args) > 2 else None
        if stride not in (None, Const(1), Const(-1)):
            step = stride
        if step is None and isinstance(last, Length):
            inner = last.of
        elif isinstance(last, Length):
            kind, inner = "slices", last.of
        elif step is not None and (short := _one_short(last)) is not None:
            kind, inner = "slices", short
        else:
            inner = last  # type: ignore[assignment]
    elif isinstance(inner, Sequence) and inner.filled is not None:
        trained = inner.filled.trained
        kind, inner = inner.filled.kind, inner.filled.source  # type: ignore[assignment]
    elif isinstance(inner, Sequence | Dictionary | Const) or _is_part(inner) or _of_loaders(node):
        kind = "items"
    depth = len(run.conditions)
    return Loop(node, run.frame.module, inner, run.frame, kind, trained, depth=depth, step=step)


def _counts_batches(run: Walk, loader: Instance, node: ast.AST) -> bool:
    """Whether a loader of the script's own has a length that is divided by the size of a batch."""
    length = of_method(run, loader, "__len__", node)
    if isinstance(length, Made) and length.args and length.name.rpartition(".")[2] == "ceil":
        length = length.args[0]
    return isinstance(length, Expression) and length.operator in ("/", "//")


def of_method(run: Walk, instance: Instance, name: str, node: ast.AST) -> Value | None:
    """Return what a method without arguments returns, if the class has it."""
    member = instance.of.member(name)
    if not isinstance(member, Function):
        return None
    bound = Function(member.node, member.module, member.outer, member.owner, instance)
    made = run.call_value(bound, [], {}, node)
    return None if isinstance(made, Opaque) else made


LOADER = re.compile(r"(\w+_)?(data_?)?(loader|dl)", re.I)


def _of_loaders(node: ast.AST) -> bool:
    """Whether a loop goes over several loaders, by what it calls each of them, or over their keys.

    ``for name, loader in loaders.items()``, ``for name in loaders`` and then ``loaders[name]``.
    """
    target = getattr(node, "target", None)
    each = target.elts[-1] if isinstance(target, ast.Tuple) and target.elts else target
    named = isinstance(each, ast.Name) and LOADER.fullmatch(each.id) is not None
    return isinstance(node, ast.For) and (named or _takes_by_key(node))


def _takes_by_key(node: ast.For) -> bool:
    """Whether a loop takes from what it goes over what is under each key."""
    key = node.target.id if isinstance(node.target, ast.Name) else ""
    return any(
        isinstance(part, ast.Subscript)
        and isinstance(part.slice, ast.Name)
        and part.slice.id == key
        and ast.unparse(part.value) == ast.unparse(node.iter)
        for part in ast.walk(node)
    )


def _is_part(source: Value | None) -> bool:
    """Whether what is iterated was made of the batch of a loop that is around."""
    return isinstance(source, Opaque) and source.batch is not None


def over_keys(loop: Loop) -> bool:
    """Whether a loop goes over what a dict holds: its parts, and not the samples of a batch."""
    node = loop.node
    if loop.kind == "items" and isinstance(node, ast.ListComp | ast.GeneratorExp):
        parts = node.generators[0].iter
        return isinstance(parts, ast.Call) and ast.unparse(parts.func).endswith(("items", "values"))
    if loop.kind != "items" or not isinstance(node, ast.For):
        return False
    over = ast.unparse(node.iter)
    return over.endswith((".items()", ".keys()", ".values()")) or _takes_by_key(node)


def _one_short(last: Value | None) -> Value | None:
    """Return what ``range(0, len(data) - 1, bptt)`` takes slices of: text, for the next tokens."""
    if not isinstance(last, Expression) or last.operator != "-" or last.right != Const(1):
        return None
    if isinstance(last.left, Length):
        return last.left.of
    whole = last.left if isinstance(last.left, Opaque | Made) else None
    sized = ("size", "0", "1", rows.FIRST_AXIS)
    return whole if whole is not None and whole.name.rpartition(".")[2] in sized else None


def endless(run: Walk, node: ast.AST) -> Loop:
    """Make a while loop."""
    return Loop(node, run.frame.module, None, run.frame, "while", depth=len(run.conditions))


def bare(source: Value) -> Value:
    """Return what is iterated, below enumerate, zip and iter."""
    while isinstance(source, Made) and source.name in ("enumerate", "zip", "iter", "generator"):
        if not source.args:
            return source
        if source.name == "zip":
            parts = [bare(part) for part in source.args]
            loaders = [p for p in parts if isinstance(p, Made) and p.name.endswith("DataLoader")]
            ranges = [p for p in parts if not (isinstance(p, Made) and p.name == "range")]
            source = (loaders or ranges or parts)[0]
            break
        source = source.args[0]
    return source


def element(run: Walk, loop: Loop, source: Value) -> Value:
    """Return what the loop's name holds in one round."""
    if isinstance(source, Made):
        if source.name == "enumerate" and source.args:
            start = source.option("start", 1)
            first = start.value if isinstance(start, Const) else 0 if start is None else None
            number = Index(loop, first) if isinstance(first, int) else Opaque("index")
            return Sequence([number, element(run, loop, source.args[0])])
        if source.name == "zip":
            return Sequence([element(run, loop, part) for part in source.args])
        if source.name == "range":
            start = source.args[0] if len(source.args) > 1 else Const(0)
            if loop.step is not None:
                return Opaque("start", loop)
            value = getattr(start, "value", None)
            return Index(loop, int(value)) if isinstance(value, int | float) else Opaque("index")
        if source.name == "generator" and len(source.args) > 1:
            return source.args[1]
        items = getattr(source.attrs.get("yielded"), "items", None) or ()
        if any(of_tokens(item) for item in items):
            return Sequence([Opaque("batch", loop, of_tokens(item)) for item in items])
    if isinstance(source, Sequence):
        if source.row is not None:
            return source.row
        if source.items and isinstance(source.items[0], Instance | Made):
            return source.items[0]
        return Opaque("item")
    if isinstance(source, Opaque):
        # What is taken from something unknown is unknown; what a loader gives is a batch.
        made = loop if loop.kind == "batches" and source.batch is None else source.batch
        return Opaque(f"of {source.name}", made)
    if isinstance(source, Made):
        return batches.of_loader(run, loop, source)
    return Opaque("batch", loop)


def leave(run: Walk, loop: Loop) -> None:
    """End a loop: what was left in evaluation mode is trained so in the next round."""
    run.loops.pop()
    run.past.append(loop)
    forwards = [forward for forward in run.forwards if loop in forward.loops]
    seen = {id(forward.module) for forward in forwards if _is_in_training(forward.mode, loop)}
    for forward in forwards:
        module = forward.module
        if id(module) in seen or not forward.grad:
            continue
        inner = forward.loops[forward.loops.index(loop) + 1 :]
        mode = module.mode
        if mode is None or mode.training or loop not in mode.loops:
            continue
        if objects.made_in(loop, module) or not objects.moves(loop, module):
            continue
        if any(part.trained for part in inner or [loop]) and (
            forward.mode is None or forward.mode.training
        ):
            seen.add(id(module))
            run.report("X702", forward.place, module=module, since="the second round on")


def _is_in_training(mode: Mode | None, loop: Loop) -> bool:
    """Whether a loop itself put a module into training, maybe after a look at it."""
    return mode is not None and mode.training and loop in mode.loops


def nominal(loop: Loop | None) -> Value | None:
    """Return the batch_size that the loop's loader was made with."""
    if loop is None:
        return None
    if loop.step is not None:
        return loop.step
    source = loop.source
    if isinstance(source, Made) and source.name.endswith("DataLoader"):
        given = source.option("batch_size", 1)
        alone = Const(1) if source.option("batch_sampler", 4) is None else None
        return alone if given is None else given
    return None


BATCH_SIZE = re.compile(r"_*((train|training|test|val|valid|eval)_)?batch_?size", re.I)


def is_batch_size(value: Value) -> bool:
    """Whether a value is a setting that is called so: the size of a loader nobody sees made."""
    return isinstance(value, Opaque) and BATCH_SIZE.fullmatch(value.name) is not None


def is_nominal(value: Value, loop: Loop | None) -> bool:
    """Whether a value is the batch_size that a loop's loader was made with, or is called so."""
    unseen = loop is not None and isinstance(loop.source, Opaque)
    return (unseen and is_batch_size(value)) or value == nominal(loop)


def sizes_of(loop: Loop, divisor: Value, said: ast.AST | None) -> bool:
    """Whether a divisor is the size that a loop's batches have, and is called so."""
    name = ast.unparse(said).rpartition(".")[2] if isinstance(said, ast.expr) else ""
    if BATCH_SIZE.fullmatch(name) is None:
        return False
    return is_batch_size(divisor) or divisor == nominal(loop)


def dataset(source: Value | None) -> Value | None:
    """Return the data set of a loader."""
    if isinstance(source, Made) and source.name.endswith("DataLoader"):
        return source.option("dataset", 0)
    if isinstance(source, Opaque):
        return source.part("dataset")
    if isinstance(source, External):
        return External(f"{source.name}.dataset")
    return source.attrs.get("dataset") if isinstance(source, Made) else None


def may_leave(loop: Loop) -> bool:
    """Whether a loop may be left, or go on to its next round, before a round is at its end."""
    return any(isinstance(part, ast.Break | ast.Continue) for part in ast.walk(loop.node))


def all_or_none(loop: Loop, branches: tuple[tuple[int, bool], ...]) -> bool:
    """Whether a branch is taken in all rounds of a loop or in none: ``if criterion:``."""
    inside = list(ast.walk(loop.node))
    tests = {id(part): part.test for part in inside if isinstance(part, ast.If)}
    stored = {
        ast.unparse(part)
        for part in inside
        if isinstance(part, ast.Name | ast.Attribute) and isinstance(part.ctx, ast.Store)
    }
    parts = [part for branch, _ in branches for part in ast.walk(tests.get(branch, loop.node))]
    return all(isinstance(part, FIXED) and ast.unparse(part) not in stored for part in parts)


# What a condition is made of that no round changes, if it does not set the names in it.
FIXED = (
    ast.Name,
    ast.Attribute,
    ast.Constant,
    ast.Compare,
    ast.BoolOp,
    ast.UnaryOp,
    ast.boolop,
    ast.unaryop,
    ast.cmpop,
    ast.expr_context,
)


def left_early(loop: Loop) -> bool:
    """Whether a loop is left after a fixed number of rounds, before a smaller last batch.

    ``if i >= 2: break``: the number stands in the code, and something counts the rounds.
    """
    body = getattr(loop.node, "body", ())
    for part in body if isinstance(body, list) else ():
        test = part.test if isinstance(part, ast.If) else None
        if not isinstance(test, ast.Compare) or not isinstance(part.body[-1], ast.Break):
            continue
        left, right = test.left, test.comparators[0]
        if isinstance(left, ast.BinOp) and isinstance(left.right, ast.Constant):
            left = left.left  # i + 1
        reached = isinstance(test.ops[0], ast.GtE | ast.Gt | ast.Eq)
        if reached and isinstance(right, ast.Constant) and ast.unparse(left) in _rounds(loop.node):
            return True
    return False


def _rounds(node: Any) -> set[str]:
    """Return what counts the rounds of a loop: its index, a counter, how long a list has grown."""
    found = {ast.unparse(node.target.elts[0])} if _is_enumerated(node) else set()
    for part in node.body:
        call = part.value if isinstance(part, ast.Expr) else None
        func = call.func if isinstance(call, ast.Call) else None
        if isinstance(func, ast.Attribute) and func.attr == "append":
            found.add(f"len({ast.unparse(func.value)})")
        elif isinstance(part, ast.AugAssign) and ast.unparse(part.value) == "1":
            found.add(ast.unparse(part.target))
    return found


def _is_enumerated(node: Any) -> bool:
    over, target = getattr(node, "iter", None), getattr(node, "target", None)
    counted = isinstance(over, ast.Call) and ast.unparse(over.func) == "enumerate"
    return counted and isinstance(target, ast.Tuple | ast.List) and bool(target.elts)


def left_by_index(loop: Loop, added: ast.AST) -> bool:
    """Whether ``if i == n: break`` stands before what is added: then i counts it."""
    target = getattr(loop.node, "target", None)
    index = target.elts[0] if isinstance(target, ast.Tuple | ast.List) and target.elts else target
    return isinstance(index, ast.Name) and any(
        isinstance(part, ast.If)
        and part.lineno < getattr(added, "lineno", 0)
        and isinstance(part.body[-1], ast.Break)
        and any(isinstance(one, ast.Name) and one.id == index.id for one in ast.walk(part.test))
        for part in getattr(loop.node, "body", ())
    )


def is_batches(loop: Loop) -> bool:
    """Whether a loop goes over the batches of a loader."""
    if loop.kind == "slices":
        return True
    if loop.kind == "range":
        return isinstance(loop.source, Made | Opaque | External)
    return loop.kind == "batches"


QUOTIENTS = {"/": "fraction", "//": "floor"}


def counts(divisor: Value, loop: Loop) -> str:
    """Say what a divisor counts of a loop.

    "batches", "samples", "padded" (batches times batch_size), "fraction" and "floor" (samples / and
    // batch_size), "sampler" (the whole data set where a sampler takes a part), or "" where it is
    not known.
    """
    source = loop.source
    if _is_length(divisor, dataset(source)):
        return "samples"
    if isinstance(divisor, Length):
        if same(divisor.of, source):
            return "samples" if loop.kind == "slices" else "batches"
        if isinstance(divisor.of, Made) and divisor.of.name == "iter":
            return "batches" if bare(divisor.of) is source else ""
        data = dataset(source)
        if data is not None and same(divisor.of, data):
            sampler = source.options.get("sampler") if isinstance(source, Made) else None
            if isinstance(sampler, Made) and sampler.name.rpartition(".")[2] in SUBSETS:
                return "sampler"
            return "samples" if sampler is None or isinstance(sampler, Made) else ""
        if isinstance(source, Opaque) and source.parts.get("sampler") is divisor.of:
            return "samples"
        if isinstance(source, Made) and divisor.of is source.options.get("sampler"):
            return "samples"
        return ""
    if isinstance(divisor, Made) and divisor.args and divisor.name.rpartition(".")[2] == "ceil":
        return "batches" if counts(divisor.args[0], loop) == "fraction" else ""
    parted = isinstance(divisor, Expression) and QUOTIENTS.get(divisor.operator)
    if parted and divisor.right == nominal(loop) and counts(divisor.left, loop) == "samples":  # type: ignore[attr-defined]
        return parted
    if isinstance(divisor, Expression) and divisor.operator == "*":
        parts = [divisor.left, divisor.right]
        for one, other in (parts, parts[::-1]):
            all_ = isinstance(one, Index) and one.loop is loop and one.offset == 1
            sized = other == nominal(loop) or is_batch_size(other)
            if sized and (all_ or counts(one, loop) == "batches"):
                return "padded"
    return ""


def same(one: Value | None, other: Value | None) -> bool:
    """Whether two values are one thing: what a file that is not there has, by its full name."""
    return one is other or (isinstance(one, External) and one == other)


def _is_length(divisor: Value, data: Value | None) -> bool:
    """Whether a number is what a data set was split into, or the length of its arrays."""
    if isinstance(data, Opaque):
        return "length" in data.parts and data.parts["length"] == divisor
    if isinstance(data, Instance):
        return rows.counted_by(data, divisor)
    if rows.are_counted(divisor, data):
        return True
    if isinstance(data, Made) and data.name.endswith("TensorDataset"):
        for array in data.args:
            if isinstance(divisor, Length) and divisor.of is array:
                return True
            held = array.attrs if isinstance(array, Made) else getattr(array, "parts", {})
            shape = held.get("shape")
            if isinstance(shape, Opaque) and shape.parts.get(("item", 0)) is divisor:
                return True
    return False


SUBSETS = ("SubsetRandomSampler", "DistributedSampler")
