"""A small batch of short rows in one compiled call: check the targets, score the rows, add them up.

Each row takes exactly the steps of `softmax.score_row`, of the same `formula` and sums in the same
tree, so it gives the same bits; but every step is taken for a tile of rows before the next begins.
Of a row of fifty classes the steps take longer to wait for than to do.
"""

import numpy as np

from xent._compile.decorator import inner, outer
from xent._kernels.rows.formula import argmax_gradient, class_gradient, target_loss
from xent._kernels.rows.sizes import PAD, ZERO
from xent._kernels.rows.sums import compensated_sum
from xent._kernels.rows.targets import validate_classes
from xent._math.element import order_key, to_float64
from xent._math.exp import power_constants, scaled_power, splits, times_split
from xent._math.llvm import stream_copy
from xent._math.log import fast_log_ratio
from xent._math.vector import tree_sum_of

U = np.uint64
BATCH_TILE = 2048  # logits of a tile
MAX_BATCH_ROWS = 64  # of a tile at most
MAX_BATCH_CLASSES = 4 * PAD

# Where each quantity stands in one array: what stands in one array, LLVM knows to be apart.
_MARGIN, _OTHERS, _UPSTREAM, _AT_ARGMAX, _AT_TARGET, _LOG_SUM, _FACTOR, _SCALE = (
    U(MAX_BATCH_ROWS * i) for i in range(8)
)
DOUBLES = 8 * MAX_BATCH_ROWS
_EXP, _HIGH, _LOW = U(BATCH_TILE), U(2 * BATCH_TILE), U(2 * BATCH_TILE + MAX_BATCH_ROWS)
_SHIFT, _FLOOR = _HIGH, _LOW  # the constants of the exponentials are used up before
SINGLES = 2 * BATCH_TILE + 2 * MAX_BATCH_ROWS

_sum_of_1, _sum_of_2, _sum_of_3, _sum_of_4 = (tree_sum_of(blocks, PAD) for blocks in (1, 2, 3, 4))


