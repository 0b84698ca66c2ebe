"""A mean with its interval, and the screen, the dictionary and the cell of the other reports."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._lang import say
from xent.evaluation._calibration.estimators.interval import CONFIDENCE
from xent.evaluation._compare._paired import Pieces, student
from xent.evaluation._numbers import plain, unit_of

Numbers = NDArray[np.float64]

HARDEST = 20


def mean_of(total: Numbers, size: Numbers) -> tuple[float, float, float]:
    """Return Σ total / Σ size and its interval, Student's over the groups that they are sums of.

    Infinite where a total is; no interval where there is one group.
    """
    if np.isinf(total).any():
        return math.inf, math.inf, math.inf
    found = student(Pieces(total, size, np.empty(0, np.uint64)), CONFIDENCE)
    low = max(0.0, found.low) if (total >= 0).all() and found.low < 0 else found.low
    return found.mean, low, found.high


class KindReport:
    """What the reports of other kinds share: their unit, a dictionary, a cell in a notebook."""

    base: float

    @property
    def unit(self) -> str:
        """What the costs are counted in."""
        return unit_of(self.base)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain lists, numbers and strings, ready for JSON.

        Returns
        -------
        dict
            Keys as the attributes. NaN and infinities, which JSON cannot say, become None and the
            string ``"inf"``.
        """
        return plain({**asdict(self), "unit": self.unit})  # type: ignore[call-overload,no-any-return]

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def reach(low: float, high: float) -> str:
    """Write an interval.

    >>> reach(0.5, 0.75), reach(float("nan"), 1.0)
    ('0.5000 to 0.7500', '-')
    """
    if math.isnan(low) or math.isinf(low):
        return "-"
    return say("{low:.4f} to {high:.4f}", low=low, high=high)


def worst(cost: Numbers, most: int = HARDEST) -> list[int]:
    """Return the places of the largest numbers, the largest first, the first of equals first."""
    order = np.argsort(-cost, kind="stable")[:most]
    return [int(i) for i in order]


def signature(kind: str, base: float, parts: Sequence[str], digest: str) -> str:
    """Write the line by which another person can tell that they evaluated the same thing alike."""
    import platform
    from importlib.metadata import version

    settings = [f"xent {version('xent')}", kind, f"base {base:g}", *parts]
    versions = [f"numpy {np.__version__}", f"python {platform.python_version()}"]
    return " | ".join([*settings, f"data sha256:{digest[:16]}", *versions])
