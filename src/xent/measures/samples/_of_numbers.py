"""Entropy and information of real numbers: columns read, ties jittered, terms of every point."""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from xent import _check
from xent.measures.rows._protocols import Codes, Numbers, Samples
from xent.measures.rows._symbols import MISSING, column, without_missing
from xent.measures.samples._neighbors import (
    conditional_entropy,
    kozachenko_leonenko,
    ksg,
    ksg2,
    ksg_given,
    ross,
)
from xent.measures.samples._real_numbers import (
    points_together,
    real_column,
    rescaled,
)
from xent.measures.samples._several import columns_of
from xent.measures.samples._spacing import SPACING
from xent.measures.samples._ties import (
    dequantized,
    entropy_estimate,
    entropy_of_repeats,
    has_ties,
    jittered,
    repeats_as_symbols,
    row_order,
)

KOZACHENKO = "kozachenko_leonenko"
REAL = (KOZACHENKO, *SPACING, "normal")  # entropies of real numbers
OF_TWO = ("ksg", "ksg2", "ross", "normal")  # informations of real numbers
JITTERED = ("ksg", "ksg2", "ross")  # those that tell equal numbers apart by noise
DEQUANTIZED = (KOZACHENKO, "vasicek", "ebrahimi", "van_es")  # those that spread rounded numbers


@dataclass(frozen=True)
class Information:
    """What the points contribute, the means of permuted columns, and what no information exceeds.

    ``bounds`` are the entropies of columns that repeat, as symbols; ``noise`` says whether ties
    were jittered.
    """

    terms: Numbers
    null: Numbers
    noise: bool = False
    bounds: dict[str, float] = field(default_factory=dict)


def entropy_of_numbers(
    x: Samples,
    given: Samples | None,
    method: str,
    neighbors: int,
    missing: str,
    rng: np.random.Generator | None,
) -> tuple[Numbers, bool]:
    """Return what each point contributes to the entropy, and whether noise was added."""
    if method != KOZACHENKO:
        if given is not None:
            raise without_given(method, "be a method for symbols, or 'kozachenko_leonenko', with ")
        numbers = real_column("x", x, 2, missing)
        numbers, shift = rescaled(numbers)
        noise = False
        if method in DEQUANTIZED:
            (points,), noise = dequantized(numbers[:, None], rng=rng)
            numbers = points[:, 0]
        by = {**SPACING, "normal": _normal_entropy}
        return by[method](_near_zero(numbers)) + shift, noise
    if given is not None:
        named = {"x": x, **columns_of("given", given)}
        points, *known = points_together(named, neighbors, missing)
        return _entropy_given(points, np.column_stack(known), neighbors, rng)
    (points,) = points_together({"x": x}, neighbors, missing)
    points, shift = _rescaled(points, 1e307 if points.shape[1] == 1 else 1e100)
    (points,), noise = dequantized(points, rng=rng)
    points, more = _standardized(points) if points.shape[1] > 1 else (_near_zero(points), 0.0)
    return kozachenko_leonenko(points, neighbors) + (shift + more), noise


def _entropy_given(
    points: Numbers, known: Numbers, neighbors: int, rng: np.random.Generator | None
) -> tuple[Numbers, bool]:
    order = row_order(np.column_stack([known, points]))
    points, known = points[order], known[order]
    points, shift = _rescaled(points)
    (points,), rounded = dequantized(points, rng=rng)
    (known,), noise = jittered([known], rng)
    points, more = _standardized(points)
    found = np.empty(len(points))
    found[order] = conditional_entropy(points, known, neighbors) + (shift + more)
    return found, rounded or noise


def information_of_numbers(
    x: Samples,
    y: Samples,
    given: Samples | None,
    method: str,
    neighbors: int,
    missing: str,
    rng: np.random.Generator | None,
    draw: np.random.Generator | None = None,
    times: int = 0,
) -> Information:
    """Return what each point contributes to the information, and that of permuted columns."""
    if method == "ross":
        codes, numbers = _codes_and_numbers(x, y, neighbors, missing)
        return told_by_numbers(codes, numbers, neighbors, rng, draw, times)
    named = {"x": x, "y": y} if given is None else {"x": x, "y": y, **columns_of("given", given)}
    one, other, *known = points_together(named, neighbors, missing)
    known = [np.column_stack(known)] if known else []
    if method != "ksg":
        for name, points in (("x", one), ("y", other)):
            if points.shape[1] > 1:
                got = f"an array of shape {points.shape}"
                advice = "Points in several dimensions are taken by " + _check.setting(
                    "method", "ksg"
                )
                raise _check.invalid(name, "be one column", got, advice + ".")
    if method == "normal":
        first, second = (_near_zero(rescaled(points[:, 0])[0]) for points in (one, other))
        return _permuted(
            lambda rows: _normal_information(first, second[rows]), len(one), draw, times
        )
    bounds = {
        name: entropy_of_repeats(points, known)
        for name, points in (("x", one), ("y", other))
        if points.shape[1] > 1 or has_ties(points[:, 0])
    }
    if not all((points != points[0]).any() for points in (one, other)):
        nothing = np.zeros(len(one))  # of a constant nothing can be told
        return Information(nothing, np.zeros(times), bounds=bounds)
    blocks, noise = jittered([one, other, *known], rng)

    def told(rows: Codes) -> Numbers:
        first, second, *rest = [blocks[0], blocks[1][rows], *blocks[2:]]
        if rest:
            terms = ksg_given(first, second, rest[0], neighbors)
        else:
            terms = (ksg if method == "ksg" else ksg2)(first, second, neighbors)
        return repeats_as_symbols(terms, [one, other[rows], *known], neighbors) if noise else terms

    found = _permuted(told, len(one), draw, times)
    return Information(found.terms, found.null, noise, bounds)


