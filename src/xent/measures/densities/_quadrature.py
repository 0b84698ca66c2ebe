"""Integrals of densities over the real line, and sums over the whole numbers.

The line is cut at every centre and every edge of the support, and around each of these at every
power of ten of its width, down to where nothing is left and up to where numbers end: no peak is too
narrow or too far to be met, and a tail that falls like a power is seen falling. Each piece is
integrated by Gauss's rule of 20 points and halved where that is too far from the rule of 12. What
the first and last pieces show of a power is extrapolated; where they do not fall, the integral is
infinite. The error that comes with a value is an estimate: the distance of the two rules, which is
as a rule far too large; what neither rule sees is not in it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xent.measures.densities._distributions import Law, Numbers

# Takes offsets and their origin; returns logarithms and factors of several integrands: (m, n).
Terms = Callable[[Numbers, float], tuple[Numbers, Numbers]]
Ray = tuple[NDArray[np.int64], list[int]]  # pieces that lead to a limit; what the rest replaces
FAR = 150  # powers of ten from the least width to the end of the line
PIECES = 10_000
BLOCK = 1 << 16
MOST = 1 << 19  # whole numbers that a sum may visit on each side of the middle
MIDDLE = 1 << 24


@dataclass(frozen=True)
class Integral:
    """Values of several integrands over one line, and an estimate of how far each is off."""

    value: Numbers
    error: Numbers


def integrate(terms: Terms, laws: Sequence[Law], relative: float = 1e-13) -> Integral:
    """Integrate over the union of the supports."""
    origin, left, right, rays = _pieces(laws)
    gone, faint = _underflow(laws, origin, 0.5 * (left + right))
    group = np.arange(left.size)
    count = left.size
    value, error, size = _rule(terms, origin, left, right)
    for _ in range(50):
        # Two densities are told apart to 1e-16 of each, which is all that a small value can hold.
        fine = np.isfinite(value)
        whole = np.abs(np.where(fine, value, 0.0)).sum(1, keepdims=True)
        allowed = np.maximum(relative * whole, 4e-16 * np.sqrt(whole) + 1e-30)
        bad = (error > np.maximum(allowed / 100, 4e-16 * size)).any(0) & fine.all(0)
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
    found = np.array([_with_tails(*row, rays, gone, faint) for row in rows])
    return Integral(found[:, 0], found[:, 1])


def _with_tails(
    value: Numbers,
    error: Numbers,
    size: Numbers,
    rays: list[Ray],
    gone: NDArray[np.bool_],
    faint: NDArray[np.bool_],
) -> tuple[float, float]:
    value = value.copy()
    tails = wrong = 0.0
    for ray, rest in rays:
        value[rest] = error[rest] = size[rest] = 0.0
        told = value[ray]
        whole = float(np.nansum(size))
        lost = ~np.isfinite(told)
        out = gone[ray] | lost
        if np.isposinf(told).any():
            return math.inf, 0.0
        # Beyond the numbers that a density can be asked for a power goes on, and nothing else.
        fine = max(0, int(np.argmax(out)) - 1) if out.any() else told.size
        if not (_steady(told[:fine]) and (fine == told.size or faint[ray[fine - 1]])):
            fine = int(np.argmax(lost)) if lost.any() else told.size
            if lost.any() and not (fine and abs(told[fine - 1]) <= 1e-22 * whole):
                return math.nan, math.inf
        value[ray[fine:]] = error[ray[fine:]] = size[ray[fine:]] = 0.0
        told = told[:fine]
        tail, doubt = rest_of(told, whole)
        tails, wrong = tails + tail, wrong + doubt
    if not np.isfinite(value).all():
        return (math.inf if np.isposinf(value).any() else math.nan), math.inf
    whole = float(size.sum())
    rounding = 1e-15 * whole + 4e-16 * math.sqrt(min(1.0, whole))
    return math.fsum(value) + tails, wrong + float(error.sum()) + rounding


def _steady(told: Numbers) -> bool:
    """Tell whether terms end in a power."""
    if told.size < 6 or not (told[-6:] > 0).all():
        return False
    ratios = told[-5:] / told[-6:-1]
    return bool(ratios.max() < 1.02 * ratios.min())


def _underflow(
    laws: Sequence[Law], origin: Numbers, offset: Numbers
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell where a density is below the least float, and where nearly, within its support."""
    gone, faint = np.zeros(origin.size, dtype=bool), np.zeros(origin.size, dtype=bool)
    for place in np.unique(origin):
        mine = origin == place
        x = offset[mine]
        logs = np.stack([one.log_density(x, float(place)) for one in laws])
        inside = np.stack([one.inside(x, place) for one in laws])
        # Where another density is not small, what is lost of this one is nothing beside it.
        gone[mine] = ((logs == -math.inf) & inside).any(0) & (logs.max(0) < -400)
        # Far out and close in a density may be lost at once, as its squares are.
        lost = (np.abs(x) > 1e150) | (np.abs(x) < 1e-150)
        faint[mine] = lost | ((logs < -500) & inside).any(0)
    return gone, faint


