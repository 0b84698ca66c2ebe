"""Cross-entropy of a few classes that lie far apart in memory, as in segmentation: [B, C, P].

A tile of pixels is copied class after class into a buffer that stays in the cache (classes that are
a power of two apart push each other out of it). What belongs to a pixel then stays in registers, a
vector of pixels at a time, while the classes pass. Each pixel takes exactly the steps of
`rows.softmax.score_row`, of the same `rows.formula` and sums in the same tree, so layouts give the
same bits.
"""

import numpy as np

from xent._compile.decorator import inner, outer
from xent._kernels.images.pixel_vector import branch_sum, scaled_exp_of, times_factor
from xent._kernels.images.tiles import MAX_TILE_CLASSES, TILE_PIXELS
from xent._kernels.rows.formula import (
    argmax_gradient,
    class_gradient,
    lse_gradient,
    target_loss,
    z_loss_term,
)
from xent._math.element import from_float64, to_float64
from xent._math.exp import (
    EXP_SCALE,
    SPLIT_MAX,
    SPLIT_MIN,
    power_constants,
    scaled_exp_below,
    scaled_power,
    slope_constants,
    splits,
    times_split,
    top_constants,
)
from xent._math.llvm import CACHE_LINE, address, prefetch_l2, store_fence, stream_copy
from xent._math.log import log_ratio, quotient
from xent._math.vector import (
    FLOAT32_LANES,
    FLOAT64_LANES,
    count_true,
    load,
    load_float64,
    select,
    splat,
    store,
    store_nontemporal,
)

U = np.uint64
# In memory: a number that is read there costs no arithmetic to repeat.
CLASS_NUMBERS = np.arange(MAX_TILE_CLASSES, dtype=np.int32)

# Where each quantity of the pixels stands in the buffers: float64, ...
_MAX, _VALUE, _TARGET_WEIGHT, _PIXEL_WEIGHT, _OTHERS, _SCALE, _FACTOR = (
    U(TILE_PIXELS * i) for i in range(7)
)
# ... of the logits' precision, ...
_SHIFT, _FLOOR, _TARGET_LOGIT, _TARGET_EXP, _IS_ARGMAX = (U(TILE_PIXELS * i) for i in range(5))
_FACTOR_HIGH, _FACTOR_LOW, _AT_ARGMAX, _AT_TARGET = (U(TILE_PIXELS * i) for i in range(5, 9))
# ... and whole numbers.
_ARGMAX, _TARGET, _PREVIOUS_ARGMAX, _PREVIOUS_TARGET = (U(TILE_PIXELS * i) for i in range(4))


@inner()
def _running_max(source, at, z, to, this_class, best, argmax):
    """Copy a vector of pixels to z; return the larger of it and the best, and the class of that.

    A NaN may be passed over: it makes all of its pixel NaN later.
    """
    value = load(source, at)
    store(z, to, value)
    more = value > best
    return select(more, value, best), select(more, this_class, argmax)


@inner()
def _argmax(source, at, stride, classes, z, j, row_max, indices):
    """Copy a vector of pixels to z[:, j:], and write their largest logit and its class."""
    best, argmax = load(source, at), splat(CLASS_NUMBERS[0], load(indices, _ARGMAX + j))
    store(z, j, best)
    for k in range(U(1), classes):
        this_class = splat(CLASS_NUMBERS[k], argmax)
        best, argmax = _running_max(
            source, at + k * stride, z, k * U(TILE_PIXELS) + j, this_class, best, argmax
        )
    store(indices, _ARGMAX + j, argmax)
    store(row_max, j, best)


