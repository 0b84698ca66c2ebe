"""The calibration error without bins: residuals smoothed by a Gaussian, reflected at 0 and 1.

Blasiok and Nakkiran (2024), Smooth ECE: principled reliability diagrams via kernel smoothing, ICLR.
The error at width s is the integral of |smoothed residual|; the one reported is at the width that
it equals. A reflected Gaussian only damps the cosines that the residuals are made of.
"""

import numpy as np

from xent.evaluation._calibration.yes_no import YesNo

GRID_CELLS = 1 << 14  # of the grid on which the integral is taken


def smooth_error(rows: YesNo) -> float:
    """Return the smooth calibration error of yes, from 0 to 1."""
    from scipy.fft import dct, idct
    from scipy.optimize import brentq

    p, residual = rows.probability, rows.weight * (rows.yes - rows.probability) / rows.total
    # Each row is shared between the centres of the two cells that it lies between.
    at = p * GRID_CELLS - 0.5
    left = np.floor(at)
    part = at - left
    cell = left.astype(np.int64)
    grid = np.bincount(np.clip(cell, 0, GRID_CELLS - 1), residual * (1 - part), GRID_CELLS)
    grid += np.bincount(np.clip(cell + 1, 0, GRID_CELLS - 1), residual * part, GRID_CELLS)
    waves = dct(grid, norm="ortho")
    frequency = np.pi * np.arange(GRID_CELLS)

    def error(width: float) -> float:
        smoothed = idct(waves * np.exp(-((frequency * width) ** 2) / 2), norm="ortho")
        return float(np.abs(smoothed).sum())

    if not grid.any() or error(1.0) >= 1:
        return float(grid.any())  # no mistake at all, or every row a certain one
    # The error falls as the width grows: they meet once.
    return float(brentq(lambda width: error(width) - width, 0.0, 1.0, xtol=1e-12))
