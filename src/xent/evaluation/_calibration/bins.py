"""Into which bins probabilities are parted, and what the report calls them.

Equal width (Guo et al. 2017), equal weight (Nixon et al. 2019, Measuring calibration in deep
learning, who call it adaptive), edges that one names, or the blocks of the isotonic regression
(CORP; Dimitriadis, Gneiting and Jordan 2021), which leave nothing to choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.evaluation._calibration.estimators.corp import recalibrated
from xent.evaluation._calibration.yes_no import Numbers, YesNo

DEFAULT_BINS = 15  # bins where nothing else was said
MOST_CHOSEN_BINS = 10_000


@dataclass(frozen=True)
class Binning:
    """How rows are parted by their probabilities.

    Parameters
    ----------
    form : str
        "width", "edges", "quantile" or "corp".
    edges : tuple of float
        From 0 to 1, of the first two forms.
    """

    form: str
    edges: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """What the report calls it."""
        if self.form == "width":
            return _check.count(len(self.edges) - 1, "equal-width bin")
        if self.form == "edges":
            return "bins from " + " to ".join(f"{edge:g}" for edge in self.edges)
        if self.form == "quantile":
            return f"{DEFAULT_BINS} bins of equal weight"
        return "blocks of the isotonic regression (CORP)"

    def parted(self, rows: YesNo) -> tuple[NDArray[np.int64], Numbers, Numbers]:
        """Return the bin of each row, and where each bin that holds one begins and ends."""
        p = rows.probability
        if self.form == "width":
            # The rows ascend, but for what dividing by sums changes in a last digit.
            bins = len(self.edges) - 1
            place = np.minimum((p * bins).astype(np.int64), bins - 1)
            ends = np.arange(bins + 1) / bins
        elif self.form == "edges":
            ends = np.array(self.edges)
            place = np.clip(np.searchsorted(ends, p, side="right") - 1, 0, len(ends) - 2)
        else:
            return self._in_runs(rows)
        some, place = np.unique(place, return_inverse=True)
        return place, ends[some], ends[some + 1]

    def _in_runs(self, rows: YesNo) -> tuple[NDArray[np.int64], Numbers, Numbers]:
        """Part the rows into runs of neighbouring scores, equals never apart."""
        p = rows.probability
        if self.form == "corp":
            starts = recalibrated(rows).starts
        else:
            weight = np.add.reduceat(rows.weight, rows.starts)
            middle = (np.cumsum(weight) - weight / 2) / weight.sum()
            _, first = np.unique(
                np.minimum(middle * DEFAULT_BINS, DEFAULT_BINS - 1) // 1, return_index=True
            )
            starts = rows.starts[first]
        place = np.zeros(len(p), np.int64)
        place[starts[1:]] = 1
        last = np.append(starts[1:], len(p)) - 1
        return np.cumsum(place), p[starts], p[last]


def binning_of(bins: int | Sequence[float] | str | None) -> Binning:
    """Read what was said of bins: a number of equal width, edges, "quantile" or "corp"."""
    must = 'be a number of bins, edges that ascend from 0 to 1, "quantile" or "corp"'
    if isinstance(bins, str):
        if bins not in ("quantile", "corp"):
            raise _check.invalid("bins", must, repr(bins))
        return Binning(bins)
    if bins is None or isinstance(bins, int | np.integer):
        number = DEFAULT_BINS if bins is None else _check.integer("bins", bins, least=1)
        if number > MOST_CHOSEN_BINS:
            raise _check.invalid("bins", f"be at most {MOST_CHOSEN_BINS:,}", f"{number:,}")
        return Binning("width", tuple((np.arange(number + 1) / number).tolist()))
    try:
        edges: Any = np.asarray(bins, dtype=np.float64)
    except (TypeError, ValueError):
        raise _check.wrong_kind("bins", must, repr(bins)) from None
    if edges.ndim == 0:
        raise _check.wrong_kind("bins", must, repr(bins))
    fine = edges.ndim == 1 and 2 <= edges.size <= MOST_CHOSEN_BINS
    if not (fine and edges[0] == 0 and edges[-1] == 1 and (np.diff(edges) > 0).all()):
        raise _check.invalid("bins", must, repr(bins))
    return Binning("edges", tuple(edges.tolist()))
