"""Cross-entropy of a few classes that lie far apart in memory, as in segmentation: [B, C, P].

A tile of pixels is copied class after class into room that stays in the cache (planes that are a
power of two apart push each other out of it), and goes through SIMD side by side. Each pixel takes
exactly the steps of `_softmax.one_row`, sums in the same tree included, so layouts give the same
bits.
"""

import numpy as np
from numba import types
from numba.extending import overload

from xent._kernels._float import (
    LARGEST,
    LIFT,
    SMALLEST,
    arrive,
    bits32,
    exp_below,
    fits,
    float_of_bits32,
    float_of_bits64,
    inner,
    key,
    lifted_power,
    log1p,
    narrow,
    outer,
    powers_of,
    prefetch,
    single,
    stream,
    times,
    wide,
)
from xent._kernels._numba import INSIDE

U = np.uint64
TILE = 256

# Where each quantity of the pixels stands in one array: what stands in one array, LLVM knows to be
# apart. Loads come before choices, for LLVM does not load in SIMD what may not be wanted.
_TOP, _OWN, _HIT, _PUSH, _TOTAL, _OTHERS, _P, _LOG, _LIFT = (U(TILE * i) for i in range(9))
_SHIFT, _FLOOR, _C1, _C0, _AT_TOP, _AT_Y = (U(TILE * i) for i in range(6))
_PLACE, _MARK, _PLACE_BEFORE, _MARK_BEFORE = (U(TILE * i) for i in range(4))


def rank_of(value):
    """Return `key`, in 32 bits where these hold it: Numba computes with 64."""


@overload(rank_of, jit_options=INSIDE)
def _rank_of(value):
    if value == types.float64:
        return lambda value: key(value)

    def rank32(value):
        bits = bits32(single(value))
        flip = np.int32(np.int32(bits >> np.int32(31)) & np.int32(0x7FFFFFFF))
        return np.int32(bits ^ flip)

    return rank32


def value_of(rank):
    """Return the number that has this rank."""


@overload(value_of, jit_options=INSIDE)
def _value_of(rank):
    if rank == types.int64:
        return lambda rank: float_of_bits64(
            rank ^ ((rank >> np.int64(63)) & np.int64(0x7FFFFFFFFFFFFFFF))
        )

    def value32(rank):
        flip = np.int32(np.int32(rank >> np.int32(31)) & np.int32(0x7FFFFFFF))
        return float_of_bits32(np.int32(rank ^ flip))

    return value32


@inner()
def copy_planes(x, b, a, n, z, best, places):
    """Copy a tile to z; write the place of each pixel's largest logit."""
    for j in range(n):
        v = wide(x[b, 0, a + j])
        z[0, j] = v
        best[j] = rank_of(z[0, j])
    for j in range(n):
        places[_PLACE + j] = 0
    classes = x.shape[1]
    first = 1
    # Four planes at once: what is known of a pixel is read and written less often.
    while first + 4 <= classes:
        k0, k1, k2, k3 = first, first + 1, first + 2, first + 3
        n0, n1, n2, n3 = np.int32(k0), np.int32(k1), np.int32(k2), np.int32(k3)
        for j in range(n):
            top, place = best[j], places[_PLACE + j]
            v0, v1, v2, v3 = x[b, k0, a + j], x[b, k1, a + j], x[b, k2, a + j], x[b, k3, a + j]
            r0, r1, r2, r3 = rank_of(v0), rank_of(v1), rank_of(v2), rank_of(v3)
            z[k0, j], z[k1, j], z[k2, j], z[k3, j] = wide(v0), wide(v1), wide(v2), wide(v3)
            place = n0 if r0 > top else place
            top = max(r0, top)
            place = n1 if r1 > top else place
            top = max(r1, top)
            place = n2 if r2 > top else place
            top = max(r2, top)
            place = n3 if r3 > top else place
            best[j] = max(r3, top)
            places[_PLACE + j] = place
        first += 4
    for k in range(first, classes):
        number = np.int32(k)
        for j in range(n):
            v, top, place = x[b, k, a + j], best[j], places[_PLACE + j]
            rank = rank_of(v)
            z[k, j] = wide(v)
            places[_PLACE + j] = number if rank > top else place
            best[j] = max(rank, top)