def told_by_numbers(
    codes: Codes,
    numbers: Numbers,
    neighbors: int,
    rng: np.random.Generator | None,
    draw: np.random.Generator | None = None,
    times: int = 0,
) -> Information:
    """Ross's estimate: what numbers tell about symbols."""
    noise = has_ties(numbers)
    bounds = {"x": entropy_estimate(np.unique(codes, return_counts=True)[1])}
    if noise:
        bounds["y"] = entropy_of_repeats(numbers[:, None], [])
    if not ((numbers != numbers[0]).any() and (codes != codes[0]).any()):
        return Information(np.zeros(codes.size), np.zeros(times), bounds=bounds)
    rng = rng if noise else None

    def told(rows: Codes) -> Numbers:
        return ross(codes, numbers[rows], neighbors, rng)

    found = _permuted(told, codes.size, draw, times)
    return Information(found.terms, found.null, noise, bounds)


def without_given(method: str, must: str) -> ValueError:
    """Make the error for a method that nothing can be given to."""
    return _check.invalid("method", must + _check.setting("given"), repr(method))


def _permuted(
    told: Callable[[Codes], Numbers], size: int, draw: np.random.Generator | None, times: int
) -> Information:
    """Measure, and measure again with the rows of the second variable shuffled."""
    terms = told(np.arange(size))
    if draw is None:
        return Information(terms, np.empty(0))
    null = [told(draw.permutation(size)).mean() for _ in range(times)]
    return Information(terms, np.array(null))


def _codes_and_numbers(
    x: Samples, y: Samples, neighbors: int, missing: str
) -> tuple[Codes, Numbers]:
    """Read symbols and numbers, without the rows to be dropped."""
    _check.option("missing", missing, MISSING)
    how = "keep" if missing == "drop" else missing
    numbers = real_column("y", y, neighbors, how)
    symbols = column("x", x)
    lost = symbols.codes < 0
    if missing == "refuse" and lost.any():
        without_missing("x", [symbols], missing)
    if lost.size != numbers.size:
        raise _check.invalid(
            "y", f"have the {lost.size} rows of " + _check.argument("x"), numbers.size
        )
    use = ~(lost | np.isnan(numbers))
    if use.sum() <= neighbors:
        raise _check.invalid("x", f"have more than {neighbors} rows", int(use.sum()))
    return symbols.codes[use], numbers[use]


def _near_zero(x: Numbers) -> Numbers:
    """Take off a middle value that is large beside the spread: a place is no part of an answer."""
    middle = np.sort(x, axis=0)[len(x) // 2]
    far = np.abs(middle) > 8 * np.ptp(x, axis=0)
    return x - np.where(far, middle, 0.0) if far.any() else x


def _standardized(points: Numbers) -> tuple[Numbers, float]:
    """Divide each coordinate by its deviation; return the sum of the logarithms of these too."""
    points = points - np.sort(points, axis=0)[len(points) // 2]
    deviations = points.std(axis=0)
    if not deviations.all():
        raise _check.invalid("x", "have two different values in every column", "one")
    return points / deviations, float(np.log(deviations).sum())


def _rescaled(points: Numbers, most: float = 1e100) -> tuple[Numbers, float]:
    """Bring each coordinate into the range of floats whose squares are floats."""
    columns = [rescaled(c, most=most) for c in points.T]
    return np.column_stack([c for c, _ in columns]), math.fsum(shift for _, shift in columns)


def _normal_entropy(x: Numbers) -> Numbers:
    """Log density of each point under the normal with the sample's mean and variance."""
    variance = float(x.var())
    if variance == 0:
        raise _check.invalid("x", "have two different values", "one")
    return np.asarray(0.5 * (math.log(2 * math.pi * variance) + (x - x.mean()) ** 2 / variance))


def _normal_information(x: Numbers, y: Numbers) -> Numbers:
    """Log of the ratio of the joint normal density and the product of its marginals, by point."""
    if x.std() == 0 or y.std() == 0:
        raise _check.invalid(
            "x", "have two different values, and " + _check.argument("y") + " too", "one"
        )
    a, b = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    r = float((a * b).mean())
    if abs(r) >= 1 - 1e-15:
        return np.full(x.size, math.inf)
    left = 1 - r * r
    return np.asarray(
        -0.5 * math.log(left) + 0.5 * (a * a + b * b) - (a * a - 2 * r * a * b + b * b) / (2 * left)
    )
