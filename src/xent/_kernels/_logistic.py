"""Yes-or-no answers: binary cross-entropy of logits, value and gradient of every element at once.

With u = exp(-|x|): softplus(x) = max(x, 0) + log1p(u) and σ(|x|) = 1 / (1 + u); nothing cancels
where the target is 0 or 1. Elements come in blocks of a fixed size, so sums do not know
the threads.
"""

import numpy as np

from xent._kernels._float import (
    LIFT,
    arrive,
    exact_exp,
    fits,
    fma,
    fma32,
    inner,
    lifted_exp,
    log1p,
    narrow,
    outer,
    prefetch,
    stream,
    times,
    wide,
)

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
    c1, c0 = np.float32(g / LIFT), np.float32(g / LIFT - np.float32(g / LIFT))
    single = plain and x.itemsize < 8 and fits(g / LIFT)
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
            if single:
                for j in range(n):
                    inside, t = part[far + j], np.float32(wide(target[a + j]))
                    r = np.float32(LIFT) - inside  # σ(|x|) = 1 - u σ(|x|), at least a half
                    up_hill = wide(x[a + j]) >= 0.0
                    rise = r if up_hill else inside
                    fall = inside if up_hill else r
                    slope = fma32(_ONE - t, rise, -(t * fall))
                    page[j] = narrow(times(slope, c1, c0, np.float32(-0.0)), page[j])
            else:
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
