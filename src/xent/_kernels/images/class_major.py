"""Cross-entropy of a few classes that lie far apart in memory, as in segmentation: [B, C, P].

A tile of pixels is copied class after class into room that stays in the cache (planes that are a
power of two apart push each other out of it). What belongs to a pixel then stays in registers, a
vector of pixels at a time, while the classes pass. Each pixel takes exactly the steps of
`_softmax.one_row`, sums in the same tree included, so layouts give the same bits.
"""

import numpy as np
from numba import types
from numba.extending import overload

from xent._compile.decorator import inner, outer
from xent._compile.numba_private import INSIDE
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
from xent._math.llvm import address, prefetch_l2, store_fence, stream_copy
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
TILE = 128
MOST = 64  # classes
# Their numbers in memory: one that is read there costs no arithmetic to spread.
NUMBERS = np.arange(MOST, dtype=np.int32)

# Where each quantity of the pixels stands in one array.
_TOP, _OWN, _HIT, _PUSH, _OTHERS, _LIFT, _C = (U(TILE * i) for i in range(7))
_SHIFT, _FLOOR, _Z_OWN, _E_OWN, _SAME, _C1, _C0, _AT_TOP, _AT_Y = (U(TILE * i) for i in range(9))
_PLACE, _MARK, _PLACE_BEFORE, _MARK_BEFORE = (U(TILE * i) for i in range(4))


@inner()
def higher(source, at, z, to, number, best, place):
    """Copy a vector of pixels to z; return the larger of it and the best, and the class of that.

    A NaN may be passed over: it makes all of its pixel NaN later.
    """
    value = load(source, at)
    store(z, to, value)
    more = value > best
    return select(more, value, best), select(more, number, place)


@inner()
def peaks(source, at, stride, classes, z, j, top, places):
    """Copy a vector of pixels to z[:, j:], and write their largest logit and its class."""
    best, place = load(source, at), splat(NUMBERS[0], load(places, _PLACE + j))
    store(z, j, best)
    for k in range(U(1), classes):
        number = splat(NUMBERS[k], place)
        best, place = higher(source, at + k * stride, z, k * U(TILE) + j, number, best, place)
    store(places, _PLACE + j, place)
    store(top, j, best)


