"""Yes-or-no answers that weigh something, or are not summed: binary cross-entropy of logits.

With u = exp(-|x|): loss = no (log1p(u) + max(x, 0)) + yes (log1p(u) + max(-x, 0)), where no is
w (1 - t) and yes is w t times the weight of yes. `weigh_answers` is for float32: the logarithm is
float32 too, but its largest part and the error of u are kept apart, and what is added is float64.
`weigh_exactly` is for float64.
"""

import numpy as np

from xent._compile.decorator import inner, outer, step
from xent._kernels.rows.binary import (
    CHUNK,
    DROP,
    FAR,
    LIFTED,
    SIGN,
    SPAN,
    YES,
    ask_ahead,
    first_wrong,
    soft_slope,
)
from xent._math.double_double import two_sum
from xent._math.element import from_float64, to_float32, to_float64
from xent._math.exp import EXP_SCALE, scaled_exp, scaled_exp32, times_split
from xent._math.llvm import store_fence, stream_copy
from xent._math.log import log1p
from xent._math.vector import bits32, fma, from_bits32

U = np.uint64

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_E, _S = U(0), U(CHUNK)
_BOTH, _SIDE = U(2 * CHUNK), U(3 * CHUNK)
_HALF = U(CHUNK // 2)
# ((log(1 + u) / u - 1) / u + 1/2) / u for 0 <= u <= 1, to 27 bits of log(1 + u): Chebyshev's fit
_L0, _L1 = np.float32(0.333332359790802), np.float32(-0.24996760487556458)
_L2, _L3 = np.float32(0.19956707954406738), np.float32(-0.16365152597427368)
_L4, _L5 = np.float32(0.13033364713191986), np.float32(-0.09139414131641388)
_L6, _L7 = np.float32(0.049309972673654556), np.float32(-0.017184266820549965)
_L8 = np.float32(0.0028016420546919107)
# Sizes of weights, as bits, that float32 multiplies without loss: 0, and 2**-60 to 2**60
_LIGHT, _HEAVY = np.uint32((127 - 60) << 23), np.uint32((127 + 60) << 23)
_SIZE, _INFINITE, _UNIT = np.uint32(0x7FFFFFFF), np.uint32(0x7F800000), np.uint32(1)
EASY, ODD, BAD = 0, 1, 2


@inner()
def _at(factor, inner, i):
    """Return the factor of element i as float64: each holds for ``inner`` elements, then again."""
    return np.float64(factor[(i // inner) % factor.shape[0]])


@inner()
def _spread(factor, inner, c, n, out, more):
    """Write the factors of n elements from c on, or multiply what stands there by them."""
    period = factor.shape[0]
    j = 0
    while j < n:
        k = (c + j) // inner
        if inner == 1:
            k %= period
            run = min(n - j, period - k)
            if more:
                for i in range(U(run)):
                    out[U(j) + i] *= factor[U(k) + i]
            else:
                for i in range(U(run)):
                    out[U(j) + i] = factor[U(k) + i]
        else:
            run = min(n - j, inner - (c + j) % inner)
            value = factor[k % period]
            if more:
                for i in range(U(run)):
                    out[U(j) + i] *= value
            else:
                for i in range(U(run)):
                    out[U(j) + i] = value
        j += run


@inner()
def _kind(weights, o, n, signed):
    """Say whether float32 can multiply by these weights, and whether one may be bad."""
    signs, light, heavy = np.int32(0), _SIZE, np.uint32(0)
    for j in range(U(n)):
        bits = bits32(np.float32(weights[o + j]))
        size = np.uint32(np.uint32(bits) & _SIZE)
        signs = np.int32(signs | bits)
        heavy = max(heavy, size)
        light = min(light, np.uint32(np.uint32(size - _UNIT) & _SIZE))  # 0 as good as the largest
    if (signs < 0 and not signed) or heavy >= _INFINITE:
        return BAD
    return ODD if heavy > _HEAVY or light < _LIGHT else EASY


@step()
def _fill(weight, positive, up, inners, c, n, no, yes):
    """Write what no and yes weigh, for n elements from c on; return their kind."""
    _spread(weight, inners[0], c, n, no, False)
    if up.shape[0]:
        _spread(up, inners[2], c, n, no, True)
    for j in range(U(n)):
        yes[j] = no[j]
    _spread(positive, inners[1], c, n, yes, True)
    signed = up.shape[0] > 0
    return max(_kind(no, U(0), n, signed), _kind(yes, U(0), n, signed))


@outer()
def tabulate(weight, positive, inners, no, yes):
    """Fill a table of what no and yes weigh; return its kind."""
    return _fill(weight, positive, weight[:0], inners, 0, no.shape[0], no, yes)


@inner()
def _weigh(x, target, a, n, no, yes, o, c1, c0, part, page, most):
    """Write 2**64 u and weights to part, the gradient to page, as `_score` does."""
    far, soft = np.uint32(0), np.uint32(0)
    for j in range(n):
        v, t = to_float32(x[a + j]), to_float32(target[a + j])
        size = np.uint32(bits32(t))
        most = max(most, size)
        soft = max(soft, min(size, np.uint32(size ^ YES)))  # 0 where the target is 0 or 1
        bits = np.int32(bits32(v) | SIGN)
        far = max(far, np.uint32(bits))
        lifted = scaled_exp32(from_bits32(bits))
        part[_E + j] = lifted
        inside = lifted / (_ONE + lifted * DROP)
        out = LIFTED - inside
        up_hill = v > _ZERO
        rise = out if up_hill else inside
        fall = inside if up_hill else out
        w = np.float32(no[o + j])
        w, p = fma(-t, w, w), t * np.float32(yes[o + j])
        part[_BOTH + j] = w + p
        part[_SIDE + j] = w if up_hill else p
        slope = fma(w, rise, -(p * fall))
        page[j] = from_float64(times_split(slope, c1, c0, np.float32(-0.0)), page[j])
    # A loop of its own, for one long chain of operations takes longer than two short ones.
    for j in range(n):
        u = part[_E + j] * DROP
        q = fma(_L8, u, _L7)
        q = fma(q, u, _L6)
        q = fma(q, u, _L5)
        q = fma(q, u, _L4)
        q = fma(q, u, _L3)
        q = fma(q, u, _L2)
        q = fma(q, u, _L1)
        part[_S + j] = fma(q, u, _L0)
    return most, far, soft > np.uint32(0)


@inner()
def _value(v, t, no, yes, part, j, soft):
    """Return a weighed value; with answers between yes and no their weights take float64."""
    u, q = np.float64(part[_E + j]) / EXP_SCALE, np.float64(part[_S + j])
    log = fma(u * u, fma(q, u, -0.5), u)
    if soft:
        n, y = fma(-t, np.float64(no), np.float64(no)), t * np.float64(yes)
        return fma(n + y, log, (n if v > 0.0 else y) * abs(v))
    return fma(np.float64(part[_BOTH + j]), log, np.float64(part[_SIDE + j]) * abs(v))


@inner()
def _soften(x, target, a, n, no, yes, o, g, part, page):
    """Write the gradient of answers between yes and no, with their weights in float64."""
    for j in range(n):
        v, t, lifted = to_float64(x[a + j]), to_float64(target[a + j]), part[_E + j]
        w, p = np.float64(no[o + j]), np.float64(yes[o + j])
        u = np.float64(lifted) / EXP_SCALE
        slope = soft_slope(v, lifted * DROP, u, fma(-t, w, w), t * p)
        page[j] = from_float64(slope * g, page[j]) if 0.0 < t < 1.0 else page[j]


@inner()
def _exact(v, t, weight, positive):
    """Return a weighed value and its slope to the last bit of float64; a weight of 0 is nothing."""
    lifted = scaled_exp(-abs(v), 0.0)
    u = lifted / EXP_SCALE
    log = log1p(u)
    no, yes = fma(-t, weight, weight), t * (weight * positive)
    falsely = log + (v if v > 0.0 else 0.0)
    missed = log - (v if v < 0.0 else 0.0)
    value = fma(no, falsely if no != 0.0 else 0.0, yes * (missed if yes != 0.0 else 0.0))
    inside = lifted / (1.0 + u)
    rise = EXP_SCALE - inside if v >= 0.0 else inside
    fall = inside if v >= 0.0 else EXP_SCALE - inside
    slope = no * rise - yes * fall
    value = value if v == v else v
    return (value, slope) if weight != 0.0 else (0.0, 0.0)


@inner()
def _is_odd(weight):
    size = np.uint32(np.uint32(bits32(np.float32(weight))) & _SIZE)
    return size > _HEAVY or np.uint32(0) < size < _LIGHT


@inner()
def _add(x, target, a, n, no, yes, o, part, soft, lanes):
    """Add the weighed values to the lanes."""
    if soft:
        for j in range(n):
            v, t = to_float64(x[a + j]), to_float64(target[a + j])
            lanes[j] += _value(v, t, no[o + j], yes[o + j], part, j, True)
    else:
        for j in range(n):
            v = to_float64(x[a + j])
            lanes[j] += _value(v, 0.0, _ZERO, _ZERO, part, j, False)


@step()
def _mend(x, target, a, n, weight, positive, up, inners, no, yes, o, g, mild, part, lanes, page):
    """Do as `_add`, but what float32 cannot in float64, there the gradient too."""
    for j in range(n):
        v, t = to_float64(x[a + j]), to_float64(target[a + j])
        odd = _is_odd(no[o + j]) or _is_odd(yes[o + j])
        value = _value(v, t, no[o + j], yes[o + j], part, j, True)
        if odd or not mild or not abs(v) < np.inf:
            i = np.int64(a + j)
            w, p = _at(weight, inners[0], i), _at(positive, inners[1], i)
            right, slope = _exact(v, t, w, p)
            value = right if odd or not abs(v) < np.inf else value
            each = _at(up, inners[2], i) if up.shape[0] else 1.0
            page[j] = from_float64(slope * (g * each) / EXP_SCALE, page[j])
        lanes[j] += value


@inner()
def _fold_lanes(lanes):
    half = _HALF
    while half >= U(1):
        for j in range(half):
            lanes[_E + j] += lanes[_E + half + j]
            lanes[_S + j] += lanes[_S + half + j]
        half //= U(2)
    return lanes[_E] + lanes[_S]


@outer()
def weigh_answers(
    x, target, weight, positive, up, inners, no, yes, period, kind, g, mild, part, lanes, page,
    values, totals, grad, past, start, stop,
):  # fmt: skip
    """Sum spans of flat elements that weigh something, or give each its value, in float32.

    ``weight``, ``positive`` and ``up`` hold for ``inners`` elements each, then again; ``up`` is of
    the gradient alone and may be empty. ``no`` and ``yes`` are their products: tables of ``period``
    elements and, if there are more, of a chunk, whose ``kind`` is that of `tabulate`, or below 0
    if nobody looked; where period is 0, room of a chunk for them. They are of float64 where float32
    would round them: then the values are computed so from there on. ``values``, which are not
    summed then, ``totals`` and ``grad``, which may be x, may be empty.

    Return the first element whose target is not in [0, 1], -2 where a weight may be bad, or -1.
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
            o = U(0)
            now = kind
            if period == 0:
                now = _fill(weight, positive, up, inners, c, n, no, yes)
            else:
                o = U(c % period)
                if kind < 0:
                    now = _kind(no, o, n, False)
            if now == BAD:
                bad = -2
            most, far, soft = _weigh(x, target, U(c), U(n), no, yes, o, c1, c0, part, page, most)
            wanting = soft or no.itemsize == 8
            if soft and grad.shape[0]:
                _soften(x, target, U(c), U(n), no, yes, o, g, part, page)
            if far > FAR or now != EASY or not mild:
                _mend(
                    x, target, U(c), U(n), weight, positive, up, inners, no, yes, o, g, mild,
                    part, lanes, page,
                )  # fmt: skip
            elif totals.shape[0]:
                _add(x, target, U(c), U(n), no, yes, o, part, wanting, lanes)
            if grad.shape[0]:
                stream_copy(grad, c, page, n, past)
            if values.shape[0]:
                for j in range(U(n)):
                    values[U(c) + j] = lanes[j]
                    lanes[j] = 0.0
        if totals.shape[0]:
            totals[b] = _fold_lanes(lanes)
        if most > YES and bad == -1:
            bad = first_wrong(target, first, last)
    store_fence()
    return bad


@outer()
def weigh_exactly(
    x, target, weight, positive, up, inners, no, yes, g, part, lanes, page, values, totals, grad,
    past, start, stop,
):  # fmt: skip
    """Do as `weigh_answers` in float64; ``no`` and ``yes`` are room of a chunk."""
    count = x.shape[0]
    bad = -1
    for b in range(start, stop):
        first, last = b * SPAN, min((b + 1) * SPAN, count)
        for j in range(U(2 * CHUNK)):
            lanes[j] = 0.0
        wrong = np.int64(0)
        for c in range(first, last, CHUNK):
            n = min(CHUNK, last - c)
            _spread(weight, inners[0], c, n, no, False)
            _spread(positive, inners[1], c, n, yes, False)
            if max(_kind(no, U(0), n, False), _kind(yes, U(0), n, False)) == BAD:
                bad = -2
            if up.shape[0]:
                _spread(up, inners[2], c, n, part, False)
            else:
                for j in range(U(n)):
                    part[j] = 1.0
            for j in range(U(n)):
                v, t = to_float64(x[U(c) + j]), to_float64(target[U(c) + j])
                ok = 0.0 <= t <= 1.0
                wrong += np.int64(0) if ok else np.int64(1)
                value, slope = _exact(v, t, no[j], yes[j])
                page[j] = from_float64(slope * (g * part[j]) / EXP_SCALE, page[j])
                total, lost = two_sum(lanes[_E + j], value)
                lanes[_E + j] = total
                lanes[_S + j] += lost if total < np.inf else 0.0
                no[j] = value
            if grad.shape[0]:
                stream_copy(grad, c, page, n, past)
            if values.shape[0]:
                for j in range(U(n)):
                    values[U(c) + j] = no[j]
        if totals.shape[0]:
            totals[b] = _fold_lanes(lanes)
        if wrong and bad == -1:
            bad = first_wrong(target, first, last)
    store_fence()
    return bad
