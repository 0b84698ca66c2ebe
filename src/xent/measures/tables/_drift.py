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
from xent.measures.rows._rng import rng_for
from xent.measures.rows._symbols import MISSING
from xent.measures.tables._bins import Numbers, bin_of
from xent.measures.tables._columns import doubt_text
from xent.measures.tables._streaming import Spread, Symbols, Table, Tally, counted, cut

MOST_BINS = 1 << 16
SHOWN = 10  # levels that a record names
DOUBTED = 1000  # levels among which an old one is looked for


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
    hellinger : float
        Hellinger distance of the shares: from 0 (equal) to 1.
    total_variation : float
        Half of Σ|p - q| of the shares, what would have to move: from 0 (equal) to 1.
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
    >>> ColumnDrift("age", 0.1, 0.2, 0.4, 0.3, 0.2, "numbers", 10, 0.0, 0.0).psi
    0.4
    """

    name: str
    js: float
    kl: float
    psi: float
    hellinger: float
    total_variation: float
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
    weights: Any = None,
    missing: str = "symbol",
    bootstrap: int = 0,
    rng: np.random.Generator | int | None = None,
    confidence: float = 0.95,
    base: float = math.e,
) -> list[ColumnDrift]:
    """Say how far each column has moved between two tables, the farthest first.

    JS = H((p + q) / 2) - H(p) / 2 - H(q) / 2;  PSI = Σ (q - p) log(q / p);
    Hellinger = √(Σ (√p - √q)² / 2);  total variation = Σ abs(p - q) / 2

    Parameters
    ----------
    reference, current : data frame, path or function
        Any frame that narwhals reads (pandas, polars, Arrow, ...), a Parquet, CSV or JSON-lines
        file of any size, which is read in batches, or a function that returns batches from the
        start each time it is called; with the same columns.
    columns : list of str, optional
        The columns to compare; all of them where not given.
    bins : int
        Quantiles of the reference that a column of numbers or dates is cut at. Below its least
        and above its greatest value lies one bin more each.
    weights : str or two array_like, optional
        How many rows each row stands for: a column of both tables, or an array for each.
    missing : str
        None and NaN: a "symbol" of their own, "drop" them, or "refuse" them.
    bootstrap : int
        How often the rows of both tables are drawn anew, for the interval of ``js``.
    rng : Generator or int, optional
        Where the drawn rows come from; needed for the bootstrap, and for nothing else.
    confidence : float
        Of the interval by bootstrap.
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
    KL and PSI are infinite where a level is new or gone. So each level of either table always gets
    half a row of the smaller table more in both: p → (p + a) / (1 + K a) with a = 0.5 / min(rows).
    The bootstrap keeps the bins; its quantiles are shifted down by twice its bias, cut at 0, and
    widened to hold ``js``.

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
    if pieces > MOST_BINS:
        raise _check.invalid("bins", f"be at most {MOST_BINS:,}", pieces)
    draw, times = rng_for(rng, "bootstrap", bootstrap)
    if not times and level != 0.95:
        raise _check.invalid(
            "confidence", "be left out without " + _check.setting("bootstrap"), repr(confidence)
        )
    old, new = Table("reference", reference), Table("current", current)
    names = _chosen(columns, *(_without(t.names, weights) for t in (old, new)))
    mine, theirs = _each(weights, old, new)
    before = counted(old, names, mine)
    for name in names:
        cut(before[name], pieces)
    after = counted(new, names, theirs, before)
    found = []
    for name in names:
        for argument, tally in (("reference", before[name]), ("current", after[name])):
            if isinstance(tally.known, Symbols):
                known = tally.known.pairs
                rows = np.bincount(known.left, known.weights, len(tally.known.number))
                doubt_text(argument, name, list(tally.known.number), rows)
        kind = _kind(name, before[name], after[name])
        levels, counts, copies = _counted(before[name], after[name], missing)
        interval = None if draw is None else _interval(counts, copies, times, draw, level)
        found.append(_moved(name, kind, levels, counts, copies, scale, interval))
        if kind == "symbols":
            _doubt_levels(found[-1], [levels[k] for k in np.flatnonzero(counts[0])[:DOUBTED]])
    return sorted(found, key=lambda d: -abs(d.js))


def _without(names: list[str], weights: Any) -> list[str]:
    return [name for name in names if not (isinstance(weights, str) and name == weights)]