def rest_of(told: Numbers, size: float, worst: float = 1 - 1e-7) -> tuple[float, float]:
    """Sum what follows a row of terms that ends falling like a power, and how sure that is."""
    if told.size < 3 or abs(told[-1]) <= 1e-22 * size:
        return 0.0, 0.0
    if told[-1] == 0 or (told[-1] > 0) != (told[-2] > 0):
        return math.nan, math.inf
    tail, ratio = _after(told[-3:])
    if ratio >= worst:
        return math.copysign(math.inf, told[-1]), 0.0
    # How well the terms before the last one foretold it and what follows.
    before = _after(told[-4:-1])[0] - told[-1] if told.size > 3 else 2 * tail
    doubt = abs(tail - before) if math.isfinite(before) else abs(tail)
    return tail, 10 * float(doubt) + 1e-9 * abs(tail)


def _after(three: Numbers) -> tuple[float, float]:
    """Sum what follows three terms of r^k (a + b k), which a power times a logarithm is; and r."""
    c = float(three[2])
    a, b = float(three[0]) / c, float(three[1]) / c
    if b <= 0:
        return math.inf, math.inf
    spread = b * b - a
    bent = a > 0 and spread > 1e-10 * b * b  # more than rounding
    ratio = (b - math.sqrt(spread)) / a if bent else 1 / b
    if ratio >= 1:
        return math.inf, ratio
    step = ratio / (1 - ratio)
    return c * (step + (1 - ratio * b) * step / (1 - ratio)), ratio


def _by_group(values: Numbers, group: NDArray[np.int64], count: int) -> Numbers:
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


def _pieces(laws: Sequence[Law]) -> tuple[Numbers, Numbers, Numbers, list[Ray]]:
    """Cut the line: origins and offsets of the pieces, and which of them lead to a limit."""
    low, high = min(one.low for one in laws), max(one.high for one in laws)
    widths: dict[float, list[float]] = {}
    for one in laws:
        for centre, width in one.sites:
            widths.setdefault(min(max(centre, low), high), []).append(width)
    least = min(min(w) for w in widths.values())
    most = max(max(w) for w in widths.values())
    end = min(300, max(math.ceil(math.log10(least)) + FAR, math.ceil(math.log10(most)) + 20))
    edges = {edge for one in laws for edge in one.ends}
    for edge in edges:
        widths.setdefault(edge, []).append(most)
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


def add_up(terms: Terms, laws: Sequence[Law], model: bool) -> Integral:
    """Sum over the whole numbers (from wherever the support starts) outwards from the middle.

    With ``model`` the first integrand is a divergence from the second law: where the first law has
    ended it is the mass that the second has left.
    """
    low, high = min(one.low for one in laws), max(one.high for one in laws)
    nothing = np.full(len(laws) + 1, math.nan)
    places = [c for one in laws for c, _ in one.sites]
    if any(map(math.isnan, places)):  # scipy does not know the quartiles
        return Integral(nothing, nothing)
    centres = [min(max(c, low), high) for one in laws for c, _ in one.sites]
    spread = max(w for one in laws for _, w in one.sites)
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
            told, big = _block(terms, min(edge + side, far), max(edge + side, far))
            rows.append(told)
            value, size = value + told, size + big
            visited += abs(far - edge)
            edge, step = far, step * 2
            over = bool(model and told[1] <= 1e-18)
            done = over or (np.abs(told) <= 1e-18 * size).all()
            if done or visited > MOST or not np.isfinite(told).all():
                ended = ended or over
                if not over:
                    _add_tails(np.array(rows), value, wrong, size)
                break
    if ended:
        left = max(0.0, 1 - float(value[2]))
        value[0], value[2] = value[0] + (left if left > 1e-15 else 0.0), 1.0
    return Integral(value, wrong + 1e-15 * size)


def _add_tails(rows: Numbers, value: Numbers, wrong: Numbers, size: Numbers) -> None:
    """Add what follows windows that double, each time, to every integrand."""
    for i, row in enumerate(rows.T):
        if not np.isfinite(row).all():
            continue
        tail, doubt = rest_of(row, float(size[i]), 0.97)
        if math.isinf(tail) and row[-1] < 1.2 * row[-2]:
            tail, doubt = math.nan, math.inf  # logarithms may make a finite sum fall as slowly
        value[i], wrong[i] = value[i] + tail, wrong[i] + doubt + abs(row[-1]) * 1e-3


def _block(terms: Terms, first: float, last: float) -> tuple[Numbers, Numbers]:
    """Sum of the terms from one number to another, both with them, and of their sizes."""
    value = size = np.zeros(1)
    for start in np.arange(first, last + 0.5, BLOCK):
        k = np.arange(start, min(last, start + BLOCK - 1) + 0.5)
        log, factor = terms(k, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            scale = np.exp(log)
            f = np.where(scale == 0, 0.0, scale * factor)
            f = np.where(np.isnan(f) & (scale < 1e-30), 0.0, f)
        value, size = value + f.sum(1), size + np.abs(f).sum(1)
    return value, size
