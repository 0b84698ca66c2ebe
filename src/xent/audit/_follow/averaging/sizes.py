"""How many samples and batches there are, as far as reading can know."""

from __future__ import annotations

import ast
import re

from xent.audit._follow import loops, rows
from xent.audit._follow.averaging.divisions import divisor_of
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    BatchSize,
    Const,
    Entries,
    Expression,
    External,
    Instance,
    Length,
    Loop,
    Made,
    Opaque,
    Sequence,
    Total,
    Value,
)


def even(run: Walk, loop: Loop) -> bool:
    """Whether all batches are of one size, or nothing says that the last may be smaller."""
    source = loop.source
    if batches_of_one(loop) or _shaped_by_size(loop) or _skips_smaller(loop):
        return True
    if loop.kind == "slices":
        return divides(run, loop)
    if loop.kind == "range" and isinstance(source, Opaque) and "loader" not in source.name.lower():
        return True  # one by one
    if not isinstance(source, Made):
        named = isinstance(source, Opaque | External)
        return not named or not _looks_batched(loop, source)  # type: ignore[arg-type]
    if not source.name.endswith("DataLoader"):
        return not _looks_batched(loop, source)
    last = source.option("drop_last", 8)
    if last is not None and not (isinstance(last, Const) and not last.value):
        return True
    if loops.nominal(loop) is None:
        return True  # whatever its batch_sampler makes
    return one_batch(run, loop) or divides(run, loop)


BEGINS = frozenset(["init_hidden", "initHidden", "init_state"])  # the state of a recurrent net
SHAPING = BEGINS | {"view", "reshape"}


def _shaped_by_size(loop: Loop) -> bool:
    """Whether a round gives its tensors batch_size rows: one of fewer rows would be an error.

    ``x.view(batch_size, -1)``, ``hidden = model.init_hidden(batch_size)``.
    """
    function = getattr(loop.frame, "function", None)
    code = function.node if function is not None else loop.module.source.tree
    return any(
        (word := getattr(part.func, "attr", getattr(part.func, "id", ""))) in SHAPING
        and any(_is_fixed_size(given, loop, word in BEGINS) for given in part.args)
        for part in _calls_on_the_way(code, loop.node)
    )


APART = ast.For | ast.While | ast.FunctionDef | ast.ClassDef


def _calls_on_the_way(code: ast.AST, loop: ast.AST) -> list[ast.Call]:
    """Return the calls of some code, without those of loops and functions a loop is not in."""
    found = [code] if isinstance(code, ast.Call) else []
    for part in ast.iter_child_nodes(code):
        if not isinstance(part, APART) or loop in ast.walk(part):
            found += _calls_on_the_way(part, loop)
    return found


def _is_fixed_size(given: ast.expr, loop: Loop, number: bool) -> bool:
    if number and isinstance(given, ast.Constant):
        return isinstance(given.value, int)
    if isinstance(given, ast.Tuple | ast.List) and given.elts:
        given = given.elts[0]
    name = ast.unparse(given)
    return loops.BATCH_SIZE.fullmatch(name.rpartition(".")[2]) is not None and not any(
        isinstance(part, ast.Name | ast.Attribute)
        and isinstance(part.ctx, ast.Store)
        and ast.unparse(part) == name
        for part in ast.walk(loop.node)
    )


def one_batch(run: Walk, loop: Loop) -> bool:
    """Whether a loop's loader gives all samples at once."""
    size = loops.nominal(loop)
    if isinstance(size, Length):
        return True
    if isinstance(size, Opaque) and size.name in ("0", rows.FIRST_AXIS):
        return True  # x.shape[0]
    if isinstance(size, Const) and size.value is None:
        return True
    known = _known(run, loop)
    return known is not None and known[0] <= known[1]


def surely_even(run: Walk, loop: Loop) -> bool:
    """Whether the code says it, so that a run on other data cannot say otherwise."""
    data = loops.dataset(loop.source)
    made_here = isinstance(data, Sequence) or (
        isinstance(data, Made) and data.name.endswith("TensorDataset")
    )  # the run has the same rows, and sees how many targets of each batch count
    sure = divides(run, loop) and not made_here
    return batches_of_one(loop) or sure or drops_last(loop)


def divides(run: Walk, loop: Loop) -> bool:
    """Whether the size of a batch is known to divide the number of samples."""
    known = _known(run, loop)
    return known is not None and known[0] % known[1] == 0


def drops_last(loop: Loop) -> bool:
    """Whether a loop or its loader leaves out a smaller last batch."""
    told = isinstance(loop.source, Made) and loop.source.option("drop_last", 8) == Const(True)
    return told or _skips_smaller(loop)


def _skips_smaller(loop: Loop) -> bool:
    """Whether ``if len(x) != batch_size: break`` stands in a loop, or ``continue``."""
    return any(
        isinstance(part, ast.If)
        and isinstance(part.body[-1], ast.Break | ast.Continue)
        and isinstance(part.test, ast.Compare)
        and isinstance(part.test.ops[0], ast.NotEq | ast.Lt)
        and _is_fixed_size(part.test.comparators[0], loop, number=False)
        for part in getattr(loop.node, "body", ())
    )