def _each(weights: Any, old: Table, new: Table) -> tuple[Any, Any]:
    """Return the weights of both tables."""
    if weights is None or isinstance(weights, str):
        for table in (old, new) if weights is not None else ():
            if weights not in table.names:
                must = f"name a column of `{table.argument}`"
                raise _check.invalid("weights", must, repr(weights))
        return weights, weights
    if not isinstance(weights, tuple | list) or len(weights) != 2:
        must = "be the name of a column, or a pair of arrays"
        raise _check.wrong_kind("weights", must, _check.a(weights))
    for table in (old, new):
        if table.streamed:
            raise _check.wrong_kind("weights", "be the name of a column of the files", "arrays")
    return weights[0], weights[1]


def _chosen(columns: list[str] | None, names: list[str], others: list[str]) -> list[str]:
    advice = "Pass " + _check.setting("columns") + " to compare some of them."
    if isinstance(columns, str):
        raise _check.wrong_kind("columns", "be a list of names", repr(columns))
    wanted = names if columns is None else list(columns)
    for argument, has in (("reference", names), ("current", others)):
        lost = [name for name in wanted if name not in has]
        if lost:
            got, alike = f"no {_check.join_names(lost)}", _check.look_alike(lost[0], has)
            hint = f"{alike} " + advice if alike else advice
            raise _check.invalid(argument, "have the columns to compare", got, hint)
    more = [name for name in others if name not in wanted]
    if columns is None and more:
        got = f"{_check.join_names(more, last='and')} more"
        raise _check.invalid(
            "current", "have the columns of " + _check.argument("reference"), got, advice
        )
    if not wanted:
        raise _check.invalid("columns", "name a column", "none")
    return wanted


def _kind(name: str, before: Tally, after: Tally) -> str:
    """Return the kind of both columns; where nothing is there, nothing is of the wrong kind."""
    if None not in (before.zoned, after.zoned) and before.zoned is not after.zoned:
        # Nothing says which moment a date without a zone is.
        because = "dates with a time zone in one table and dates without one in the other"
        raise _check.cannot(f"The drift of {name!r}", because, "Write all of them in UTC.")
    if before.kind == after.kind or after.known is None:
        return before.kind
    if before.known is None:
        return after.kind
    because = f"{before.kind} in one table and {after.kind} in the other"
    raise _check.cannot(f"The drift of {name!r}", because, "Give the column one type in both.")


def _counted(before: Tally, after: Tally, missing: str) -> tuple[tuple[Any, ...], Numbers, Numbers]:
    """Count the levels of either table: names, one row of counts a table, what each stands for."""
    for tally in (before, after):
        if tally.missing and missing == "refuse":
            got = f"a missing one in {_check.count(tally.missing, 'row')}"
            advice = (
                "Pass "
                + _check.setting("missing", "drop")
                + " or "
                + _check.setting("missing", "symbol")
                + "."
            )
            raise _check.invalid(tally.argument, "have a value in every row", got, advice)
    if any(isinstance(tally.known, Symbols) for tally in (before, after)):
        levels, counts, copies = _of_symbols(before.known, after.known)
    else:
        counts = _of_numbers(before.known, after.known)
        levels, copies = tuple(range(counts.shape[1])), np.ones(counts.shape[1])
    if missing == "symbol":
        gaps = [[tally.gaps.sum()] for tally in (before, after)]
        counts, copies = np.hstack([counts, gaps]), np.append(copies, 1.0)
        levels = (*levels, None)
    for tally, rows in zip((before, after), counts, strict=True):
        if not rows.any():
            raise _check.invalid(tally.argument, "have at least one value", "none")
    some = np.flatnonzero(counts.any(0))
    return tuple(levels[k] for k in some), counts[:, some], copies[some]


def _of_numbers(before: Any, after: Any) -> Numbers:
    cuts = before.cuts if isinstance(before, Spread) else []
    counts = np.zeros((2, len(cuts) + 1))
    if isinstance(before, Spread):
        counts[0] = np.bincount(bin_of(before.high, cuts), before.rows, len(cuts) + 1)
    if after is not None:
        counts[1] = after.rows
    return counts


