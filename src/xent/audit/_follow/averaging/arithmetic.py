"""Arithmetic: what is added to what, multiplied by what, divided by what.

A loss carries the power of the batch size that it grows with, so that a mean times the size of
the batch is a sum, and a sum divided by it a mean, whoever writes it and in whatever class.
"""

from __future__ import annotations

import ast
import operator
import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

from xent.audit._follow import loops, objects, rows
from xent.audit._follow.averaging import (
    averages,
    counters,
    divisions,
    entries,
    never_added,
    one_batch,
    recursions,
    sizes,
    windows,
)
from xent.audit._follow.pytorch import tensors, unread_losses
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    BatchSize,
    Choice,
    Const,
    Entries,
    Expression,
    External,
    Index,
    Length,
    Loss,
    Made,
    Mean,
    Opaque,
    Sequence,
    Tensor,
    TensorCount,
    Total,
    Value,
    Zero,
)

OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
SIZE = re.compile(r"batch|size|num|count|len|total|^n_|^n$|^bs$|^bsz$|^b$|samples|shape", re.I)
NUMBERS = (int, float)
CONSTANTS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
COUNTS = BatchSize | Entries | Index | Length | Total
GUARD = 1e-3
WIDEST_LIST = 8  # items of a list that is made by multiplication, and followed one by one


def binary(run: Walk, kind: type[ast.operator], left: Value, right: Value, node: ast.AST) -> Value:
    """Return what an operation makes of two values."""
    if isinstance(left, Choice) or isinstance(right, Choice):
        return _each(run, kind, left, right, node)
    sign = OPERATORS.get(kind, "?")
    if isinstance(left, Const) and isinstance(right, Const):
        return _constants(sign, left.value, right.value)
    if sign == "+":
        return add(run, left, right, node)
    if sign == "-":
        return subtract(run, left, right, node)
    if sign == "*":
        return multiply(run, left, right, node)
    if sign in ("/", "//"):
        return divide(run, left, right, node, sign)
    if isinstance(left, Tensor):
        focal = "weight" if left.focal == "1 - p" else ""
        loss = "recon" if left.applied == "difference" else left.loss
        return left.but(applied="", focal=focal, loss=loss)
    if isinstance(left, Loss):
        return left.but(scale=None, mean_part=False)
    return Expression(sign, left, right)


def _each(run: Walk, kind: type[ast.operator], left: Value, right: Value, node: ast.AST) -> Value:
    before = len(run.pending)
    results = []
    reports = []
    lefts = left.options if isinstance(left, Choice) else (left,)
    rights = right.options if isinstance(right, Choice) else (right,)
    for one in lefts:
        for other in rights:
            results.append(binary(run, kind, one, other, node))
            reports.append(run.pending[before:])
            del run.pending[before:]
    numbers = [one for one in rights if isinstance(one, Const)]
    picked = kind is ast.Div and len(numbers) == len(rights) > 1  # k + 1 in the first window
    if not picked and all(reports) and len({r[0].rule for r in reports}) == 1:
        run.pending.append(reports[0][0])  # wrong, whichever it is
    return run.join(results) or Opaque()


def _constants(sign: str, left: Any, right: Any) -> Value:
    if None in (left, right):
        return Const(None)  # a part of what a mean was, before the first round
    numbers = isinstance(left, NUMBERS) and isinstance(right, NUMBERS)
    with suppress(ArithmeticError, KeyError, TypeError):
        if sign == "+" or (numbers and (sign != "**" or abs(right) < 64)):
            return Const(CONSTANTS[sign](left, right))
    return Opaque("number")


def negative(value: Value) -> Value:
    """Return minus a value."""
    if isinstance(value, Tensor):
        return value.but(applied="", loss=value.loss or _negative_log(value))
    if isinstance(value, Loss):
        return value.but(positive=not value.positive)
    return value


def _negative_log(value: Tensor) -> str:
    return "loss" if value.applied in tensors.LOGS else ""


# ---------------------------------------------------------------------- sums


