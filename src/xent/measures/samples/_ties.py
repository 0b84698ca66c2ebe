"""Numbers that repeat, and numbers on a grid: noise that moves them apart.

A neighbour method counts on no two distances being equal. Rounded numbers break that, so each
number is moved by a little noise, from a fixed seed unless the caller hands over another. The noise
goes to rows in their sorted order: no order of the rows changes an estimate. What was measured, and
why not closed balls: docs/design/0009-ties.md.
"""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import numpy as np

from xent.measures.rows._protocols import Codes, Numbers
from xent.measures.samples._real_numbers import rescaled

SEED = 0  # of the noise, where no `rng` is handed over
NOISE = 1e-10  # half-width of the noise, in standard deviations of its column
ATOM = 10  # a value this many times more frequent than both its neighbours has a place of its own
MOST_STEPS = 1e5  # a gap so many times the least one does not say whether numbers lie on a grid


def jittered(blocks: list[Numbers], rng: np.random.Generator | None) -> tuple[list[Numbers], bool]:
    """Return points with each coordinate centred, scaled and without ties; and whether by noise.

    Each block holds the coordinates of one variable, in a row the point of one observation.
    """
    made = [np.column_stack([scaled(c) for c in block.T]) for block in blocks]
    if not any(has_ties(c) for block in blocks for c in block.T):
        return made, False
    turned = len(made) > 1 and _comes_second(made[0], made[1])
    in_turn = [made[1], made[0], *made[2:]] if turned else made
    at_once = np.column_stack(in_turn)
    at_once[row_order(at_once)] += NOISE * uniform(at_once.shape, rng)
    found = np.split(at_once, np.cumsum([b.shape[1] for b in in_turn])[:-1], axis=1)
    return [found[1], found[0], *found[2:]] if turned else found, True


