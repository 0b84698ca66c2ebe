"""The gradient of one row of logits: constants of the row, and the loop over its classes.

The loop of a row is run in pieces, so that it may be run beside the exponentials of the next row:
stores that go past the caches then have time to reach the memory.
"""

from typing import NamedTuple

import numpy as np

from xent._compile.decorator import inner, step
from xent._kernels.rows.sizes import PAD
from xent._math.element import from_float64, to_float32, to_float64
from xent._math.exp import splits, times_split
from xent._math.llvm import stream_copy
from xent._math.log import quotient

U = np.uint64


class Todo(NamedTuple):
    """[c e_i - d share_i - each] / T of row ``row``, and what classes k and y have instead.

    No row where ``row`` is -1, no class where y is. In float32 where ``single`` holds.
    """

    row: int
    k: int
    y: int
    c: float
    d: float
    each: float
    of_top: float
    of_y: float
    single: bool


@inner()
def nothing_to_do():
    """Return what tells that no row is to do."""
    return Todo(-1, -1, -1, 0.0, 0.0, 0.0, 0.0, 0.0, False)


@inner()
def gradient_of_row(
    x, r, y, k, others, lift, gap, l_less_entropy, inverse, p, at_y, spread, share, flat, h, e
):
    """[p p_c - spread a_c - (at_y where c = y) + h p_c (gap_c + l - H)] / T, still to be written.

    Where h is not 0, e becomes what c is to be multiplied by.
    """
    u = U(r)
    total = lift + others
    top = to_float64(x[r, k])
    c = quotient(x, p * inverse, total)
    each = spread * flat * inverse
    d = spread * inverse
    e_y = to_float64(e[y]) if y >= 0 else 0.0
    if h != 0.0:
        for i in range(U(x.shape[1])):
            # x may be the gradient too, so all of x is read before any of it is written
            around = (top - to_float64(x[u, i])) * inverse + l_less_entropy
            e[i] = e[i] * (c + h * inverse / total * around) if e[i] != 0.0 else 0.0
        c = 1.0
    # p_k - 1 = -S / (1 + S): what belongs to the largest class is never a difference.
    at_k = spread * (to_float64(share[k]) if share.shape[0] else flat) + (at_y if y == k else 0.0)
    one = quotient(x, lift, total)
    of_top = (p - at_k) * one - at_k * quotient(x, others, total)
    if h != 0.0:
        of_top += h * one * l_less_entropy
    of_y = 0.0
    if y >= 0 and y != k:
        part = quotient(x, e_y, total)
        of_y = part * p - at_y - spread * (to_float64(share[y]) if share.shape[0] else flat)
        if h != 0.0 and part != 0.0:
            of_y += h * part * (gap + l_less_entropy)
    single = e.itemsize == 4 and splits(c) and splits(d) and splits(each)
    y = -1 if y == k else y
    return Todo(r, k, y, c, d, each, of_top * inverse, of_y * inverse, single)


@step()
def write_some(todo, e, share, page, slope, grad, past, a, b):
    """Write the gradient of classes a to b, times their slopes where there are any."""
    start, stop = U(a), U(b)
    if todo.single:
        # In float32 too the product is exact but for its last rounding: c is c1 + c0.
        c1 = np.float32(todo.c)
        c0, d1 = np.float32(todo.c - np.float64(c1)), np.float32(todo.d)
        if share.shape[0]:
            for i in range(start, stop):
                less = -to_float32(share[i]) * d1
                page[i - start] = from_float64(times_split(e[i], c1, c0, less), page[i - start])
        else:
            less = -np.float32(todo.each)
            for i in range(start, U(b + (a - b) % PAD)):
                page[i - start] = from_float64(times_split(e[i], c1, c0, less), page[i - start])
    elif share.shape[0]:
        for i in range(start, stop):
            page[i - start] = from_float64(
                e[i] * todo.c - to_float64(share[i]) * todo.d, page[i - start]
            )
    else:
        for i in range(start, stop):
            page[i - start] = from_float64(e[i] * todo.c - todo.each, page[i - start])
    if a <= todo.k < b:
        page[todo.k - a] = from_float64(todo.of_top, page[0])
    if a <= todo.y < b:
        page[todo.y - a] = from_float64(todo.of_y, page[0])
    if slope.shape[0]:
        for i in range(start, stop):
            page[i - start] = from_float64(
                to_float64(page[i - start]) * slope[U(todo.row), i], page[i - start]
            )
    stream_copy(grad, todo.row * grad.shape[1] + a, page, b - a, past)
