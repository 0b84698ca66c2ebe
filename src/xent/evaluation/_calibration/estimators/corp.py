"""Miscalibration, discrimination and uncertainty by the best monotone recalibration (CORP).

Dimitriadis, Gneiting and Jordan (2021), Stable reliability diagrams for probabilistic classifiers,
PNAS 118. The pool-adjacent-violators algorithm (PAV) is SciPy's; rows of equal scores are pooled
first, as the isotonic regression of a score must give equals one value.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent.evaluation._calibration.yes_no import Numbers, YesNo, dot


@dataclass(frozen=True)
class LevelBlocks:
    """The isotonic regression of yes on the score: a value for each block of scores.

    Parameters
    ----------
    starts : ndarray of int64, shape (B,)
        The first row of each block.
    weight, yes : ndarray of float64, shape (B,)
        Sum of the weights of all its rows, and of those that are yes.
    """

    starts: NDArray[np.int64]
    weight: Numbers
    yes: Numbers

    @property
    def value(self) -> Numbers:
        """The share of yes, ascending from block to block."""
        return self.yes / self.weight


def recalibrated(rows: YesNo) -> LevelBlocks:
    """Return the isotonic regression of the truth on the score."""
    from scipy.optimize import isotonic_regression

    weight = np.add.reduceat(rows.weight, rows.starts)
    yes = rows.summed(rows.yes.astype(np.float64))
    # What SciPy returns is a share; the sums are taken again, so that no rounding adds up.
    first = isotonic_regression(yes / weight, weights=weight).blocks[:-1]
    return LevelBlocks(
        rows.starts[first],
        np.add.reduceat(rows.weight, rows.starts[first]),
        np.add.reduceat(rows.weight * rows.yes, rows.starts[first]),
    )


def decomposed(
    rows: YesNo, blocks: LevelBlocks, unit: float, means: Mapping[str, float] | None = None
) -> dict[str, dict[str, float]]:
    """Return the CORP decomposition of the Brier score of yes and of the logarithmic score.

    Parameters
    ----------
    rows : YesNo
        The rows.
    blocks : LevelBlocks
        Their isotonic regression.
    unit : float
        Natural logarithm of the base that costs are counted in.
    means : mapping, optional
        The mean scores by their names, where they are known more exactly than from these rows.

    Returns
    -------
    dict
        For ``brier`` and ``log`` the ``mean`` score, which is ``miscalibration`` -
        ``discrimination`` + ``uncertainty``. The Brier score is that of P(yes), (p - y)², from
        0 to 1. Where the truth was given 0 the logarithmic mean and miscalibration are infinite.
    """
    gap = np.where(rows.yes, -np.expm1(rows.log_yes), rows.probability)
    share, total = blocks.value, rows.total
    base = float(blocks.yes.sum() / blocks.weight.sum())
    # The rows are in an order of their own, so plain sums are the same for every order given.
    if means is None:
        means = {
            "brier": dot(rows.weight, np.square(gap)) / total,
            "log": dot(rows.weight, rows.cost) / total / unit,
        }
    return {
        "brier": _parts(
            means["brier"], dot(blocks.weight, share * (1 - share)) / total, base * (1 - base)
        ),
        "log": _parts(
            means["log"],
            dot(blocks.weight, entropy(share)) / total / unit,
            float(entropy(np.array(base))) / unit,
        ),
    }


def entropy(share: Numbers) -> Numbers:
    """Return the entropy of a coin, in nats."""
    from scipy.special import entr

    found: Numbers = entr(share) + entr(1 - share)
    return found


def _parts(mean: float, refined: float, uncertainty: float) -> dict[str, float]:
    return {
        "mean": mean,
        "miscalibration": mean - refined,
        "discrimination": uncertainty - refined,
        "uncertainty": uncertainty,
    }
