"""Binary cross-entropy of logits: value and gradient of every element at once.

With u = exp(-|x|): softplus(x) = max(x, 0) + log1p(u) and σ(|x|) = 1 / (1 + u); the loss is
(1 - t) softplus(x) + t softplus(-x), its gradient (1 - t) σ(x) - t σ(-x). Nothing cancels where the
target t is 0 or 1. Elements come in spans of a fixed size, so sums do not know the threads.

`sum_of_losses` is for the sum of many alike, in float32: it needs one logarithm for hundreds of
elements, as sum log(1 + u) = log(product (1 + u)), and keeps the product less 1. All else, weights,
values of their own, float64, is in `weighted_binary`.
"""

from typing import Any, NamedTuple

import numpy as np

from xent._compile.decorator import inner, outer
from xent._math.element import from_float64, to_float32, to_float64
from xent._math.exp import EXP_SCALE, scaled_exp32, times_split
from xent._math.llvm import CACHE_LINE, prefetch_l2, store_fence, stream_copy
from xent._math.log import log1p
from xent._math.vector import bits32, fma, from_bits32

U = np.uint64
_ONE, _ZERO = np.float32(1.0), np.float32(0.0)
UNSCALE32 = np.float32(1.0 / EXP_SCALE)
# Elements of a sum, and of what is computed at once
BINARY_BLOCK, PRODUCT_LENGTH = 4096, 256
BINARY_PREFETCH = 512

