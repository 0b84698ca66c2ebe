"""A distribution of SciPy or PyTorch in one form: its density, its family, its support.

Everything is float64 whatever the precision of the parameters. A density is computed at an origin
plus an offset, so that a peak of width 1e-12 at a million is found as well as one at zero.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xent.measures.rows._protocols import Booleans, Numbers
from xent.measures.rows._typed_arrays import Counts, Logits


@dataclass(frozen=True)
class Density:
    """One distribution, continuous or discrete.

    The support lies between ``low`` and ``high``, and reaches both where ``tight``. ``sites`` are
    the places (centre, width) around which an integral is cut finely; ``ends`` the edges of the
    support, where a density may jump or be infinite. ``parts`` are the components of a mixture
    or, for the family "product", the independent coordinates.
    """

    log_density: Callable[[Numbers, float], Numbers]
    draw: Callable[[np.random.Generator, int], Numbers]
    discrete: bool = False
    shape: tuple[int, ...] = ()
    family: str = ""
    parameters: tuple[Any, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    sites: tuple[tuple[float, float], ...] = ()
    parts: tuple["Density", ...] = ()
    weights: tuple[float, ...] = ()
    ends: tuple[float, ...] = ()
    tight: bool = True
    surface: str = ""  # where the density lives, if not on all numbers

    def inside(self, offset: Numbers, origin: float) -> Booleans:
        """Tell which points the support holds."""
        if self.family == "histogram":
            edges, heights = self.parameters
            place = np.searchsorted(edges - origin, offset, side="right") - 1
            held = np.append(heights, 0.0)[np.clip(place, -1, heights.size)] > 0
            return np.asarray(held & (place >= 0))
        if self.parts and self.family != "product":
            parts = [part.inside(offset, origin) for part in self.parts]
            return np.asarray(np.logical_or.reduce(parts))
        return np.asarray((offset >= self.low - origin) & (offset <= self.high - origin))


def mixture(parts: list[Density], weights: Sequence[float]) -> Density:
    """Density of a mixture."""
    pairs = [(float(w), part) for w, part in zip(weights, parts, strict=True) if w > 0]
    total = math.fsum(w for w, _ in pairs)
    weights, parts = [w / total for w, _ in pairs], [part for _, part in pairs]
    logs = np.log(weights)

    def log_density(points: Numbers, origin: float) -> Numbers:
        each = [part.log_density(points, origin) + w for w, part in zip(logs, parts, strict=True)]
        return log_sum(np.stack(each, -1))

    def draw(rng: np.random.Generator, count: int) -> Numbers:
        which = rng.multinomial(count, weights)
        drawn = [part.draw(rng, int(n)) for n, part in zip(which, parts, strict=True) if n]
        return np.concatenate(drawn)

    return Density(
        log_density,
        draw,
        discrete=parts[0].discrete,
        shape=parts[0].shape,
        low=min(part.low for part in parts),
        high=max(part.high for part in parts),
        sites=tuple(dict.fromkeys(site_of for part in parts for site_of in part.sites)),
        ends=tuple(dict.fromkeys(end for part in parts for end in part.ends)),
        parts=tuple(parts),
        weights=tuple(weights),
        tight=all(part.tight for part in parts),
    )


def finite(shares: Counts | Logits, low: float = 0.0) -> Density:
    """Density of a few whole numbers from ``low`` on, by their probabilities or logits."""
    values = np.asarray(shares.values, dtype=np.float64)
    if isinstance(shares, Logits):
        table = values - log_sum(values)
    else:
        with np.errstate(divide="ignore"):
            table = np.log(values / values.sum())
    p = np.exp(table)
    size = values.size

    def log_density(offset: Numbers, origin: float) -> Numbers:
        k = np.asarray(offset + (origin - low))
        fine = (k >= 0) & (k < size) & (k == np.rint(k))
        return np.where(fine, table[np.where(fine, k, 0).astype(np.int64)], -np.inf)

    return Density(
        log_density,
        lambda rng, count: low + rng.choice(size, count, p=p / p.sum()).astype(np.float64),
        discrete=True,
        family="finite",
        parameters=(tuple(low + k for k in range(size)), shares),
        low=low,
        high=low + size - 1.0,
        sites=((low, float(size)),),
    )


def coin(shares: Logits) -> Density:
    """Density of 1 and 0 by their logits."""
    whole = finite(Logits(shares.values[::-1]))
    return replace(whole, parameters=((1.0, 0.0), shares, "coin"))


def product(parts: list[Density]) -> Density:
    """Density of several independent numbers."""

    def log_density(points: Numbers, origin: float) -> Numbers:
        columns = [part.log_density(points[:, i], origin) for i, part in enumerate(parts)]
        return np.asarray(np.sum(columns, axis=0))

    return Density(
        log_density,
        lambda rng, count: np.column_stack([part.draw(rng, count) for part in parts]),
        discrete=parts[0].discrete,
        shape=(len(parts),),
        family="product",
        parts=tuple(parts),
    )


def log_sum(terms: Numbers) -> Numbers:
    """Log of the sum of exponentials along the last axis."""
    top = terms.max(-1)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(np.log(np.exp(terms - safe[..., None]).sum(-1)) + safe)


def silently(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    import warnings

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **named)


def add_origin(offset: Numbers, origin: float, low: float, high: float) -> Numbers:
    """Add offset and origin; what is inside an edge by less than rounding stays so, and outside."""
    found = np.asarray(offset + origin, dtype=np.float64)
    for edge, inwards in ((low, 1.0), (high, -1.0)):
        if math.isfinite(edge):
            step = inwards * 4 * np.spacing(abs(edge))  # some densities round once more
            beyond = inwards * (offset - (edge - origin)) < 0
            near = inwards * (found - edge) < inwards * step
            found = np.where(near & ~beyond, edge + step, found)
            found = np.where(beyond & (found == edge), edge - step, found)
    return found


def site_of(quartiles: list[float], low: float, high: float) -> tuple[tuple[float, float], ...]:
    """Centre and width of a distribution from its quartiles."""
    first, middle, third = quartiles
    width = third - first
    if not width > 0:  # the mass is at one edge, or nearer than numbers go
        width = (high - low) / 4 if math.isfinite(high - low) else max(abs(middle), 1e-300)
    return ((middle, width),)


def ends_of(low: float, high: float) -> tuple[float, ...]:
    return tuple(end for end in (low, high) if math.isfinite(end))