@inner()
def _argmax_of_four(source, at, stride, classes, z, j, row_max, indices):
    """Do as `_argmax` for four vectors in turns: each comparison waits for the one before."""
    one = U(CACHE_LINE // z.itemsize)
    two, three = U(2) * one, U(3) * one
    a, b = load(source, at), load(source, at + one)
    c, d = load(source, at + two), load(source, at + three)
    store(z, j, a)
    store(z, j + one, b)
    store(z, j + two, c)
    store(z, j + three, d)
    in_a = in_b = in_c = in_d = splat(CLASS_NUMBERS[0], load(indices, _ARGMAX + j))
    for k in range(U(1), classes):
        this_class = splat(CLASS_NUMBERS[k], in_a)
        i, to = at + k * stride, k * U(TILE_PIXELS) + j
        a, in_a = _running_max(source, i, z, to, this_class, a, in_a)
        b, in_b = _running_max(source, i + one, z, to + one, this_class, b, in_b)
        c, in_c = _running_max(source, i + two, z, to + two, this_class, c, in_c)
        d, in_d = _running_max(source, i + three, z, to + three, this_class, d, in_d)
    store(indices, _ARGMAX + j, in_a)
    store(indices, _ARGMAX + j + one, in_b)
    store(indices, _ARGMAX + j + two, in_c)
    store(indices, _ARGMAX + j + three, in_d)
    store(row_max, j, a)
    store(row_max, j + one, b)
    store(row_max, j + two, c)
    store(row_max, j + three, d)


@inner()
def _copy_tile(x, b, a, n, z, row_max, indices):
    """Copy a tile to z, zeros after its end; find the largest logit of each pixel."""
    step = U(CACHE_LINE // z.itemsize)
    classes, stride = U(x.shape[1]), U(x.shape[2])
    first = U(b) * classes * stride + a
    whole = n - n % step
    fours = n - n % (U(4) * step)
    for j in range(U(0), fours, U(4) * step):
        _argmax_of_four(x, first + j, stride, classes, z, j, row_max, indices)
    for j in range(fours, whole, step):
        _argmax(x, first + j, stride, classes, z, j, row_max, indices)
    if whole < n:
        for k in range(classes):
            for j in range(whole, whole + step):
                z[k, j] = to_float64(x[U(b), k, a + j]) if j < n else 0.0
        _argmax(z, whole, U(TILE_PIXELS), classes, z, whole, row_max, indices)


@inner()
def _hide_argmax(k, value, argmax, target, target_logit):
    """Hide the largest logit, if it is that of class k, and keep the target's."""
    this_class = splat(CLASS_NUMBERS[k], argmax)
    is_target = target == this_class
    return (
        select(argmax == this_class, splat(-np.inf, value), value),
        is_target,
        select(is_target, value, target_logit),
    )


@inner()
def _exponentials(z, classes, j, scratch, indices, high, low, inverse, x, ahead):
    """Write the exponentials of a vector of pixels to z; keep what their target has.

    What belongs to the largest logit is left out: 0. The next tile of x is prefetched on the way.
    """
    shift, floor = load(scratch, _SHIFT + j), load(scratch, _FLOOR + j)
    argmax, target = load(indices, _ARGMAX + j), load(indices, _TARGET + j)
    zero = splat(0.0, shift)
    target_logit, target_exp = zero, zero
    stride, one = U(x.shape[2]), U(TILE_PIXELS)
    for k in range(U(classes)):
        prefetch_l2(x, ahead + k * stride)
        value, is_target, target_logit = _hide_argmax(
            k, load(z, k * one + j), argmax, target, target_logit
        )
        e = scaled_exp_of(value, shift, floor, high, low, inverse)
        store(z, k * one + j, e)
        target_exp = select(is_target, e, target_exp)
    store(scratch, _TARGET_LOGIT + j, target_logit)
    store(scratch, _TARGET_EXP + j, target_exp)
    store(scratch, _IS_ARGMAX + j, select(target == argmax, splat(1.0, shift), zero))


@inner()
def _exponentials_out_of_range(z, classes, n, pixels, scratch, indices, inverse):
    """Do what `_exponentials` does where a logit is huge, pixel after pixel."""
    for j in range(n):
        row_max = pixels[_MAX + j]
        in_range, _, shift, floor, high, low = power_constants(row_max, inverse)
        y = indices[_TARGET + j]
        scratch[_TARGET_LOGIT + j] = z[max(y, 0), j]
        for k in range(classes):
            if in_range:
                z[k, j] = scaled_power(np.float32(z[k, j]), shift, floor, high, low)
            else:
                z[k, j] = scaled_exp_below(z[k, j], row_max, inverse)
        z[indices[_ARGMAX + j], j] = 0.0
        scratch[_TARGET_EXP + j] = z[max(y, 0), j]
        scratch[_IS_ARGMAX + j] = 1.0 if y == indices[_ARGMAX + j] else 0.0


@inner()
def _sum_classes(z, padded, n, pixels):
    """Sum over the classes; NaN where all logits are -inf, or one is NaN."""
    for j in range(U(0), n, U(FLOAT64_LANES)):
        even = branch_sum(z, padded, U(0), j) + branch_sum(z, padded, U(2), j)
        odd = branch_sum(z, padded, U(1), j) + branch_sum(z, padded, U(3), j)
        row_max = load(pixels, _MAX + j)
        store(pixels, _OTHERS + j, select(row_max > -np.inf, even + odd, splat(np.nan, row_max)))


@inner()
def _tree_sum(pixels, n):
    """Return the sum of a tile's losses, as a tree, in their place."""
    half = TILE_PIXELS // 2
    while half >= 1:
        if n > half:
            for j in range(U(n - half)):
                pixels[_VALUE + j] += pixels[_VALUE + U(half) + j]
            n = half
        half //= 2
    return pixels[_VALUE]


@inner()
def _gradient(e, classes, j, scratch, indices, out, at, stride, nontemporal):
    """Write the gradient of a vector of pixels: that of class k to ``out[at + k * stride :]``."""
    c1, c0 = load(scratch, _FACTOR_HIGH + j), load(scratch, _FACTOR_LOW + j)
    at_argmax, at_target = load(scratch, _AT_ARGMAX + j), load(scratch, _AT_TARGET + j)
    argmax, target = load(indices, _PREVIOUS_ARGMAX + j), load(indices, _PREVIOUS_TARGET + j)
    zero = splat(0.0, c1)
    ignored = c1 == zero
    for k in range(U(classes)):
        this_class = splat(CLASS_NUMBERS[k], argmax)
        v = times_factor(load(e, k * U(TILE_PIXELS) + j), c1, c0)
        v = select(target == this_class, at_target, select(ignored, zero, v))
        v = select(argmax == this_class, at_argmax, v)
        if nontemporal:
            store_nontemporal(out, at + k * stride, v)
        else:
            store(out, at + k * stride, v)


@inner()
def _gradient_float64(e, classes, n, scratch, c, indices, block):
    """Do what `_gradient` does to a block where float32 cannot hold what multiplies a pixel."""
    for k in range(classes):
        for j in range(n):
            v = to_float64(e[k, j]) * c[j]
            if splits(c[j]):
                c1 = np.float32(scratch[_FACTOR_HIGH + j])
                c0 = np.float32(scratch[_FACTOR_LOW + j])
                v = np.float64(times_split(e[k, j], c1, c0, np.float32(-0.0)))
            v = v if c[j] != 0.0 else 0.0
            v = to_float64(scratch[_AT_TARGET + j]) if indices[_PREVIOUS_TARGET + j] == k else v
            v = to_float64(scratch[_AT_ARGMAX + j]) if indices[_PREVIOUS_ARGMAX + j] == k else v
            block[k, j] = from_float64(v, block[k, j])


@inner()
def _read_targets(target, weight, pixel_weights, ignore_index, base, n, pixels, indices):
    """Write the class of each pixel, -1 where none counts, its weight and what multiplies it."""
    for j in range(n):
        y = target[base + j]
        counted = y != ignore_index
        target_weight = pixel_weight = 1.0
        if pixel_weights.shape[0]:
            pixel_weight = pixel_weights[base + j]
        if weight.shape[0] and counted:
            target_weight = weight[y]
        counted = counted and pixel_weight != 0.0 and target_weight != 0.0
        indices[_TARGET + j] = y if counted else -1
        pixels[_TARGET_WEIGHT + j] = target_weight
        pixels[_PIXEL_WEIGHT + j] = pixel_weight if counted else 0.0
    filled = (n + U(FLOAT32_LANES - 1)) // U(FLOAT32_LANES) * U(FLOAT32_LANES)
    for j in range(n, filled):  # what fills the last vector counts for nothing
        indices[_TARGET + j] = -1
        pixels[_TARGET_WEIGHT + j] = 1.0
        pixels[_PIXEL_WEIGHT + j] = 0.0


@inner()
def _constants(z, n, inverse, pixels, scratch):
    """Write what `_exponentials` needs of each pixel; return how many are out of its range."""
    out_of_range = np.int64(0)
    for j in range(U(0), n, U(FLOAT64_LANES)):
        row_max = load(pixels, _MAX + j)
        in_range, scale, shift, floor = top_constants(row_max, inverse)
        if z.itemsize == 8:
            store(pixels, _SCALE + j, splat(EXP_SCALE, row_max))
            store(scratch, _SHIFT + j, row_max)
        else:
            store(pixels, _SCALE + j, scale)
            store(scratch, _SHIFT + j, shift)
            store(scratch, _FLOOR + j, floor)
            out_of_range += FLOAT64_LANES - count_true(in_range)
    return out_of_range


@inner()
def _score(z, n, constants, has_grad, pixels, scratch):
    """Write the loss of each pixel, and where wanted what `_gradient` needs of it.

    Return for how many of them float32 cannot hold that.
    """
    inverse, z_loss = constants.inverse_temperature, constants.z_loss
    unsplittable = np.int64(0)
    for j in range(U(0), n, U(FLOAT64_LANES)):
        row_max, others = load(pixels, _MAX + j), load(pixels, _OTHERS + j)
        scale, weight = load(pixels, _SCALE + j), load(pixels, _TARGET_WEIGHT + j)
        pixel_weight, zero = load(pixels, _PIXEL_WEIGHT + j), splat(0.0, row_max)
        target_logit = load_float64(scratch, _TARGET_LOGIT + j)
        total = scale + others
        log_sum = log_ratio(z, total, others, scale)
        lse = row_max * inverse + log_sum
        margin = select(target_logit == row_max, zero, (row_max - target_logit) * inverse)
        value = target_loss(weight, margin, log_sum)
        if z_loss != 0.0:
            value = value + z_loss_term(weight, lse, z_loss)
        ignored = pixel_weight == zero
        store(pixels, _VALUE + j, select(ignored, zero, pixel_weight * value))
        if not has_grad:
            continue
        upstream = constants.upstream * pixel_weight
        lse_grad, target_grad = lse_gradient(upstream, weight, lse, z_loss), weight * upstream
        # A pixel that counts for nothing may hold NaN.
        factor = select(ignored, zero, quotient(z, lse_grad * inverse, total))
        grad = load_float64(scratch, _IS_ARGMAX + j) * target_grad
        p, rest = quotient(z, scale, total), quotient(z, others, total)
        at_argmax = argmax_gradient(lse_grad, grad, p, rest) * inverse
        p = quotient(z, load_float64(scratch, _TARGET_EXP + j), total)
        at_target = class_gradient(lse_grad, target_grad, p) * inverse
        store(scratch, _AT_ARGMAX + j, select(target_grad == zero, zero, at_argmax))
        store(scratch, _AT_TARGET + j, at_target)
        store(pixels, _FACTOR + j, factor)
        store(scratch, _FACTOR_HIGH + j, factor)
        if z.itemsize < 8:
            store(scratch, _FACTOR_LOW + j, factor - load_float64(scratch, _FACTOR_HIGH + j))
            size = abs(factor)
            splittable = (factor == zero) | ((size > SPLIT_MIN) & (size < SPLIT_MAX))
            unsplittable += FLOAT64_LANES - count_true(splittable)
    return unsplittable


@outer()
def score_tiles(
    x, target, weight, pixel_weights, constants, values, totals, grad, buffers, start, stop
):
    """Score tiles start to stop, counted over all images, of pixels whose target is one class.

    Reads logits x (B, C, P), target (B P,), weight (C,) and pixel_weights (B P,), of which the last
    two may be empty; writes ``totals``, the sum of each tile, ``values`` (B P,) and ``grad``
    (B, C, P), which may be empty. The gradient of a tile is written beside the exponentials of the
    next, and the one after is prefetched: little by little, so that computing hides the wait.
    """
    logits, pixels, scratch, indices, block = buffers
    inverse, nontemporal = constants.inverse_temperature, constants.nontemporal
    classes, size = x.shape[1], x.shape[2]
    padded, step = logits.shape[1], U(CACHE_LINE // logits.itemsize)
    high, low = slope_constants(inverse)
    for k in range(classes, padded):
        for j in range(U(TILE_PIXELS)):
            logits[0, k, j] = logits[1, k, j] = 0.0
    tiles = -(-size // TILE_PIXELS)
    has_grad = grad.shape[0] > 0
    aligned = address(grad) % CACHE_LINE == 0 and size * x.itemsize % CACHE_LINE == 0
    aligned = aligned and x.itemsize >= 4
    at, previous_n, unsplittable = U(0), U(0), np.int64(0)
    for unit in range(start, stop + 1):
        b, first = unit // tiles, unit % tiles * TILE_PIXELS
        a, n = U(first), U(min(TILE_PIXELS, size - first) if unit < stop else 0)
        z, previous = logits[unit % 2], logits[1 - unit % 2]
        base = U(b * size + first)
        _copy_tile(x, b, a, n, z, pixels, indices)
        _read_targets(
            target, weight, pixel_weights, constants.ignore_index, base, n, pixels, indices
        )
        out_of_range = _constants(z, n, inverse, pixels, scratch)
        if out_of_range > 0:
            _exponentials_out_of_range(z, classes, n, pixels, scratch, indices, inverse)
        direct = previous_n % step == 0 and (aligned or not nontemporal) and unsplittable == 0
        ahead = U(b * classes * size + first + TILE_PIXELS)
        for j in range(U(0), max(n, previous_n), step):
            for i in range(j, j + step, U(CACHE_LINE // target.itemsize)):
                prefetch_l2(target, base + U(TILE_PIXELS) + i)
            if j < n and out_of_range == 0:
                _exponentials(z, classes, j, scratch, indices, high, low, inverse, x, ahead + j)
            if j < previous_n and direct:
                _gradient(
                    previous, classes, j, scratch, indices, grad, at + j, U(size), nontemporal
                )
            elif j < previous_n and unsplittable == 0:
                _gradient(previous, classes, j, scratch, indices, block, j, U(TILE_PIXELS), False)
        if previous_n > 0 and unsplittable > 0:
            factor = pixels[_FACTOR:]
            _gradient_float64(previous, classes, previous_n, scratch, factor, indices, block)
        for k in range(0 if direct else classes if previous_n > 0 else 0):
            stream_copy(grad, at + U(k * size), block[k], np.int64(previous_n), nontemporal)
        if unit == stop:
            break
        _sum_classes(z, padded, n, pixels)
        unsplittable = _score(z, n, constants, has_grad, pixels, scratch)
        if values.shape[0]:
            for j in range(n):
                values[base + j] = pixels[_VALUE + j]
        totals[unit] = _tree_sum(pixels, np.int64(n))
        if has_grad:
            for j in range(n):
                indices[_PREVIOUS_ARGMAX + j] = indices[_ARGMAX + j]
                indices[_PREVIOUS_TARGET + j] = indices[_TARGET + j]
            at, previous_n = U(b * classes * size + first), n
    store_fence()
