"""Means that are brought up to date in every round, without a total.

A mean over n losses is the one before, moved by (loss - mean) / n (Welford), or
mean * (n - 1) / n + loss / n. What weighs the past by a constant is a moving average: it is
meant to forget, and nothing is said of it.
"""

from __future__ import annotations

from xent.audit._follow.averaging import averages
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    BatchSize,
    Const,
    Index,
    Loss,
    Opaque,
    Place,
    Total,
    Value,
    Zero,
)

BEFORE = "what earlier rounds left"


def before(run: Walk, zero: Zero) -> Opaque:
    """Return a number of before the loop that was multiplied: a part of what a mean was."""
    return Opaque(BEFORE if run.new_loops(zero.loops) else "zero")


def is_before(value: Value) -> bool:
    """Whether a value is a part of what earlier rounds left.

    None is what a name holds before the first round: that it is added to says that there was one.
    """
    return (isinstance(value, Opaque) and value.name == BEFORE) or value == Const(None)


def added(run: Walk, loss: Loss) -> Value:
    """Add a loss to what earlier rounds left."""
    if loss.over:  # mean * (1 - 1 / n) + loss / n
        divisor, place = loss.over[-1]
        return divided(run, loss, divisor, place)
    return loss.but(carried=True)


def divided(run: Walk, loss: Loss, divisor: Value, place: Place) -> Value:
    """Judge a mean that counts its losses itself; of any other divisor nothing is known."""
    loop, counted = loss.loop, ""
    if isinstance(divisor, Index) and divisor.loop is loop:
        counted = "batches" if divisor.offset == 1 else ""
    elif isinstance(divisor, Total) and divisor.loops[-1] is loop:
        if divisor.term == Const(1):
            counted = "batches"
        elif isinstance(divisor.term, BatchSize):
            counted = "samples"
    if loop is not None and counted:
        total = Total((loop,), loss, place)
        at = run.place_of_loop(place[1], loop) if place[0] is run.frame.module else place
        averages.judge(run, total, loss, counted, divisor, at)
    return Opaque("mean")
