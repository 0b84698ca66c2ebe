"""Densities that are constant between edges: histograms and uniforms, measured exactly.

Over the cells between all edges they are distributions of masses, of which every divergence is that
of the densities.
"""

import math
from collections.abc import Sequence

import numpy as np

from xent.measures.densities._density import Density
from xent.measures.rows._protocols import Numbers


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
