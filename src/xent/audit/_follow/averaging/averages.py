"""Totals and averages: what was added in which loop, and what divides it.

Written with B for the size of a batch, K for the number of batches and N for the samples: a
total of means over K is a mean of batch means, over N it is B times too small; a total of sums
over N is right.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from xent.audit._follow import loops, rows
from xent.audit._follow.averaging import (
    counters,
    divisions,
    entries,
    never_added,
    sizes,
    windows,
)
from xent.audit._follow.averaging.divisions import Division, divisor_of
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    BatchSize,
    Const,
    Entries,
    Expression,
    Index,
    Length,
    Loop,
    Loss,
    Mean,
    Opaque,
    Place,
    Sequence,
    TensorCount,
    Total,
    Value,
    Zero,
)

# What samples divided by the size of a batch make of a smaller last batch.
BATCH_QUOTIENTS = {
    "fraction": " times the nominal batch size",
    "floor": ", and divided by one batch fewer where the last is smaller",
}


def start(run: Walk, zero: Zero, term: Value, entered: tuple[Loop, ...], node: ast.AST) -> Value:
    """Add the first term to a number that stood before the loops."""
    if isinstance(term, Loss):
        # Steps of training are batches too; steps of a sequence or parts of a model are not: their
        # sum is still one batch's loss.
        if not any(_batches(run, loop) or loop.trained for loop in entered):
            outer = [loop for loop in run.loops if loop not in entered]
            scale = term.scale if all(map(loops.over_keys, entered)) else None
            return term.but(scale=scale, over=(), loop=outer[-1] if outer else None)
        total = Total(entered, term, run.place(node), under=run.under())
        if never_added.of_another_loop(run, term, entered[-1], node):
            return Opaque()
        _divided_when_added(run, total, term)
        _graph(run, term, entered[-1], node)
        return total
    return Total(entered, term, run.place(node), start=zero, under=run.under())


def _batches(run: Walk, loop: Loop) -> bool:
    """Whether the rounds of a loop are batches.

    Those of ``while True`` are, if nothing else gives batches, for a run that saw their sizes.
    """
    if loops.is_batches(loop):
        return True
    asks = loop.kind == "while" and run.ran and run.without_grad > 0
    return asks and not any(map(loops.is_batches, run.loops))


def listed(run: Walk, term: Loss, entered: tuple[Loop, ...], node: ast.AST) -> Total | None:
    """Return the total of a list that a loss is appended to."""
    total = Total(entered, term, run.place(node), under=run.under())
    return None if never_added.of_another_loop(run, term, entered[-1], node) else total


def appended(run: Walk, held: Sequence, value: Value, node: ast.AST) -> Sequence | None:
    """Return a list to which a loss was appended, None where that makes no total."""
    entered = run.new_loops(held.loops)
    if not isinstance(value, Loss) or not entered:
        return None
    return Sequence(None, held.loops, listed(run, value, entered, node))


def more(run: Walk, total: Total, term: Value, node: ast.AST) -> Value:
    """Add another term to a total."""
    if isinstance(term, Const | Zero | BatchSize):
        counter = isinstance(total.term, Const | BatchSize)
        return counters.more(run, total, term) if counter else total
    if isinstance(term, Total) and total.loops == term.loops and not run.is_open(total.loops[-1]):
        first, second = total.term, term.term
        if isinstance(first, Loss) and isinstance(second, Loss):
            alike = first.scale == second.scale
            return replace(total, term=first if alike else first.but(scale=None))
    if isinstance(total.term, Loss) and isinstance(term, Loss) and run.is_open(total.loops[-1]):
        _added_twice(run, total, term, node)
        same = total.term.scale == term.scale
        return total if same else replace(total, term=total.term.but(scale=None))
    return Total(total.loops, Opaque(), total.place)


def _added_twice(run: Walk, total: Total, term: Loss, node: ast.AST) -> None:
    """X410: a round adds the same loss again, by the same words."""
    module, first = total.place
    one = isinstance(total.term, Loss) and total.term.backward is term.backward  # of one call
    if not one or first is node or module is not run.frame.module or total.emptied or term.supposed:
        return
    if total.under == run.under() and _added(first) == _added(node) != "":
        _, line, _ = module.source.position(first.lineno, 0)  # type: ignore[attr-defined]
        run.report("X410", run.place(node), line=line)


def _added(node: ast.AST) -> str:
    """Return the code of what a line adds."""
    added = node.value if isinstance(node, ast.AugAssign) else getattr(node, "right", None)
    return ast.unparse(added) if isinstance(added, ast.expr) else ""


def _graph(run: Walk, term: Loss, loop: Loop, node: ast.AST) -> None:
    """X408: the tensor itself is added, with its graph."""
    if not term.grad or run.without_grad or term.supposed:
        return
    pending = run.report("X408", run.place_of_loop(node, loop), losses=(term.place,))
    pending.facts["needs"] = term.backward  # no finding where only the sum is differentiated
    pending.facts["rounds"] = loop if not term.assumed else None  # unread code may give a float


def _divided_when_added(run: Walk, total: Total, term: Loss) -> None:
    """Judge a loss that was divided before it was added, which is dividing the total."""
    for divisor, place in term.over:
        counted = loops.counts(divisor, total.loops[-1])
        if counted:
            judge(run, total, term, counted, divisor, place)


def divided(run: Walk, total: Total, divisor: Value, node: ast.AST) -> Mean:
    """Divide a total: judge the average that this makes."""
    if isinstance(total.term, Loss):
        before = len(run.pending)
        _divided(run, total, total.term, divisor, node)
        _mark(run, before, total.term)
        open_, told = run.is_open(total.loops[-1]), len(run.pending) > before
        at = run.place(node) if open_ and not told else None
        return Mean(total, divisor, at, open_ and windows.is_one(run, total, divisor, node))
    return Mean(total, divisor)


def read_after(run: Walk, mean: Mean) -> None:
    """Judge a mean that each round makes anew, where the last one is used after the loop."""
    at, total = mean.at, mean.of
    if at is None or run.is_open(total.loops[-1]) or at[0] is not run.frame.module:
        return
    mean.at = None
    if isinstance(mean.divisor, Index):
        divided(run, total, mean.divisor, at[1])


def _mark(run: Walk, before: int, term: Loss) -> None:
    """Name the loss to a run, and leave to it what was found of one that is supposed to be one."""
    for found in run.pending[before:]:
        if term.supposed:
            both = (found.supposed, term.supposed)
            found.supposed = "loss" if "loss" in both else "sizes"
        if term.supposed or found.rule == "X403":
            found.losses = (term.place,)


def _divided(run: Walk, total: Total, term: Loss, divisor: Value, node: ast.AST) -> None:
    place = run.place_of_loop(node, total.loops[-1])
    counted = entries.of_total(run, total, term, divisor, place)
    counted = counted or _counted(run, total, divisor, node)
    if counted == "told":
        return
    if not counted:
        for judged in UNCOUNTED:
            judged(run, Division(total, term, divisor, node, place))
    elif counted == "never reset":
        if not total.emptied:
            _never_reset(run, divisor, place)
    elif counted == "one more":
        run.report(
            "X403",
            place,
            what="n losses are added up",
            divisor=f"n + 1: {sizes.name(divisor)} that starts at 1",
            fix="start the counter at 0",
        )
    elif counted.startswith("index"):
        _judge_index(run, total, term, int(counted.split()[1]), divisor, place)
    else:
        judge(run, total, term, counted, divisor, place)


def _counted(run: Walk, total: Total, divisor: Value, node: ast.AST) -> str:
    """Say what a divisor counts of the loops that a total goes over."""
    loop = total.loops[-1]
    if sizes.one_short(loop, divisor_of(node)):
        return "samples"
    if isinstance(divisor, Mean) and loops.is_nominal(divisor.divisor, loop):  # n += batch_size
        return "batches" if _counted(run, total, divisor.of, node) == "padded" else ""
    if isinstance(divisor, Expression) and divisor.operator == "*":
        parts = divisor.left, divisor.right
        for one, other in (parts, parts[::-1]):
            if loops.is_nominal(other, loop) and _counted(run, total, one, node) == "batches":
                return "padded"
    if isinstance(divisor, Total):
        if counters.one_by_one(divisor, total):
            return "samples"
        if divisor.loops != total.loops or divisor.under != total.under or divisor.earlier:
            return ""
        if isinstance(divisor.term, Const):
            if isinstance(divisor.start, Zero) and divisor.start.value == 1:
                return "one more"
            if divisor.term.value == 1:
                return "batches"
        if isinstance(divisor.term, BatchSize | TensorCount):
            return "samples" if isinstance(divisor.term, BatchSize) else "parts"
        return "padded" if loops.is_nominal(divisor.term, loop) else ""
    outer = [one for one in total.loops[:-1] if run.is_open(one)]
    anew = windows.set_anew(outer[-1], loop, node) if outer else ""
    if anew == "sometimes":
        return ""
    if len(total.under) > loop.depth and not loops.all_or_none(loop, total.under[loop.depth :]):
        return ""  # added in some rounds only
    if isinstance(divisor, Index):
        if divisor.loop is not loop or (outer and not anew):
            return "never reset" if divisor.loop is loop and loops.is_batches(loop) else ""
        return f"index {divisor.offset}"
    counted = loops.counts(divisor, loop)
    if isinstance(divisor, Const) and divisor.value == sizes.samples(run, loop):
        counted = "samples"
    if isinstance(divisor, Opaque) and sizes.says_samples(node):
        counted = "samples"
    if counted and total.loops[:-1] and not anew:
        return "never reset" if outer and loops.is_batches(loop) else ""
    return counted


def _powered(run: Walk, division: Division) -> None:
    """X403: a total is divided by a power of what it should be divided by."""
    divisor = division.divisor
    if isinstance(divisor, Expression) and divisor.operator == "**":
        counted = loops.counts(divisor.left, division.loop)
        if counted:
            run.report(
                "X403",
                division.place,
                what=f"all {counted}' losses are added up",
                divisor=f"a power of {sizes.name(divisor.left)}",
                fix="(total / count) ** power: ** binds tighter than /",
            )


def _by_product(run: Walk, division: Division) -> None:
    divisor = division.divisor
    if isinstance(divisor, Expression) and divisor.operator == "*":
        by = divisor.left, divisor.right
        windows.divided_twice(run, division.total, by, division.node)


# What may be wrong about a divisor that does not count what is added: no two are of one divisor.
UNCOUNTED = (
    _by_product,
    _powered,
    counters.one_fewer,
    counters.by_last_index,
    counters.of_one_batch,
    counters.too_many,
    counters.of_another_loader,
    counters.of_another_loop,
    windows.of_steps,
    windows.of_rounds,
)


def _never_reset(run: Walk, divisor: Value, place: Place) -> None:
    run.report(
        "X403",
        place,
        what="since it is not set to 0 in each round of the outer loop, all rounds' losses "
        "are added up",
        divisor=f"{sizes.name(divisor)}, which counts one round",
        fix="set the total to 0 at the start of each round",
    )


def judge(run: Walk, total: Total, term: Loss, counted: str, divisor: Value, place: Place) -> None:
    """Judge an average by what is added up and what its divisor counts."""
    before = len(run.pending)
    _judge(run, total, term, counted, divisor, place)
    _mark(run, before, term)


def _judge(run: Walk, total: Total, term: Loss, counted: str, divisor: Value, place: Place) -> None:
    if counters.of_parts(run, term, counted, divisor, place):
        return
    loop = total.loops[-1]
    of_targets = isinstance(divisor, Total) and isinstance(divisor.term, Entries)
    size = "number_of_targets" if of_targets else "len(x)"
    facts = {"divisor": sizes.name(divisor), "size": size}
    if term.exp:
        if counted == "batches":
            run.report("X405", place, losses=(term.place,))
        return
    if term.accumulated is not None and (counted, term.scale) in ALL_COUNTED:
        divisions.accumulated(run, place, f"{sizes.name(divisor)}, which counts all {counted}")
        return
    if term.mean_part and counted == "batches":
        _batch_means(run, term, loop, place, _where(term))  # whatever was added to it
    if term.scale is None or sizes.batches_of_one(loop) or loops.nominal(loop) == Const(None):
        return
    if counted in BATCH_QUOTIENTS:
        if term.scale == 0 and not term.assumed:
            _batch_means(run, term, loop, place, BATCH_QUOTIENTS[counted])
        return
    if term.assumed and not term.nominal:
        sums = term.by_name and counted in ("samples", "padded")  # as an ELBO may
        if (sums and not run.ran) or counted == "sampler":
            return
        if term.scale != 0 and not term.by_hand:
            return
    if term.nominal and term.scale == 0:
        if counted in ("samples", "padded"):
            over = " times the nominal batch size" + _where(term)
            _batch_means(run, term, loop, place, over)
        return
    if counted == "sampler":
        run.report(
            "X403",
            place,
            what="the sampler's losses are added up",
            divisor=f"{sizes.name(divisor)}, which counts the whole data set",
            fix="divide by len(loader.sampler)",
        )
    elif term.nominal and counted == "batches":
        _padded(run, term, loop, divisor, place)
    elif term.scale == (1 if term.nominal else 0) and counted in ("samples", "padded"):
        of_rows = rows.are_counted(divisor, loops.dataset(loop.source))
        level = "warning" if term.assumed or of_rows else None
        facts["over"] = f"{_where(term)}," if term.assumed else ""
        facts["supposed"] = "loss" if term.by_name else ""
        run.report("X401", place, losses=(term.place,), level=level, **facts)
    elif term.scale == 0:
        _batch_means(run, term, loop, place, _where(term))
    elif term.scale == 2:
        run.report(
            "X403",
            place,
            what="sums over each batch, multiplied by its size once more: such losses are added up",
            divisor=sizes.name(divisor),
            fix="total += loss.item()    # it is a sum already",
        )
    elif term.by_hand and counted == "batches":
        run.report(
            "X403",
            place,
            what="sums of each batch's losses are added up",
            divisor=f"{sizes.name(divisor)}, which counts batches",
            fix="divide by the number of samples: len(loader.dataset)",
            level="warning" if term.assumed else None,
        )
    elif counted == "padded":
        _padded(run, term, loop, divisor, place)
    elif (
        counted == "samples"
        and isinstance(divisor, Length)
        and sizes.drops_last(loop)
        and not sizes.divides(run, loop)
    ):
        run.report(
            "X403",
            place,
            what="whole batches' losses are added up",
            divisor=f"{sizes.name(divisor)}, which counts the smaller last batch as well",
            fix="count what is added: n += len(x); then total / n",
            level="warning",
        )


ALL_COUNTED = ("batches", 0), ("samples", 1)


def _padded(run: Walk, term: Loss, loop: Loop, divisor: Value, place: object) -> None:
    """X403: as many samples as there were, if no batch were smaller."""
    if loops.left_early(loop) or run.is_open(loop) or sizes.even(run, loop):
        return
    named = sizes.name(divisor)
    what = "" if "times" in named else ", batches times their size"
    run.report(
        "X403",
        place,  # type: ignore[arg-type]
        what="all samples' losses are added up",
        divisor=f"{named}{what}, which is more where the last is smaller",
        fix="divide by the number of samples: len(loader.dataset)",
        level="warning",
        loop=loop,
    )


def divided_again(run: Walk, mean: Mean, divisor: Value, node: ast.AST) -> None:
    """Judge a total that is divided by its batches and by the size of a batch as well."""
    total = mean.of
    if not isinstance(total.term, Loss):
        return
    loop, term = total.loops[-1], total.term
    by = mean.divisor, divisor
    if term.scale not in (0, 1) or not any(
        loops.counts(one, loop) == "batches"
        and (loops.is_batch_size(other) or other == loops.nominal(loop))
        for one, other in (by, by[::-1])
    ):
        return
    for found in run.pending:  # whatever the first of the two divisions is by itself
        if found.place[1] is getattr(node, "left", None) and found.rule in ("X402", "X403"):
            found.unless = [True]
    both = Expression("*", *(by if isinstance(by[0], Length) else by[::-1]))
    judge(run, total, term, "padded", both, run.place_of_loop(node, loop))


def multiplied_by_size(run: Walk, mean: Mean, factor: Value, node: ast.AST) -> None:
    """Judge ``total / len(dataset) * batch_size`` as what it is: a mean over the batches."""
    total = mean.of
    if not isinstance(total.term, Loss) or total.term.scale != 0 or total.term.nominal:
        return
    loop = total.loops[-1]
    sides = (node.left, node.right) if isinstance(node, ast.BinOp) else ()
    if loops.is_nominal(factor, loop) or any(loops.sizes_of(loop, factor, one) for one in sides):
        for found in run.pending:  # what the division is by itself
            if found.place[1] in sides and found.rule == "X401":
                found.unless = [True]
        term = total.term.but(nominal=True)
        judge(run, total, term, "samples", mean.divisor, run.place_of_loop(node, loop))


def _where(term: Loss) -> str:
    """Name the condition that was not seen."""
    if not term.assumed:
        return ""
    return f", where `{term.assumed}` averages a batch as PyTorch's losses do"


def _batch_means(run: Walk, term: Loss, loop: Loop, place: Place, over: str) -> None:
    """X402, unless all batches are known to be of one size."""
    asked = loop.kind == "while" and run.ran
    if not (loops.is_batches(loop) or asked) or loops.left_early(loop):
        return
    even = sizes.even(run, loop)
    if even and (not run.ran or sizes.surely_even(run, loop)):
        return
    last = None if even else sizes.last_batch(run, loop)
    facts = {"over": over, "size": "len(x)", "loop": loop, "seen": last}
    facts["supposed"] = "loss" if asked else "sizes" if even else ""
    # A run sees the sum of each batch, where a line divides it by the batch.
    by_hand = term.features == "sum" and not term.assumed and not term.supposed
    about = () if by_hand else (term.place,)
    run.report("X402", place, losses=about, **facts)


def _judge_index(
    run: Walk, total: Total, term: Loss, offset: int, divisor: Value, place: Place
) -> None:
    """Divide by the number of a round: right where it counts from 1."""
    if offset == 1:
        if not run.is_open(total.loops[-1]):
            judge(run, total, term, "batches", divisor, place)
    elif not total.emptied and not loops.left_by_index(total.loops[-1], total.place[1]):
        run.report(
            "X403",
            place,
            what="k + 1 losses are added up",
            divisor="k, an index that starts at 0" if offset == 0 else f"the index and {offset}",
            fix="divide by (index + 1), or enumerate(loader, 1)",
        )
