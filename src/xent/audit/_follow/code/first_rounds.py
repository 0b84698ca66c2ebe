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

ERRORS_OF_MISSING = frozenset(["KeyError", "NameError", "UnboundLocalError", "AttributeError"])


def of_branch(run: Walk, node: ast.If, test: Value) -> list[ast.stmt] | None:
    """Return what both branches do, where one is taken in the first round alone."""
    for first, more, truth in ((node.body, node.orelse, True), (node.orelse, node.body, False)):
        pairs = _pairs(first, more)
        if pairs and all(_begins(run, node.test, test, truth, target) for target, _ in pairs):
            return _begun(run, node, test, truth, pairs)
    return None


def of_creation(run: Walk, node: ast.If, test: Value) -> tuple[Loop, ...] | None:
    """Return the loops around an object that is made where there was none: ``d[k] = Meter()``."""
    around = None
    for one in node.body:
        if not isinstance(one, ast.Assign) or len(one.targets) != 1:
            return None
        target, made = one.targets[0], one.value
        if not isinstance(made, ast.Call) or not isinstance(run.evaluate(made.func), Class):
            return None
        if not _begins(run, node.test, test, True, target):
            return None
        around = _around(run, test, target)
    return around


def of_choice(run: Walk, target: ast.expr, node: ast.IfExp, test: Value) -> ast.stmt | None:
    """Return the addition of ``total = loss if total is None else total + loss``."""
    for first, more, truth in ((node.body, node.orelse, True), (node.orelse, node.body, False)):
        pair = _pair(_assigned(target, first, node), _assigned(target, more, node))
        if pair is not None and _begins(run, node.test, test, truth, target):
            return _begun(run, node, test, truth, [pair])[0]
    return None


def of_attempt(run: Walk, node: ast.Try | ast.TryStar) -> list[ast.stmt] | None:
    """Return what a body adds to a name, or to what is under a key, that the handler begins."""
    if len(node.handlers) != 1 or node.orelse or node.finalbody:
        return None
    (handler,) = node.handlers
    named = ast.unparse(handler.type).rpartition(".")[2] if handler.type is not None else ""
    pairs = (
        _pairs(handler.body, node.body)
        if named in ERRORS_OF_MISSING or handler.type is None
        else None
    )
    return _begun(run, node, Const(None), True, pairs) if pairs else None


Begun = tuple[ast.expr, ast.stmt]  # what is begun, and the statement that goes on with it


def _pairs(first: Many[ast.stmt], more: Many[ast.stmt]) -> list[Begun] | None:
    """Begun the statements that begin something with those that go on with it."""
    if not first or len(first) != len(more):
        return None
    pairs = [_pair(one, other) for one, other in zip(first, more, strict=True)]
    return None if None in pairs else pairs  # type: ignore[return-value]


def _pair(first: ast.stmt, more: ast.stmt) -> Begun | None:
    """Return what is begun and gone on with: ``T = v`` and ``T += v``, or ``T = T + v``."""
    if not isinstance(first, ast.Assign) or len(first.targets) != 1:
        return None
    target, value = first.targets[0], ast.unparse(first.value)
    name = ast.unparse(target)
    if isinstance(more, ast.AugAssign) and isinstance(more.op, ast.Add):
        same = ast.unparse(more.target) == name and ast.unparse(more.value) == value
        return (target, more) if same else None
    if isinstance(more, ast.Assign) and isinstance(more.value, ast.BinOp):
        adds = isinstance(more.value.op, ast.Add) and ast.unparse(more.targets[0]) == name
        parts = sorted([ast.unparse(more.value.left), ast.unparse(more.value.right)])
        return (target, more) if adds and parts == sorted([name, value]) else None
    call = more.value if isinstance(more, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args:
        appended = f"[{ast.unparse(call.args[0])}]" == value and call.func.attr == "append"
        return (target, more) if appended and ast.unparse(call.func.value) == name else None
    return None


def _assigned(target: ast.expr, value: ast.expr, at: ast.AST) -> ast.stmt:
    return ast.copy_location(ast.Assign([target], value), at)


def _begins(run: Walk, node: ast.expr, test: Value, truth: bool, target: ast.expr) -> bool:
    """Whether a condition says that this is the first round, or that nothing was begun."""
    if isinstance(test, Expression) and test.operator == "not":
        inner = node.operand if isinstance(node, ast.UnaryOp) else node
        return _begins(run, inner, test.left, not truth, target)
    if isinstance(test, Expression) and isinstance(test.left, Index):
        index = test.left
        first = isinstance(test.right, Const | Zero) and test.right.value == index.offset
        return run.loops[-1:] == [index.loop] and first and truth == (test.operator == "==")
    if isinstance(test, Index):  # if i
        return run.loops[-1:] == [test.loop] and test.offset == 0 and not truth
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _begins(run, node.operand, test, not truth, target)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right, operator = node.left, node.comparators[0], node.ops[0]
        if isinstance(operator, ast.Is | ast.IsNot) and ast.unparse(right) == "None":
            same = ast.unparse(left) == ast.unparse(target)
            return same and truth == isinstance(operator, ast.Is)
        if isinstance(operator, ast.In | ast.NotIn) and isinstance(target, ast.Subscript):
            over = ast.unparse(right).removesuffix(".keys()")
            same = (ast.unparse(left), over) == (
                ast.unparse(target.slice),
                ast.unparse(target.value),
            )
            return same and truth == isinstance(operator, ast.NotIn)
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "hasattr" and len(node.args) == 2:
        name = getattr(node.args[1], "value", None)
        return not truth and ast.unparse(target) == f"{ast.unparse(node.args[0])}.{name}"
    return not truth and ast.unparse(node) == ast.unparse(target)  # if total


def _begun(
    run: Walk, node: ast.AST, test: Value, truth: bool, pairs: list[Begun]
) -> list[ast.stmt]:
    """Set what is begun to 0, or to an empty list, in the loops in which it stood before."""
    for target, more in pairs:
        held = _held(run, target)
        if isinstance(held, Total | Zero) or (isinstance(held, Sequence) and held.total):
            continue
        around = _around(run, test, target)
        value: Value = Sequence([], around) if isinstance(more, ast.Expr) else Zero(0, around)
        run.walker.bind(run, target, value)
    return [more for _, more in pairs]


def _held(run: Walk, target: ast.expr) -> Value | None:
    """Return what is there already, without asking for what is not."""
    if isinstance(target, ast.Name):
        return run.frame.names.get(target.id)
    holder = run.evaluate(target.value) if hasattr(target, "value") else None
    if isinstance(target, ast.Attribute):
        attrs = objects.attributes(holder) if holder is not None else None
        return attrs.get(target.attr) if attrs is not None else None
    if isinstance(target, ast.Subscript) and isinstance(holder, Dictionary):
        key = run.evaluate(target.slice)
        return holder.items.get(key.value) if isinstance(key, Const) else None
    return None


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
