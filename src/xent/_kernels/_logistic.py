"""Yes-or-no answers: binary cross-entropy of logits, value and gradient of every element at once.

With u = exp(-|x|): softplus(x) = max(x, 0) + log1p(u) and σ(|x|) = 1 / (1 + u); nothing cancels
where the target is 0 or 1. Elements come in blocks of a fixed size, so sums do not know
the threads.

`add_answers` is for the sum of many alike, in float32: it needs one logarithm for hundreds of
elements, as sum log(1 + u) = log(product (1 + u)), and keeps the product less 1. `answers` is for
all else: values of their own, weights, float64.
"""

from typing import Any

import numpy as np

from xent._kernels._float import (
    LIFT,
    exact_exp,
    inner,
    lifted_exp,
    log1p,
    narrow,
    outer,
    single,
    times,
    wide,
)
from xent._kernels._memory import arrive, prefetch, stream
from xent._kernels._vector import bits32, float_of_bits32, fma, fma32

U = np.uint64
BLOCK = 1024

_ONE, _ZERO = np.float32(1.0), np.float32(0.0)
_DROP = np.float32(1.0 / LIFT)
# ((log(1 + u) / u - 1) / u + 1/2) / u for 0 <= u <= 1, to 27 bits of log(1 + u): Chebyshev's fit
_L0, _L1 = np.float32(0.333332359790802), np.float32(-0.24996760487556458)
_L2, _L3 = np.float32(0.19956707954406738), np.float32(-0.16365152597427368)
_L4, _L5 = np.float32(0.13033364713191986), np.float32(-0.09139414131641388)
_L6, _L7 = np.float32(0.049309972673654556), np.float32(-0.017184266820549965)
_L8 = np.float32(0.0028016420546919107)


@inner()
def _single(x, a, n, part, value):
    """Write 2**64 u and 2**64 σ(|x|) u to part, in float32, and log(1 + u) to value."""
    far = U(BLOCK)
    for j in range(n):
        size = np.float32(abs(wide(x[a + j])))
        part[j] = lifted_exp(-size, _ZERO)
    for j in range(n):
        u = part[j] * _DROP
        q = fma32(_L8, u, _L7)
        q = fma32(q, u, _L6)
        q = fma32(q, u, _L5)
        q = fma32(q, u, _L4)
        q = fma32(q, u, _L3)
        q = fma32(q, u, _L2)
        q = fma32(q, u, _L1)
        part[far + j] = fma32(q, u, _L0)
    for j in range(n):
        lifted = np.float64(part[j])
        u = lifted / LIFT
        q = fma(np.float64(part[far + j]), u, -0.5)
        value[j] = fma(u * u, q, u)
    for j in range(n):
        u = part[j]
        part[far + j] = u * (_ONE / (_ONE + u * _DROP))


@inner()
def _double(x, a, n, part, value):
    """Do what `_single` does to the last bit of float64."""
    far = U(BLOCK)
    for j in range(n):
        u = exact_exp(-abs(wide(x[a + j])), 0.0)
        part[j] = u
        value[j] = log1p(u / LIFT)
    for j in range(n):
        part[far + j] = part[j] / (1.0 + part[j] / LIFT)


# Elements of a sum, and of what is computed at once
SPAN, CHUNK = 4096, 256
_AHEAD = 512

