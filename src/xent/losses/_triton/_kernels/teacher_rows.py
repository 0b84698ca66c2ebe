"""Rows of a student's logits beside a teacher's: how far their softmaxes are apart.

A program a row: it reads the row of both for the largest logits, for the sums of the others, for
the divergence, and once more to write the gradient over the student's logits. KIND says which
divergence: 0 is D(q ‖ p), 1 is D(p ‖ q), 2 a mixture of both.
"""

import triton
import triton.language as tl

from xent.losses._triton._kernels.numerics import (
    TWO_32,
    exact,
    log1p_exact,
    log1p_series,
    scaled_exp,
    softcapped,
)
from xent.losses._triton._kernels.rows import gaps_of_block

_FLOOR = tl.constexpr(-1e30)  # of a logarithm, so that times 0 it is 0


@triton.jit
def _largest(x, classes, BLOCK: tl.constexpr):
    """Return the largest logit of a row, and its place."""
    top, argmax = tl.full((), float("-inf"), tl.float32), tl.full((), 0, tl.int32)
    missing = tl.full((), 0.0, tl.float32)
    for start in range(0, classes, BLOCK):
        c = start + tl.arange(0, BLOCK)
        v = tl.load(x + c, mask=c < classes, other=float("-inf")).to(tl.float32)
        best = tl.max(v, 0)
        missing += tl.sum(tl.where(v == v, 0.0, 1.0), 0)
        if best > top:
            top, argmax = best, start + tl.argmax(v, 0)
    bad = (missing > 0.0) | (top == float("-inf")) | (top == float("inf"))
    return tl.where(bad, float("nan"), top), argmax


