"""How far the columns of one table have moved from those of another.

Levels are symbols, or bins between quantiles of the reference. Siddiqi (2006) for the index of
population stability; Lin (1991) for the divergence of Jensen and Shannon.
"""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from xent import _check
from xent.measures._bins import Numbers, bin_of, quantile_cuts
from xent.measures._estimate import generator
from xent.measures._samples import MISSING, Column, kept
from xent.measures._tables import Field, field_of, frame_of

SHOWN = 10  # levels that a record names


@dataclass(frozen=True)
class ColumnDrift:
    """How far one column has moved.

    Parameters
    ----------
    name : str
        The column.
    js : float
        Jensen-Shannon divergence of the shares: from 0 (equal) to log 2, which is 1 bit.
    kl : float
        D(current‖reference), after the additive rule.
    psi : float
        Index of population stability in nats whatever the base, after the additive rule.
    kind : str
        "symbols"; or "numbers", "dates", "times" or "durations", which are binned.
    levels : int
        Bins or symbols that either table has, one of them for missing values if there are.
    new : float
        Share of current rows whose level the reference does not have.
    gone : float
        Share of reference rows whose level the current table does not have.
    new_levels, gone_levels : tuple
        The ten most frequent of these symbols; None is a missing value. Empty for numbers.
    low, high : float or None
        Interval of ``js`` by bootstrap; on request.

    Examples
    --------
    >>> ColumnDrift("age", 0.1, 0.2, 0.4, "numbers", 10, 0.0, 0.0).psi
    0.4
    """

    name: str
    js: float
    kl: float
    psi: float
    kind: str
    levels: int
    new: float
    gone: float
    new_levels: tuple[Any, ...] = ()
    gone_levels: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None


def drift(
    reference: Any,
    current: Any,
    *,
    columns: list[str] | None = None,
    bins: int = 10,
    missing: str = "symbol",
    bootstrap: int = 0,
    rng: np.random.Generator | int | None = None,
    confidence: float = 0.95,
    base: float = math.e,
) -> list[ColumnDrift]:
    """Say how far each column has moved between two tables, the farthest first.

    JS = H((p + q) / 2) - H(p) / 2 - H(q) / 2;  PSI = Σ (q - p) log(q / p)

    Parameters
    ----------
    reference, current : data frame
        Any that narwhals reads: pandas, polars, Arrow, ... with the same columns.
    columns : list of str, optional
        The columns to compare; all of them where not given.
    bins : int
        Quantiles of the reference that a column of numbers or dates is cut at. Below its least
        and above its greatest value lies one bin more each.
    missing : str
        None and NaN: a "symbol" of their own, "drop" them, or "refuse" them.
    bootstrap : int
        How often the rows of both tables are drawn anew, for the interval of ``js``.
    rng : Generator or int, optional
        Where the drawn rows come from; needed for the bootstrap.
    confidence : float
        Of the interval.
    base : float
        Base of the logarithm of JS and KL: e gives nats, 2 bits, 10 bans.

    Returns
    -------
    list of ColumnDrift
        By ``js``; equals in the order of the reference. No number in it is NaN or infinite.

    Raises
    ------
    ValueError, TypeError
        If a table has no row, the columns differ, or one is numbers here and symbols there.

    Notes
    -----
    KL and PSI are infinite where a level is new or gone. So, always, each level that either table
    has gets half a row of the smaller table more in both: p → (p + a) / (1 + K a) with
    a = 0.5 / min(rows). The bootstrap keeps the bins; its quantiles are shifted down by twice its
    bias, cut at 0, and widened to hold ``js``.

    Examples
    --------
    >>> import pandas as pd
    >>> old, new = pd.DataFrame({"x": ["a", "b"]}), pd.DataFrame({"x": ["c", "c"]})
    >>> drift(old, new, base=2)[0].js
    1.0

    References
    ----------
    Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Trans. Inf. Theory 37.
    """
    _check.option("missing", missing, MISSING)
    scale, level = _check.log_of_base(base), _check.share("confidence", confidence)
    pieces = _check.integer("bins", bins, least=2)
    times = _check.integer("bootstrap", bootstrap, least=0)
    draw = generator(rng, "the bootstrap") if times else None
    old, names = frame_of("reference", reference)
    new, others = frame_of("current", current)
    found = []
    for name in _chosen(columns, names, others):
        before = field_of(old, name, f"reference[{name!r}]")
        after = field_of(new, name, f"current[{name!r}]")
        before, after = _alike(name, before, after)
        levels, counts = _counted(name, before, after, pieces, missing)
        interval = None if draw is None else _interval(counts, times, draw, level)
        found.append(_moved(name, before.kind, levels, counts, scale, interval))
    return sorted(found, key=lambda d: -abs(d.js))