# Bits read as integers: 0.0 to 1.0 are at most that of 1.0; -inf and NaN are above -2.0**126.
SIGN_BIT, ONE_BITS, INFINITE_BITS = np.int32(-(2**31)), np.uint32(0x3F800000), np.uint32(0xFE800000)
SCALE32 = np.float32(EXP_SCALE)
_EXP, _REST = U(0), U(PRODUCT_LENGTH)
_HALF = U(PRODUCT_LENGTH // 2)


class BinaryBuffers(NamedTuple):
    """Room to work in, of one thread: terms of the loss, their sums, a chunk of the gradient."""

    terms: Any
    accumulators: Any
    gradient: Any


def buffers_for(dtype: Any, real: Any = np.float32) -> BinaryBuffers:
    """Allocate what the loops work in, for gradients of a type and terms of another."""
    return BinaryBuffers(
        np.empty(4 * PRODUCT_LENGTH, real),
        np.empty(2 * PRODUCT_LENGTH),
        np.empty(PRODUCT_LENGTH, dtype),
    )


def in_range(upstream: float) -> bool:
    """Say whether float32 can multiply gradients by this."""
    return upstream == 0.0 or 2.0**-36 < abs(upstream) < 2.0**38


def can_sum_in_float32(x: Any, target: Any, upstream: float) -> bool:
    """Say whether `sum_of_losses` may take what has no weights: float32 says it all."""
    return x.itemsize < 8 and target.itemsize < 8 and in_range(upstream)


@inner()
def _score(x, target, a, n, c1, c0, terms, gradient, max_target):
    """Write u and the rest of the loss to the terms, and the gradient.

    One loop, of as few instructions as can be: what is rare is only noticed, as the largest bits
    of a target and of a logit.
    """
    max_logit, soft = np.uint32(0), np.uint32(0)
    for j in range(n):
        v, t = to_float32(x[a + j]), to_float32(target[a + j])
        size = np.uint32(bits32(t))
        max_target = max(max_target, size)
        soft = max(soft, min(size, np.uint32(size ^ ONE_BITS)))  # 0 where the target is 0 or 1
        bits = np.int32(bits32(v) | SIGN_BIT)
        max_logit = max(max_logit, np.uint32(bits))
        scaled = scaled_exp32(from_bits32(bits))
        u = scaled * UNSCALE32
        terms[_EXP + j] = u
        tail = scaled / (_ONE + u)
        head = SCALE32 - tail  # σ(|x|) = 1 - u σ(|x|), at least a half
        above = v > _ZERO
        terms[_REST + j] = fma(-t, v, v if above else _ZERO)  # rounded once
        sigmoid = head if above else tail
        complement = tail if above else head
        slope = fma(_ONE - t, sigmoid, -(t * complement))
        gradient[j] = from_float64(times_split(slope, c1, c0, np.float32(-0.0)), gradient[j])
    return max_target, max_logit, soft > np.uint32(0)


@inner()
def soft_target_gradient(v, u, exact, negative, positive):
    """Return negative σ(v) - positive σ(-v) in float64, of u in float32 and, maybe less, float64.

    Of two terms alike the difference would keep what float32 has rounded in both.
    """
    near = np.float64(_ONE / (_ONE + u))
    top = fma(near, fma(-near, 1.0 + np.float64(u), 1.0), near)  # Newton's step: σ(|v|)
    low = exact * top
    return negative * (top if v > 0.0 else low) - positive * (low if v > 0.0 else top)


@inner()
def _soft_target_gradient(x, target, a, n, upstream, terms, gradient):
    """Write the gradient of targets between 0 and 1."""
    for j in range(n):
        v, t, u = to_float64(x[a + j]), to_float64(target[a + j]), terms[_EXP + j]
        slope = soft_target_gradient(v, u, np.float64(u), 1.0 - t, t)
        gradient[j] = from_float64(slope * upstream, gradient[j]) if 0.0 < t < 1.0 else gradient[j]


@inner()
def _fix_nonfinite(x, target, a, n, terms):
    """Give infinite logits their losses: infinite, or 0."""
    for j in range(n):
        v, t, rest = to_float32(x[a + j]), to_float32(target[a + j]), terms[_REST + j]
        side = _ONE - t if v > _ZERO else t
        limit = abs(v) if side != _ZERO else _ZERO
        terms[_REST + j] = limit if abs(v) == np.inf else rest


@inner()
def _accumulate(terms, n, accumulators, full):
    """Multiply 1 + u into accumulators that keep the product less 1; add the rest of the losses."""
    if full:
        for j in range(_HALF):
            e, u = accumulators[_EXP + j], np.float64(terms[_EXP + j])
            accumulators[_EXP + j] = fma(e, u, e + u)
            e, u = accumulators[_EXP + _HALF + j], np.float64(terms[_EXP + _HALF + j])
            accumulators[_EXP + _HALF + j] = fma(e, u, e + u)
            accumulators[_REST + j] += np.float64(terms[_REST + j] + terms[_REST + _HALF + j])
    else:
        for j in range(n):
            e, u = accumulators[_EXP + j], np.float64(terms[_EXP + j])
            accumulators[_EXP + j] = fma(e, u, e + u)
            accumulators[_REST + j] += np.float64(terms[_REST + j])


@inner()
def _tree_sum(accumulators):
    """Return the sum of all losses; eight logarithms, for a product of 4096 would be too large."""
    half = _HALF
    while half >= U(8):
        for j in range(half):
            e, u = accumulators[_EXP + j], accumulators[_EXP + half + j]
            accumulators[_EXP + j] = fma(e, u, e + u)
            accumulators[_REST + j] += accumulators[_REST + half + j]
        half //= U(2)
    for j in range(U(8)):
        accumulators[_REST + j] += log1p(accumulators[_EXP + j])
    for j in range(U(4)):
        accumulators[_REST + j] += accumulators[_REST + U(4) + j]
    return (accumulators[_REST] + accumulators[_REST + U(2)]) + (
        accumulators[_REST + U(1)] + accumulators[_REST + U(3)]
    )


@inner()
def split_scaled(upstream):
    """Return upstream / 2**64, which is what multiplies scaled gradients, as two float32."""
    c1 = np.float32(upstream / EXP_SCALE)
    return c1, np.float32(upstream / EXP_SCALE - c1)


@inner()
def first_invalid(target, first, last):
    """Return the first element whose target is not in [0, 1], or -1."""
    for i in range(first, last):
        if not 0.0 <= to_float64(target[i]) <= 1.0:
            return i
    return -1


@inner()
def prefetch_ahead(x, target, c):
    """Prefetch what comes soon, little by little, so that computing hides the wait."""
    for j in range(
        c + BINARY_PREFETCH, c + BINARY_PREFETCH + PRODUCT_LENGTH, CACHE_LINE // x.itemsize
    ):
        prefetch_l2(x, j)
    for j in range(
        c + BINARY_PREFETCH, c + BINARY_PREFETCH + PRODUCT_LENGTH, CACHE_LINE // target.itemsize
    ):
        prefetch_l2(target, j)


@outer()
def sum_of_losses(x, target, upstream, buffers, totals, grad, nontemporal, start, stop):
    """Sum spans of flat elements; return the first whose target is not in [0, 1], or -1.

    Reads x and target (n,); ``totals`` takes each span's sum, ``grad`` (n,), which may be x or
    empty, ``upstream`` times the gradient.
    """
    terms, accumulators, gradient = buffers
    count = x.shape[0]
    bad = -1
    c1, c0 = split_scaled(upstream)
    for b in range(start, stop):
        first, last = b * BINARY_BLOCK, min((b + 1) * BINARY_BLOCK, count)
        max_target = np.uint32(0)
        for j in range(U(2 * PRODUCT_LENGTH)):
            accumulators[j] = 0.0
        for c in range(first, last, PRODUCT_LENGTH):
            prefetch_ahead(x, target, c)
            n = min(PRODUCT_LENGTH, last - c)
            max_target, max_logit, soft = _score(
                x, target, U(c), U(n), c1, c0, terms, gradient, max_target
            )
            if soft and grad.shape[0]:
                _soft_target_gradient(x, target, U(c), U(n), upstream, terms, gradient)
            if max_logit > INFINITE_BITS:
                _fix_nonfinite(x, target, U(c), U(n), terms)
            _accumulate(
                terms, U(n), accumulators, n == PRODUCT_LENGTH and max_logit <= INFINITE_BITS
            )
            if grad.shape[0]:
                stream_copy(grad, c, gradient, n, nontemporal)
        totals[b] = _tree_sum(accumulators)
        if max_target > ONE_BITS and bad < 0:
            bad = first_invalid(target, first, last)
    store_fence()
    return bad