@triton.jit
def _others(
    x, classes, top, bent_top, argmax, log2e, ln2_high, ln2_low, inverse, cap,
    CAP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Return 2^32 Σ exp(z_c - z_m) without m."""
    total = tl.full((), 0.0, tl.float64)
    for start in range(0, classes, BLOCK):
        c = start + tl.arange(0, BLOCK)
        inside = c < classes
        v = tl.load(x + c, mask=inside, other=float("-inf")).to(tl.float32)
        d, lost, _slope = gaps_of_block(v, top, bent_top, cap, CAP)
        e = scaled_exp(d, lost, log2e, ln2_high, ln2_low, inverse, False)
        total += tl.sum(tl.where(inside & (c != argmax), e, 0.0).to(tl.float64), 0)
    return total


@triton.jit
def _logarithms(
    x, c, inside, top, bent_top, argmax, log_sum, share, log2e, ln2_high, ln2_low, inverse, cap,
    CAP: tl.constexpr,
):  # fmt: skip
    """Return log p and p of a block, which is 0 beyond the row, and the slope of the cap."""
    v = tl.load(x + c, mask=inside, other=float("-inf")).to(tl.float32)
    d, lost, slope = gaps_of_block(v, top, bent_top, cap, CAP)
    is_top = c == argmax
    p = scaled_exp(d, lost, log2e, ln2_high, ln2_low, inverse, False) * share
    d = tl.where(lost == lost, d + lost, d)  # of an infinite gap nothing is lost
    log_p = tl.where(is_top, 0.0, d * inverse) - log_sum
    return log_p, tl.where(inside, p, 0.0), slope


@triton.jit
def _smoothed(log_q, q, inside, even, smoothing, SMOOTH: tl.constexpr):
    """Return the teacher's logarithms and probabilities, some of which are spread evenly."""
    if SMOOTH:
        q = tl.where(inside, q * (1.0 - smoothing) + even, 0.0)
        log_q = tl.where(q > 0.0, tl.log(q), float("-inf"))
    return log_q, q


@triton.jit
def _against_mixture(log_p, log_q, log_beta, log_1_beta):
    """Return log(p / m) and log(q / m), of m = β q + (1 - β) p."""
    a = tl.where(log_q < _FLOOR, _FLOOR, log_q) + log_beta
    b = tl.where(log_p < _FLOOR, _FLOOR, log_p) + log_1_beta
    gap = a - b
    log = log1p_series(tl.exp(-tl.abs(gap)))
    to_a, to_b = tl.where(gap > 0.0, 0.0, gap) - log, tl.where(gap > 0.0, -gap, 0.0) - log
    return to_b - log_1_beta, to_a - log_beta


@triton.jit
def score_teacher_rows(
    x, stride, y, teacher_stride, row_weight, out, upstream, upstream_stride, classes, g,
    log2e, ln2_high, ln2_low, inverse, inverse_low, cap, smoothing, even, z_loss,
    beta, log_beta, log_1_beta,
    KIND: tl.constexpr, SMOOTH: tl.constexpr, TOKEN: tl.constexpr, CAP: tl.constexpr,
    Z: tl.constexpr, UPSTREAM: tl.constexpr, WRITE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the divergence of each row, and where asked for its gradient over the student."""
    row = tl.program_id(0).to(tl.int64)
    exact_inverse = exact(inverse) + exact(inverse_low)
    x, y = x + row * stride, y + row * teacher_stride
    factor = tl.full((), 1.0, tl.float32)
    if TOKEN:
        factor = tl.load(row_weight + row).to(tl.float32)
    read = tl.where(factor == 0.0, 0, classes)
    up = factor * g
    if UPSTREAM:
        up = up * tl.load(upstream + row * upstream_stride).to(tl.float32)
    top, argmax = _largest(x, read, BLOCK)
    theirs, their_argmax = _largest(y, read, BLOCK)
    bent_top, bent_theirs = top.to(tl.float64), theirs.to(tl.float64)
    if CAP:
        bent_top, _top_slope = softcapped(top, cap)
        bent_theirs, _their_top_slope = softcapped(theirs, cap)
    others = _others(
        x, read, top, bent_top, argmax, log2e, ln2_high, ln2_low, inverse, cap, CAP, BLOCK
    )
    their_others = _others(
        y, read, theirs, bent_theirs, their_argmax, log2e, ln2_high, ln2_low, inverse, cap, CAP,
        BLOCK,
    )  # fmt: skip
    log_sum, their_log_sum = log1p_exact(others / TWO_32), log1p_exact(their_others / TWO_32)
    share = (1.0 / (others + TWO_32)).to(tl.float32)
    their_share = (1.0 / (their_others + TWO_32)).to(tl.float32)
    near, far = log_sum.to(tl.float32), their_log_sum.to(tl.float32)
    of_p, of_q = tl.full((), 0.0, tl.float64), tl.full((), 0.0, tl.float64)
    for start in range(0, read, BLOCK):
        c = start + tl.arange(0, BLOCK)
        inside = c < read
        log_p, p, _slope = _logarithms(
            x, c, inside, top, bent_top, argmax, near, share, log2e, ln2_high, ln2_low, inverse,
            cap, CAP,
        )  # fmt: skip
        log_q, q, _their_slope = _logarithms(
            y, c, inside, theirs, bent_theirs, their_argmax, far, their_share, log2e, ln2_high,
            ln2_low, inverse, cap, CAP,
        )  # fmt: skip
        log_q, q = _smoothed(log_q, q, inside, even, smoothing, SMOOTH)
        if KIND == 0:
            of_q += tl.sum(tl.where(q == 0.0, 0.0, q * (log_q - log_p)).to(tl.float64), 0)
        elif KIND == 1:
            of_p += tl.sum(tl.where(p == 0.0, 0.0, p * (log_p - log_q)).to(tl.float64), 0)
        else:
            ratio, their_ratio = _against_mixture(log_p, log_q, log_beta, log_1_beta)
            of_p += tl.sum(tl.where(p == 0.0, 0.0, p * ratio).to(tl.float64), 0)
            of_q += tl.sum(tl.where(q == 0.0, 0.0, q * their_ratio).to(tl.float64), 0)
    value = of_p + of_q
    if KIND == 2:
        value = exact(beta) * of_q + (1.0 - exact(beta)) * of_p
    lse = bent_top * exact_inverse + log_sum
    rise = 0.0
    if Z:
        value += exact(z_loss) * lse * lse
        rise = (2.0 * exact(z_loss) * lse).to(tl.float32)
    value = tl.where(value == value, value * factor, value + top)
    tl.store(out + row, tl.where(factor == 0.0, 0.0, value).to(tl.float32))
    if WRITE:
        middle = of_p.to(tl.float32)
        up = up * inverse
        for start in range(0, classes, BLOCK):
            c = start + tl.arange(0, BLOCK)
            inside = c < read
            log_p, p, slope = _logarithms(
                x, c, inside, top, bent_top, argmax, near, share, log2e, ln2_high, ln2_low,
                inverse, cap, CAP,
            )  # fmt: skip
            log_q, q, _their_slope = _logarithms(
                y, c, inside, theirs, bent_theirs, their_argmax, far, their_share, log2e, ln2_high,
                ln2_low, inverse, cap, CAP,
            )  # fmt: skip
            log_q, q = _smoothed(log_q, q, inside, even, smoothing, SMOOTH)
            if KIND == 0:
                found = p * (1.0 + rise) - q
            elif KIND == 1:
                found = tl.where(p == 0.0, 0.0, p * (log_p - log_q - middle + rise))
            else:
                ratio, their_ratio = _against_mixture(log_p, log_q, log_beta, log_1_beta)
                found = tl.where(p == 0.0, 0.0, p * ((1.0 - beta) * (ratio - middle) + rise))
            found = tl.where(factor == 0.0, 0.0, found * up * slope)
            tl.store(x + c, found.to(x.dtype.element_ty), mask=c < classes)
