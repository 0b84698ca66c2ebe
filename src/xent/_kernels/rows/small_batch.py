"""A small batch of short rows in one compiled call: check the targets, score the rows, add them up.

Each row takes exactly the steps of `_softmax.one_row`, sums in the same tree included, so it gives
the same bits; but every step is taken for a tile of rows before the next begins. Of a row of fifty
classes the steps take longer to wait for than to do.
"""

import numpy as np

from xent._compile.decorator import inner, outer
from xent._kernels.rows.sizes import PAD
from xent._kernels.rows.softmax import add_up, look_at_targets
from xent._math.element import order_key, to_float64
from xent._math.exp import power_constants, scaled_power, splits, times_split
from xent._math.llvm import stream_copy
from xent._math.log import fast_log_ratio
from xent._math.vector import tree_sum_of

U = np.uint64
TILE = 2048  # logits of a tile
ROWS = 64  # of a tile at most
WIDEST = 4 * PAD  # classes

# Where each quantity stands in one array: what stands in one array, LLVM knows to be apart.
_GAP, _OTHERS, _PUSH, _AT_TOP, _OWN, _LOG, _C, _LIFT = (U(ROWS * i) for i in range(8))
DOUBLES = 8 * ROWS
_E, _HIGH, _LOW = U(TILE), U(2 * TILE), U(2 * TILE + ROWS)
_SHIFT, _FLOOR = _HIGH, _LOW  # the constants of the exponentials are used up before
SINGLES = 2 * TILE + 2 * ROWS


_sum_of_1, _sum_of_2, _sum_of_3, _sum_of_4 = (tree_sum_of(blocks, PAD) for blocks in (1, 2, 3, 4))


@inner()
def sum_of_row(e, start, width):
    """Sum of a row, as long as it is padded."""
    if width <= PAD:
        return _sum_of_1(e, start)
    if width <= 2 * PAD:
        return _sum_of_2(e, start)
    return _sum_of_3(e, start) if width <= 3 * PAD else _sum_of_4(e, start)


@inner()
def place_of_peak(z, start, width):
    """Index of the first largest of ``z[start : start + width]`` (of a NaN, where there is one)."""
    best = np.int32(order_key(z[start]))
    for i in range(U(width)):
        best = max(best, np.int32(order_key(z[start + i])))
    found = np.int32(width)
    for i in range(np.uint32(width)):
        here = np.int32(i) if np.int32(order_key(z[start + U(i)])) == best else np.int32(width)
        found = min(found, here)
    return np.int64(found)


@outer()
def class_batch(x, target, ignore, mean, singles, doubles, places, values, grad):
    """Write the gradient; return what the rows weigh, and the loss.

    The weight is -1 where this is not for here: a target is no class, or exponentials or gradient
    of a row take float64. singles, doubles, places and values are room to work in.
    """
    count, n = x.shape
    bad, total = look_at_targets(target, doubles[:0], doubles[:0], ignore, n)
    if bad >= 0:
        return -1.0, 0.0
    g = 1.0 / total if mean and total != 0.0 else 1.0
    width = (n + PAD - 1) & ~(PAD - 1)
    many = min(ROWS, TILE // width)
    for i in range(U(many * width)):
        singles[i] = -np.inf
    for first in range(0, count, many):
        rows = min(many, count - first)
        for r in range(rows):
            stream_copy(singles, r * width, x[first + r], n, False)
        for r in range(rows):
            places[r] = place_of_peak(singles, U(r * width), width)
        for r in range(rows):
            doubles[_GAP + U(r)] = to_float64(singles[U(r * width) + U(places[r])])
        wild = 0
        for r in range(U(rows)):
            tame, lift, shift, floor, high, low = power_constants(doubles[_GAP + r], 1.0)
            wild += 0 if tame else 1
            doubles[_LIFT + r] = lift
            singles[_SHIFT + r], singles[_FLOOR + r] = shift, floor
        if wild:
            return -1.0, 0.0
        for r in range(rows):
            start, shift, floor = U(r * width), singles[_SHIFT + U(r)], singles[_FLOOR + U(r)]
            for i in range(U(width)):
                singles[_E + start + i] = scaled_power(singles[start + i], shift, floor, high, low)
        for r in range(rows):
            singles[_E + U(r * width + places[r])] = 0.0
        for r in range(rows):
            doubles[_OTHERS + U(r)] = sum_of_row(singles, TILE + r * width, width)
        for r in range(rows):
            start, k, y = U(r * width), U(places[r]), target[first + r]
            top, kept = to_float64(singles[start + k]), y != ignore
            own = U(y) if kept else k
            singles[_E + start + k] = doubles[_LIFT + U(r)]
            doubles[_GAP + U(r)] = top - to_float64(singles[start + own]) if own != k else 0.0
            doubles[_PUSH + U(r)] = g if kept else 0.0
            doubles[_AT_TOP + U(r)] = g if kept and own == k else 0.0
            doubles[_OWN + U(r)] = to_float64(singles[_E + start + own])
        for r in range(U(rows)):
            others, push, at_k = doubles[_OTHERS + r], doubles[_PUSH + r], doubles[_AT_TOP + r]
            lift = doubles[_LIFT + r]
            sum_of_e = lift + others
            part = 1.0 / sum_of_e
            c = push * part
            doubles[_LOG + r] = fast_log_ratio(sum_of_e, others, lift)
            doubles[_C + r] = c
            singles[_HIGH + r] = np.float32(c)
            singles[_LOW + r] = np.float32(c - np.float32(c))
            doubles[_AT_TOP + r] = (push - at_k) * (lift * part) - at_k * (others * part)
            doubles[_OWN + r] = doubles[_OWN + r] * part * push - push
        for r in range(rows):
            if not splits(doubles[_C + U(r)]):
                return -1.0, 0.0
            kept = target[first + r] != ignore
            values[first + r] = doubles[_GAP + U(r)] + doubles[_LOG + U(r)] if kept else 0.0
        if grad.shape[0] == 0:
            continue
        for r in range(rows):
            start, high, low = U(r * width), singles[_HIGH + U(r)], singles[_LOW + U(r)]
            for i in range(U(width)):
                e = singles[_E + start + i]
                singles[_E + start + i] = times_split(e, high, low, np.float32(-0.0))
        for r in range(rows):
            start, y = _E + U(r * width), target[first + r]
            if y != ignore:
                singles[start + U(y)] = doubles[_OWN + U(r)]
            singles[start + U(places[r])] = doubles[_AT_TOP + U(r)]
        for r in range(rows):
            stream_copy(grad, (first + r) * n, singles[TILE + r * width :], n, False)
    return total, add_up(values) * g
