"""Cross-entropy of a few classes that lie far apart in memory, as in segmentation: [B, C, P].

A tile of pixels is copied class after class into room that stays in the cache (planes that are a
power of two apart push each other out of it), and goes through SIMD side by side. Each pixel takes
exactly the steps of `_softmax.one_row`, sums in the same tree included, so layouts give the same
bits.
"""

import numpy as np

from xent._kernels._float import (
    LARGEST,
    LIFT,
    SMALLEST,
    arrive,
    exp_below,
    fits,
    inner,
    key,
    lifted_power,
    log1p,
    narrow,
    outer,
    powers_of,
    prefetch,
    stream,
    times,
    wide,
)

U = np.uint64
TILE = 256

# Where each quantity of the pixels stands in one array: what stands in one array, LLVM knows to be
# apart. Loads come before choices, for LLVM does not load in SIMD what may not be wanted.
_TOP, _OWN, _HIT, _PUSH, _TOTAL, _OTHERS, _P, _LIFT = (U(TILE * i) for i in range(8))
_C1, _C0 = (U(TILE * i) for i in range(2))
_SHIFT, _FLOOR = _C1, _C0  # the constants of the exponentials are used up before
_PLACE, _MARK = U(0), U(TILE)


@inner()
def copy_planes(x, b, a, n, z, best, places):
    """Copy a tile to z; write the place of each pixel's largest logit."""
    for j in range(n):
        v = wide(x[b, 0, a + j])
        z[0, j] = v
        best[j] = key(z[0, j])
    for j in range(n):
        places[_PLACE + j] = 0
    for k in range(1, x.shape[1]):
        for j in range(a, a + n, U(64 // x.itemsize)):
            prefetch(x, np.int64(U((b * x.shape[1] + k) * x.shape[2]) + j + n))
        for j in range(n):
            v = wide(x[b, k, a + j])
            z[k, j] = v
        number = np.int32(k)
        for j in range(n):
            rank, other, place = key(z[k, j]), best[j], places[_PLACE + j]
            places[_PLACE + j] = number if rank > other else place
            best[j] = max(rank, other)


@inner()
def sum_planes(z, classes, n, sums, pixel):
    """Sum over the classes as `_softmax.fold` sums them."""
    half = 1
    while 2 * half < classes:
        half *= 2
    for k in range(half):
        if k + half < classes:
            for j in range(n):
                sums[k, j] = wide(z[k, j]) + wide(z[k + half, j])
        else:
            for j in range(n):
                sums[k, j] = wide(z[k, j])
    while half > 1:
        half //= 2
        for k in range(half):
            for j in range(n):
                sums[k, j] += sums[k + half, j]
    for j in range(n):
        v = sums[0, j]
        pixel[_OTHERS + j] = v if pixel[_TOP + j] > -np.inf else np.nan


@outer()
def class_planes(
    x, target, weight, scale, ignore, inverse, zeta, g, z, sums, pixel, part, best, places, page,
    values, grad, past, start, stop,
):  # fmt: skip
    """Tiles of pixels whose target is one class; z to page are room to work in."""
    classes, size = x.shape[1], x.shape[2]
    tiles = -(-size // TILE)
    for unit in range(start, stop):
        b, first = unit // tiles, unit % tiles * TILE
        a, n = U(first), U(min(TILE, size - first))
        base = U(b * size + first)
        copy_planes(x, b, a, n, z, best, places)
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
            pixel[_TOP + j] = wide(z[places[_PLACE + j], j])
            pixel[_OWN + j] = wide(z[y, j]) if counts else 0.0
        wild = np.int64(0)
        for j in range(n):
            tame, lift, shift, floor, high, low = powers_of(pixel[_TOP + j], inverse)
            pixel[_LIFT + j] = lift if z.itemsize < 8 else LIFT
            part[_SHIFT + j], part[_FLOOR + j] = shift, floor
            wild += np.int64(0) if tame else np.int64(1)
        if z.itemsize == 8:
            for k in range(classes):
                for j in range(n):
                    z[k, j] = exp_below(z[k, j], pixel[_TOP + j], inverse)
        elif wild == 0:
            for k in range(classes):
                for j in range(n):
                    shift, floor = np.float32(part[_SHIFT + j]), np.float32(part[_FLOOR + j])
                    z[k, j] = lifted_power(np.float32(z[k, j]), shift, floor, high, low)
        else:
            for j in range(n):
                top = pixel[_TOP + j]
                tame, lift, shift, floor, high, low = powers_of(top, inverse)
                for k in range(classes):
                    if tame:
                        z[k, j] = lifted_power(np.float32(z[k, j]), shift, floor, high, low)
                    else:
                        z[k, j] = exp_below(z[k, j], top, inverse)
        for j in range(n):
            z[places[_PLACE + j], j] = 0.0
        sum_planes(z, classes, n, sums, pixel)
        for j in range(n):
            top, own, others = pixel[_TOP + j], pixel[_OWN + j], pixel[_OTHERS + j]
            hit, push, lift = pixel[_HIT + j], pixel[_PUSH + j], pixel[_LIFT + j]
            log = log1p(others / lift)
            lse = top * inverse + log
            gap = (top - own) * inverse if own != top else 0.0
            value = hit * (gap + log)
            value += zeta * hit * lse * lse if zeta != 0.0 else 0.0
            values[base + j] = push * value if push != 0.0 else 0.0
            at_y = g * push * hit
            p = g * push * (hit + 2.0 * zeta * hit * lse) if zeta != 0.0 else at_y
            total = lift + others
            pixel[_P + j] = p
            pixel[_HIT + j] = at_y
            # A pixel that counts for nothing may hold NaN.
            pixel[_PUSH + j] = p * inverse / total if push != 0.0 else 0.0
            pixel[_TOTAL + j] = total
        if grad.shape[0] == 0:
            continue
        fitting = np.int64(0)
        for j in range(n):
            c = pixel[_PUSH + j]
            fitting += np.int64(1) if c == 0.0 or SMALLEST < abs(c) < LARGEST else np.int64(0)
        for j in range(n):
            c = pixel[_PUSH + j]
            part[_C1 + j] = np.float32(c)
            part[_C0 + j] = np.float32(c - np.float32(c))
        for j in range(n):
            y = places[_MARK + j]
            pixel[_OWN + j] = wide(z[max(y, 0), j])
            pixel[_TOP + j] = 1.0 if y == places[_PLACE + j] else 0.0
        for j in range(n):
            p, at_y, total = pixel[_P + j], pixel[_HIT + j], pixel[_TOTAL + j]
            at_k, others, own = pixel[_TOP + j] * at_y, pixel[_OTHERS + j], pixel[_OWN + j]
            lift = pixel[_LIFT + j]
            of_top = ((p - at_k) * (lift / total) - at_k * (others / total)) * inverse
            pixel[_TOP + j] = of_top if at_y != 0.0 else 0.0
            pixel[_OWN + j] = (own / total * p - at_y) * inverse
        for k in range(classes):
            if z.itemsize < 8 and fitting == n:
                for j in range(n):
                    c1 = np.float32(part[_C1 + j])
                    v = times(z[k, j], c1, np.float32(part[_C0 + j]), np.float32(-0.0))
                    z[k, j] = v if c1 != np.float32(0.0) else np.float32(0.0)
            else:
                for j in range(n):
                    c, e = pixel[_PUSH + j], z[k, j]
                    v = wide(e) * c
                    if z.itemsize < 8 and fits(c):
                        c1, c0 = np.float32(part[_C1 + j]), np.float32(part[_C0 + j])
                        v = np.float64(times(e, c1, c0, np.float32(-0.0)))
                    z[k, j] = v if c != 0.0 else 0.0
        for j in range(n):
            y = places[_MARK + j]
            if y >= 0:
                z[y, j] = pixel[_OWN + j]
                z[places[_PLACE + j], j] = pixel[_TOP + j]
        for k in range(classes):
            for j in range(n):
                page[j] = narrow(z[k, j], page[j])
            stream(grad, (b * classes + k) * size + first, page, n, past)
    arrive()
