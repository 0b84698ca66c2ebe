"""Cross-entropy of a few classes that lie far apart in memory, as in segmentation: [B, C, P].

The pixels of a tile go through SIMD side by side, class after class. Each pixel takes exactly the
steps of `_softmax.one_row`, sums in the same tree included, so layouts give the same bits.
"""

import numpy as np

from xent._kernels._float import (
    LANES,
    LIFT,
    exp_below,
    key,
    log1p,
    narrow,
    outer,
    single_exp,
    wide,
)

U = np.uint64
TILE = 256


@outer()
def class_planes(
    x, target, weight, scale, ignore, inverse, zeta, g, e, sums, pixel, place,
    values, grad, start, stop,
):  # fmt: skip
    """Tiles of pixels whose target is one class; e, sums, pixel and place are room to work in."""
    classes, size = x.shape[1], x.shape[2]
    tiles = -(-size // TILE)
    top, log, total, c = pixel[0], pixel[1], pixel[2], pixel[3]
    for unit in range(start, stop):
        b, first = unit // tiles, unit % tiles * TILE
        a, n = U(first), U(min(TILE, size - first))
        for j in range(n):
            top[j] = wide(x[b, 0, a + j])
            place[j] = 0
        for k in range(1, classes):
            for j in range(n):
                higher = key(x[b, k, a + j]) > key(narrow(top[j], x[b, k, a + j]))
                top[j] = wide(x[b, k, a + j]) if higher else top[j]
                place[j] = k if higher else place[j]
        for k in range(classes):
            if x.itemsize < 8 and inverse == 1.0:
                for j in range(n):
                    e[k, j] = single_exp(np.float32(wide(x[b, k, a + j])), np.float32(top[j]))
            else:
                for j in range(n):
                    e[k, j] = exp_below(x[b, k, a + j], top[j], inverse)
            for j in range(n):
                v = wide(e[k, j])
                alone = place[j] == k
                sums[k, j] = 0.0 if alone else v
                e[k, j] = LIFT if alone else v
        width, half = classes, LANES // 2
        while half >= 1:
            if width > half:
                for k in range(width - half):
                    for j in range(n):
                        sums[k, j] += sums[k + half, j]
                width = half
            half //= 2
        others = sums[0]
        for j in range(n):
            others[j] = others[j] if top[j] > -np.inf else np.nan
            total[j] = LIFT + others[j]
            log[j] = log1p(others[j] / LIFT)
        for j in range(n):
            r = U(b * size) + a + j
            y = target[r]
            f = scale[r] if scale.shape[0] else 1.0
            hit = 1.0
            if y == ignore:
                f = 0.0
            elif weight.shape[0]:
                hit = weight[y]
            if hit == 0.0 or f == 0.0:
                values[r] = c[j] = 0.0
                continue
            lse = top[j] * inverse + log[j]
            gap = (top[j] - wide(x[b, y, a + j])) * inverse if y != place[j] else 0.0
            value = hit * (gap + log[j])
            p = g * f * hit
            if zeta != 0.0:
                value += zeta * hit * lse * lse
                p = g * f * (hit + 2.0 * zeta * hit * lse)
            values[r] = f * value
            c[j] = p * inverse / total[j]
        if grad.shape[0] == 0:
            continue
        for k in range(classes):
            for j in range(n):
                # A pixel that counts for nothing may hold NaN.
                slope = e[k, j] * c[j] if c[j] != 0.0 else 0.0
                grad[b, k, a + j] = narrow(slope, grad[b, k, a + j])
        for j in range(n):
            r = U(b * size) + a + j
            y = target[r]
            f = scale[r] if scale.shape[0] else 1.0
            hit = 1.0
            if y == ignore:
                f = 0.0
            elif weight.shape[0]:
                hit = weight[y]
            if hit == 0.0 or f == 0.0:
                continue
            push = g * f
            lse = top[j] * inverse + log[j]
            p = push * (hit + 2.0 * zeta * hit * lse) if zeta != 0.0 else push * hit
            k = place[j]
            at_k = push * hit if y == k else 0.0
            at = (p - at_k) * (LIFT / total[j]) - at_k * (others[j] / total[j])
            grad[b, k, a + j] = narrow(at * inverse, grad[b, k, a + j])
            if y != k:
                at = wide(e[y, j]) / total[j] * p - push * hit
                grad[b, y, a + j] = narrow(at * inverse, grad[b, y, a + j])