def _looks_batched(loop: Loop, source: Opaque | External | Made) -> bool:
    if source.name == "given":
        return False  # what a function of the script yields is as even as it makes it
    text = f"{source.name} {ast.unparse(getattr(loop.node, 'iter', loop.node))[:100]}".lower()
    words = ("loader", "dataload", "_dl", "dl_", "_iter", "batches", "iterator")
    return any(word in text for word in words)


def _known(run: Walk, loop: Loop) -> tuple[int, int] | None:
    """Return the numbers of samples and of those in a batch, as it is or by default."""
    whole, number = samples(run, loop), _number(loops.nominal(loop))
    return (whole, number) if whole is not None and number is not None else None


def _number(size: Value | None) -> int | None:
    """Return the size of a batch, or the default of an argument of the command line."""
    if isinstance(size, Opaque):
        size = size.parts.get("default")
    number = size.value if isinstance(size, Const) else None
    return number if isinstance(number, int) and number > 0 else None


def batches_of_one(loop: Loop) -> bool:
    """Whether a loop's loader gives one sample at a time."""
    return _number(loops.nominal(loop)) == 1


def samples(run: Walk, loop: Loop) -> int | None:
    """Return the number of samples of a loop's data set, where it is known."""
    data = loop.source if loop.kind == "slices" else loops.dataset(loop.source)
    for name, size in run.config.sizes.items():
        held = (names.get(name) for names in (run.frame.names, run.frame.module.names))
        if data is not None and (getattr(data, "name", "") == name or any(h is data for h in held)):
            return size
    return rows.of_loop(loop, _own(run, data, loop) or data)


def _own(run: Walk, data: Value | None, loop: Loop) -> Value | None:
    """Return what has as many rows as a data set of the script's own says that it has."""
    if not isinstance(data, Instance):
        return None
    length = loops.of_method(run, data, "__len__", loop.node)
    return Opaque("rows", parts={"length": length}) if length is not None else None


def last_batch(run: Walk, loop: Loop) -> str | None:
    """Say how many batches of which size there are, where it is known."""
    known = _known(run, loop)
    if known is None:
        return None
    whole, size = known
    word = "batch" if whole // size == 1 else "batches"
    return f"{whole // size} {word} of {size}, 1 of {whole % size}"


SAMPLES = re.compile(
    r"(data_?set|data|dset)_?(sizes?|lens?|lengths?)|n(um)?_(samples|examples)", re.I
)


def says_samples(node: ast.AST) -> bool:
    """Whether a divisor that nobody sees made is called the size of a data set."""
    return SAMPLES.fullmatch(_called(node)) is not None


PROCESSES = re.compile(
    r"(get_)?world_?size|(num|n)_?(processes|procs|gpus)|nprocs|device_count", re.I
)


def says_processes(node: ast.AST) -> bool:
    """Whether a divisor is called the number of processes, over all of which was summed before."""
    return PROCESSES.fullmatch(_called(node)) is not None


def _called(node: ast.AST) -> str:
    """Return the last word that a divisor is called by."""
    said = divisor_of(node)
    while isinstance(said, ast.Subscript | ast.Call):
        said = said.value if isinstance(said, ast.Subscript) else said.func
    word = getattr(said, "attr", getattr(said, "id", ""))
    return word if isinstance(word, str) else ""


ONE_SHORT = re.compile(r"(?:len\((.+)\)|(.+)\.size\(0\)|(.+)\.shape\[0\]) - 1")


def one_short(loop: Loop, said: ast.expr | None) -> bool:
    """Whether a divisor is ``len(text) - 1``, the targets of a loop that ends there as well."""
    over = getattr(loop.node, "iter", None)
    if loop.kind != "slices" or said is None or not isinstance(over, ast.Call):
        return False
    ends = [ONE_SHORT.fullmatch(ast.unparse(one)) for one in (said, *over.args[1:2])]
    texts = [next(filter(None, end.groups())) for end in ends if end is not None]
    return len(texts) == 2 and texts[0] == texts[1]


def name(value: Value) -> str:
    """Name what a total is divided by."""
    if isinstance(value, Length):
        of = value.of
        if isinstance(of, Made):
            short = of.name.rpartition(".")[2]
            return f"len() of the {short}" if short[:1].isupper() else f"len() of {short}(...)"
        named = isinstance(of, Opaque | External)
        return f"len({of.name.rpartition('.')[2]})" if named else "a length"  # type: ignore[attr-defined]
    if isinstance(value, Expression) and value.operator == "-" and value.right == Const(1):
        return f"{name(value.left)} - 1" if isinstance(value.left, Length) else "their number"
    if isinstance(value, Expression) and value.operator == "*" and isinstance(value.left, Length):
        return f"{name(value.left)} times the size of a batch"
    if isinstance(value, Total):
        what = {BatchSize: " of samples", Entries: " of targets"}.get(type(value.term), "")
        return f"a counter{what}"
    return str(value.value) if isinstance(value, Const) else "their number"