def add(run: Walk, left: Value, right: Value, node: ast.AST) -> Value:
    """Add two values; into a number that stood before the loop it is a total."""
    for one, other in ((left, right), (right, left)):
        bonus = isinstance(one, Loss) and one.kind == "entropy" and one.positive
        if bonus and isinstance(other, Loss | Opaque) and getattr(other, "kind", "") != "entropy":
            run.report("X801", run.place(node))
    for one, other in ((left, right), (right, left)):
        if _is_tiny(other) and isinstance(one, COUNTS):
            return one  # total / (count + 1e-8)
    if isinstance(right, Zero | Total):
        left, right = right, left
    if isinstance(left, Zero | Total):
        right = unread_losses.of_output(run, right, node) or right
    if isinstance(left, Zero):
        if isinstance(right, Zero):
            return left
        if isinstance(right, Loss) and right.carried:
            return right
        entered = run.new_loops(left.loops)
        if not entered:
            return Const(left.value + right.value) if _number(right) else right  # type: ignore[attr-defined]
        listed = getattr(entered[-1].source, "total", None)
        if isinstance(right, Loss) and right.kept and listed is not None:
            over = *entered[:-1], *listed.loops[-1:]  # as if they were added up where they arose
            return Total(over, right.but(kept=False), run.place(node))
        return averages.start(run, left, right, entered, node)
    if isinstance(left, Total):
        return averages.more(run, left, right, node)
    if isinstance(left, Index) and isinstance(right, Const) and isinstance(right.value, int):
        return Index(left.loop, left.offset + right.value)
    if isinstance(right, Index) and isinstance(left, Const) and isinstance(left.value, int):
        return Index(right.loop, right.offset + left.value)
    if isinstance(left, Loss) and isinstance(right, Loss):
        return _two_losses(run, left, right, node)
    if isinstance(left, Sequence) and isinstance(right, Sequence):
        if right.items is not None and len(right.items) == 1:  # losses + [loss]
            filled = averages.appended(run, left, right.items[0], node)
            if filled is not None:
                return filled
        known = left.items is not None and right.items is not None
        return Sequence([*left.items, *right.items] if known else None)  # type: ignore[misc]
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Loss):
            if recursions.is_before(other):
                return recursions.added(run, one)
            if _number(other):
                return one
            if run.ran:
                return one.but(supposed="loss")
            return one.but(scale=None, mean_part=one.scale == 0 or one.mean_part)
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Tensor):
            return _with(one, other, "+")
    if isinstance(left, Entries) and _number(right) and 0 < right.value < 0.01:  # type: ignore[attr-defined]
        return left  # mask.sum() + 1e-8
    if isinstance(left, Mean) and right == Const(1):
        counters.one_added_to_mean(run, left, node)
    return Expression("+", left, right)


def _two_losses(run: Walk, left: Loss, right: Loss, node: ast.AST) -> Loss:
    parts = {left.kind: left, right.kind: right}
    if "kl" in parts and len(parts) == 2:
        one_batch.elbo(run, next(p for k, p in parts.items() if k != "kl"), parts["kl"], node)
    alike = left.scale == right.scale and [n for n, _ in left.over] == [n for n, _ in right.over]
    return left.but(
        scale=left.scale if alike else None,
        kind="loss" if len(parts) == 2 else left.kind,
        features=left.features if left.features == right.features else "",
        loop=right.loop or left.loop,
        grad=left.grad or right.grad,
        assumed=left.assumed or right.assumed,
        by_name=left.by_name or right.by_name,
        supposed=next((s for s in ("loss", "sizes") if s in (left.supposed, right.supposed)), ""),
        weighted=False,
        summands=(*left.summands, right.backward, *right.summands),
    )


def subtract(run: Walk, left: Value, right: Value, node: ast.AST) -> Value:
    """Subtract."""
    if isinstance(left, Index) and isinstance(right, Const) and isinstance(right.value, int):
        return Index(left.loop, left.offset - right.value)
    if isinstance(left, Zero | Total) and isinstance(right, Loss):  # elbo -= loss.item()
        return add(run, left, negative(right), node)
    if isinstance(left, Loss) and isinstance(right, Loss):
        return _two_losses(run, left, right, node)  # recon - 0.5 * sum(1 + logvar - mu^2 - var)
    if isinstance(left, Loss) and isinstance(right, Zero) and run.new_loops(right.loops):
        return left.but(carried=True)  # loss - mean, on the way to mean += (loss - mean) / n
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Loss):
            return one if _number(other) else one.but(scale=None)
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Tensor):
            if one.applied == "sigmoid" and _is_one(other):
                return one  # 1 - sigmoid(x) is sigmoid(-x)
            return _with(one, other, "-")
    unknown = isinstance(left, Opaque | Made) and isinstance(right, Opaque | Made)
    if unknown and (batch := objects.batch_of(left)) and objects.batch_of(right):
        # An output of unknown code, and what it should have been: squared, a loss by hand.
        return Tensor("difference", batch=batch)
    return Expression("-", left, right)


