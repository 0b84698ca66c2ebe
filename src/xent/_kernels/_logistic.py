"""Yes-or-no answers: binary cross-entropy of logits, value and gradient of every element at once.

With u = exp(-|x|): softplus(x) = max(x, 0) + log1p(u) and σ(|x|) = 1 / (1 + u); nothing cancels
where the target is 0 or 1. Elements come in blocks of a fixed size, so sums do not know
the threads.
"""

import numpy as np
from numba import types
from numba.extending import overload

from xent._kernels._float import LIFT, exact_exp, fma, inner, log1p, narrow, outer, quick_exp, wide

U = np.uint64
BLOCK = 1024


@inner()
def _quick(size):
    u = quick_exp(-size) / LIFT
    both = 1.0 / ((1.0 + u) * (2.0 + u))
    s = u * (1.0 + u) * both  # u / (2 + u), and log1p(u) = 2 artanh(s)
    z = s * s
    p = fma(1.0 / 19.0, z, 1.0 / 17.0)
    p = fma(p, z, 1.0 / 15.0)
    p = fma(p, z, 1.0 / 13.0)
    p = fma(p, z, 1.0 / 11.0)
    p = fma(p, z, 1.0 / 9.0)
    p = fma(p, z, 1.0 / 7.0)
    p = fma(p, z, 1.0 / 5.0)
    p = fma(p, z, 1.0 / 3.0)
    return u, (2.0 + u) * both, 2.0 * fma(s * z, p, s)


@inner()
def _exact(size):
    u = exact_exp(-size, 0.0) / LIFT
    return u, 1.0 / (1.0 + u), log1p(u)


def parts(value):
    """Return u = exp(-|x|), 1 / (1 + u) and log1p(u), as good as the element's type."""


@overload(parts)
def _parts(value):
    if value == types.float64:
        return lambda value: _exact(abs(value))
    return lambda value: _quick(abs(wide(value)))


@outer()
def answers(x, target, weight, positive, up, g, room, values, totals, grad, start, stop):
    """Score blocks of flat elements; return the first whose target is not in [0, 1], or -1.

    ``weight``, ``positive`` and ``up`` are as long as x, or one block that repeats. ``values`` and
    ``grad`` may be empty; ``totals`` takes each block's sum; ``room`` is three blocks to work in.
    """
    n = x.shape[0]
    bad = -1
    value, rise, fall = room[0], room[1], room[2]
    for b in range(start, stop):
        first, last = b * BLOCK, min((b + 1) * BLOCK, n)
        a = U(first)
        w0 = U(0 if weight.shape[0] == n else first)
        p0 = U(0 if positive.shape[0] == n else first)
        u0 = U(0 if up.shape[0] == n else first)
        # Three loops, for LLVM proves only so many arrays apart before it gives up the SIMD.
        for i in range(a, U(last)):
            u, r, log = parts(x[i])
            inside = u * r
            rise[i - a] = r if wide(x[i]) >= 0.0 else inside
            fall[i - a] = inside if wide(x[i]) >= 0.0 else r
            value[i - a] = log
        wrong = np.int64(0)
        for i in range(a, U(last)):
            t = wide(target[i])
            wrong += np.int64(0) if 0.0 <= t <= 1.0 else np.int64(1)
        if grad.shape[0]:
            for i in range(a, U(last)):
                t = wide(target[i])
                slope = (1.0 - t) * rise[i - a] - t * positive[i - p0] * fall[i - a]
                rise[i - a] = slope * weight[i - w0]
        for i in range(a, U(last)):
            v, t, log = wide(x[i]), wide(target[i]), value[i - a]
            no, yes = 1.0 - t, t * positive[i - p0]
            falsely = no * ((v if v > 0.0 else 0.0) + log) if no != 0.0 else 0.0
            missed = yes * ((-v if v < 0.0 else 0.0) + log) if yes != 0.0 else 0.0
            both = (falsely + missed) * weight[i - w0]
            value[i - a] = both if v == v else v
        if grad.shape[0]:
            for i in range(a, U(last)):
                grad[i] = narrow(rise[i - a] * (g * up[i - u0]), grad[i])
        if values.shape[0]:
            for i in range(a, U(last)):
                values[i] = value[i - a]
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
    return bad
