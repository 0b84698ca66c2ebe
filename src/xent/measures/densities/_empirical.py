"""Densities made of data: a normal kernel at every point (gaussian_kde), and histograms.

By kernels a density is smooth, so that sums over an even grid find an integral of it to many digits
(Trefethen and Weideman 2014); the difference to every other point says to how many. A histogram, or
a uniform, is a distribution of masses over the cells between all edges: divergences are those.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xent.measures.densities._density import Density
from xent.measures.densities._quadrature import Integral, Terms
from xent.measures.rows._protocols import Codes, Numbers

REACH = 10.0  # widths from a centre beyond which a normal is below 1e-21 of itself
MAX_POINTS = 200_000
BLOCK = 16  # points of the grid whose centres are looked up together


def kernel_density(value: Any) -> Density:
    """Density of a gaussian_kde of one number."""
    order = np.argsort(value.dataset[0], kind="stable")
    centres: Numbers = np.asarray(value.dataset[0], dtype=np.float64)[order]
    weights = np.asarray(value.weights, dtype=np.float64)[order]
    centres, weights = centres[weights > 0], weights[weights > 0]
    width = math.sqrt(float(value.covariance[0, 0]))
    quartiles = np.unique(np.quantile(centres, np.linspace(0, 1, 33)))
    return Density(
        _log_density(centres, weights, width),
        lambda rng, count: value.resample(count, seed=rng)[0],
        sites=tuple((float(m), width) for m in quartiles),
        family="kernel",
        parameters=(centres, width),
    )


def _log_density(
    centres: Numbers, weights: Numbers, width: float
) -> Callable[[Numbers, float], Numbers]:
    flat = -0.5 * math.log(2 * math.pi) - math.log(width)
    # How far a centre may be behind the nearest one and still be seen in a sum of floats.
    behind = 2 * (40 + math.log(centres.size * weights.max() / weights.min()))

    def log_density(offset: Numbers, origin: float) -> Numbers:
        points = np.ravel(offset) / width
        order = np.argsort(points, kind="stable")
        at, places = points[order], (centres - origin) / width
        found = np.empty(at.size)
        right = np.searchsorted(places, at)
        nearest = np.minimum(
            np.abs(at - places[np.maximum(right - 1, 0)]),
            np.abs(at - places[np.minimum(right, places.size - 1)]),
        )
        for i in range(0, at.size, BLOCK):
            x, least = at[i : i + BLOCK], nearest[i : i + BLOCK]
            far = math.sqrt(float(least.max()) ** 2 + behind)
            first, last = np.searchsorted(places, [x[0] - far, x[-1] + far])
            z = x[:, None] - places[None, first:last]
            z *= z
            z -= (least * least)[:, None]
            z *= -0.5
            with np.errstate(under="ignore"):
                total = np.exp(z, out=z) @ weights[first:last]
            found[i : i + BLOCK] = np.log(total) - 0.5 * least * least
        whole = np.empty(at.size)
        whole[order] = found + flat
        return whole.reshape(np.shape(offset))

    return log_density


def by_grid(terms: Terms, densities: Sequence[Density]) -> Integral | None:
    """Integrate over an even grid; None where that takes too many points."""
    if any(one.family != "kernel" for one in densities):
        return None
    origin = float(np.median(densities[0].parameters[0]))
    step = min(one.parameters[1] for one in densities) / 4
    for _ in range(6):
        step /= 2
        index = _covered(densities, origin, step)
        if index is None:
            return None
        log, factor = terms(index * step, origin)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            scale = np.exp(log)
            values = np.where(scale == 0, 0.0, scale * factor)
        if not np.isfinite(values).all():
            return None
        whole = values.sum(1) * step
        coarse = values[:, index % 2 == 0].sum(1) * 2 * step
        error = np.abs(whole - coarse)
        if error.max() <= 1e-10:
            size = np.abs(values).sum(1) * step
            return Integral(whole, error + 1e-15 * size)
    return None


def _covered(densities: Sequence[Density], origin: float, step: float) -> Codes | None:
    """Return the numbers of the grid's points that lie near a centre of any density."""
    low = np.concatenate([o.parameters[0] - origin - REACH * o.parameters[1] for o in densities])
    high = np.concatenate([o.parameters[0] - origin + REACH * o.parameters[1] for o in densities])
    order = np.argsort(low, kind="stable")
    low, high = low[order], np.maximum.accumulate(high[order])
    starts = np.concatenate([[True], low[1:] > high[:-1]])
    ends = np.append(np.flatnonzero(starts)[1:] - 1, low.size - 1)
    first, last = np.floor(low[starts] / step), np.ceil(high[ends] / step)
    if (last - first + 1).sum() > MAX_POINTS:
        return None
    pieces = [np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]
    return np.unique(np.concatenate(pieces)).astype(np.int64)


def in_steps(densities: Sequence[Density]) -> bool:
    """Tell whether all are constant between edges, one of them a histogram."""
    families = {one.family for one in densities}
    return "histogram" in families and families <= {"histogram", "uniform"}


def masses(densities: Sequence[Density]) -> tuple[list[Numbers], Numbers]:
    """Return the masses of each between the edges of all, and the widths between these."""
    steps = [_edges_and_heights(one) for one in densities]
    edges = np.unique(np.concatenate([own for own, _ in steps]))
    widths = np.diff(edges)
    found = []
    for own, heights in steps:
        place = np.searchsorted(own, edges[:-1], side="right") - 1
        fine = (place >= 0) & (place < heights.size)
        found.append(np.where(fine, heights[np.where(fine, place, 0)], 0.0) * widths)
    return found, widths


def differential_entropy(density: Density) -> float:
    """H of a density in steps: Σ p log(width / p)."""
    (p,), widths = masses([density])
    some = p > 0
    p, widths = p[some] / p.sum(), widths[some]
    return math.fsum(p * (np.log(widths) - np.log(p)))


def _edges_and_heights(density: Density) -> tuple[Numbers, Numbers]:
    if density.family == "histogram":
        return density.parameters
    low, width = density.parameters
    return np.array([low, low + width]), np.array([1 / width])
