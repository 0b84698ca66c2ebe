"""Windows: a total that is shown and emptied every k rounds, and how many losses are in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from xent.audit._follow import loops
from xent.audit._follow.averaging.divisions import Division
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    Const,
    Expression,
    Index,
    Loop,
    Loss,
    Place,
    Total,
    Value,
    Zero,
)


def of_rounds(run: Walk, division: Division) -> None:
    """X403: a total is divided every so many rounds, by their number or by another one."""
    place, node, loop, divisor = division.place, division.node, division.loop, division.divisor
    found = _every(run, division.total) if _is_mean(division) and run.is_open(loop) else None
    if found is None:
        return
    branch, every, starts, skips = found
    emptied = emptied_in(branch, node)
    if every != divisor:
        if emptied and isinstance(every, Const) and isinstance(divisor, Const):
            _report(
                run, place, f"{every.value:.10g}", f"{divisor.value:.10g}", f"/ {every.value:.10g}"
            )
    elif not emptied:
        if isinstance(branch, ast.If) and _plain_name(node) and not emptied_in(loop.node, node):
            _report(
                run,
                place,
                "from the second window on more than k",
                "k: the total is not set to 0 after it is shown",
                f"{_plain_name(node)} = 0    # after it is shown",
            )
    elif starts:
        k = f"{every.value:.10g}" if isinstance(every, Const) else "k"
        first = f"{k} + 1" if skips else f"1 instead of {k}"
        _report(run, place, f"in the first window {first}", k, "(i + 1) % k == 0", "warning")


def is_one(run: Walk, total: Total, divisor: Value, node: ast.AST) -> bool:
    """Whether a total is divided every so many rounds by their number, and set to 0 then."""
    found = _every(run, total)
    if found is None or found[1] != divisor or not emptied_in(found[0], node):
        return False
    return loops.counts(divisor, total.loops[-1]) != "batches"  # all in one


def _is_mean(division: Division) -> bool:
    term = division.term
    return term.scale == 0 and not term.weighted and not division.total.emptied


def of_steps(run: Walk, division: Division) -> None:
    """X403: the losses of all rounds are divided by steps, of which several rounds make one."""
    if _is_mean(division):
        for _, steps, every, _, _ in _whenever(run):
            if every == division.divisor and _counts_some(steps, division.total):
                _report(
                    run,
                    division.place,
                    "more than k",
                    "k: all rounds are added, and the counter counts some of them",
                    "count what is added: n += 1; then total / n",
                )
                return


def _counts_some(steps: Value, total: Total) -> bool:
    """Whether a counter counts some of the rounds in which a loss is added, and not all."""
    if not isinstance(steps, Total) or steps.term != Const(1):
        return False
    return steps.loops[-1] is total.loops[-1] and len(steps.under) > len(total.under)


def divided_twice(run: Walk, total: Total, by: tuple[Value, Value], node: ast.AST) -> None:
    """X403: a total is divided by the rounds of its window and by the number of the round."""
    term, loop = total.term, total.loops[-1]
    if not isinstance(term, Loss) or term.scale != 0 or term.weighted or term.nominal:
        return
    if not run.is_open(loop):
        return
    for window, number in (by, by[::-1]):
        if _is_round(number, loop) and any(
            window == every and _is_round(rounds, loop) for _, rounds, every, _, _ in _whenever(run)
        ):
            inner = getattr(node, "left", None)
            for found in run.pending:  # whatever the first of the two divisions is by itself
                if found.place[1] is inner and found.rule in ("X402", "X403"):
                    found.unless = [True]
            k = str(window.value) if isinstance(window, Const) else "k"
            place = run.place_of_loop(node, loop)
            _report(run, place, k, f"{k} and by the number of the round as well", f"total / {k}")
            return


def _is_round(value: Value, loop: Loop) -> bool:
    """Whether a value counts the rounds of a loop, from wherever it started."""
    if isinstance(value, Total):
        return value.loops[-1] is loop and value.term == Const(1)
    return isinstance(value, Index) and value.loop is loop


def _report(
    run: Walk, place: Place, count: str, divisor: str, fix: str, level: str | None = None
) -> None:
    run.report(
        "X403", place, what=f"{count} losses are added up", divisor=divisor, fix=fix, level=level
    )


Branch = ast.If | ast.IfExp


def _whenever(run: Walk) -> Iterator[tuple[Branch, Value, Value, Value, bool]]:
    """Yield the conditions that hold here and say ``rounds % every == remainder``, nearest first.

    Each with its branch, and whether it is but one part of what that branch asks for.
    """
    for branch, test, truth in reversed(run.conditions):
        parts = _all(test) if truth else []
        for part in parts:
            if isinstance(part, Expression) and part.operator in ("==", "not"):
                rest, remainder = part.left, part.right
                if part.operator == "not":  # if not i % every
                    remainder = Const(0)
                if isinstance(rest, Expression) and rest.operator == "%":
                    yield branch, rest.left, rest.right, remainder, len(parts) > 1


def _every(run: Walk, total: Total) -> tuple[Branch, Value, bool, bool] | None:
    """Find the branch that is taken every so many rounds of a total, and say so of the first."""
    for branch, rounds, every, remainder, skips in _whenever(run):
        if _counts_some(rounds, total):
            return None  # of so many steps, each of which has several rounds
        offset = _counts_rounds(rounds, total.loops[-1])
        if offset is not None:
            return branch, every, remainder == Const(offset) == Const(0), skips
    return None


def _counts_rounds(value: Value, loop: Loop) -> int | None:
    """Return what the index of a loop, or a counter of its rounds, is in the first one."""
    if isinstance(value, Index) and value.loop is loop:
        return value.offset
    if isinstance(value, Total) and value.loops == (loop,) and isinstance(value.start, Zero):
        return int(value.start.value) + 1 if value.term == Const(1) else None
    return None


def _all(test: Value) -> list[Value]:
    if isinstance(test, Expression) and test.operator == "and":
        return _all(test.left) + _all(test.right)
    return [test]


def _plain_name(node: ast.AST) -> str:
    left = node.left if isinstance(node, ast.BinOp) else getattr(node, "target", None)
    if isinstance(left, ast.BinOp):
        left = left.left
    return ast.unparse(left) if isinstance(left, ast.Name | ast.Attribute | ast.Subscript) else ""


def emptied_in(inside: ast.AST, node: ast.AST) -> bool:
    """Whether the total that is shown is set to 0 in a branch or a loop."""
    return assigned(inside, _plain_name(node)) or _calls_reset(inside)


def set_anew(outer: Loop, inner: Loop, node: ast.AST) -> str:
    """Say whether a total is set to 0 after the inner loop: "always", "sometimes" or ""."""
    name, within = _plain_name(node), set(map(id, ast.walk(inner.node)))
    found = ""
    for part in ast.walk(outer.node):
        new = isinstance(part, ast.Assign) and id(part) not in within and assigned(part, name)
        if new and name not in map(ast.unparse, ast.walk(part.value)):  # type: ignore[attr-defined]
            found = "always" if part in getattr(outer.node, "body", ()) else found or "sometimes"
    return found


def assigned(inside: ast.AST, name: str) -> bool:
    """Whether code gives a name a new value, other than by adding to it."""
    for part in ast.walk(inside):
        targets: list[ast.expr] = []
        if isinstance(part, ast.Assign):
            targets = part.targets
        elif isinstance(part, ast.AnnAssign):
            targets = [part.target]
        for target in targets:
            names = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
            if any(ast.unparse(one) == name for one in names):
                return True
    return False


def _calls_reset(inside: ast.AST) -> bool:
    return any(
        isinstance(part, ast.Attribute) and part.attr in ("reset", "clear", "zero_", "fill_")
        for part in ast.walk(inside)
    )