# Bits read as numbers: 0.0 to 1.0 are at most that of 1.0; -inf and NaN are above -2.0**126.
_SIGN, _YES, _FAR = np.int32(-(2**31)), np.uint32(0x3F800000), np.uint32(0xFE800000)
_MAGIC = np.float32(12582912.0 + 127 + 64)  # 1.5 * 2**23, and 2**64's exponent as float32 keeps it
_LOG2E, _LOWEST = np.float32(1.4426950408889634), np.float32(-131.0)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.1219444005469057e-4)
# (e**r - 1 - r) / r**2 for |r| <= log(2) / 2, to 28 bits of e**r
_P2, _P3 = np.float32(0.4999999340283261), np.float32(0.1666651996734012)
_P4, _P5 = np.float32(0.04166839591251857), np.float32(0.008368797253210492)
_P6 = np.float32(0.001381442765400898)
_LIFT = np.float32(LIFT)
_E, _S = U(0), U(CHUNK)
_HALF = U(CHUNK // 2)


def suits(x: Any, target: Any, g: float) -> bool:
    """Say whether `add_answers` may take what has no weights: float32 says it all."""
    return x.itemsize < 8 and target.itemsize < 8 and (g == 0.0 or 2.0**-36 < abs(g) < 2.0**38)


def room_for(dtype: Any, alike: bool) -> tuple[Any, Any, Any]:
    """Allocate what `add_answers` (or `answers`) works in: part, lanes (or value) and page."""
    size = CHUNK if alike else BLOCK
    real = np.float64 if dtype == np.float64 else np.float32
    return np.empty(2 * size, real), np.empty(2 * size), np.empty(size, dtype)


@inner()
def _score(x, target, a, n, c1, c0, part, page, most):
    """Write u and the rest of the value to part, the gradient to page.

    One loop, of as few instructions as can be: what is rare is only noticed, as the largest bits
    of a target and of a logit.
    """
    far = np.uint32(0)
    for j in range(n):
        v, t = single(x[a + j]), single(target[a + j])
        most = max(most, np.uint32(bits32(t)))
        bits = np.int32(bits32(v) | _SIGN)
        far = max(far, np.uint32(bits))
        size = float_of_bits32(bits)
        # 2**64 exp(-131) is still a normal number, and u is 0 from there on.
        inside = _LOWEST if size < _LOWEST else size
        n_magic = fma32(inside, _LOG2E, _MAGIC)
        k = n_magic - _MAGIC
        r = fma32(k, -_LN2_LOW, fma32(k, -_LN2_HIGH, inside))
        z = r * r
        p = fma32(z, _P6, fma32(_P5, r, _P4))
        p = fma32(p, z, fma32(_P3, r, _P2))
        p = fma32(p, z, r) + _ONE
        lifted = p * float_of_bits32(np.int32(bits32(n_magic) << np.int32(23)))
        u = lifted * _DROP
        part[_E + j] = u
        up_hill = v > _ZERO
        part[_S + j] = fma32(-t, v, v if up_hill else _ZERO)  # rounded once
        inside = lifted * (_ONE / (_ONE + u))
        out = _LIFT - inside  # σ(|x|) = 1 - u σ(|x|), at least a half
        rise = out if up_hill else inside
        fall = inside if up_hill else out
        slope = fma32(_ONE - t, rise, -(t * fall))
        page[j] = narrow(times(slope, c1, c0, np.float32(-0.0)), page[j])
    return most, far


@inner()
def _mend(x, target, a, n, part):
    """Give infinite logits their values: all or nothing."""
    for j in range(n):
        v, t, rest = single(x[a + j]), single(target[a + j]), part[_S + j]
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


@outer()
def add_answers(x, target, g, part, lanes, page, totals, grad, past, start, stop):
    """Sum spans of flat elements; return the first whose target is not in [0, 1], or -1.

    ``grad`` (it may be x, or empty) takes g times the gradient, ``totals`` each span's sum;
    ``part`` and ``lanes`` (two chunks each) and ``page`` (one) are room to work in.
    """
    count = x.shape[0]
    bad = -1
    c1, c0 = np.float32(g / LIFT), np.float32(g / LIFT - np.float32(g / LIFT))
    for b in range(start, stop):
        first, last = b * SPAN, min((b + 1) * SPAN, count)
        most = np.uint32(0)
        for j in range(U(2 * CHUNK)):
            lanes[j] = 0.0
        for c in range(first, last, CHUNK):
            # What comes soon is asked for, little by little, so that computing hides the wait.
            for j in range(c + _AHEAD, c + _AHEAD + CHUNK, 64 // x.itemsize):
                prefetch(x, j)
            for j in range(c + _AHEAD, c + _AHEAD + CHUNK, 64 // target.itemsize):
                prefetch(target, j)
            n = min(CHUNK, last - c)
            most, far = _score(x, target, U(c), U(n), c1, c0, part, page, most)
            if far > _FAR:
                _mend(x, target, U(c), U(n), part)
            _gather(part, U(n), lanes, n == CHUNK and far <= _FAR)
            if grad.shape[0]:
                stream(grad, c, page, n, past)
        totals[b] = _fold(lanes)
        if most > _YES and bad < 0:
            for i in range(first, last):
                if not 0.0 <= wide(target[i]) <= 1.0:
                    bad = i
                    break
    arrive()
    return bad


@outer()
def answers(
    x, target, weight, positive, up, plain, g, part, value, page, values, totals, grad, past,
    start, stop,
):  # fmt: skip
    """Score blocks of flat elements; return the first whose target is not in [0, 1], or -1.

    ``weight``, ``positive`` and ``up`` are as long as x, or one block that repeats; with ``plain``
    they are ones. ``values`` and ``grad`` (it may be x) may be empty; ``totals`` takes each block's
    sum; ``part`` (two blocks), ``value`` and ``page`` are room to work in.
    """
    count = x.shape[0]
    bad = -1
    far = U(BLOCK)
    for b in range(start, stop):
        first, last = b * BLOCK, min((b + 1) * BLOCK, count)
        a, n = U(first), U(last - first)
        w0 = a if weight.shape[0] == count else U(0)
        p0 = a if positive.shape[0] == count else U(0)
        u0 = a if up.shape[0] == count else U(0)
        # The next block is asked for ahead, for the machine's own foresight ends with the page.
        for j in range(last, last + BLOCK, 64 // x.itemsize):
            prefetch(x, j)
        for j in range(last, last + BLOCK, 64 // target.itemsize):
            prefetch(target, j)
        if x.itemsize < 8:
            _single(x, a, n, part, value)
        else:
            _double(x, a, n, part, value)
        wrong = np.int64(0)
        for j in range(n):
            t = wide(target[a + j])
            wrong += np.int64(0) if 0.0 <= t <= 1.0 else np.int64(1)
        # Many loops, for LLVM proves only so many arrays apart before it gives up the SIMD.
        if plain:
            for j in range(n):
                v, t, log = wide(x[a + j]), wide(target[a + j]), value[j]
                side = 1.0 - t if v > 0.0 else t
                value[j] = log + side * abs(v) if side != 0.0 else log
        else:
            for j in range(n):
                v, t, log = wide(x[a + j]), wide(target[a + j]), value[j]
                often, heavy = positive[p0 + j], weight[w0 + j]
                no, yes = 1.0 - t, t * often
                side = no if v > 0.0 else yes
                both = (no + yes) * log
                both = both + side * abs(v) if side != 0.0 else both
                value[j] = both * heavy if v == v else v
        if grad.shape[0]:
            for j in range(n):
                inside, t = np.float64(part[far + j]), wide(target[a + j])
                often, heavy, each = positive[p0 + j], weight[w0 + j], up[u0 + j]
                r = LIFT - inside
                up_hill = wide(x[a + j]) >= 0.0
                rise = r if up_hill else inside
                fall = inside if up_hill else r
                slope = ((1.0 - t) * rise - t * often * fall) * heavy
                page[j] = narrow(slope * (g * each) / LIFT, page[j])
            stream(grad, first, page, last - first, past)
        if values.shape[0]:
            for j in range(n):
                values[a + j] = value[j]
        size = last - first
        half = BLOCK // 2
        while half >= 1:
            if size > half:
                for i in range(U(size - half)):
                    value[i] += value[i + U(half)]
                size = half
            half //= 2
        totals[b] = value[0]
        if wrong and bad < 0:
            for i in range(first, last):
                t = wide(target[i])
                if not 0.0 <= t <= 1.0:
                    bad = i
                    break
    arrive()
    return bad
