"""A million rows with columns of names of up to 1,000 levels; four minutes, so a bench of its own.

The same table as the 50,000 rows of `bench.trees`, which make a line there.
"""

import os

from bench.ratio import machine
from bench.trees import categories


def run() -> str:
    """Fit ours, exact and by histogram, and scikit-learn's on sparse one-hot columns."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return f"{categories(1_000_000)}\n\n{machine('numba', 'scikit-learn', 'pandas')}"