@outer()
def class_batch(x, target, ignore_index, mean, singles, doubles, argmax, values, grad):
    """Return what the rows of x (n, C) weigh, and their loss; write ``grad`` (n, C), if not empty.

    The weight is -1 where this is not for here: a target is no class, or exponentials or gradient
    of a row take float64. ``singles``, ``doubles``, ``argmax`` and ``values`` are worked in.
    """
    count, n = x.shape
    bad, total = validate_classes(target, doubles[:0], doubles[:0], ignore_index, n, ZERO, count)
    if bad >= 0:
        return -1.0, 0.0
    upstream = 1.0 / total if mean else 1.0
    width = (n + PAD - 1) & ~(PAD - 1)
    many = min(MAX_BATCH_ROWS, BATCH_TILE // width)
    for i in range(U(many * width)):
        singles[i] = -np.inf
    for first in range(0, count, many):
        rows = min(many, count - first)
        for r in range(rows):
            stream_copy(singles, r * width, x[first + r], n, False)
        for r in range(rows):
            argmax[r] = _argmax(singles, U(r * width), width)
        if not _exponentials(rows, width, singles, doubles, argmax):
            return -1.0, 0.0
        _read_targets(rows, width, target, first, ignore_index, upstream, singles, doubles, argmax)
        _score(rows, singles, doubles)
        for r in range(rows):
            if not splits(doubles[_FACTOR + U(r)]):
                return -1.0, 0.0
            value = target_loss(1.0, doubles[_MARGIN + U(r)], doubles[_LOG_SUM + U(r)])
            values[first + r] = value if target[first + r] != ignore_index else 0.0
        if grad.shape[0]:
            _gradient(rows, width, target, first, ignore_index, singles, doubles, argmax)
            for r in range(rows):
                stream_copy(grad, (first + r) * n, singles[BATCH_TILE + r * width :], n, False)
    return total, compensated_sum(values) * upstream


@inner()
def _argmax(z, start, width):
    """Index of the first largest of ``z[start : start + width]`` (of a NaN, where there is one)."""
    best = np.int32(order_key(z[start]))
    for i in range(U(width)):
        best = max(best, np.int32(order_key(z[start + i])))
    found = np.int32(width)
    for i in range(np.uint32(width)):
        here = np.int32(i) if np.int32(order_key(z[start + U(i)])) == best else np.int32(width)
        found = min(found, here)
    return np.int64(found)


@inner()
def _exponentials(rows, width, singles, doubles, argmax):
    """Write exponentials and their sums; return whether float32 can hold those of all rows."""
    for r in range(rows):
        doubles[_MARGIN + U(r)] = to_float64(singles[U(r * width) + U(argmax[r])])
    out_of_range = 0
    high = low = np.float32(0.0)
    for r in range(U(rows)):
        in_range, scale, shift, floor, high, low = power_constants(doubles[_MARGIN + r], 1.0)
        out_of_range += 0 if in_range else 1
        doubles[_SCALE + r] = scale
        singles[_SHIFT + r], singles[_FLOOR + r] = shift, floor
    if out_of_range:
        return False
    for r in range(rows):
        start, shift, floor = U(r * width), singles[_SHIFT + U(r)], singles[_FLOOR + U(r)]
        for i in range(U(width)):
            singles[_EXP + start + i] = scaled_power(singles[start + i], shift, floor, high, low)
    for r in range(rows):
        singles[_EXP + U(r * width + argmax[r])] = 0.0
    for r in range(rows):
        doubles[_OTHERS + U(r)] = _tree_sum(singles, BATCH_TILE + r * width, width)
    return True


@inner()
def _tree_sum(e, start, width):
    """Return the sum of a row, as long as it is padded."""
    if width <= PAD:
        return _sum_of_1(e, start)
    if width <= 2 * PAD:
        return _sum_of_2(e, start)
    return _sum_of_3(e, start) if width <= 3 * PAD else _sum_of_4(e, start)


@inner()
def _read_targets(rows, width, target, first, ignore_index, upstream, singles, doubles, argmax):
    """Write what each row's target has; where it is ignored, what the largest logit has."""
    for r in range(rows):
        start, k, y = U(r * width), U(argmax[r]), target[first + r]
        row_max, counted = to_float64(singles[start + k]), y != ignore_index
        label = U(y) if counted else k
        singles[_EXP + start + k] = doubles[_SCALE + U(r)]
        doubles[_MARGIN + U(r)] = row_max - to_float64(singles[start + label])
        doubles[_UPSTREAM + U(r)] = upstream if counted else 0.0
        doubles[_AT_ARGMAX + U(r)] = upstream if counted and label == k else 0.0
        doubles[_AT_TARGET + U(r)] = to_float64(singles[_EXP + start + label])


@inner()
def _score(rows, singles, doubles):
    """Write the losses' logarithms, and the gradient's factors and exceptions."""
    for r in range(U(rows)):
        others, upstream, scale = doubles[_OTHERS + r], doubles[_UPSTREAM + r], doubles[_SCALE + r]
        total = scale + others
        part = 1.0 / total
        factor = upstream * part
        doubles[_LOG_SUM + r] = fast_log_ratio(total, others, scale)
        doubles[_FACTOR + r] = factor
        singles[_HIGH + r] = np.float32(factor)
        singles[_LOW + r] = np.float32(factor - np.float32(factor))
        at_argmax = argmax_gradient(upstream, doubles[_AT_ARGMAX + r], scale * part, others * part)
        doubles[_AT_ARGMAX + r] = at_argmax
        doubles[_AT_TARGET + r] = class_gradient(upstream, upstream, doubles[_AT_TARGET + r] * part)


@inner()
def _gradient(rows, width, target, first, ignore_index, singles, doubles, argmax):
    """Overwrite the exponentials by the gradient."""
    for r in range(rows):
        start, high, low = U(r * width), singles[_HIGH + U(r)], singles[_LOW + U(r)]
        for i in range(U(width)):
            e = singles[_EXP + start + i]
            singles[_EXP + start + i] = times_split(e, high, low, np.float32(-0.0))
    for r in range(rows):
        start, y = _EXP + U(r * width), target[first + r]
        if y != ignore_index:
            singles[start + U(y)] = doubles[_AT_TARGET + U(r)]
        singles[start + U(argmax[r])] = doubles[_AT_ARGMAX + U(r)]