@inner()
def sum_planes(z, classes, n, sums, pixel):
    """Sum over the classes as `_softmax.fold` sums them; after the last class z holds zeros."""
    zero = classes
    if classes <= 20:
        for k in range(min(4, classes + 3)):  # always 4: what LLVM knows it unrolls at length
            k1, k2, k3, k4 = k + 4, k + 8, k + 12, k + 16
            k0 = k if k < classes else zero
            k1 = k1 if k1 < classes else zero
            k2 = k2 if k2 < classes else zero
            k3 = k3 if k3 < classes else zero
            k4 = k4 if k4 < classes else zero
            for j in range(n):
                even = (wide(z[k0, j]) + wide(z[k4, j])) + wide(z[k2, j])
                sums[k, j] = even + (wide(z[k1, j]) + wide(z[k3, j]))
    elif classes <= 32:
        for k in range(min(4, classes + 3)):
            k1, k2, k3 = k + 4, k + 8, k + 12
            k4, k5, k6, k7 = k + 16, k + 20, k + 24, k + 28
            k0 = k if k < classes else zero
            k1 = k1 if k1 < classes else zero
            k2 = k2 if k2 < classes else zero
            k3 = k3 if k3 < classes else zero
            k4 = k4 if k4 < classes else zero
            k5 = k5 if k5 < classes else zero
            k6 = k6 if k6 < classes else zero
            k7 = k7 if k7 < classes else zero
            for j in range(n):
                even = (wide(z[k0, j]) + wide(z[k4, j])) + (wide(z[k2, j]) + wide(z[k6, j]))
                odd = (wide(z[k1, j]) + wide(z[k5, j])) + (wide(z[k3, j]) + wide(z[k7, j]))
                sums[k, j] = even + odd
    else:
        half = 1
        while 2 * half < classes:
            half *= 2
        for k in range(half):
            other = k + half if k + half < classes else zero
            for j in range(n):
                sums[k, j] = wide(z[k, j]) + wide(z[other, j])
        while half > 4:
            half //= 2
            for k in range(half):
                for j in range(n):
                    sums[k, j] += sums[k + half, j]
    for j in range(n):
        v = (sums[0, j] + sums[2, j]) + (sums[1, j] + sums[3, j])
        pixel[_OTHERS + j] = v if pixel[_TOP + j] > -np.inf else np.nan


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
def write_plane(z, k, n, c, part, places, fitting, page, grad, at, past):
    """Write the gradient of class k of a tile from its exponentials; c multiplies these."""
    number = np.int32(k)
    if z.itemsize < 8 and fitting:
        for j in range(n):
            c1, c0 = np.float32(part[_C1 + j]), np.float32(part[_C0 + j])
            at_top, at_y = np.float32(part[_AT_TOP + j]), np.float32(part[_AT_Y + j])
            place, y = places[_PLACE_BEFORE + j], places[_MARK_BEFORE + j]
            v = times(z[k, j], c1, c0, np.float32(-0.0))
            v = v if c1 != np.float32(0.0) else np.float32(0.0)
            v = at_y if y == number else v
            page[j] = narrow(at_top if place == number else v, page[j])
    else:
        for j in range(n):
            e, at_top, at_y = z[k, j], wide(part[_AT_TOP + j]), wide(part[_AT_Y + j])
            place, y = places[_PLACE_BEFORE + j], places[_MARK_BEFORE + j]
            v = wide(e) * c[j]
            if z.itemsize < 8 and fits(c[j]):
                c1, c0 = np.float32(part[_C1 + j]), np.float32(part[_C0 + j])
                v = np.float64(times(e, c1, c0, np.float32(-0.0)))
            v = v if c[j] != 0.0 else 0.0
            v = at_y if y == number else v
            page[j] = narrow(at_top if place == number else v, page[j])
    stream(grad, at, page, np.int64(n), past)


