"""Integrals of densities over the real line, and sums over the whole numbers.

The line is cut at every centre and every edge of the support, and around each of these at every
power of ten of its width, down to the least float and up to the largest: no peak is too narrow or
too far away to be found, and a tail that falls like a power is recognised. Each piece is integrated
by Gauss's rule of 20 points and halved where that is too far from the rule of 12. A tail like a
power is extrapolated from the first and the last pieces; where these do not fall, the integral is
infinite. The error of a value is an estimate: the difference of the two rules, most often far too
large; what both rules miss is not in it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from xent.measures.densities._density import Density
from xent.measures.rows._protocols import Booleans, Codes, Numbers

# Takes offsets and their origin; returns logarithms and factors of several integrands: (m, n).
Terms = Callable[[Numbers, float], tuple[Numbers, Numbers]]
Ray = tuple[Codes, list[int]]  # pieces that lead to a limit; what the rest replaces
MAX_DECADES = 150  # powers of ten from the least width to the end of the line
PIECES = 10_000
TERMS_AT_ONCE = 1 << 16
MAX_VISITED = 1 << 19  # whole numbers that a sum may visit on each side of the middle
MIDDLE = 1 << 24


@dataclass(frozen=True)
class Integral:
    """Values of several integrands over one line, and an estimate of how far each is off."""

    value: Numbers
    error: Numbers


def integrate(terms: Terms, densities: Sequence[Density], relative: float = 1e-13) -> Integral:
    """Integrate over the union of the supports."""
    origin, left, right, rays = _pieces(densities)
    underflow, faint = _where_underflow(densities, origin, 0.5 * (left + right))
    group = np.arange(left.size)
    count = left.size
    value, error, size = _rule(terms, origin, left, right)
    for _ in range(50):
        # Two densities differ by rounding, 1e-16 of each: a small value is no more exact.
        fine = np.isfinite(value)
        whole = np.abs(np.where(fine, value, 0.0)).sum(1, keepdims=True)
        allowed = np.maximum(relative * whole, 4e-16 * np.sqrt(whole) + 1e-30)
        # Where one is infinite the others, the masses, are still made exact.
        bad = (fine & (error > np.maximum(allowed / 100, 4e-16 * size))).any(0)
        bad &= ~np.isnan(value).any(0)
        left_over = np.where(fine, error, 0.0).sum(1)
        if not bad.any() or (left_over <= allowed[:, 0]).all() or value.shape[1] > PIECES:
            break
        middle = 0.5 * (left[bad] + right[bad])
        origin_, left_ = np.tile(origin[bad], 2), np.concatenate([left[bad], middle])
        right_, group_ = np.concatenate([middle, right[bad]]), np.tile(group[bad], 2)
        new = _rule(terms, origin_, left_, right_)
        origin, left = np.append(origin[~bad], origin_), np.append(left[~bad], left_)
        right, group = np.append(right[~bad], right_), np.append(group[~bad], group_)
        value, error, size = (
            np.concatenate([old[:, ~bad], more], 1)
            for old, more in zip((value, error, size), new, strict=True)
        )
    values, errors, sizes = (_by_group(part, group, count) for part in (value, error, size))
    rows = zip(values, errors, sizes, strict=True)
    found = np.array([_with_tails(*row, rays, underflow, faint) for row in rows])
    return Integral(found[:, 0], found[:, 1])


def _with_tails(
    value: Numbers,
    error: Numbers,
    size: Numbers,
    rays: list[Ray],
    underflow: Booleans,
    faint: Booleans,
) -> tuple[float, float]:
    value = value.copy()
    tails = wrong = 0.0
    for ray, rest in rays:
        value[rest] = error[rest] = size[rest] = 0.0
        values = value[ray]
        whole = float(np.nansum(size))
        lost = ~np.isfinite(values)
        out = underflow[ray] | lost
        if np.isposinf(values).any():
            return math.inf, 0.0
        # Where the density underflows the terms are those of a power, or 0.
        fine = max(0, int(np.argmax(out)) - 1) if out.any() else values.size
        if not (_steady(values[:fine]) and (fine == values.size or faint[ray[fine - 1]])):
            fine = int(np.argmax(lost)) if lost.any() else values.size
            if lost.any() and not (fine and abs(values[fine - 1]) <= 1e-22 * whole):
                return math.nan, math.inf
        value[ray[fine:]] = error[ray[fine:]] = size[ray[fine:]] = 0.0
        values = values[:fine]
        tail, doubt = tail_of(values, whole)
        tails, wrong = tails + tail, wrong + doubt
    if not np.isfinite(value).all():
        return (math.inf if np.isposinf(value).any() else math.nan), math.inf
    whole = float(size.sum())
    rounding = 1e-15 * whole + 4e-16 * math.sqrt(min(1.0, whole))
    return math.fsum(value) + tails, wrong + float(error.sum()) + rounding


def _steady(values: Numbers) -> bool:
    """Tell whether terms end like a power: the last ratios are equal."""
    if values.size < 6 or not (values[-6:] > 0).all():
        return False
    ratios = values[-5:] / values[-6:-1]
    return bool(ratios.max() < 1.02 * ratios.min())


def _where_underflow(
    densities: Sequence[Density], origin: Numbers, offset: Numbers
) -> tuple[Booleans, Booleans]:
    """Tell where a density underflows within its support, and where it nearly does."""
    underflow, faint = np.zeros(origin.size, dtype=bool), np.zeros(origin.size, dtype=bool)
    for place in np.unique(origin):
        mine = origin == place
        x = offset[mine]
        logs = np.stack([one.log_density(x, float(place)) for one in densities])
        inside = np.stack([one.inside(x, place) for one in densities])
        # What underflows does not matter where another density is large.
        underflow[mine] = ((logs == -math.inf) & inside).any(0) & (logs.max(0) < -400)
        # Beyond 1e150 and within 1e-150 a square underflows, and the density with it.
        lost = (np.abs(x) > 1e150) | (np.abs(x) < 1e-150)
        faint[mine] = lost | ((logs < -500) & inside).any(0)
    return underflow, faint


def tail_of(values: Numbers, size: float, worst: float = 1 - 1e-7) -> tuple[float, float]:
    """Sum the tail of terms that end like a power, with an estimate of the error."""
    if values.size < 3 or abs(values[-1]) <= 1e-22 * size:
        return 0.0, 0.0
    if values[-1] == 0 or (values[-1] > 0) != (values[-2] > 0):
        return math.nan, math.inf
    tail, ratio = _after(values[-3:])
    if ratio >= worst:
        return math.copysign(math.inf, values[-1]), 0.0
    # The error: what the terms before the last one would have predicted.
    before = _after(values[-4:-1])[0] - values[-1] if values.size > 3 else 2 * tail
    doubt = abs(tail - before) if math.isfinite(before) else abs(tail)
    return tail, 10 * float(doubt) + 1e-9 * abs(tail)


def _after(three: Numbers) -> tuple[float, float]:
    """Sum the terms after three of r^k (a + b k), the form of a power times a logarithm; and r."""
    c = float(three[2])
    a, b = float(three[0]) / c, float(three[1]) / c
    if b <= 0:
        return math.inf, math.inf
    discriminant = b * b - a
    bent = a > 0 and discriminant > 1e-10 * b * b  # more than rounding
    ratio = (b - math.sqrt(discriminant)) / a if bent else 1 / b
    if ratio >= 1:
        return math.inf, ratio
    step = ratio / (1 - ratio)
    return c * (step + (1 - ratio * b) * step / (1 - ratio)), ratio


def _by_group(values: Numbers, group: Codes, count: int) -> Numbers:
    return np.stack([np.bincount(group, row, count) for row in values])


@cache
def _gauss() -> tuple[Numbers, Numbers, Numbers]:
    """Points of both rules on [0, 1], and the weights of each on all of them."""
    many, few = np.polynomial.legendre.leggauss(20), np.polynomial.legendre.leggauss(12)
    points = 0.5 * (1 + np.concatenate([many[0], few[0]]))
    return points, 0.5 * many[1], 0.5 * few[1]


def _rule(
    terms: Terms, origin: Numbers, left: Numbers, right: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """Value, error and size of every piece, for every integrand."""
    points, many, few = _gauss()
    width = right - left
    log_width = np.log(width)
    parts = []
    for place in np.unique(origin):
        mine = np.flatnonzero(origin == place)
        x = left[mine, None] + width[mine, None] * points
        log, factor = terms(x.ravel(), float(place))
        shape = (log.shape[0], mine.size, points.size)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            scale = np.exp(log.reshape(shape) + log_width[mine, None])
            f = np.where(scale == 0, 0.0, scale * factor.reshape(shape))
        f = np.where(np.isnan(f) & (scale < 1e-30), 0.0, f)  # a cost unknown where nothing is
        parts.append((mine, f))
    f = np.empty((parts[0][1].shape[0], origin.size, points.size))
    for mine, found in parts:
        f[:, mine] = found
    with np.errstate(invalid="ignore", over="ignore"):
        value, other = f[..., :20] @ many, f[..., 20:] @ few
        return value, np.abs(value - other), np.abs(f[..., :20]) @ many


def _pieces(densities: Sequence[Density]) -> tuple[Numbers, Numbers, Numbers, list[Ray]]:
    """Cut the line: origins and offsets of the pieces, and which of them lead to a limit."""
    low, high = min(one.low for one in densities), max(one.high for one in densities)
    widths: dict[float, list[float]] = {}
    for one in densities:
        for centre, width in one.sites:
            widths.setdefault(min(max(centre, low), high), []).append(width)
    min_width = min(min(w) for w in widths.values())
    max_width = max(max(w) for w in widths.values())
    end = min(
        300,
        max(math.ceil(math.log10(min_width)) + MAX_DECADES, math.ceil(math.log10(max_width)) + 20),
    )
    edges = {edge for one in densities for edge in one.ends}
    for edge in edges:
        widths.setdefault(edge, []).append(max_width)
    places = sorted(widths)
    origin: list[float] = []
    left: list[float] = []
    right: list[float] = []
    rays: list[Ray] = []
    for i, place in enumerate(places):
        for side in (-1, 1):
            last = (i == 0) if side < 0 else (i == len(places) - 1)
            bound = low if side < 0 else high
            if last and math.isinf(bound):
                reach = 10.0**end
            elif last:
                reach = abs(bound - place)
            else:
                reach = abs(places[i + side] - place) / 2
            if reach <= 0:
                continue
            deep = 300 if place in edges else 20
            cuts = _decades(min(widths[place]), reach, deep)
            start = len(left)
            for a, b in pairwise(cuts):
                origin.append(place)
                left.append(a if side > 0 else -b)
                right.append(b if side > 0 else -a)
            ids = np.arange(start, len(left))
            if last and math.isinf(bound):
                rays.append((ids, []))
            if place in edges:
                rays.append((ids[:0:-1], [start]))
    return np.array(origin), np.array(left), np.array(right), rays


def _decades(width: float, reach: float, deep: int) -> list[float]:
    """Offsets from 0 to the reach: powers of ten of the width between."""
    first = max(math.floor(math.log10(min(width, reach))) - deep, -300)
    top = math.ceil(math.log10(reach))
    cuts = [10.0**k for k in range(first, top) if 10.0**k < 0.99 * reach]
    return [0.0, *cuts, reach]


# ------------------------------------------------------------------ sums


def add_up(terms: Terms, densities: Sequence[Density], model: bool) -> Integral:
    """Sum over the whole numbers (from wherever the support starts) outwards from the middle.

    With ``model`` the first integrand is a divergence from the second density: where the first
    has ended it is the mass that the second has left.
    """
    low, high = min(one.low for one in densities), max(one.high for one in densities)
    nothing = np.full(len(densities) + 1, math.nan)
    places = [c for one in densities for c, _ in one.sites]
    if any(map(math.isnan, places)):  # scipy does not know the quartiles
        return Integral(nothing, nothing)
    centres = [min(max(c, low), high) for one in densities for c, _ in one.sites]
    spread = max(w for one in densities for _, w in one.sites)
    base = low if math.isfinite(low) else math.floor(min(centres))
    start = base + math.floor(min(centres) - base)
    stop = base + math.floor(max(centres) - base)
    window = 8.0 * max(16.0, math.ceil(spread))
    if stop - start + 2 * window > MIDDLE:
        return Integral(nothing, nothing)
    middle = _block(terms, max(low, start - window), min(high, stop + window))
    value, size = middle
    wrong = np.zeros_like(value)
    ended = False
    for side in (-1, 1):
        edge, bound = (start - window, low) if side < 0 else (stop + window, high)
        rows: list[Numbers] = []
        step, visited = window, 0.0
        while (edge - bound) * side < 0:
            far = max(edge - step, bound) if side < 0 else min(edge + step, bound)
            values, big = _block(terms, min(edge + side, far), max(edge + side, far))
            rows.append(values)
            value, size = value + values, size + big
            visited += abs(far - edge)
            edge, step = far, step * 2
            over = bool(model and values[1] <= 1e-18)
            done = over or (np.abs(values) <= 1e-18 * size).all()
            if done or visited > MAX_VISITED or not np.isfinite(values).all():
                ended = ended or over
                if not over:
                    _add_tails(np.array(rows), value, wrong, size)
                break
    if ended:
        left = max(0.0, 1 - float(value[2]))
        value[0], value[2] = value[0] + (left if left > 1e-15 else 0.0), 1.0
    return Integral(value, wrong + 1e-15 * size)


def _add_tails(rows: Numbers, value: Numbers, wrong: Numbers, size: Numbers) -> None:
    """Add to every integrand the tail after windows of doubling length."""
    for i, row in enumerate(rows.T):
        if not np.isfinite(row).all():
            continue
        tail, doubt = tail_of(row, float(size[i]), 0.97)
        if math.isinf(tail) and row[-1] < 1.2 * row[-2]:
            tail, doubt = math.nan, math.inf  # logarithms may make a finite sum fall as slowly
        value[i], wrong[i] = value[i] + tail, wrong[i] + doubt + abs(row[-1]) * 1e-3


def _block(terms: Terms, first: float, last: float) -> tuple[Numbers, Numbers]:
    """Sum of the terms from one number to another, both included, and of their sizes."""
    value = size = np.zeros(1)
    for start in np.arange(first, last + 0.5, TERMS_AT_ONCE):
        k = np.arange(start, min(last, start + TERMS_AT_ONCE - 1) + 0.5)
        log, factor = terms(k, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            scale = np.exp(log)
            f = np.where(scale == 0, 0.0, scale * factor)
            f = np.where(np.isnan(f) & (scale < 1e-30), 0.0, f)
        value, size = value + f.sum(1), size + np.abs(f).sum(1)
    return value, size
