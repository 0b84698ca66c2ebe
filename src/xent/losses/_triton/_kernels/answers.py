"""The kernels of yes-or-no answers: a program a block of elements, forward and backward.

`score_answer_rows`, the epilogue of a head's chunk, is a program a row: it writes the row's loss
and the gradient over its logits.

Weights broadcast: that of element i is number (i // step) % period of a tensor of its own. Options
are compile-time flags: WEIGHT, POSITIVE, TOKEN and IGNORE say which weights there are, BEND that a
cap or a temperature changes the logits, KEEP that each answer's loss is written, not a block's sum.
"""

import triton
import triton.language as tl

from xent.losses._triton._kernels.numerics import (
    LOG2E,
    LOG_2_HIGH,
    LOG_2_LOW,
    TWO_32,
    exact,
    log1p_series,
    scaled_exp,
    softcapped,
)


@triton.jit
def _answers(
    i, inside, x, target, weight, weight_step, weight_period, positive, positive_step,
    positive_period, token, token_step, token_period, ignored, inverse, inverse_low, cap, smoothing,
    WEIGHT: tl.constexpr, POSITIVE: tl.constexpr, TOKEN: tl.constexpr, IGNORE: tl.constexpr,
    CAP: tl.constexpr, BEND: tl.constexpr,
):  # fmt: skip
    """Return |z|, exp(-|z|), whether z says yes, the weights of no and of yes, and dz / dx."""
    v = tl.load(x + i, mask=inside, other=0.0).to(tl.float32)
    t = tl.load(target + i, mask=inside, other=0.0).to(tl.float32)
    w = tl.where(inside, 1.0, 0.0)
    if WEIGHT:
        w *= tl.load(weight + (i // weight_step) % weight_period, mask=inside, other=0.0)
    if TOKEN:
        w *= tl.load(token + (i // token_step) % token_period, mask=inside, other=0.0)
    if IGNORE:
        w = tl.where(t == ignored, 0.0, w)
    t = tl.where(w == 0.0, 0.0, t)
    v = tl.where(w == 0.0, 0.0, v)
    t = t * (1.0 - smoothing) + smoothing * 0.5
    no, yes = 1.0 - t, t
    if POSITIVE:
        yes *= tl.load(positive + (i // positive_step) % positive_period, mask=inside, other=0.0)
    slope, lost = w * 0.0 + 1.0, w * 0.0
    z = v
    if BEND:
        wide, inclined = v.to(tl.float64), 1.0
        if CAP:
            wide, inclined = softcapped(v, cap)
        turn = exact(inverse) + exact(inverse_low)
        wide = wide * turn
        z = wide.to(tl.float32)
        lost = tl.where(z > 0, -1.0, 1.0) * (wide - z.to(tl.float64)).to(tl.float32)
        slope = (w * 0.0 + inclined * turn).to(tl.float32)
    size = tl.abs(z)
    e = scaled_exp(-size, lost, LOG2E, LOG_2_HIGH, LOG_2_LOW, 1.0, True) * (1.0 / TWO_32)
    return size, e, z > 0, no * w, yes * w, slope


@triton.jit
def _value(size, e, says_yes, no, yes):
    """Return the loss of answers."""
    # Rounding may leave a target of 1.0000001: the sign of what it leaves for no means nothing.
    no, yes = tl.maximum(no, 0.0), tl.maximum(yes, 0.0)
    wrong = tl.where(says_yes, no, yes)
    value = (no + yes) * log1p_series(e) + tl.where(wrong > 0.0, wrong * size, 0.0)
    return tl.where(size == size, value, size)


@triton.jit
def _slope(e, says_yes, no, yes, slope):
    """Return the gradient of answers."""
    sure, unsure = 1.0 / (1.0 + e), e / (1.0 + e)
    rise = no * tl.where(says_yes, sure, unsure)
    fall = yes * tl.where(says_yes, unsure, sure)
    return tl.where((no == 0.0) & (yes == 0.0), 0.0, (rise - fall) * slope)


@triton.jit
def score_answers(
    x, target, weight, positive, token, out, count, weight_step, weight_period, positive_step,
    positive_period, token_step, token_period, ignored, inverse, inverse_low, cap, smoothing,
    WEIGHT: tl.constexpr, POSITIVE: tl.constexpr, TOKEN: tl.constexpr, IGNORE: tl.constexpr,
    CAP: tl.constexpr, BEND: tl.constexpr, KEEP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the loss of each answer of a block, or their sum in float64."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < count
    size, e, says_yes, no, yes, _ = _answers(
        i, inside, x, target, weight, weight_step, weight_period, positive, positive_step,
        positive_period, token, token_step, token_period, ignored, inverse, inverse_low, cap,
        smoothing, WEIGHT, POSITIVE, TOKEN, IGNORE, CAP, BEND,
    )  # fmt: skip
    value = _value(size, e, says_yes, no, yes)
    if KEEP:
        tl.store(out + i, value, mask=inside)
    else:
        tl.store(out + tl.program_id(0), tl.sum(value.to(tl.float64), 0))


@triton.jit
def differentiate_answers(
    x, target, weight, positive, token, grad, upstream, count, weight_step, weight_period,
    positive_step, positive_period, token_step, token_period, ignored, inverse, inverse_low, cap,
    smoothing,
    WEIGHT: tl.constexpr, POSITIVE: tl.constexpr, TOKEN: tl.constexpr, IGNORE: tl.constexpr,
    CAP: tl.constexpr, BEND: tl.constexpr, KEEP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the gradient of a block of answers, for an upstream gradient of each, or one of all."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < count
    _, e, says_yes, no, yes, slope = _answers(
        i, inside, x, target, weight, weight_step, weight_period, positive, positive_step,
        positive_period, token, token_step, token_period, ignored, inverse, inverse_low, cap,
        smoothing, WEIGHT, POSITIVE, TOKEN, IGNORE, CAP, BEND,
    )  # fmt: skip
    # One of all, or a block of them: no conditional expression gives both.
    if KEEP:  # noqa: SIM108
        up = tl.load(upstream + i, mask=inside, other=0.0)
    else:
        up = tl.load(upstream).to(tl.float32)
    found = _slope(e, says_yes, no, yes, up * slope)
    tl.store(grad + i, found.to(grad.dtype.element_ty), mask=inside)


@triton.jit
def score_answer_rows(
    x, target, weight, positive, token, out, upstream, upstream_stride, g, classes, weight_step,
    weight_period, positive_step, positive_period, token_step, token_period, ignored, inverse,
    inverse_low, cap, smoothing,
    WEIGHT: tl.constexpr, POSITIVE: tl.constexpr, TOKEN: tl.constexpr, IGNORE: tl.constexpr,
    CAP: tl.constexpr, BEND: tl.constexpr, UPSTREAM: tl.constexpr, WRITE: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the sum of a row's losses, and where asked for its gradient over its logits."""
    row = tl.program_id(0).to(tl.int64)
    total = tl.full((), 0.0, tl.float64)
    up = tl.full((), 1.0, tl.float32) * g
    if UPSTREAM:
        up = up * tl.load(upstream + row * upstream_stride).to(tl.float32)
    for start in range(0, classes, BLOCK):
        c = start + tl.arange(0, BLOCK)
        inside = c < classes
        i = row * classes + c
        size, e, says_yes, no, yes, slope = _answers(
            i, inside, x, target, weight, weight_step, weight_period, positive, positive_step,
            positive_period, token, token_step, token_period, ignored, inverse, inverse_low, cap,
            smoothing, WEIGHT, POSITIVE, TOKEN, IGNORE, CAP, BEND,
        )  # fmt: skip
        total += tl.sum(_value(size, e, says_yes, no, yes).to(tl.float64), 0)
        if WRITE:
            found = _slope(e, says_yes, no, yes, up * slope)
            tl.store(x + i, found.to(x.dtype.element_ty), mask=inside)
    tl.store(out + row, total.to(tl.float32))