def dequantized(
    *samples: Numbers, rng: np.random.Generator | None
) -> tuple[tuple[Numbers, ...], bool]:
    """Spread rounded numbers evenly over the unit they were rounded to; and say whether any were.

    The entropy of the result is that of the symbols plus the log of the unit: the density's, where
    the unit is small. A coordinate whose values all differ, or lie on no grid, stays as it is.
    """
    pooled = np.concatenate(samples)
    units = np.array([_unit(c) for c in pooled.T])
    if not units.any():
        return samples, False
    generator = _generator(rng)
    middle = np.where(units > 0, np.sort(pooled, axis=0)[len(pooled) // 2], 0.0)
    found = []
    for points in samples:
        moved = points - middle
        moved[row_order(points)] += 0.5 * units * uniform(points.shape, generator)
        found.append(moved)
    return tuple(found), True


def scaled(x: Numbers) -> Numbers:
    """Return one coordinate around 0 with deviation 1.

    A value alone at its place, far more frequent than those beside it, is put beyond all others:
    information does not change, and no ball around another value then holds half of the rows.
    """
    x, _ = rescaled(x)
    values, place, counts = _counted(x)
    values = values - values[values.size // 2]
    beside = np.pad(counts, 1)
    least = np.maximum(ATOM * np.maximum(beside[:-2], beside[2:]), 5 + x.size // 1000)
    alone = counts >= least if values.size > 2 else np.zeros(values.size, dtype=bool)
    rest, weight = values[~alone], counts[~alone]
    if rest.size < 2:
        alone[:], rest, weight = False, values, counts
    mean = float((rest * weight).sum()) / weight.sum()
    deviation = float(np.sqrt((weight * (rest - mean) ** 2).sum() / weight.sum()))
    if deviation == 0:
        return np.zeros(x.size)
    values[alone] = values[-1] + (values[-1] - values[0]) * np.arange(1, alone.sum() + 1)
    return np.asarray((values / deviation)[place])


def has_ties(x: Numbers) -> bool:
    """Whether numbers repeat, or their distances do, since they all lie on a grid."""
    values = np.unique(x)
    return values.size < x.size or _grid(values) > 0


def entropy_of_repeats(points: Numbers, given: list[Numbers]) -> float:
    """Entropy of the rows as symbols: no information about them is above it.

    With something given it is as it is without, or as it is with it, where that comes out larger.
    """
    alone = entropy_estimate(_runs(points)[1])
    if not given:
        return alone
    both = entropy_estimate(_runs(np.column_stack([points, *given]))[1])
    return max(alone, both - entropy_estimate(_runs(np.column_stack(given))[1]))


def entropy_estimate(counts: Codes) -> float:
    """ψ(n) - Σ n_k/n ψ(n_k): entropy of symbols, by the logarithms that neighbours are told by."""
    from scipy.special import digamma

    total = counts.sum()
    return float(digamma(total) - (counts * digamma(counts)).sum() / total)


def repeats_as_symbols(terms: Numbers, blocks: list[Numbers], neighbors: int) -> Numbers:
    """Take rows for symbols where more than k are alike: no distance is known there.

    ψ(t) + ψ(n) - ψ(t_x) - ψ(t_y) for t rows alike, t_x and t_y along each variable; with a third
    one ψ(t) + ψ(t_z) - ψ(t_xz) - ψ(t_yz). It is what the noise would say on average. Gao, Kannan,
    Oh and Viswanath (2017).
    """
    from scipy.special import digamma

    x, y, *z = blocks
    often = _copies(blocks)
    if not (often > neighbors).any():
        return terms
    known = digamma(_copies(z)) if z else digamma(len(x))
    told = digamma(often) + known - (digamma(_copies([x, *z])) + digamma(_copies([y, *z])))
    return np.where(often > neighbors, told, terms)


def _copies(blocks: list[Numbers]) -> Codes:
    """Count the rows that are like each row."""
    order, counts = _runs(np.column_stack(blocks))
    found = np.empty(order.size, dtype=np.int64)
    found[order] = np.repeat(counts, counts)
    return found


def _runs(points: Numbers) -> tuple[Codes, Codes]:
    """Return the rows in sorted order, and how many are alike in turn."""
    order = row_order(points)
    ordered = points[order]
    new = np.append(True, (ordered[1:] != ordered[:-1]).any(1))
    return order, np.diff(np.append(np.flatnonzero(new), len(points)))


def tie_order(codes: Codes, y: Numbers, rng: np.random.Generator | None) -> tuple[Codes, Numbers]:
    """Return the rows sorted by y, and a number between 0 and 1 for each, which orders equal ones.

    Equal numbers are sorted by a key of their symbol, which no order of rows or symbols changes.
    """
    generator = np.random.default_rng(SEED)
    _, place = np.unique(y, return_inverse=True)
    weights = generator.integers(1 << 63, size=y.size, dtype=np.uint64)
    keys = np.zeros(int(codes.max()) + 1, dtype=np.uint64)
    np.add.at(keys, codes, weights[place])  # sums modulo 2^64: the same in every order
    order = np.lexsort((keys[codes], y))
    u = 0.5 + 0.5 * uniform((y.size,), rng)
    within = np.lexsort((u, y[order]))
    return order[within], u[within]


def uniform(shape: tuple[int, ...], rng: np.random.Generator | None) -> Numbers:
    """Draw numbers between -1 and 1."""
    return _generator(rng).uniform(-1, 1, shape)


def _generator(rng: np.random.Generator | None) -> np.random.Generator:
    return np.random.default_rng(SEED) if rng is None else rng


def _counted(x: Numbers) -> tuple[Numbers, Codes, Codes]:
    values, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    return values, place, counts


def row_order(points: Numbers) -> Codes:
    """Sort rows by their first coordinate, equal ones by the next."""
    return np.lexsort(points.T[::-1])


def _comes_second(one: Numbers, other: Numbers) -> bool:
    """Whether the second of two variables takes its noise first, whichever way they are named."""
    if one.shape[1] != other.shape[1]:
        return int(one.shape[1]) > int(other.shape[1])
    here, there = np.column_stack([one, other]), np.column_stack([other, one])
    here, there = here[row_order(here)].ravel(), there[row_order(there)].ravel()
    place = int(np.argmax(here != there))
    mine, theirs = float(here[place]), float(there[place])
    return mine > theirs


def _unit(x: Numbers) -> float:
    """Return the unit of numbers that are rounded and repeat, else 0."""
    values = np.unique(x)
    return _grid(values) if 1 < values.size < x.size else 0.0


def _grid(values: Numbers) -> float:
    """Return the unit of which all sorted, different numbers are multiples, from one on; else 0."""
    with np.errstate(over="ignore"):
        gaps = np.diff(values)
    if not gaps.size:
        return 0.0
    unit = float(gaps.min())
    near = gaps <= MOST_STEPS * unit
    steps = gaps[near] / unit
    if 2 * near.sum() < gaps.size or (np.abs(steps - np.rint(steps)) > 0.05).any():
        return 0.0
    return float(gaps[near].sum() / np.rint(steps).sum())
