"""Rows of class logits: one reading of a row, and one gradient of it.

A row is read once, in blocks of classes. Of what was read the largest logit is known, and of the
others the sum of exp((z_c - z_m) / T), a lane each, with compensation; where a larger one comes,
the lanes are folded into one number of float64, scaled, and begin anew. The largest logit stays out
of the sum, so that a sure row keeps its digits. The formula is that of `_kernels/rows/formula.py`.

Options are compile-time flags: SOFT probabilities are the target, SMOOTH spreads some of it evenly,
WEIGHT classes weigh differently, TOKEN rows do, CAP logits are bent, STATS statistics are written.
"""

import triton
import triton.language as tl

from xent.losses._triton._kernels.numerics import (
    TWO_32,
    add,
    difference,
    folded,
    scaled_exp,
    softcapped,
)

# The columns of what is kept of a row.
VALUE, ROW_WEIGHT, TOP = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
OTHERS, MASS = tl.constexpr(3), tl.constexpr(4)
LSE, LOG_PROB, ROW_ENTROPY = tl.constexpr(5), tl.constexpr(6), tl.constexpr(7)


@triton.jit
def spread_target(soft, class_weight, c, inside, even, smoothing, SOFT, SMOOTH, WEIGHT):
    """Return the target of a block of classes, without that of one true class."""
    if SOFT:
        share = tl.load(soft + c, mask=inside, other=0.0).to(tl.float32)
        if SMOOTH:
            share = tl.where(inside, share * (1.0 - smoothing) + even, 0.0)
    else:
        share = tl.where(inside, even, 0.0)
    if WEIGHT:
        share = share * tl.load(class_weight + c, mask=inside, other=0.0).to(tl.float32)
    return share


@triton.jit
def gaps_of_block(v, top, bent_top, cap, CAP: tl.constexpr):
    """Return z - z_m of a block of logits in two parts, and the slope of the cap."""
    if CAP:
        bent, slope = softcapped(v, cap)
        exact = bent - bent_top
        d = exact.to(tl.float32)
        lost = (exact - d.to(tl.float64)).to(tl.float32)
        found = d, lost, slope.to(tl.float32)
    else:
        d, lost = difference(v, top)
        found = d, lost, 1.0
    return found


@triton.jit
def read_row(
    x, soft, class_weight, classes, log2e, ln2_high, ln2_low, inverse, exact_inverse, cap, even,
    smoothing,
    SOFT: tl.constexpr, SMOOTH: tl.constexpr, WEIGHT: tl.constexpr, CAP: tl.constexpr,
    STATS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Return the largest logit, as it is and bent; sums over the classes in float64; the argmax.

    The sums: 2^32 Σ exp of the others, Σ a_c (z_m - z_c) and Σ a_c of the spread target a, and
    2^32 Σ exp (z_m - z_c).
    """
    lanes = tl.arange(0, BLOCK)
    zeros = tl.zeros((BLOCK,), tl.float32)
    nothing = tl.full((), 0.0, tl.float64)
    top = tl.full((), float("-inf"), tl.float32)
    bent_top, argmax = top.to(tl.float64), tl.full((), 0, tl.int32)
    others, margins, mass, spread = nothing, nothing, nothing, nothing
    sums, sums_lost, ties = zeros, zeros, zeros
    gaps, gaps_lost, masses, masses_lost = zeros, zeros, zeros, zeros
    spreads, spreads_lost = zeros, zeros
    for start in range(0, classes, BLOCK):
        c = start + lanes
        inside = c < classes
        v = tl.load(x + c, mask=inside, other=float("-inf")).to(tl.float32)
        best = tl.max(v, 0)
        if best > top:
            before = others + folded(sums, sums_lost) + TWO_32 * tl.sum(ties.to(tl.float64), 0)
            bent_best = best.to(tl.float64)
            if CAP:
                bent_best, _ = softcapped(best, cap)
            shift = bent_best - bent_top
            shrink = tl.exp(-shift * exact_inverse)
            others = before * shrink
            if STATS:
                moved = tl.where(shrink > 0.0, shift * before, 0.0)
                spread = (spread + folded(spreads, spreads_lost) + moved) * shrink
                spreads, spreads_lost = zeros, zeros
                argmax = start + tl.argmax(v, 0)
            if SOFT or SMOOTH:
                mass += folded(masses, masses_lost)
                margins += folded(gaps, gaps_lost) + tl.where(mass > 0.0, mass * shift, 0.0)
                gaps, gaps_lost, masses, masses_lost = zeros, zeros, zeros, zeros
            sums, sums_lost, ties = zeros, zeros, zeros
            top, bent_top = best, bent_best
        d, lost, _ = gaps_of_block(v, top, bent_top, cap, CAP)
        is_top = v == top
        e = scaled_exp(d, lost, log2e, ln2_high, ln2_low, inverse, False)
        e = tl.where(inside & (v != top), e, 0.0)
        ties += tl.where(inside & is_top, 1.0, 0.0)
        sums, sums_lost = add(sums, sums_lost, e)
        if STATS:
            spreads, spreads_lost = add(spreads, spreads_lost, tl.where(e == 0.0, 0.0, -d * e))
        if SOFT or SMOOTH:
            share = spread_target(
                soft, class_weight, c, inside, even, smoothing, SOFT, SMOOTH, WEIGHT
            )
            masses, masses_lost = add(masses, masses_lost, share)
            gap = tl.where(is_top | (share == 0.0), 0.0, -d * share)
            gaps, gaps_lost = add(gaps, gaps_lost, gap)
    others += folded(sums, sums_lost) + TWO_32 * (tl.sum(ties.to(tl.float64), 0) - 1.0)
    others = tl.where(top == float("-inf"), float("nan"), others)
    spread += folded(spreads, spreads_lost)
    mass += folded(masses, masses_lost)
    margins += folded(gaps, gaps_lost)
    return top, bent_top, others, margins, mass, spread, argmax
