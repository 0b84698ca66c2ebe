"""Binary cross-entropy of logits that is weighted, or not summed.

With u = exp(-|x|): loss = negative (log1p(u) + max(x, 0)) + positive (log1p(u) + max(-x, 0)), where
negative is w (1 - t) and positive is w t pos_weight. `weighted_losses` is for float32: the
logarithm is float32 too, but its largest part and the error of u are kept apart, and what is added
is float64. `weighted_losses_float64` is for float64.
"""

from typing import Any, NamedTuple

import numpy as np

from xent._compile.decorator import inner, outer, step
from xent._kernels.rows.binary import (
    BINARY_BLOCK,
    INFINITE_BITS,
    ONE_BITS,
    PRODUCT_LENGTH,
    SCALE32,
    SIGN_BIT,
    UNSCALE32,
    first_invalid,
    prefetch_ahead,
    soft_target_gradient,
    split_scaled,
)
from xent._math.double_double import two_sum
from xent._math.element import from_float64, to_float32, to_float64
from xent._math.exp import EXP_SCALE, scaled_exp, scaled_exp32, times_split
from xent._math.llvm import store_fence, stream_copy
from xent._math.log import log1p, log1p_series32
from xent._math.vector import bits32, fma, from_bits32

U = np.uint64

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_EXP, _REST = U(0), U(PRODUCT_LENGTH)
_BOTH, _SIDE = U(2 * PRODUCT_LENGTH), U(3 * PRODUCT_LENGTH)
_HALF = U(PRODUCT_LENGTH // 2)
# Weights, as bits, that float32 multiplies without loss: 0, and 2**-60 to 2**60
_SMALLEST, _LARGEST = np.uint32((127 - 60) << 23), np.uint32((127 + 60) << 23)
_ABS_BITS, _INFINITE, _UNIT = np.uint32(0x7FFFFFFF), np.uint32(0x7F800000), np.uint32(1)
IN_RANGE, OUT_OF_RANGE, INVALID = 0, 1, 2


class Factors(NamedTuple):
    """What the elements of one call weigh.

    ``weight``, ``pos_weight`` and ``grad_weight`` hold for ``repeats`` elements each, then again;
    the last is of the gradient alone and may be empty. ``negative`` and ``positive`` are their
    products: tables of ``period`` elements and, if there are more, of a chunk, whose ``kind`` is
    that of `fill_weight_table`, or below 0 if nobody looked; where period is 0, room of a chunk.
    They are of float64 where float32 would round them: then the losses are computed so, too.
    """

    weight: Any
    pos_weight: Any
    grad_weight: Any
    repeats: tuple[int, ...]
    negative: Any
    positive: Any
    period: int
    kind: int


class BinaryOutputs(NamedTuple):
    """Losses that are not summed, or the sum of each span; the gradient, which may be x."""

    values: Any
    totals: Any
    grad: Any


@inner()
def _factor_at(factor, repeat, i):
    """Return the factor of element i as float64: each holds for ``repeat`` elements, then again."""
    return np.float64(factor[(i // repeat) % factor.shape[0]])


@inner()
def _expand(factor, repeat, c, n, out, more):
    """Write the factors of n elements from c on, or multiply what stands there by them."""
    period = factor.shape[0]
    j = 0
    while j < n:
        k = (c + j) // repeat
        if repeat == 1:
            k %= period
            run = min(n - j, period - k)
            if more:
                for i in range(U(run)):
                    out[U(j) + i] *= factor[U(k) + i]
            else:
                for i in range(U(run)):
                    out[U(j) + i] = factor[U(k) + i]
        else:
            run = min(n - j, repeat - (c + j) % repeat)
            value = factor[k % period]
            if more:
                for i in range(U(run)):
                    out[U(j) + i] *= value
            else:
                for i in range(U(run)):
                    out[U(j) + i] = value
        j += run


@inner()
def _kind_of(weights, offset, n, signed):
    """Say whether float32 can multiply by these weights, and whether one may be invalid."""
    signs, smallest, largest = np.int32(0), _ABS_BITS, np.uint32(0)
    for j in range(U(n)):
        bits = bits32(np.float32(weights[offset + j]))
        size = np.uint32(np.uint32(bits) & _ABS_BITS)
        signs = np.int32(signs | bits)
        largest = max(largest, size)
        smallest = min(
            smallest, np.uint32(np.uint32(size - _UNIT) & _ABS_BITS)
        )  # 0 as good as the largest
    if (signs < 0 and not signed) or largest >= _INFINITE:
        return INVALID
    return OUT_OF_RANGE if largest > _LARGEST or smallest < _SMALLEST else IN_RANGE


@step()
def _fill_weights(factors, c, n):
    """Write what negatives and positives weigh, n elements from c on; return their kind."""
    negative, positive, repeats = factors.negative, factors.positive, factors.repeats
    signed = factors.grad_weight.shape[0] > 0
    _expand(factors.weight, repeats[0], c, n, negative, False)
    if signed:
        _expand(factors.grad_weight, repeats[2], c, n, negative, True)
    for j in range(U(n)):
        positive[j] = negative[j]
    _expand(factors.pos_weight, repeats[1], c, n, positive, True)
    return max(_kind_of(negative, U(0), n, signed), _kind_of(positive, U(0), n, signed))


@outer()
def fill_weight_table(factors):
    """Fill a table of what negatives and positives weigh; return its kind."""
    return _fill_weights(factors, 0, factors.negative.shape[0])


@inner()
def _weighted_score(
    x, target, a, n, negative, positive, offset, c1, c0, terms, gradient, max_target
):
    """Write 2**64 u and weights to the terms, and the gradient, as `_score` of `binary` does."""
    max_logit, soft = np.uint32(0), np.uint32(0)
    for j in range(n):
        v, t = to_float32(x[a + j]), to_float32(target[a + j])
        size = np.uint32(bits32(t))
        max_target = max(max_target, size)
        soft = max(soft, min(size, np.uint32(size ^ ONE_BITS)))  # 0 where the target is 0 or 1
        bits = np.int32(bits32(v) | SIGN_BIT)
        max_logit = max(max_logit, np.uint32(bits))
        scaled = scaled_exp32(from_bits32(bits))
        terms[_EXP + j] = scaled
        tail = scaled / (_ONE + scaled * UNSCALE32)
        head = SCALE32 - tail
        above = v > _ZERO
        sigmoid = head if above else tail
        complement = tail if above else head
        w = np.float32(negative[offset + j])
        w, p = fma(-t, w, w), t * np.float32(positive[offset + j])
        terms[_BOTH + j] = w + p
        terms[_SIDE + j] = w if above else p
        slope = fma(w, sigmoid, -(p * complement))
        gradient[j] = from_float64(times_split(slope, c1, c0, np.float32(-0.0)), gradient[j])
    # A loop of its own, for one long chain of operations takes longer than two short ones.
    for j in range(n):
        terms[_REST + j] = log1p_series32(terms[_EXP + j] * UNSCALE32)
    return max_target, max_logit, soft > np.uint32(0)


@inner()
def _weighted_value(v, t, negative, positive, terms, j, soft):
    """Return a weighted loss; of targets between 0 and 1 the weights take float64."""
    u, q = np.float64(terms[_EXP + j]) / EXP_SCALE, np.float64(terms[_REST + j])
    log = fma(u * u, fma(q, u, -0.5), u)
    if soft:
        n, y = fma(-t, np.float64(negative), np.float64(negative)), t * np.float64(positive)
        return fma(n + y, log, (n if v > 0.0 else y) * abs(v))
    return fma(np.float64(terms[_BOTH + j]), log, np.float64(terms[_SIDE + j]) * abs(v))


@inner()
def _soft_target_gradient(x, target, a, n, negative, positive, offset, upstream, terms, gradient):
    """Write the gradient of targets between 0 and 1, with their weights in float64."""
    for j in range(n):
        v, t, scaled = to_float64(x[a + j]), to_float64(target[a + j]), terms[_EXP + j]
        w, p = np.float64(negative[offset + j]), np.float64(positive[offset + j])
        u = np.float64(scaled) / EXP_SCALE
        slope = soft_target_gradient(v, scaled * UNSCALE32, u, fma(-t, w, w), t * p)
        gradient[j] = from_float64(slope * upstream, gradient[j]) if 0.0 < t < 1.0 else gradient[j]


@inner()
def _value_float64(v, t, weight, pos_weight):
    """Return a weighted loss and its gradient in float64; where the weight is 0 both are 0."""
    scaled = scaled_exp(-abs(v), 0.0)
    u = scaled / EXP_SCALE
    log = log1p(u)
    negative, positive = fma(-t, weight, weight), t * (weight * pos_weight)
    negative_loss = log + (v if v > 0.0 else 0.0)
    positive_loss = log - (v if v < 0.0 else 0.0)
    negative_loss = negative_loss if negative != 0.0 else 0.0
    value = fma(negative, negative_loss, positive * (positive_loss if positive != 0.0 else 0.0))
    tail = scaled / (1.0 + u)
    sigmoid = EXP_SCALE - tail if v >= 0.0 else tail
    complement = tail if v >= 0.0 else EXP_SCALE - tail
    slope = negative * sigmoid - positive * complement
    value = value if v == v else v
    return (value, slope) if weight != 0.0 else (0.0, 0.0)


@inner()
def _is_out_of_range(weight):
    size = np.uint32(np.uint32(bits32(np.float32(weight))) & _ABS_BITS)
    return size > _LARGEST or np.uint32(0) < size < _SMALLEST


@inner()
def _accumulate(x, target, a, n, negative, positive, offset, terms, soft, accumulators):
    """Add the weighted losses to the accumulators."""
    if soft:
        for j in range(n):
            v, t = to_float64(x[a + j]), to_float64(target[a + j])
            w, p = negative[offset + j], positive[offset + j]
            accumulators[j] += _weighted_value(v, t, w, p, terms, j, True)
    else:
        for j in range(n):
            v = to_float64(x[a + j])
            accumulators[j] += _weighted_value(v, 0.0, _ZERO, _ZERO, terms, j, False)


@step()
def _fix_out_of_range(x, target, a, n, factors, offset, upstream, in_range, buffers):
    """Do as `_accumulate`; what float32 cannot hold is done in float64, the gradient too."""
    terms, accumulators, gradient = buffers
    repeats, negative, positive = factors.repeats, factors.negative, factors.positive
    for j in range(n):
        v, t = to_float64(x[a + j]), to_float64(target[a + j])
        outside = _is_out_of_range(negative[offset + j]) or _is_out_of_range(positive[offset + j])
        value = _weighted_value(v, t, negative[offset + j], positive[offset + j], terms, j, True)
        if outside or not in_range or not abs(v) < np.inf:
            i = np.int64(a + j)
            w = _factor_at(factors.weight, repeats[0], i)
            p = _factor_at(factors.pos_weight, repeats[1], i)
            exact, slope = _value_float64(v, t, w, p)
            value = exact if outside or not abs(v) < np.inf else value
            factor = 1.0
            if factors.grad_weight.shape[0]:
                factor = _factor_at(factors.grad_weight, repeats[2], i)
            gradient[j] = from_float64(slope * (upstream * factor) / EXP_SCALE, gradient[j])
        accumulators[j] += value


@inner()
def _tree_sum(accumulators):
    half = _HALF
    while half >= U(1):
        for j in range(half):
            accumulators[_EXP + j] += accumulators[_EXP + half + j]
            accumulators[_REST + j] += accumulators[_REST + half + j]
        half //= U(2)
    return accumulators[_EXP] + accumulators[_REST]


@outer()
def weighted_losses(x, target, factors, upstream, in_range, buffers, out, nontemporal, start, stop):
    """Score spans of flat elements in float32: sum them, or give each its loss.

    Reads x and target (n,), and the `Factors`; writes the `BinaryOutputs`, of which each may be
    empty: ``grad`` takes ``upstream`` times the gradient, which is ``in_range`` or not.

    Return the first element whose target is not in [0, 1], -2 where a weight may be invalid, or -1.
    """
    terms, accumulators, gradient = buffers
    negative, positive = factors.negative, factors.positive
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
            a, n = U(c), U(min(PRODUCT_LENGTH, last - c))
            offset, kind = U(0), factors.kind
            if factors.period == 0:
                kind = _fill_weights(factors, c, np.int64(n))
            else:
                offset = U(c % factors.period)
                if kind < 0:
                    kind = _kind_of(negative, offset, n, False)
            if kind == INVALID:
                bad = -2
            max_target, max_logit, soft = _weighted_score(
                x, target, a, n, negative, positive, offset, c1, c0, terms, gradient, max_target
            )
            if soft and out.grad.shape[0]:
                _soft_target_gradient(
                    x, target, a, n, negative, positive, offset, upstream, terms, gradient
                )
            if max_logit > INFINITE_BITS or kind != IN_RANGE or not in_range:
                _fix_out_of_range(x, target, a, n, factors, offset, upstream, in_range, buffers)
            elif out.totals.shape[0]:
                exact = soft or negative.itemsize == 8
                _accumulate(x, target, a, n, negative, positive, offset, terms, exact, accumulators)
            if out.grad.shape[0]:
                stream_copy(out.grad, c, gradient, np.int64(n), nontemporal)
            if out.values.shape[0]:
                for j in range(n):
                    out.values[a + j] = accumulators[j]
                    accumulators[j] = 0.0
        if out.totals.shape[0]:
            out.totals[b] = _tree_sum(accumulators)
        if max_target > ONE_BITS and bad == -1:
            bad = first_invalid(target, first, last)
    store_fence()
    return bad


@outer()
def weighted_losses_float64(x, target, factors, upstream, buffers, out, nontemporal, start, stop):
    """Do as `weighted_losses` in float64; ``negative`` and ``positive`` are room of a chunk."""
    terms, accumulators, gradient = buffers
    repeats, negative, positive = factors.repeats, factors.negative, factors.positive
    count = x.shape[0]
    bad = -1
    for b in range(start, stop):
        first, last = b * BINARY_BLOCK, min((b + 1) * BINARY_BLOCK, count)
        for j in range(U(2 * PRODUCT_LENGTH)):
            accumulators[j] = 0.0
        wrong = np.int64(0)
        for c in range(first, last, PRODUCT_LENGTH):
            n = min(PRODUCT_LENGTH, last - c)
            _expand(factors.weight, repeats[0], c, n, negative, False)
            _expand(factors.pos_weight, repeats[1], c, n, positive, False)
            kind = max(_kind_of(negative, U(0), n, False), _kind_of(positive, U(0), n, False))
            if kind == INVALID:
                bad = -2
            if factors.grad_weight.shape[0]:
                _expand(factors.grad_weight, repeats[2], c, n, terms, False)
            else:
                for j in range(U(n)):
                    terms[j] = 1.0
            for j in range(U(n)):
                v, t = to_float64(x[U(c) + j]), to_float64(target[U(c) + j])
                ok = 0.0 <= t <= 1.0
                wrong += np.int64(0) if ok else np.int64(1)
                value, slope = _value_float64(v, t, negative[j], positive[j])
                gradient[j] = from_float64(slope * (upstream * terms[j]) / EXP_SCALE, gradient[j])
                total, lost = two_sum(accumulators[_EXP + j], value)
                accumulators[_EXP + j] = total
                accumulators[_REST + j] += lost if total < np.inf else 0.0
                negative[j] = value
            if out.grad.shape[0]:
                stream_copy(out.grad, c, gradient, n, nontemporal)
            if out.values.shape[0]:
                for j in range(U(n)):
                    out.values[U(c) + j] = negative[j]
        if out.totals.shape[0]:
            out.totals[b] = _tree_sum(accumulators)
        if wrong and bad == -1:
            bad = first_invalid(target, first, last)
    store_fence()
    return bad
