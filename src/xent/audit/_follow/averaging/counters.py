"""Counters of batches or samples that count more than the losses they divide.

One that two loops count up holds the rounds of both, and one that is set to 0 before an outer
loop, where the total is set to 0 in it, holds those of all its rounds so far.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from xent.audit._follow import loops
from xent.audit._follow.averaging import sizes, windows
from xent.audit._follow.averaging.divisions import Division, divisor_of
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    BatchSize,
    Const,
    Expression,
    Index,
    Length,
    Loop,
    Loss,
    Made,
    Mean,
    Opaque,
    Place,
    Total,
    Value,
    Zero,
)


def more(run: Walk, counter: Total, term: Value) -> Value:
    """Count on: in a loop after the one that was counted, the counter holds both."""
    entered = run.new_loops(counter.start.loops) if isinstance(counter.start, Zero) else ()
    earlier = counter.loops[-1]
    if entered and not run.is_open(earlier) and not counter.emptied:
        return replace(counter, loops=entered, term=term, earlier=earlier, under=run.under())
    return Total(counter.loops, Opaque("count"), counter.place)


def one_by_one(counter: Total, total: Total) -> bool:
    """Whether a counter counts the samples of each batch, in a loop over them."""
    inner, around = counter.loops[-1], counter.loops[:-1]
    if around != total.loops or counter.term != Const(1) or counter.under != total.under:
        return False
    of = getattr(inner.source, "batch", None)
    return of is total.loops[-1] and not loops.over_keys(inner)


def too_many(run: Walk, division: Division) -> None:
    """X403: a counter holds rounds of which the total has no losses."""
    total, counter = division.total, division.divisor
    if not isinstance(counter, Total) or counter.emptied or total.emptied:
        return
    if counter.under != total.under or not (
        counter.term == Const(1) or isinstance(counter.term, BatchSize)
    ):
        return
    count, why = "one loop's", "a counter that an earlier loop counts up as well"
    if counter.loops != total.loops:
        outer, name = counter.loops[: -len(total.loops)], division.said
        if (*outer, *total.loops) != counter.loops or not isinstance(name, ast.Name):
            return
        if any(windows.assigned(loop.node, name.id) for loop in outer):
            return
        count, why = "one round's", "a counter that is not set to 0 in each round"
    fix = "set the counter to 0 wherever the total is"
    run.report("X403", division.place, what=f"{count} losses are added up", divisor=why, fix=fix)


def of_parts(run: Walk, term: Loss, counted: str, divisor: Value, place: Place) -> bool:
    """X403: len() of a batch that is a tuple or dict was taken for the number of its samples."""
    if not term.by_parts and counted != "parts":
        return False
    if term.scale in (0, 1) and not term.assumed:
        alone = "a counter of the tensors in a batch, not of samples"
        run.report(
            "X403",
            place,
            what="losses times the number of tensors in a batch, not of samples, are added up"
            if term.by_parts
            else "all batches' losses are added up",
            divisor=sizes.name(divisor) if counted != "parts" else alone,
            fix="take len() of one tensor of the batch: that of a tuple or dict counts its tensors",
            losses=(term.place,),
        )
    return True


def one_fewer(run: Walk, division: Division) -> None:
    """X403: the losses of all batches are divided by one fewer than there are batches."""
    total, divisor, loop = division.total, division.divisor, division.loop
    if not isinstance(divisor, Expression) or divisor.operator != "-":
        return
    if divisor.right != Const(1) or loops.counts(divisor.left, loop) != "batches":
        return
    some = loops.may_leave(loop) or len(total.under) > loop.depth  # added in some rounds only
    if loop.kind != "batches" or some or run.is_open(loop) or total.loops[:-1] or total.emptied:
        return
    run.report(
        "X403",
        division.place,
        what="all batches' losses are added up",
        divisor="one fewer than there are",
        fix="divide by the number of batches: len(loader)",
    )


def by_last_index(run: Walk, division: Division) -> None:
    """X403: after the loop its last index, one fewer than its batches, stands for them."""
    total, divisor, loop = division.total, division.divisor, division.loop
    if not isinstance(divisor, Expression) or divisor.operator != "*":
        return
    parts = divisor.left, divisor.right
    first = any(
        isinstance(one, Index) and one.loop is loop and one.offset == 0 and _sizes(other, loop)
        for one, other in (parts, parts[::-1])
    )
    if not first or total.loops[:-1] or total.emptied or run.is_open(loop):
        return
    if division.term.scale not in (0, 1) or not loops.is_batches(loop) or loops.may_leave(loop):
        return
    run.report(
        "X403",
        division.place,
        what="all batches' losses are added up",
        divisor="the last index, one fewer than there are batches, times their size",
        fix="divide by the number of samples: len(loader.dataset)",
        level="warning" if division.term.assumed else None,
    )


def _sizes(value: Value, loop: Loop) -> bool:
    return loops.is_nominal(value, loop) or loops.is_batch_size(value)


def of_another_loader(run: Walk, division: Division) -> None:
    """X403: one of two loaders counts, where there are as many rounds as the shorter has."""
    rounds, divisor = division.loop.source, division.divisor
    if not isinstance(rounds, Made) or rounds.name not in ("min", "max"):
        return
    if not isinstance(divisor, Length) or divisor not in rounds.args:
        return
    which = "shorter" if rounds.name == "min" else "longer"
    run.report(
        "X403",
        division.place,
        level="warning",
        what=f"the {which} loader's number of losses are added up",
        divisor=f"{sizes.name(divisor)}, which may be another",
        fix=f"divide by {rounds.name}(...), the number of rounds",
    )


def of_another_loop(run: Walk, division: Division) -> None:
    """X403: the index of the loop is by now that of a later loop over other batches."""
    total, loop, divisor = division.total, division.loop, division.divisor
    if not isinstance(divisor, Index) or divisor.loop in total.loops or total.emptied:
        return
    other = divisor.loop
    if any(run.is_open(one) or not loops.is_batches(one) for one in (loop, other)):
        return
    if loops.same(loop.source, other.source) or division.term.scale is None:
        return
    run.report(
        "X403",
        division.place,
        level="warning",
        what="one loop's losses are added up",
        divisor="the index of another loop",
        fix="divide by the number of batches that were added: len(loader)",
    )


def of_one_batch(run: Walk, division: Division) -> None:
    """X403: the means of all batches are divided by the size of one of them."""
    term, loop = division.term, division.loop
    if term.scale != 0 or run.is_open(loop) or division.total.emptied:
        return
    if loop.source is division.divisor:
        return  # one round for each sample: for k in range(batch_size)
    if not loops.is_batches(loop) or not loops.sizes_of(loop, division.divisor, division.said):
        return
    run.report(
        "X403",
        division.place,
        what="all batches' losses are added up",
        divisor="the size of one batch",
        fix="divide by the number of batches: len(loader)",
        level="warning" if term.assumed else None,
    )


def multiplied_by_rounds(run: Walk, mean: Mean, factor: Value, node: ast.AST) -> None:
    """X403: ``total / n * rounds``, where the total goes over the rounds of an outer loop."""
    total = mean.of
    if not isinstance(total.term, Loss) or len(total.loops) < 2:
        return
    rounds = total.loops[-2]
    if rounds.source == factor and not run.is_open(rounds):
        run.report(
            "X403",
            run.place(node),
            what="all rounds' losses are added up",
            divisor=f"{sizes.name(mean.divisor)} alone; the result is multiplied by the rounds",
            fix="total / (n * rounds): / and * are taken from left to right",
        )


def never_emptied(run: Walk, total: Total, node: ast.AST) -> bool:
    """X403: the mean of a list that holds the evaluations of all epochs so far."""
    outer = [loop for loop in total.loops[:-1] if run.is_open(loop)]
    kept = node.args[0] if isinstance(node, ast.Call) and node.args else None
    if not outer or not outer[-1].trained or total.loops[-1].trained or total.emptied:
        return False
    if not isinstance(kept, ast.Name) or not isinstance(total.term, Loss) or total.term.supposed:
        return False
    again = any(windows.assigned(loop.node, kept.id) for loop in outer)
    if again or _emptied(outer[0], kept.id):
        return False
    run.report(
        "X403",
        run.place(node),
        level="warning",
        what="since the list is not emptied in each round, all rounds' losses are added up",
        divisor="their number: this is no mean of the last round",
        fix=f"{kept.id} = []    # at the start of each round",
    )
    return True


def _emptied(loop: Loop, name: str) -> bool:
    """Whether a loop clears a list, or deletes what is in it."""
    return any(
        isinstance(part, ast.Attribute)
        and part.attr in ("clear", "pop")
        and ast.unparse(part.value) == name
        for part in ast.walk(loop.node)
    ) or any(
        isinstance(part, ast.Delete) and name in ast.unparse(part) for part in ast.walk(loop.node)
    )


def outside(run: Walk, total: Total, divisor: Value, node: ast.AST) -> None:
    """X403: a counter is counted up once, after the loop whose rounds it should count."""
    named = divisor_of(node)
    if not isinstance(total.term, Loss) or not isinstance(named, ast.Name):
        return
    if not isinstance(divisor, Const) or divisor.value != 1 or run.is_open(total.loops[-1]):
        return
    function = run.frame.function
    code = function.node if function is not None else run.frame.module.source.tree
    counted = any(
        isinstance(one, ast.AugAssign) and ast.unparse(one.target) == named.id
        for one in ast.walk(code)
    )
    if counted:
        run.report(
            "X403",
            run.place(node),
            what="all batches' losses are added up",
            divisor="a counter that is counted up once, outside of the loop",
            fix=f"{named.id} += 1    # in the loop",
        )


def one_added_to_mean(run: Walk, mean: Mean, node: ast.AST) -> None:
    """X403: ``total / i + 1`` is not ``total / (i + 1)``."""
    total, index = mean.of, mean.divisor
    name = node.left.left if _is_sum_of_quotient(node) else None  # type: ignore[attr-defined]
    if name is None or "loss" not in ast.unparse(name).lower():
        return
    if isinstance(total.term, Loss | Const | BatchSize):
        return  # of a loss, the division itself was told
    if isinstance(index, Index) and index.offset == 0 and index.loop is total.loops[-1]:
        run.report(
            "X403",
            run.place(node),
            what="k + 1 losses are added up",
            divisor="k, an index that starts at 0; 1 is added to the quotient",
            fix="divide by (index + 1): / binds tighter than +",
        )


def _is_sum_of_quotient(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.left, ast.BinOp)
