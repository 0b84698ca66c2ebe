"""Yes-or-no answers: binary cross-entropy of logits, value and gradient of every element at once.

With u = exp(-|x|): softplus(x) = max(x, 0) + log1p(u) and σ(|x|) = 1 / (1 + u); nothing cancels
where the target is 0 or 1. Elements come in blocks of a fixed size, so sums do not know
the threads.

`add_answers` is for the sum of many alike, in float32: it needs one logarithm for hundreds of
elements, as sum log(1 + u) = log(product (1 + u)), and keeps the product less 1. All else, weights,
values of their own, float64, is in `_weighed`.
"""

from typing import Any

import numpy as np

from xent._compile.decorator import inner, outer
from xent._math.element import from_float64, to_float32, to_float64
from xent._math.exp import EXP_SCALE, scaled_exp32, times_split
from xent._math.llvm import prefetch_l2, store_fence, stream_copy
from xent._math.log import log1p
from xent._math.vector import bits32, fma, from_bits32

U = np.uint64
_ONE, _ZERO = np.float32(1.0), np.float32(0.0)
DROP = np.float32(1.0 / EXP_SCALE)
# Elements of a sum, and of what is computed at once
SPAN, CHUNK = 4096, 256
AHEAD = 512

# Bits read as numbers: 0.0 to 1.0 are at most that of 1.0; -inf and NaN are above -2.0**126.
SIGN, YES, FAR = np.int32(-(2**31)), np.uint32(0x3F800000), np.uint32(0xFE800000)
LIFTED = np.float32(EXP_SCALE)
_E, _S = U(0), U(CHUNK)
_HALF = U(CHUNK // 2)


def mild(g: float) -> bool:
    """Say whether float32 can multiply gradients by g."""
    return g == 0.0 or 2.0**-36 < abs(g) < 2.0**38


def suits(x: Any, target: Any, g: float) -> bool:
    """Say whether `add_answers` may take what has no weights: float32 says it all."""
    return x.itemsize < 8 and target.itemsize < 8 and mild(g)


def room_for(dtype: Any, real: Any = np.float32) -> tuple[Any, Any, Any]:
    """Allocate what the loops work in: part, lanes and page."""
    return np.empty(4 * CHUNK, real), np.empty(2 * CHUNK), np.empty(CHUNK, dtype)


@inner()
def _score(x, target, a, n, c1, c0, part, page, most):
    """Write u and the rest of the value to part, the gradient to page.

    One loop, of as few instructions as can be: what is rare is only noticed, as the largest bits
    of a target and of a logit.
    """
    far, soft = np.uint32(0), np.uint32(0)
    for j in range(n):
        v, t = to_float32(x[a + j]), to_float32(target[a + j])
        size = np.uint32(bits32(t))
        most = max(most, size)
        soft = max(soft, min(size, np.uint32(size ^ YES)))  # 0 where the target is 0 or 1
        bits = np.int32(bits32(v) | SIGN)
        far = max(far, np.uint32(bits))
        lifted = scaled_exp32(from_bits32(bits))
        u = lifted * DROP
        part[_E + j] = u
        inside = lifted / (_ONE + u)
        out = LIFTED - inside  # σ(|x|) = 1 - u σ(|x|), at least a half
        up_hill = v > _ZERO
        part[_S + j] = fma(-t, v, v if up_hill else _ZERO)  # rounded once
        rise = out if up_hill else inside
        fall = inside if up_hill else out
        slope = fma(_ONE - t, rise, -(t * fall))
        page[j] = from_float64(times_split(slope, c1, c0, np.float32(-0.0)), page[j])
    return most, far, soft > np.uint32(0)


@inner()
def soft_slope(v, u, exact, no, yes):
    """Return no σ(v) - yes σ(-v) in float64, given u in float32 and, maybe smaller, in float64.

    Of two terms alike the difference would keep what float32 has rounded in both.
    """
    near = np.float64(_ONE / (_ONE + u))
    top = fma(near, fma(-near, 1.0 + np.float64(u), 1.0), near)  # Newton's step: σ(|v|)
    low = exact * top
    return no * (top if v > 0.0 else low) - yes * (low if v > 0.0 else top)


@inner()
def _soften(x, target, a, n, g, part, page):
    """Write the gradient of answers between yes and no."""
    for j in range(n):
        v, t, u = to_float64(x[a + j]), to_float64(target[a + j]), part[_E + j]
        slope = soft_slope(v, u, np.float64(u), 1.0 - t, t)
        page[j] = from_float64(slope * g, page[j]) if 0.0 < t < 1.0 else page[j]


@inner()
def _mend(x, target, a, n, part):
    """Give infinite logits their values: all or nothing."""
    for j in range(n):
        v, t, rest = to_float32(x[a + j]), to_float32(target[a + j]), part[_S + j]
        side = _ONE - t if v > _ZERO else t
        limit = abs(v) if side != _ZERO else _ZERO
        part[_S + j] = limit if abs(v) == np.inf else rest


@inner()
def _gather(part, n, lanes, whole):
    """Multiply 1 + u into the lanes, which keep the product less 1; add the rest of the values."""
    if whole:
        for j in range(_HALF):
            e, u = lanes[_E + j], np.float64(part[_E + j])
            lanes[_E + j] = fma(e, u, e + u)
            e, u = lanes[_E + _HALF + j], np.float64(part[_E + _HALF + j])
            lanes[_E + _HALF + j] = fma(e, u, e + u)
            lanes[_S + j] += np.float64(part[_S + j] + part[_S + _HALF + j])
    else:
        for j in range(n):
            e, u = lanes[_E + j], np.float64(part[_E + j])
            lanes[_E + j] = fma(e, u, e + u)
            lanes[_S + j] += np.float64(part[_S + j])


@inner()
def _fold(lanes):
    """Sum of all values; eight logarithms, for a product of 4096 would be too large."""
    half = _HALF
    while half >= U(8):
        for j in range(half):
            e, u = lanes[_E + j], lanes[_E + half + j]
            lanes[_E + j] = fma(e, u, e + u)
            lanes[_S + j] += lanes[_S + half + j]
        half //= U(2)
    for j in range(U(8)):
        lanes[_S + j] += log1p(lanes[_E + j])
    for j in range(U(4)):
        lanes[_S + j] += lanes[_S + U(4) + j]
    return (lanes[_S] + lanes[_S + U(2)]) + (lanes[_S + U(1)] + lanes[_S + U(3)])


@inner()
def first_wrong(target, first, last):
    """Return the first element whose target is not in [0, 1], or -1."""
    for i in range(first, last):
        if not 0.0 <= to_float64(target[i]) <= 1.0:
            return i
    return -1


@inner()
def ask_ahead(x, target, c):
    """Ask for what comes soon, little by little, so that computing hides the wait."""
    for j in range(c + AHEAD, c + AHEAD + CHUNK, 64 // x.itemsize):
        prefetch_l2(x, j)
    for j in range(c + AHEAD, c + AHEAD + CHUNK, 64 // target.itemsize):
        prefetch_l2(target, j)


@outer()
def add_answers(x, target, g, part, lanes, page, totals, grad, past, start, stop):
    """Sum spans of flat elements; return the first whose target is not in [0, 1], or -1.

    ``grad`` (it may be x, or empty) takes g times the gradient, ``totals`` each span's sum;
    ``part`` and ``lanes`` (two chunks each) and ``page`` (one) are room to work in.
    """
    count = x.shape[0]
    bad = -1
    c1, c0 = np.float32(g / EXP_SCALE), np.float32(g / EXP_SCALE - np.float32(g / EXP_SCALE))
    for b in range(start, stop):
        first, last = b * SPAN, min((b + 1) * SPAN, count)
        most = np.uint32(0)
        for j in range(U(2 * CHUNK)):
            lanes[j] = 0.0
        for c in range(first, last, CHUNK):
            ask_ahead(x, target, c)
            n = min(CHUNK, last - c)
            most, far, soft = _score(x, target, U(c), U(n), c1, c0, part, page, most)
            if soft and grad.shape[0]:
                _soften(x, target, U(c), U(n), g, part, page)
            if far > FAR:
                _mend(x, target, U(c), U(n), part)
            _gather(part, U(n), lanes, n == CHUNK and far <= FAR)
            if grad.shape[0]:
                stream_copy(grad, c, page, n, past)
        totals[b] = _fold(lanes)
        if most > YES and bad < 0:
            bad = first_wrong(target, first, last)
    store_fence()
    return bad
