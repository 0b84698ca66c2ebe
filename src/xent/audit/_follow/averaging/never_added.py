"""X407: numbers that are divided as totals, and to which this loop's losses were never added."""

from __future__ import annotations

import ast

from xent.audit._follow import loops
from xent.audit._follow.run import Walk
from xent.audit._follow.values import BatchSize, Const, Index, Loop, Loss, Place, Total, Value, Zero

LAST_ALONE = "it is that of the last batch alone"


def of_another_loop(run: Walk, term: Loss, loop: Loop, node: ast.AST) -> bool:
    """X407: in each round over batches the last loss of a loop that has ended is added again."""
    before = term.loop
    found = (
        before is not None
        and before not in run.loops
        and before.frame is loop.frame
        and before.kind == loop.kind == "batches"
        and loop.losses > 0
        and not term.carried
        # One loss of each loader, of those that the outer loop goes over.
        and before.node not in ast.walk(loop.node)
    )
    if found:
        what = "in every round it is that of the last batch of the loop before"
        _report(run, run.place(node), what)
    return found


def one_batch_divided(run: Walk, loss: Loss, divisor: Value, node: ast.AST) -> None:
    """X407: after the loop one batch's loss is divided as if it were the total."""
    if loss.loop is not None and loops.counts(divisor, loss.loop) in ("batches", "samples"):
        _report(run, run.place(node), LAST_ALONE)


def last_divided(run: Walk, loss: Loss) -> None:
    """X407: after the loop the last batch's loss is shown, divided by how many there were."""
    for divisor, place in loss.over:
        index = isinstance(divisor, Index) and divisor.loop is loss.loop
        counter = isinstance(divisor, Total) and divisor.loops[-1] is loss.loop
        if index or (counter and divisor.term == Const(1)):  # type: ignore[attr-defined]
            _report(run, place, LAST_ALONE)


def set_anew(run: Walk, node: ast.Assign, before: Value | None, value: Value) -> bool:
    """X407: ``total =+ loss`` gives a number that began before the loop a new value each time."""
    target = node.targets[0]
    name, line = ast.unparse(target), run.frame.module.source.lines[node.lineno - 1]
    found = (
        isinstance(before, Zero)
        and line.encode()[: node.value.col_offset].endswith(b"=")
        and not set(run.loops) <= set(before.loops)
        and (isinstance(value, Loss | BatchSize) or "loss" in name.lower())
    )
    if found:
        _report(run, run.place(target), "=+ gives it the value of one batch in each round", name)
    return found


def _report(run: Walk, place: Place, what: str, name: str = "") -> None:
    name, total = name or "the loss", name or "total"
    run.report("X407", place, name=name, total=total, what=what, size="len(x)")


def _given(run: Walk, name: str) -> bool:
    """Whether what a loop without a loss calls may give a name a value."""
    source = run.frame.module.source.tree
    return not name.isidentifier() or any(
        isinstance(part, ast.Global | ast.Nonlocal) for part in ast.walk(source)
    )


def nothing_added(run: Walk, zero: Zero, divisor: Value, node: ast.AST) -> None:
    """X407: a number that is still 0 is divided by the batches of a loader with losses."""
    counter = isinstance(divisor, Total) and divisor.term == Const(1)
    if zero.place is None:
        return
    name = ast.unparse(node.left if isinstance(node, ast.BinOp) else node.target)  # type: ignore[attr-defined]
    if "loss" in name.lower() and any(
        (divisor.loops[-1] is loop if counter else loops.counts(divisor, loop))  # type: ignore[attr-defined]
        and loop not in zero.loops
        and (loop.losses or (loop.kind == "batches" and not _given(run, name)))
        for loop in run.past
    ):
        _report(run, run.place(node), "nothing is added to it", name)