def _with(one: Tensor, other: Value, sign: str) -> Tensor:
    """Return what a tensor becomes when something is added to it or multiplied with it."""
    number = other.value if _number(other) else None  # type: ignore[attr-defined]
    if sign == "+" and number is not None and 0 < abs(number) < 0.01:
        return one.but(epsilon=abs(number))  # probs + 1e-8 are probabilities
    loss = one.loss or (other.loss if isinstance(other, Tensor) else "")
    logs = {one.applied, getattr(other, "applied", "")} & tensors.LOGS
    if logs and sign == "*":
        loss = "loss"
    per = one.per if not isinstance(other, Tensor) or other.per == one.per else "unlike"
    focal = one.focal
    if sign == "-" and one.focal == "p" and number == 1:
        focal = "1 - p"
    elif not isinstance(other, Const | Opaque):
        focal = ""
    ignores = one.ignores and isinstance(other, Const | Tensor)  # no mask that may weigh them
    changed = one.but(focal=focal, applied="", loss=loss, per=per, ignores=ignores)
    if sign == "-" and isinstance(other, Tensor | Opaque):
        changed = changed.but(applied="difference")
    return changed.but(features=None) if isinstance(other, Tensor) else changed


def _is_one(value: Value) -> bool:
    if isinstance(value, Made):
        return value.name in ("torch.ones", "torch.ones_like")
    return isinstance(value, Const) and value.value == 1


def _is_tiny(value: Value) -> bool:
    """Whether this is what is added to a divisor so that it is not 0."""
    return isinstance(value, Const) and _number(value) and 0 < value.value <= GUARD


def _number(value: Value) -> bool:
    return isinstance(value, Const | Zero) and isinstance(value.value, NUMBERS)


# ---------------------------------------------------------------------- products


def multiply(run: Walk, left: Value, right: Value, node: ast.AST) -> Value:
    """Multiply two values."""
    _focal(run, left, right, node)
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Loss):
            one_batch.not_yet_divided(run, one, node)
            return _scaled(one, other)
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Total) and isinstance(one.term, Loss):
            if loops.is_nominal(other, one.loops[-1]):
                return replace(one, term=one.term.but(nominal=True))
            return one if _number(other) else Opaque()
        if isinstance(one, Mean):
            counters.multiplied_by_rounds(run, one, other, node)
            averages.multiplied_by_size(run, one, other, node)
            return one
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Tensor):
            made = _with(one, other, "*")
            return made.but(shifted=(*made.shifted, *entries.shifted(other)))
    for one, other in ((left, right), (right, left)):
        times = getattr(other, "value", None)
        if isinstance(one, Sequence) and isinstance(times, int) and times <= WIDEST_LIST:
            return Sequence(one.items and one.items * times, one.loops)  # [0.0] * 3
    for one in (left, right):
        if isinstance(one, Zero):
            return recursions.before(run, one)
        if recursions.is_before(one):
            return one
    return Expression("*", left, right)


def _focal(run: Walk, left: Value, right: Value, node: ast.AST) -> None:
    """X802: the weight of a focal loss has no gradient, the loss it weighs has one."""
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        for weight, loss in ((left, right), (right, left)):
            cut = weight.focal == "weight" and not weight.grad and not run.without_grad
            if cut and loss.loss and loss.grad and not loss.focal:
                run.report("X802", run.place(node))


def _scaled(loss: Loss, other: Value) -> Value:
    if other == loss.accumulated:
        return loss.but(accumulated=None, weighted=False)
    if loss.nominal and loss.scale == 1:  # a sum that was divided by the size of a whole batch
        back = loops.is_nominal(other, loss.loop)
        return loss.but(scale=1 if back or _number(other) else None, nominal=not back)
    if isinstance(other, BatchSize) and loss.scale is not None and loss.loop in (None, other.loop):
        return loss.but(scale=loss.scale + 1, by_hand=True)
    if loops.is_nominal(other, loss.loop) and loss.scale == 0:
        return loss.but(nominal=True)
    if isinstance(other, TensorCount):
        return loss.but(by_parts=True)
    if isinstance(other, Const) and isinstance(other.value, NUMBERS):
        signed = loss.but(positive=loss.positive == (other.value >= 0))
        return signed if abs(other.value) in (1, 0.5) else signed.but(weighted=True)
    beside = loss.kept and isinstance(other, Opaque)  # from a list: it may be a batch's size
    if not beside and (_is_fraction(other) or _is_weight(other)):
        return loss.but(weighted=True)
    return loss.but(scale=None, mean_part=False)