@outer()
def class_planes(
    x, target, weight, scale, ignore, inverse, zeta, g, rooms, sums, pixel, part, best, places,
    page, values, totals, grad, past, start, stop,
):  # fmt: skip
    """Tiles of pixels whose target is one class; rooms (of two tiles) to page are to work in.

    ``values`` may be empty; ``totals`` takes the sum of each tile. The gradient of a tile is
    written beside the exponentials of the next, and the one after is asked for: little by little,
    so that computing hides the memory's wait.
    """
    classes, size = x.shape[1], x.shape[2]
    for j in range(U(TILE)):
        rooms[0, classes, j] = rooms[1, classes, j] = 0.0
    tiles = -(-size // TILE)
    place_before, n_before, fitting = -1, U(0), np.int64(0)
    for unit in range(start, stop + 1):
        b, first = unit // tiles, unit % tiles * TILE
        a, n = U(first), U(min(TILE, size - first) if unit < stop else 0)
        z, before = rooms[unit % 2], rooms[1 - unit % 2]
        base = U(b * size + first)
        copy_planes(x, b, a, n, z, best, places)
        if weight.shape[0] or scale.shape[0]:
            for j in range(n):
                y = target[base + j]
                f = scale[base + j] if scale.shape[0] else 1.0
                w = 1.0
                if y == ignore:
                    f = 0.0
                elif weight.shape[0]:
                    w = weight[y]
                counts = f != 0.0 and w != 0.0
                places[_MARK + j] = y if counts else -1
                pixel[_HIT + j] = w
                pixel[_PUSH + j] = f if counts else 0.0
        else:
            for j in range(n):
                y = target[base + j]
                places[_MARK + j] = np.int32(y) if y != ignore else np.int32(-1)
                pixel[_HIT + j] = 1.0
                pixel[_PUSH + j] = 1.0 if y != ignore else 0.0
        for j in range(n):
            pixel[_TOP + j] = wide(value_of(best[j]))
        for j in range(n):
            pixel[_OWN + j] = wide(z[max(places[_MARK + j], 0), j])
        wild = np.int64(0)
        for j in range(n):
            tame, lift, shift, floor, high, low = powers_of(pixel[_TOP + j], inverse)
            pixel[_LIFT + j] = lift if z.itemsize < 8 else LIFT
            part[_SHIFT + j], part[_FLOOR + j] = shift, floor
            wild += np.int64(0) if tame else np.int64(1)
        for j in range(n if z.itemsize < 8 and wild > 0 else U(0)):
            top = pixel[_TOP + j]
            tame, lift, shift, floor, high, low = powers_of(top, inverse)
            for k in range(classes):
                if tame:
                    z[k, j] = lifted_power(np.float32(z[k, j]), shift, floor, high, low)
                else:
                    z[k, j] = exp_below(z[k, j], top, inverse)
        for k in range(classes):
            next_one = (b * classes + k) * size + first + TILE
            for j in range(0, TILE if unit + 1 < stop else 0, 64 // x.itemsize):
                prefetch(x, next_one + j)
            if z.itemsize == 8:
                for j in range(n):
                    z[k, j] = exp_below(z[k, j], pixel[_TOP + j], inverse)
            elif wild == 0:
                for j in range(n):
                    shift, floor = np.float32(part[_SHIFT + j]), np.float32(part[_FLOOR + j])
                    z[k, j] = lifted_power(np.float32(z[k, j]), shift, floor, high, low)
            if place_before >= 0:
                write_plane(
                    before, k, n_before, sums[0], part, places, fitting == n_before, page, grad,
                    place_before + k * size, past,
                )  # fmt: skip
        if unit == stop:
            break
        for j in range(n):
            z[places[_PLACE + j], j] = 0.0
        sum_planes(z, classes, n, sums, pixel)
        for j in range(n):
            top, own, hit, push = (
                pixel[_TOP + j], pixel[_OWN + j], pixel[_HIT + j], pixel[_PUSH + j],
            )  # fmt: skip
            log = log1p(pixel[_OTHERS + j] / pixel[_LIFT + j])
            gap = (top - own) * inverse if own != top else 0.0
            pixel[_LOG + j] = log
            pixel[_OWN + j] = hit * (gap + log)
            pixel[_P + j] = g * push * hit
        if zeta != 0.0:
            for j in range(n):
                hit, lse = pixel[_HIT + j], pixel[_TOP + j] * inverse + pixel[_LOG + j]
                pixel[_OWN + j] += zeta * hit * lse * lse
                pixel[_P + j] = g * pixel[_PUSH + j] * (hit + 2.0 * zeta * hit * lse)
        for j in range(n):
            value, push = pixel[_OWN + j], pixel[_PUSH + j]
            pixel[_OWN + j] = push * value if push != 0.0 else 0.0
        if values.shape[0]:
            for j in range(n):
                values[base + j] = pixel[_OWN + j]
        totals[unit] = fold_tile(pixel, np.int64(n))
        if grad.shape[0] == 0:
            continue
        fitting = np.int64(0)
        for j in range(n):
            push, p, lift, others = (
                pixel[_PUSH + j], pixel[_P + j], pixel[_LIFT + j], pixel[_OTHERS + j],
            )  # fmt: skip
            total = lift + others
            # A pixel that counts for nothing may hold NaN.
            c = p * inverse / total if push != 0.0 else 0.0
            fitting += np.int64(1) if c == 0.0 or SMALLEST < abs(c) < LARGEST else np.int64(0)
            pixel[_HIT + j] *= g * push
            sums[0, j] = c
            pixel[_TOTAL + j] = total
            part[_C1 + j] = np.float32(c)
            part[_C0 + j] = np.float32(c - np.float32(c))
        for j in range(n):
            y = places[_MARK + j]
            pixel[_OWN + j] = wide(z[max(y, 0), j])
            pixel[_TOP + j] = 1.0 if y == places[_PLACE + j] else 0.0
        for j in range(n):
            p, at_y, total = pixel[_P + j], pixel[_HIT + j], pixel[_TOTAL + j]
            at_k, others, own = pixel[_TOP + j] * at_y, pixel[_OTHERS + j], pixel[_OWN + j]
            one = pixel[_LIFT + j] / total
            of_top = ((p - at_k) * one - at_k * (others / total)) * inverse
            part[_AT_TOP + j] = of_top if at_y != 0.0 else 0.0
            part[_AT_Y + j] = (own / total * p - at_y) * inverse
            places[_PLACE_BEFORE + j], places[_MARK_BEFORE + j] = (
                places[_PLACE + j], places[_MARK + j],
            )  # fmt: skip
        place_before, n_before = b * classes * size + first, n
    arrive()
