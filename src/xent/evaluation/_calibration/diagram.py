"""The reliability diagram of CORP: the isotonic curve, and the band in which it lies by chance.

Dimitriadis, Gneiting and Jordan (2021). The band holds 95 % of the curves that rows would draw if
every probability were true, drawn at random for up to `MOST_GROUPS` groups of neighbouring scores.
"""

from typing import Any

import numpy as np

from xent.evaluation._calibration.estimators.corp import LevelBlocks
from xent.evaluation._calibration.estimators.expected import effective
from xent.evaluation._calibration.estimators.interval import CONFIDENCE
from xent.evaluation._calibration.yes_no import YesNo

MOST_GROUPS = 100
BAND_DRAWS = 200


def curve(rows: YesNo, blocks: LevelBlocks) -> dict[str, list[dict[str, float]]]:
    """Return the curve and the band.

    Parameters
    ----------
    rows : YesNo
        The rows.
    blocks : LevelBlocks
        Their isotonic regression.

    Returns
    -------
    dict
        ``blocks``, each with the probabilities from ``low`` to ``high`` that it takes in, the share
        of yes ``seen``, and ``rows``; ``band``, at what was ``said`` from ``low`` to ``high``.
    """
    return {"blocks": steps(rows, blocks), "band": _band(rows)}


def steps(rows: YesNo, blocks: LevelBlocks) -> list[dict[str, float]]:
    """Return the curve alone, block by block."""
    p = np.minimum(rows.probability, 1.0)
    last = np.append(blocks.starts[1:], len(p)) - 1
    weights = blocks.weight.tolist()
    return [
        {"low": low, "high": high, "seen": seen, "rows": round(n) if rows.whole else n}
        for low, high, seen, n in zip(
            p[blocks.starts].tolist(), p[last].tolist(), blocks.value.tolist(), weights,
            strict=True,
        )
    ]  # fmt: skip


def _band(rows: YesNo) -> list[dict[str, Any]]:
    from scipy.optimize import isotonic_regression

    step = max(1, -(-len(rows.starts) // MOST_GROUPS))
    starts = rows.starts[::step]
    weight = np.add.reduceat(rows.weight, starts)
    said = np.add.reduceat(rows.weight * rows.probability, starts) / weight
    said = np.clip(said, 0.0, 1.0)
    told = effective(weight, np.add.reduceat(rows.squares, starts))
    count = np.clip(np.nan_to_num(np.rint(told)), 1.0, 2.0**62)
    # The same rows draw the same band, whoever asks and however often.
    chance = np.random.default_rng(0)
    drawn = chance.binomial(count.astype(np.int64), said, (BAND_DRAWS, len(said))) / count
    curves = [isotonic_regression(line, weights=weight).x for line in drawn]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(curves, [tail, 1 - tail], axis=0)
    return [
        {"said": s, "low": a, "high": b}
        for s, a, b in zip(said.tolist(), low.tolist(), high.tolist(), strict=True)
    ]