@inner()
def four_peaks(source, at, stride, classes, z, j, top, places):
    """Do what `peaks` does for four vectors in turns: each comparison waits for the one before."""
    one = U(64 // z.itemsize)
    two, three = U(2) * one, U(3) * one
    a, b = load(source, at), load(source, at + one)
    c, d = load(source, at + two), load(source, at + three)
    store(z, j, a)
    store(z, j + one, b)
    store(z, j + two, c)
    store(z, j + three, d)
    in_a = in_b = in_c = in_d = splat(NUMBERS[0], load(places, _PLACE + j))
    for k in range(U(1), classes):
        number = splat(NUMBERS[k], in_a)
        i, to = at + k * stride, k * U(TILE) + j
        a, in_a = higher(source, i, z, to, number, a, in_a)
        b, in_b = higher(source, i + one, z, to + one, number, b, in_b)
        c, in_c = higher(source, i + two, z, to + two, number, c, in_c)
        d, in_d = higher(source, i + three, z, to + three, number, d, in_d)
    store(places, _PLACE + j, in_a)
    store(places, _PLACE + j + one, in_b)
    store(places, _PLACE + j + two, in_c)
    store(places, _PLACE + j + three, in_d)
    store(top, j, a)
    store(top, j + one, b)
    store(top, j + two, c)
    store(top, j + three, d)


@inner()
def copy_planes(x, b, a, n, z, top, places):
    """Copy a tile to z, zeros after its end; find the largest logit of each pixel."""
    step = U(64 // z.itemsize)
    classes, stride = U(x.shape[1]), U(x.shape[2])
    first = U(b) * classes * stride + a
    whole = n - n % step
    fours = n - n % (U(4) * step)
    for j in range(U(0), fours, U(4) * step):
        four_peaks(x, first + j, stride, classes, z, j, top, places)
    for j in range(fours, whole, step):
        peaks(x, first + j, stride, classes, z, j, top, places)
    if whole < n:
        for k in range(classes):
            for j in range(whole, whole + step):
                z[k, j] = to_float64(x[U(b), k, a + j]) if j < n else 0.0
        peaks(z, whole, U(TILE), classes, z, whole, top, places)


def power(value, shift, floor, high, low, inverse):
    """Return lift exp((value - top) / T); of float64, ``shift`` is top."""


@overload(power, jit_options=INSIDE)
def _power(value, shift, floor, high, low, inverse):
    if value.dtype == types.float64:
        return lambda value, shift, floor, high, low, inverse: scaled_exp_below(
            value, shift, inverse
        )
    return lambda value, shift, floor, high, low, inverse: scaled_power(
        value, shift, floor, high, low
    )


@inner()
def look(k, value, place, mark, own):
    """Hide the largest logit, if it is that of class k, and keep the true class's."""
    number = splat(NUMBERS[k], place)
    mine = mark == number
    return select(place == number, splat(-np.inf, value), value), mine, select(mine, value, own)


@inner()
def powers(z, classes, j, part, places, high, low, inverse, x, ahead):
    """Write the exponentials of a vector of pixels to z; keep what their true class has.

    What belongs to the largest logit is left out: 0. The next tile of x is asked for on the way.
    """
    shift, floor = load(part, _SHIFT + j), load(part, _FLOOR + j)
    place, mark = load(places, _PLACE + j), load(places, _MARK + j)
    nought = splat(0.0, shift)
    own, e_own = nought, nought
    stride, one = U(x.shape[2]), U(TILE)
    for k in range(U(classes)):
        prefetch_l2(x, ahead + k * stride)
        value, mine, own = look(k, load(z, k * one + j), place, mark, own)
        e = power(value, shift, floor, high, low, inverse)
        store(z, k * one + j, e)
        e_own = select(mine, e, e_own)
    store(part, _Z_OWN + j, own)
    store(part, _E_OWN + j, e_own)
    store(part, _SAME + j, select(mark == place, splat(1.0, shift), nought))


@inner()
def wild_powers(z, classes, n, pixel, part, places, inverse):
    """Do what `powers` does where a logit is huge, pixel after pixel."""
    for j in range(n):
        top = pixel[_TOP + j]
        tame, _, shift, floor, high, low = power_constants(top, inverse)
        y = places[_MARK + j]
        part[_Z_OWN + j] = z[max(y, 0), j]
        for k in range(classes):
            if tame:
                z[k, j] = scaled_power(np.float32(z[k, j]), shift, floor, high, low)
            else:
                z[k, j] = scaled_exp_below(z[k, j], top, inverse)
        z[places[_PLACE + j], j] = 0.0
        part[_E_OWN + j] = z[max(y, 0), j]
        part[_SAME + j] = 1.0 if y == places[_PLACE + j] else 0.0


def rows_of(classes: int) -> int:
    """Return how many rows `sum_planes` reads of a tile: classes, and zeros."""
    return 8 if classes <= 8 else 20 if classes <= 20 else 32 if classes <= 32 else MOST


@inner()
def row(z, k, j):
    """Return a vector of pixels of class k, as float64."""
    return load_float64(z, k * U(TILE) + j)


@inner()
def two_rows(z, k, far, j):
    """Return the sum of class k and the class that comes ``far`` after it."""
    return row(z, k, j) + row(z, k + far, j)


@inner()
def four_rows(z, k, far, near, j):
    """Return the sum of two pairs."""
    return two_rows(z, k, far, j) + two_rows(z, k + near, far, j)


@inner()
def sum_of_rows(z, rows, q, j):
    """Sum over the classes q, q + 4, q + 8 and so on: a branch of the tree of `fold`."""
    if rows == 8:
        return two_rows(z, q, U(4), j)
    if rows == 20:
        return (two_rows(z, q, U(16), j) + row(z, q + U(8), j)) + two_rows(z, q + U(4), U(8), j)
    if rows == 32:
        return four_rows(z, q, U(16), U(8), j) + four_rows(z, q + U(4), U(16), U(8), j)
    even = four_rows(z, q, U(32), U(16), j) + four_rows(z, q + U(8), U(32), U(16), j)
    odd = four_rows(z, q + U(4), U(32), U(16), j) + four_rows(z, q + U(12), U(32), U(16), j)
    return even + odd


@inner()
def sum_planes(z, rows, n, pixel):
    """Sum over the classes; NaN where all logits are -inf, or one is NaN."""
    for j in range(U(0), n, U(FLOAT64_LANES)):
        even = sum_of_rows(z, rows, U(0), j) + sum_of_rows(z, rows, U(2), j)
        odd = sum_of_rows(z, rows, U(1), j) + sum_of_rows(z, rows, U(3), j)
        top = load(pixel, _TOP + j)
        store(pixel, _OTHERS + j, select(top > -np.inf, even + odd, splat(np.nan, top)))


@inner()
def fold_tile(pixel, n):
    """Sum of a tile's values, as a tree, in their place."""
    half = TILE // 2
    while half >= 1:
        if n > half:
            for j in range(U(n - half)):
                pixel[_OWN + j] += pixel[_OWN + U(half) + j]
            n = half
        half //= 2
    return pixel[_OWN]


@inner()
def slopes(e, classes, j, part, places, out, at, stride, past):
    """Write the gradient of a vector of pixels: that of class k to ``out[at + k * stride :]``."""
    c1, c0 = load(part, _C1 + j), load(part, _C0 + j)
    at_top, at_y = load(part, _AT_TOP + j), load(part, _AT_Y + j)
    place, mark = load(places, _PLACE_BEFORE + j), load(places, _MARK_BEFORE + j)
    nought = splat(0.0, c1)
    dead = c1 == nought
    for k in range(U(classes)):
        number = splat(NUMBERS[k], place)
        v = scaled(load(e, k * U(TILE) + j), c1, c0)
        v = select(mark == number, at_y, select(dead, nought, v))
        v = select(place == number, at_top, v)
        if past:
            store_nontemporal(out, at + k * stride, v)
        else:
            store(out, at + k * stride, v)


def scaled(e, c1, c0):
    """Return e (c1 + c0)."""


@overload(scaled, jit_options=INSIDE)
def _scaled(e, c1, c0):
    if e.dtype == types.float64:
        return lambda e, c1, c0: e * c1
    return lambda e, c1, c0: times_split(e, c1, c0, np.float32(-0.0))


@inner()
def exact_slopes(e, classes, n, part, c, places, page):
    """Do what `slopes` does to a page where float32 cannot hold what multiplies a pixel."""
    for k in range(classes):
        for j in range(n):
            v = to_float64(e[k, j]) * c[j]
            if splits(c[j]):
                c1, c0 = np.float32(part[_C1 + j]), np.float32(part[_C0 + j])
                v = np.float64(times_split(e[k, j], c1, c0, np.float32(-0.0)))
            v = v if c[j] != 0.0 else 0.0
            v = to_float64(part[_AT_Y + j]) if places[_MARK_BEFORE + j] == k else v
            v = to_float64(part[_AT_TOP + j]) if places[_PLACE_BEFORE + j] == k else v
            page[k, j] = from_float64(v, page[k, j])


@inner()
def look_at_pixels(target, weight, scale, ignore, base, n, pixel, places):
    """Write the class of each pixel, -1 where none counts, its weight and what multiplies it."""
    for j in range(n):
        y = target[base + j]
        counts = y != ignore
        hit = push = 1.0
        if scale.shape[0]:
            push = scale[base + j]
        if weight.shape[0] and counts:
            hit = weight[y]
        counts = counts and push != 0.0 and hit != 0.0
        places[_MARK + j] = y if counts else -1
        pixel[_HIT + j] = hit
        pixel[_PUSH + j] = push if counts else 0.0
    filled = (n + U(FLOAT32_LANES - 1)) // U(FLOAT32_LANES) * U(FLOAT32_LANES)
    for j in range(n, filled):  # what fills the last vector counts for nothing
        places[_MARK + j] = -1
        pixel[_HIT + j] = 1.0
        pixel[_PUSH + j] = 0.0


@inner()
def constants(z, n, inverse, pixel, part):
    """Write what `powers` needs of each pixel; return for how many `powers` is not made."""
    wild = np.int64(0)
    for j in range(U(0), n, U(FLOAT64_LANES)):
        top = load(pixel, _TOP + j)
        tame, lift, shift, floor = top_constants(top, inverse)
        if z.itemsize == 8:
            store(pixel, _LIFT + j, splat(EXP_SCALE, top))
            store(part, _SHIFT + j, top)
        else:
            store(pixel, _LIFT + j, lift)
            store(part, _SHIFT + j, shift)
            store(part, _FLOOR + j, floor)
            wild += FLOAT64_LANES - count_true(tame)
    return wild


@inner()
def score(z, n, inverse, zeta, g, wants, pixel, part):
    """Write the value of each pixel, and where wanted what `slopes` needs of it.

    Return for how many of them float32 cannot hold that.
    """
    unfit = np.int64(0)
    for j in range(U(0), n, U(FLOAT64_LANES)):
        top, others, lift = (
            load(pixel, _TOP + j), load(pixel, _OTHERS + j), load(pixel, _LIFT + j),
        )  # fmt: skip
        hit, push = load(pixel, _HIT + j), load(pixel, _PUSH + j)
        own, nought = load_float64(part, _Z_OWN + j), splat(0.0, top)
        total = lift + others
        log = log_ratio(z, total, others, lift)
        gap = select(own == top, nought, (top - own) * inverse)
        value = hit * (gap + log)
        p = g * push * hit
        if zeta != 0.0:
            lse = top * inverse + log
            value = value + zeta * hit * lse * lse
            p = g * push * (hit + 2.0 * zeta * hit * lse)
        idle = push == nought
        store(pixel, _OWN + j, select(idle, nought, push * value))
        if not wants:
            continue
        # A pixel that counts for nothing may hold NaN.
        c = select(idle, nought, quotient(z, p * inverse, total))
        at_y, at_k = hit * (g * push), load_float64(part, _SAME + j) * hit * (g * push)
        one, rest = quotient(z, lift, total), quotient(z, others, total)
        of_top = ((p - at_k) * one - at_k * rest) * inverse
        of_y = (quotient(z, load_float64(part, _E_OWN + j), total) * p - at_y) * inverse
        store(part, _AT_TOP + j, select(at_y == nought, nought, of_top))
        store(part, _AT_Y + j, of_y)
        store(pixel, _C + j, c)
        store(part, _C1 + j, c)
        if z.itemsize < 8:
            store(part, _C0 + j, c - load_float64(part, _C1 + j))
            far = abs(c)
            unfit += FLOAT64_LANES - count_true(
                (c == nought) | ((far > SPLIT_MIN) & (far < SPLIT_MAX))
            )
    return unfit


@outer()
def class_planes(
    x, target, weight, scale, ignore, inverse, zeta, g, rooms, pixel, part, places, page,
    values, totals, grad, past, start, stop,
):  # fmt: skip
    """Tiles of pixels whose target is one class; rooms (of two tiles) to page are to work in.

    ``values`` may be empty; ``totals`` takes the sum of each tile. The gradient of a tile is
    written beside the exponentials of the next, and the one after is asked for: little by little,
    so that computing hides the memory's wait.
    """
    classes, size = x.shape[1], x.shape[2]
    rows, step = rooms.shape[1], U(64 // rooms.itemsize)
    high, low = slope_constants(inverse)
    for k in range(classes, rows):
        for j in range(U(TILE)):
            rooms[0, k, j] = rooms[1, k, j] = 0.0
    tiles = -(-size // TILE)
    wants = grad.shape[0] > 0
    lined = x.itemsize >= 4 and address(grad) % 64 == 0 and size * x.itemsize % 64 == 0
    at, n_before, unfit = U(0), U(0), np.int64(0)
    for unit in range(start, stop + 1):
        b, first = unit // tiles, unit % tiles * TILE
        a, n = U(first), U(min(TILE, size - first) if unit < stop else 0)
        z, before = rooms[unit % 2], rooms[1 - unit % 2]
        base = U(b * size + first)
        copy_planes(x, b, a, n, z, pixel, places)
        look_at_pixels(target, weight, scale, ignore, base, n, pixel, places)
        wild = constants(z, n, inverse, pixel, part)
        if wild > 0:
            wild_powers(z, classes, n, pixel, part, places, inverse)
        direct = n_before % step == 0 and (lined or not past) and unfit == 0
        ahead = U(b * classes * size + first + TILE)
        for j in range(U(0), max(n, n_before), step):
            for i in range(j, j + step, U(64 // target.itemsize)):
                prefetch_l2(target, base + U(TILE) + i)
            if j < n and wild == 0:
                powers(z, classes, j, part, places, high, low, inverse, x, ahead + j)
            if j < n_before and direct:
                slopes(before, classes, j, part, places, grad, at + j, U(size), past)
            elif j < n_before and unfit == 0:
                slopes(before, classes, j, part, places, page, j, U(TILE), False)
        if n_before > 0 and unfit > 0:
            exact_slopes(before, classes, n_before, part, pixel[_C:], places, page)
        for k in range(0 if direct else classes if n_before > 0 else 0):
            stream_copy(grad, at + U(k * size), page[k], np.int64(n_before), past)
        if unit == stop:
            break
        sum_planes(z, rows, n, pixel)
        unfit = score(z, n, inverse, zeta, g, wants, pixel, part)
        if values.shape[0]:
            for j in range(n):
                values[base + j] = pixel[_OWN + j]
        totals[unit] = fold_tile(pixel, np.int64(n))
        if wants:
            for j in range(n):
                places[_PLACE_BEFORE + j] = places[_PLACE + j]
                places[_MARK_BEFORE + j] = places[_MARK + j]
            at, n_before = U(b * classes * size + first), n
    store_fence()
