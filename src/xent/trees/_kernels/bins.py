"""Bins of numbers: the code of every value, and the thresholds between codes."""

import numpy as np

from xent._compile.decorator import kernel

MAX_BINS = 256


@kernel()
def encode(column, ends, levels, out, low, high):
    """Write each value's bin, the first whose end is not below it; widen the bins' extremes."""
    # Padded, so that eight halvings find the place without a jump.
    padded = np.empty(MAX_BINS)
    for c in range(MAX_BINS):
        padded[c] = ends[c] if c < levels else np.inf
    for i in range(column.size):
        x = column[i] + 0.0
        if x != x:
            out[i] = levels
            continue
        at = 0
        for step in (128, 64, 32, 16, 8, 4, 2, 1):
            at += step if padded[at + step - 1] < x else 0
        if at >= levels:
            # Only of a table that changed after its bins were made.
            out[i] = levels
            continue
        out[i] = at
        if x < low[at]:
            low[at] = x
        if x > high[at]:
            high[at] = x


@kernel()
def thresholds(scale, start, split, above, out):
    """Part codes ``split`` and ``above`` in the middle, but never within the range of another."""
    for i in range(split.size):
        at = start[i]
        low, high = scale[at + split[i], 1], scale[at + above[i], 0]
        middle = low / 2 + high / 2
        for c in range(at + split[i] + 1, at + above[i]):
            if scale[c, 0] <= middle < scale[c, 1]:
                low, high = scale[c - 1, 1], scale[c, 0]
                middle = low / 2 + high / 2
                break
        out[i] = middle if low <= middle < high else low
