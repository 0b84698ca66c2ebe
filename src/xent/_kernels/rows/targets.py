"""What is asked of targets: that each is a class, or a distribution, and what they weigh."""

import numpy as np

from xent._compile.decorator import inner, outer
from xent._math.element import to_float64

U = np.uint64


@outer()
def validate_classes(target, weight, row_weights, ignore_index, classes, start, stop):
    """Return the first target from start to stop that is no class (or -1), and the rows' weight.

    ``weight`` (of each class) and ``row_weights`` may be empty.
    """
    total, counted, wrong = 0.0, np.int64(0), np.int64(0)
    for r in range(U(start), U(stop)):
        y = target[r]
        kept = y != ignore_index
        counted += np.int64(1) if kept else np.int64(0)
        wrong += np.int64(1) if kept and U(y) >= U(classes) else np.int64(0)
    if wrong > 0:
        for r in range(start, stop):
            y = target[r]
            if y != ignore_index and (y < 0 or y >= classes):
                return r, total
    if weight.shape[0] == 0 and row_weights.shape[0] == 0:
        return -1, np.float64(counted)
    for r in range(start, stop):
        y = target[r]
        if y != ignore_index:
            row_weight = row_weights[r] if row_weights.shape[0] else 1.0
            total += (weight[y] if weight.shape[0] else 1.0) * row_weight
    return -1, total


@inner()
def is_distribution(target, r, mass, signs, tolerance):
    """Say whether row r, of this sum and these signs, is one."""
    if signs < 0:  # or a zero has a sign
        for i in range(U(target.shape[1])):
            if to_float64(target[U(r), i]) < 0.0:
                return False
    return abs(mass - 1.0) <= tolerance
