"""Totals that the first round begins and the others go on with: two branches, one total.

``if first: total = loss`` and ``else: total += loss`` add as ``total = 0`` in front of the loop
does, whether the first round is told by the index, by None, by a key that is missing, or by the
error that a missing name raises. Lists are begun so too: ``[loss]``, and then ``append``.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence as Many

from xent.audit._follow import objects
from xent.audit._follow.averaging import windows
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    Class,
    Const,
    Dictionary,
    Expression,
    Index,
    Loop,
    Sequence,
    Total,
    Value,
    Zero,
)

ERRORS_OF_MISSING = frozenset(["", "KeyError", "NameError", "UnboundLocalError", "AttributeError"])


def of_branch(run: Walk, node: ast.If, test: Value) -> list[ast.stmt] | None:
    """Return what both branches do, where one is taken in the first round alone."""
    for first, more, truth in ((node.body, node.orelse, True), (node.orelse, node.body, False)):
        pairs = _pairs(first, more)
        begun = [_begins(run, node.test, test, truth, one.targets[0]) for one, _ in pairs]
        if pairs and all(begun):
            return _begun(run, test, pairs)
    return None


def of_creation(run: Walk, node: ast.If, test: Value) -> tuple[Loop, ...] | None:
    """Return the loops around an object that is made where there was none: ``d[k] = Meter()``."""
    around: tuple[Loop, ...] | None = None
    for one in node.body:
        made = one.value if isinstance(one, ast.Assign) else None
        if not isinstance(made, ast.Call) or not isinstance(run.evaluate(made.func), Class):
            return None
        target = one.targets[0]  # type: ignore[attr-defined]
        if not _begins(run, node.test, test, True, target):
            return None
        around = _around(run, test, target)
    return around


def of_choice(run: Walk, target: ast.expr, node: ast.IfExp, test: Value) -> ast.stmt | None:
    """Return the addition of ``total = loss if total is None else total + loss``."""
    for first, more, truth in ((node.body, node.orelse, True), (node.orelse, node.body, False)):
        pairs = _pairs([_assigned(target, first, node)], [_assigned(target, more, node)])
        if pairs and _begins(run, node.test, test, truth, target):
            return _begun(run, test, pairs)[0]
    return None


def of_attempt(run: Walk, node: ast.Try | ast.TryStar) -> list[ast.stmt] | None:
    """Return what a body adds to a name, or to what is under a key, that the handler begins."""
    if len(node.handlers) != 1 or node.orelse or node.finalbody:
        return None
    (handler,) = node.handlers
    named = ast.unparse(handler.type) if handler.type is not None else ""
    pairs = _pairs(handler.body, node.body) if named in ERRORS_OF_MISSING else []
    return _begun(run, Const(None), pairs) if pairs else None


Begun = tuple[ast.Assign, ast.stmt]  # what begins something, and what goes on with it


def _pairs(first: Many[ast.stmt], more: Many[ast.stmt]) -> list[Begun]:
    """Return the statements that begin something with those that go on with it, if all do."""
    pairs = [
        (one, other)
        for one, other in zip(first, more, strict=False)
        if isinstance(one, ast.Assign) and _may_go_on(other) and ast.unparse(other) in _goes_on(one)
    ]
    return pairs if len(pairs) == len(first) == len(more) else []


def _may_go_on(more: ast.stmt) -> bool:
    """Whether a statement is of a kind that goes on with something: words are slow to compare."""
    if isinstance(more, ast.Assign):
        return isinstance(more.value, ast.BinOp)
    return isinstance(more, ast.AugAssign | ast.Expr)


def _goes_on(first: ast.Assign) -> list[str]:
    """Return how code goes on with ``T = v``: ``T += v``, ``T = T + v``, or ``T.append(v)``."""
    target, value = first.targets[0], first.value
    ways: list[ast.AST] = [ast.AugAssign(target, ast.Add(), value)]  # type: ignore[arg-type]
    for left, right in ((target, value), (value, target)):
        ways.append(_assigned(target, ast.BinOp(left, ast.Add(), right), first))
    if isinstance(value, ast.List):
        ways.append(ast.Call(ast.Attribute(target, "append"), value.elts, []))
    return [ast.unparse(way) for way in ways]


def _assigned(target: ast.expr, value: ast.expr, at: ast.AST) -> ast.stmt:
    return ast.copy_location(ast.Assign([target], value), at)


def _begins(run: Walk, node: ast.expr, test: Value, truth: bool, target: ast.expr) -> bool:
    """Whether a condition says that this is the first round, or that nothing was begun."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = test.left if isinstance(test, Expression) else test
        return _begins(run, node.operand, inner, not truth, target)
    if isinstance(test, Expression) and isinstance(test.left, Index):
        index = test.left
        first = getattr(test.right, "value", None) == index.offset
        return run.loops[-1:] == [index.loop] and first and truth == (test.operator == "==")
    if isinstance(test, Index):  # if i
        return run.loops[-1:] == [test.loop] and test.offset == 0 and not truth
    name, words = ast.unparse(target), ast.unparse(node)
    if truth and words == f"{name} is None":
        return True
    begun = [name, f"{name} is not None"]
    if isinstance(target, ast.Attribute):
        begun.append(f"hasattr({ast.unparse(target.value)}, {target.attr!r})")
    if isinstance(target, ast.Subscript):
        key, over = ast.unparse(target.slice), ast.unparse(target.value)
        words = words.removesuffix(".keys()")
        if truth and words == f"{key} not in {over}":
            return True
        begun.append(f"{key} in {over}")
    return not truth and words in begun


def _begun(run: Walk, test: Value, pairs: list[Begun]) -> list[ast.stmt]:
    """Set what is begun to 0, or to an empty list, in the loops in which it stood before."""
    for first, _ in pairs:
        target = first.targets[0]
        if isinstance(held(run, target), Total | Zero):
            continue
        around = _around(run, test, target)
        list_ = isinstance(first.value, ast.List)
        run.walker.bind(run, target, Sequence([], around) if list_ else Zero(0, around))
    return [more for _, more in pairs]


def held(run: Walk, target: ast.expr) -> Value | None:
    """Return what is there already, without asking for what is not."""
    if isinstance(target, ast.Name):
        return run.frame.names.get(target.id)
    attrs = objects.attributes(run.evaluate(target.value)) if hasattr(target, "value") else None
    return attrs.get(getattr(target, "attr", None)) if attrs is not None else None


def _around(run: Walk, test: Value, target: ast.expr) -> tuple[Loop, ...]:
    """Return the loops that were open already when a total was not begun yet."""
    index = test.left if isinstance(test, Expression) else test
    if isinstance(index, Index):
        return tuple(run.loops[: run.loops.index(index.loop)])
    if isinstance(target, ast.Subscript):
        holder = run.evaluate(target.value)
        if isinstance(holder, Dictionary):
            return holder.loops
    name = ast.unparse(target)
    local = isinstance(target, ast.Name) and name not in run.frame.shared
    return tuple(
        loop
        for loop in run.loops
        if (local and loop.frame is not run.frame) or _set_to_nothing(loop, name)
    )


def _set_to_nothing(loop: Loop, name: str) -> bool:
    """Whether a loop sets a name to None or to 0, so that a total begins in each of its rounds."""
    return any(
        isinstance(part, ast.Assign)
        and isinstance(part.value, ast.Constant)
        and windows.assigned(part, name)
        for part in ast.walk(loop.node)
    )