def _is_weight(value: Value) -> bool:
    """Whether this is a number that no batch changes, such as ``1 - 1 / epoch``, and no size."""
    if isinstance(value, Expression):
        left = _number(value.left) or (value.operator == "*" and _is_weight(value.left))
        return left and _is_weight(value.right)
    if isinstance(value, Index):
        return not loops.is_batches(value.loop)
    named = isinstance(value, Opaque | External)
    return named and not SIZE.search(value.name.rpartition(".")[2])  # type: ignore[attr-defined]


def _is_fraction(value: Value) -> bool:
    """Whether this is ``min(1.0, epoch / 10)``, which no size of a batch is."""
    caps = value.args if isinstance(value, Made) and value.name == "min" else ()
    return any(_number(cap) and 0 < cap.value <= 1 for cap in caps)  # type: ignore[attr-defined]


def divide(run: Walk, left: Value, right: Value, node: ast.AST, sign: str = "/") -> Value:
    """Divide: of a total, this is where an average is made."""
    if isinstance(left, Total | Mean) and sizes.says_processes(node):
        return left
    if isinstance(left, Total):
        counters.outside(run, left, right, node)
        return averages.divided(run, left, right, node)
    if isinstance(left, Mean):
        windows.divided_twice(run, left.of, (left.divisor, right), node)
        averages.divided_again(run, left, right, node)
        return left
    if isinstance(left, Zero):
        never_added.nothing_added(run, left, right, node)
        return Opaque()
    if isinstance(left, Loss):
        return _divided_loss(run, left, right, node)
    if isinstance(left, Tensor):
        return _with(left, right, "/")
    return Expression(sign, left, right)


def _is_part(run: Walk, node: ast.AST) -> bool:
    """Whether something is added to an expression."""
    return any(
        isinstance(one, ast.BinOp) and isinstance(one.op, ast.Add) and node in ast.walk(one)
        for one in ast.walk(run.frame.module.source.tree)
    )


def _divided_loss(run: Walk, left: Loss, right: Value, node: ast.AST) -> Value:
    if left.carried:
        return recursions.divided(run, left, right, run.place(node))
    if entries.first_counted(run, left, right, run.place(node)) or entries.of_mean(
        run, left, right, node
    ):
        return left.but(scale=None)
    if isinstance(right, Entries) and left.scale == 1 and left.loop in (None, right.loop):
        return left.but(scale=0, features="")  # a mean over those that count
    if isinstance(right, BatchSize) and left.scale is not None and left.loop in (None, right.loop):
        alone = not left.grad or (run.loops[-1:] == [left.loop] and not _is_part(run, node))
        if left.scale == 0 and alone and left.kind != "kl" and not left.weighted:
            one_batch.mean_over_batch(run, left, node)
            return left.but(scale=None)
        return left.but(scale=left.scale - 1, features="sum" if left.scale == 1 else left.features)
    if left.loop is None and left.scale == 1 and rows.is_first_axis(right):
        return left.but(scale=0, features="sum")  # in a function that nothing calls
    if divisions.accumulates(run, left, node):
        return left.but(weighted=True, accumulated=right)
    once = left.scale == 0 and not left.grad and not left.weighted and left.kind != "kl"
    if once and loops.is_nominal(right, left.loop):
        one_batch.mean_over_batch(run, left, node)
        return left.but(scale=None)
    if _number(right):
        nominal = loops.is_nominal(right, left.loop) and left.scale == 1
        return left.but(nominal=nominal or left.nominal, weighted=True)
    if isinstance(right, Loss | BatchSize):
        return left.but(scale=None, mean_part=False)
    if isinstance(right, Length | Expression | Total | Index):
        if left.loop not in run.loops:
            never_added.one_batch_divided(run, left, right, node)
            return Opaque()
        return left.but(over=(*left.over, (right, run.place(node))))
    if isinstance(right, Opaque) and left.scale == 1:
        nominal = loops.is_nominal(right, left.loop)
        return left.but(scale=1 if nominal else None, nominal=nominal)
    return left.but(weighted=True)