def _chosen(columns: list[str] | None, names: list[str], others: list[str]) -> list[str]:
    advice = "Pass columns= to compare some of them."
    if isinstance(columns, str):
        raise _check.wrong_kind("columns", "be a list of names", repr(columns))
    wanted = names if columns is None else list(columns)
    for argument, has in (("reference", names), ("current", others)):
        lost = [name for name in wanted if name not in has]
        if lost:
            got = f"no {_check.join_names(lost)}"
            raise _check.invalid(argument, "have the columns to compare", got, advice)
    more = [name for name in others if name not in wanted]
    if columns is None and more:
        got = f"{_check.join_names(more, last='and')} more"
        raise _check.invalid("current", "have the columns of `reference`", got, advice)
    if not wanted:
        raise _check.invalid("columns", "name a column", "none")
    return wanted


def _alike(name: str, before: Field, after: Field) -> tuple[Field, Field]:
    """Return two columns of one kind; where nothing is there, nothing is of the wrong kind."""
    if before.kind == after.kind:
        return before, after
    if after.missing.all():
        return before, _nothing(after, before.kind)
    if before.missing.all():
        return _nothing(before, after.kind), after
    because = f"{before.kind} in one table and {after.kind} in the other"
    raise _check.cannot(f"The drift of {name!r}", because, "Give the column one type in both.")


def _nothing(field: Field, kind: str) -> Field:
    codes = np.full(field.missing.size, -1 if kind == "symbols" else math.nan)
    return Field(codes, field.missing, (), kind)


def _counted(
    name: str, before: Field, after: Field, bins: int, missing: str
) -> tuple[tuple[Any, ...], Numbers]:
    """Count the levels that either table has: their names, and one row of counts a table."""
    if before.numeric:
        cuts = quantile_cuts(before.values[~before.missing], bins)
        every: tuple[Any, ...] = tuple(range(cuts.size + 1))
        parts = [np.where(f.missing, -1, bin_of(f.values, cuts)) for f in (before, after)]
    else:
        number: dict[Any, int] = {}
        parts = []
        for field in (before, after):
            places = [number.setdefault(symbol, len(number)) for symbol in field.symbols]
            places.append(-1)  # where the code of a missing value, -1, points
            parts.append(np.array(places, dtype=np.int64)[field.values.astype(np.int64)])
        every = tuple(number)
    table = [
        kept(f"{side}[{name!r}]", [Column(codes, every)], missing)[0].codes
        for side, codes in zip(("reference", "current"), parts, strict=True)
    ]
    for side, codes in zip(("reference", "current"), table, strict=True):
        if codes.size == 0:
            raise _check.invalid(f"{side}[{name!r}]", "have at least one value", "none")
    counts = np.array([np.bincount(codes, minlength=len(every) + 1) for codes in table])
    some = np.flatnonzero(counts.any(0))
    every = (*every, None)
    return tuple(every[k] for k in some), counts[:, some].astype(np.float64)


def _moved(
    name: str,
    kind: str,
    levels: tuple[Any, ...],
    counts: Numbers,
    scale: float,
    interval: tuple[float, float] | None,
) -> ColumnDrift:
    shares = counts / counts.sum(1, keepdims=True)
    more = 0.5 / counts.sum(1).min()
    p, q = (shares + more) / (1 + more * len(levels))
    ratio = np.log(q / p)
    lost, added = counts[1] == 0, counts[0] == 0

    def named(chosen: Any, side: int) -> tuple[Any, ...]:
        order = np.argsort(-counts[side][chosen], kind="stable")[:SHOWN]
        return () if kind != "symbols" else tuple(levels[k] for k in np.flatnonzero(chosen)[order])

    low, high = (None, None) if interval is None else (end / scale for end in interval)
    if low is not None and high is not None and low > high:  # a base below 1
        low, high = high, low
    return ColumnDrift(
        name,
        float(_js(shares[0], shares[1])) / scale,
        max(0.0, float((q * ratio).sum())) / scale,
        float(((q - p) * ratio).sum()),
        kind,
        len(levels),
        float(shares[1][added].sum()),
        float(shares[0][lost].sum()),
        named(added, 1),
        named(lost, 0),
        low,
        high,
    )


def _js(p: Numbers, q: Numbers) -> Numbers:
    """Jensen-Shannon divergence of rows in nats."""
    middle = 0.5 * (p + q)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / middle), 0.0)
        terms += np.where(q > 0, q * np.log(q / middle), 0.0)
    return np.asarray(np.maximum(0.0, 0.5 * terms.sum(-1)))


def _interval(
    counts: Numbers, times: int, draw: np.random.Generator, confidence: float
) -> tuple[float, float]:
    """Quantiles of the divergence of redrawn rows, less twice the bias of redrawing."""
    rows = counts.sum(1)
    seen = float(_js(*(counts / rows[:, None])))
    drawn = np.empty(times)
    for i in range(times):
        p, q = (draw.multinomial(int(n), c / n) / n for n, c in zip(rows, counts, strict=True))
        drawn[i] = _js(p, q)
    low, high = np.quantile(drawn, [0.5 - confidence / 2, 0.5 + confidence / 2])
    # The value is too high by about as much as the redrawn ones are higher than it.
    bias = 2 * (float(drawn.mean()) - seen)
    return min(seen, max(0.0, float(low) - bias)), max(seen, float(high) - bias)