def _of_symbols(before: Any, after: Any) -> tuple[tuple[Any, ...], Numbers, Numbers]:
    parts = [known for known in (before, after) if known is not None]
    last = parts[-1]  # it began with the choice of the one before, and may have chosen fewer
    if parts[0].level < last.level:
        parts[0].keep(last.certain, last.level)
    number: dict[Any, int] = {}
    counts = []
    for known in (before, after):
        rows: Any = np.zeros(0)
        if known is not None:
            places = [number.setdefault(symbol, len(number)) for symbol in known.number]
            codes = np.array(places, dtype=np.int64)[known.pairs.left]
            rows = np.bincount(codes, known.pairs.weights, len(number))
        counts.append(rows)
    table = np.array([np.pad(rows, (0, len(number) - rows.size)) for rows in counts])
    return tuple(number), table, last.copies_of(number)


def _moved(
    name: str,
    kind: str,
    levels: tuple[Any, ...],
    counts: Numbers,
    copies: Numbers,
    scale: float,
    interval: tuple[float, float] | None,
) -> ColumnDrift:
    rows = (counts * copies).sum(1)
    shares = counts / rows[:, None]
    # A level that stands for others like it counts as all of them; a table has at least one row.
    more = 0.5 / max(1.0, float(rows.min()))
    p, q = (shares + more) / (1 + more * float(copies.sum()))
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
        float(_js(shares[0], shares[1], copies)) / scale,
        max(0.0, float((copies * q * ratio).sum())) / scale,
        float((copies * (q - p) * ratio).sum()),
        math.sqrt(0.5 * float((copies * np.diff(np.sqrt(shares), axis=0) ** 2).sum())),
        0.5 * float((copies * np.abs(np.diff(shares, axis=0))).sum()),
        kind,
        int(copies.sum()),
        float((copies * shares[1])[added].sum()),
        float((copies * shares[0])[lost].sum()),
        named(added, 1),
        named(lost, 0),
        low,
        high,
    )


def _doubt_levels(found: ColumnDrift, old: list[Any]) -> None:
    """Warn where a new level is an old one that is written otherwise; refuse bytes of text."""
    known = set(old)
    for level in found.new_levels:
        if (isinstance(level, bytes) and level.decode(errors="replace") in known) or (
            isinstance(level, str) and level.encode(errors="replace") in known
        ):
            because = "bytes in one table and text in the other"
            advice = "Give the column one type in both."
            raise _check.cannot(f"The drift of {found.name!r}", because, advice)
    bare = {_check.bare(level) for level in old if isinstance(level, str)}
    for level in found.new_levels:
        if isinstance(level, str) and _check.bare(level) in bare:
            doubt = f"A new level of {found.name!r} may be an old one: "
            _check.warn(doubt + _check.look_alike(level, old))
            return


def _js(p: Numbers, q: Numbers, copies: Numbers) -> Numbers:
    """Jensen-Shannon divergence of rows in nats, each level as often as its copies."""
    middle = 0.5 * (p + q)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / middle), 0.0)
        terms += np.where(q > 0, q * np.log(q / middle), 0.0)
    return np.asarray(np.maximum(0.0, 0.5 * (copies * terms).sum(-1)))


def _interval(
    counts: Numbers, copies: Numbers, times: int, draw: np.random.Generator, confidence: float
) -> tuple[float, float]:
    """Quantiles of the divergence of redrawn rows, less twice the bias of redrawing."""
    rows = (counts * copies).sum(1)
    shares = counts / rows[:, None]
    seen = float(_js(shares[0], shares[1], copies))
    drawn = np.empty(times)
    for i in range(times):
        p, q = (_redrawn(c, n, copies, draw) for c, n in zip(counts, rows, strict=True))
        drawn[i] = _js(p, q, copies)
    low, high = np.quantile(drawn, [0.5 - confidence / 2, 0.5 + confidence / 2])
    # The value is too high by about as much as the redrawn ones are higher than it.
    bias = 2 * (float(drawn.mean()) - seen)
    return min(seen, max(0.0, float(low) - bias)), max(seen, float(high) - bias)


def _redrawn(counts: Numbers, rows: float, copies: Numbers, draw: np.random.Generator) -> Numbers:
    """Shares of rows drawn anew; by Poisson's law where levels stand for others."""
    if copies.max() == 1:
        whole = max(1, int(rows))
        return draw.multinomial(whole, counts / rows) / whole
    drawn = draw.poisson(counts)
    return drawn / max(1.0, float((drawn * copies).sum()))
