"""Windows: a total that is shown and emptied every k rounds, and how many losses are in it."""

from __future__ import annotations

import ast

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


def divided(run: Walk, total: Total, divisor: Value, node: ast.AST, place: Place) -> None:
    """Judge a total that is divided every so many rounds, by their number or by another one."""
    loop = total.loops[-1]
    term = total.term
    if not isinstance(term, Loss) or term.scale != 0 or term.weighted or total.emptied:
        return
    found = _every(run, loop)
    if _of_steps(run, total, divisor, node, place) or found is None:
        return
    branch, every, remainder, offset, skips = found
    if isinstance(every, Const) and isinstance(divisor, Const) and every != divisor:
        if emptied_in(branch, node):
            _report(run, place, f"{every.value}", f"{divisor.value}", f"/ {every.value}")
        return
    if every != divisor:
        return
    first = _first_round(every, remainder, offset, skips)
    if not emptied_in(branch, node):
        if isinstance(branch, ast.If) and _plain_name(node) and not _emptied_elsewhere(loop, node):
            _report(
                run,
                place,
                "from the second window on more than k",
                "k: the total is not set to 0 after it is shown",
                f"{_plain_name(node)} = 0    # after it is shown",
            )
        return
    k = str(every.value) if isinstance(every, Const) else "k"
    if first == "one" and len(total.loops) == 1:
        _report(
            run, place, f"in the first window 1 instead of {k}", k, "(i + 1) % k == 0", "warning"
        )
    elif first == "one more":
        _report(run, place, f"in the first window {k} + 1", k, "(i + 1) % k == 0", "warning")


def _of_steps(run: Walk, total: Total, divisor: Value, node: ast.AST, place: Place) -> bool:
    """X403: the losses of all rounds are divided by steps, of which several rounds make one."""
    if not any(truth and emptied_in(branch, node) for branch, _, truth in run.conditions):
        return False
    for _, test, truth in reversed(run.conditions):
        for part in _all(test) if truth else ():
            if not isinstance(part, Expression) or part.operator not in ("==", "not"):
                continue
            rest = part.left
            if not isinstance(rest, Expression) or rest.operator != "%" or rest.right != divisor:
                continue
            steps = rest.left
            if (
                isinstance(steps, Total)
                and steps.term == Const(1)
                and steps.loops[-1] is total.loops[-1]
                and len(steps.under) > len(total.under)
            ):
                _report(
                    run,
                    place,
                    "more than k",
                    "k: all rounds are added, and the counter counts some of them",
                    "count what is added: n += 1; then total / n",
                )
                return True
    return False


def divided_twice(run: Walk, total: Value, by: tuple[Value, Value], node: ast.AST) -> None:
    """X403: a total is divided by the rounds of its window and by the number of the round."""
    if not isinstance(total, Total) or not run.is_open(total.loops[-1]):
        return
    term, loop = total.term, total.loops[-1]
    if not isinstance(term, Loss) or term.scale != 0 or term.weighted or term.nominal:
        return
    for window, number in (by, by[::-1]):
        if _is_round(number, loop) and window in _windows(run, loop):
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


def _windows(run: Walk, loop: Loop) -> list[Value]:
    """Return each k of the conditions that hold here and say that a round is the k-th."""
    found: list[Value] = []
    for _, test, truth in run.conditions:
        for part in _all(test) if truth else ():
            if not isinstance(part, Expression) or part.operator not in ("==", "not"):
                continue
            rest = part.left
            if isinstance(rest, Expression) and rest.operator == "%" and _is_round(rest.left, loop):
                found.append(rest.right)
    return found


def _report(
    run: Walk, place: Place, count: str, divisor: str, fix: str, level: str | None = None
) -> None:
    run.report("X403", place, count=count, divisor=divisor, fix=fix, level=level)


def _every(
    run: Walk, loop: Loop
) -> tuple[ast.If | ast.IfExp | None, Value, Value, int, bool] | None:
    """Find the condition ``(i + offset) % every == remainder`` that holds here."""
    for branch, test, truth in reversed(run.conditions):
        if not truth:
            continue
        parts = _all(test)
        for part in parts:
            if not isinstance(part, Expression) or part.operator != "==":
                continue
            left, right = part.left, part.right
            if isinstance(left, Expression) and left.operator == "%":
                offset = _counts_rounds(left.left, loop)
                if offset is not None:
                    return branch, left.right, right, offset, len(parts) > 1
        for part in parts:  # if not i % every
            if isinstance(part, Expression) and part.operator == "not":
                inner = part.left
                if isinstance(inner, Expression) and inner.operator == "%":
                    offset = _counts_rounds(inner.left, loop)
                    if offset is not None:
                        return branch, inner.right, Const(0), offset, len(parts) > 1
    return None


def _counts_rounds(value: Value, loop: Loop) -> int | None:
    """Return what the index of a loop, or a counter of its rounds, is in the first one."""
    if isinstance(value, Index) and value.loop is loop:
        return value.offset
    if isinstance(value, Total) and value.loops == (loop,) and value.term == Const(1):
        first = value.start.value if isinstance(value.start, Zero) else None
        return int(first) + 1 if first is not None else None
    return None


def _all(test: Value) -> list[Value]:
    if isinstance(test, Expression) and test.operator == "and":
        return _all(test.left) + _all(test.right)
    return [test]


def _first_round(every: Value, remainder: Value, offset: int, skips: bool) -> str:
    """Say how many losses the first window has: "right", "one", "one more" or ""."""
    if isinstance(remainder, Const) and remainder.value == 0:
        if offset == 1:
            return "right"
        if offset == 0:
            return "one more" if skips else "one"
        return ""
    if isinstance(remainder, Expression) and remainder.operator == "-":
        same = remainder.left == every and remainder.right == Const(1)
        return "right" if same and offset == 0 else ""
    if isinstance(remainder, Const) and isinstance(every, Const):
        right = (remainder.value - offset) % every.value == every.value - 1
        return "right" if right else ""
    return ""


def _plain_name(node: ast.AST) -> str:
    left = node.left if isinstance(node, ast.BinOp) else None
    if isinstance(node, ast.AugAssign):
        left = node.target
    if isinstance(left, ast.BinOp):
        left = left.left
    return ast.unparse(left) if isinstance(left, ast.Name | ast.Attribute | ast.Subscript) else ""


def emptied_in(branch: ast.AST | None, node: ast.AST) -> bool:
    """Whether the total is set to 0 in the branch that shows it."""
    name = _plain_name(node)
    if branch is None or not name:
        return branch is not None and _calls_reset(branch)
    return assigned(branch, name) or _calls_reset(branch)


def _emptied_elsewhere(loop: Loop, node: ast.AST) -> bool:
    return assigned(loop.node, _plain_name(node)) or _calls_reset(loop.node)


def set_anew(outer: Loop, inner: Loop, node: ast.AST) -> str:
    """Say whether a total is set to 0 after the inner loop: "always", "sometimes" or ""."""
    name, within = _plain_name(node), set(map(id, ast.walk(inner.node)))
    found = ""
    for part in ast.walk(outer.node):
        new = isinstance(part, ast.Assign) and id(part) not in within and assigned(part, name)
        if name and new and name not in map(ast.unparse, ast.walk(part.value)):  # type: ignore[attr-defined]
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


def emptied_here(run: Walk, total: Total) -> bool:
    """Whether a total is shown every so many rounds, so that an index does not count it."""
    return _every(run, total.loops[-1]) is not None and total.emptied
