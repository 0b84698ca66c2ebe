"""How a row is cut: sizes that the order of its sums rests on; and whole numbers without a value.

A literal 0 or -1 is a type of its own to Numba: whatever takes it is compiled once more.
"""

from typing import Any

import numpy as np

ACCUMULATORS = 256
COLUMN_BLOCK = 4 * ACCUMULATORS  # classes that are read at once
PAD = 64  # buffers of a row are that much longer at most: up to the next whole vector
ZERO: Any = np.int64(0)
NONE: Any = np.int64(-1)  # no class, no row
