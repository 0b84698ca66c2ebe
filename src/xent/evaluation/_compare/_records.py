"""What a comparison found, as plain data, one screen of text, or a table in a notebook."""

import math
import os
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

from xent._lang import say, say_count
from xent._terminal import fitted, one_line, right_in, width_of
from xent.evaluation._compare._page import write_page
from xent.evaluation._compare._texts import between, p_text, pair_text, signed, verdict
from xent.evaluation._numbers import plain, said_unit, unit_of

INTERVALS = {"student": "Student's", "bootstrap": "percentile bootstrap"}
TESTS = {"t": "paired t", "sign_flip": "sign flips", "bootstrap": "inverted bootstrap interval"}
WIDEST_NAME = 28  # columns of a model's name
MOST_SLICES = 10


@dataclass(frozen=True)
class ModelCost:
    """What one model's predictions cost.

    Parameters
    ----------
    name : object
        What the model is called.
    cross_entropy, low, high : float
        Mean cost of the true class, and its interval.
    impossible : int
        Rows whose true class it gave probability 0.
    reliability : dict
        Calibration in bins, and the best rising curve, of the second of two classes (``yes``) or
        of the winning class (``top_label``), as in `Report`; empty of costs.

    Examples
    --------
    >>> from xent.evaluation import compare
    >>> found = compare([0.5, 0.5, 0.5], [0.75, 0.8, 0.4], target=[1, 1, 0])
    >>> found.models[0].name, found.models[0].cross_entropy
    ('a', 1.0)
    """

    name: Any
    cross_entropy: float
    low: float
    high: float
    impossible: int
    reliability: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CostDifference:
    """How much more the second of two models costs a row; below 0 it is the better one.

    Parameters
    ----------
    first, second : object
        The models.
    difference, low, high, error : float
        Mean over rows of the second's cost less the first's, its interval, its standard error.
        Infinite if one model alone gave a true class probability 0, NaN if both did.
    p_value, adjusted : float
        How likely a difference of that size is if there is none, and the same corrected for the
        number of comparisons. NaN if the difference is not finite.
    impossible_first, impossible_second, impossible_both : int
        Rows whose true class was given probability 0 by the one, by the other, by both.
    finite_difference, finite_low, finite_high, finite_p_value : float
        The same on the rows that cost neither of them infinitely much.
    rows, groups : int
        How many rows, and how many groups of them.
    by, value : object
        The column and the value that the rows share; None for all rows.

    Examples
    --------
    >>> from xent.evaluation import compare
    >>> found = compare([0.5, 0.5, 0.5], [0.75, 0.8, 0.4], target=[1, 1, 0])
    >>> found.differences[0].second, round(found.differences[0].difference, 4)
    ('b', -0.5087)
    """

    first: Any
    second: Any
    difference: float
    low: float
    high: float
    error: float
    p_value: float
    adjusted: float
    impossible_first: int
    impossible_second: int
    impossible_both: int
    finite_difference: float
    finite_low: float
    finite_high: float
    finite_p_value: float
    rows: int
    groups: int
    by: Any = None
    value: Any = None

    @property
    def impossible(self) -> bool:
        """Whether a true class was given probability 0 by either model."""
        return bool(self.impossible_first or self.impossible_second or self.impossible_both)


@dataclass(frozen=True, repr=False)
class ModelComparison:
    """What `compare` found; `print` it, or take it as a dictionary.

    Parameters
    ----------
    rows : int
        Rows that were compared; those that are ignored or of weight 0 are not counted.
    weight : float
        Sum of their weights.
    groups : int or None
        Groups of rows that are drawn together; None where every row stands alone.
    base : float
        Base of every logarithm here: 2 for bits.
    models : list of ModelCost
        What each costs.
    differences : list of CostDifference
        Each pair that was compared.
    slices : list of CostDifference
        The same by the values of columns that were asked for, corrected among themselves.
    interval, test, correction : str
        How intervals, p-values and their correction were found.
    confidence : float
        How often such an interval holds the true difference.
    resamples, seed : int
        Of the bootstrap and of flipped signs.
    signature : str
        Versions, settings and a hash of the costs.

    Examples
    --------
    >>> from xent.evaluation import compare
    >>> found = compare([0.5, 0.5, 0.5], [0.75, 0.8, 0.4], target=[1, 1, 0])
    >>> found.rows, [model.name for model in found.models]
    (3, ['a', 'b'])
    """

    rows: int
    weight: float
    groups: int | None
    base: float
    models: list[ModelCost]
    differences: list[CostDifference]
    slices: list[CostDifference]
    interval: str
    test: str
    correction: str
    confidence: float
    resamples: int
    seed: int
    signature: str

    @property
    def unit(self) -> str:
        """What the costs are counted in."""
        return unit_of(self.base)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain lists, numbers and strings, ready for JSON.

        Returns
        -------
        dict
            Keys as the attributes. NaN and infinities, which JSON cannot say, become None and the
            strings ``"inf"`` and ``"-inf"``.
        """
        return plain({**asdict(self), "unit": self.unit})  # type: ignore[no-any-return]

    def to_html(
        self, path: str | os.PathLike[str], *, title: str | None = None, lang: str | None = None
    ) -> None:
        """Write the comparison as one page that opens anywhere, offline.

        Parameters
        ----------
        path : str or PathLike
            Where the page shall stand; it is written whole or not at all.
        title : str, optional
            Its heading.
        lang : str, optional
            Its language: ``en``, or ``zh`` for Chinese. By default that of the environment
            variable ``XENT_LANG``, else English.

        Raises
        ------
        ImportError
            If the extra ``report`` is not installed.
        ValueError
            If the language is another.
        """
        write_page(self, path, title, lang)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [self.head(), "", *self._model_lines(), "", *self._difference_lines()]
        for name in dict.fromkeys(piece.by for piece in self.slices):
            lines += ["", *self._slice_lines(name)]
        return "\n".join([*lines, "", *self.notes(), self.signature])

    def _repr_html_(self) -> str:
        """Show the tables in a notebook, in the language that is spoken."""
        models = [[m.name, m.cross_entropy, m.low, m.high, m.impossible] for m in self.models]
        ends = [say("low"), say("high")]
        pairs = [
            [pair_text(d), d.difference, d.low, d.high, d.p_value, d.adjusted]
            for d in self.differences
        ]
        notes = "".join(f"<p>{escape(line)}</p>" for line in [self.head(), *self.notes()])
        first = _table([say("model"), self._per_row(), *ends, say("zeros on the truth")], models)
        heads = [say("second less first"), say("difference"), *ends, "p", f"p ({self.correction})"]
        return f"<div>{first}{_table(heads, pairs)}{notes}</div>"

    def head(self) -> str:
        """Say how many rows and models there are."""
        parts = [say_count(self.rows, "row"), say_count(len(self.models), "model")]
        if self.groups is not None:
            parts.append(say_count(self.groups, "group"))
        return say(", ").join(parts)

    def _per_row(self) -> str:
        return say("{unit} a row", unit=said_unit(self.base))

    def _model_lines(self) -> list[str]:
        width = self._width(m.name for m in self.models)
        interval = say("{share:g} % interval", share=100 * self.confidence)
        lines = [f"{'':{width}}  {right_in(self._per_row(), 12)}   {interval}"]
        return lines + [
            f"{fitted(one_line(m.name), width)}  {m.cross_entropy:12.4f}   {between(m.low, m.high)}"
            for m in self.models
        ]

    def _difference_lines(self) -> list[str]:
        names = [pair_text(d) for d in self.differences]
        width = min(max(map(width_of, names)), 2 * WIDEST_NAME)
        several = len(self.differences) > 1
        head = f"{'':{width}}  {right_in(say('difference'), 12)}   "
        head += f"{fitted(say('interval'), 20)}  {'p':>8}"
        corrected = say("{name}'s", name=self.correction)
        lines = [head + (f"  {right_in(corrected, 8)}" if several else "")]
        for name, d in zip(names, self.differences, strict=True):
            line = f"{fitted(name, width)}  {signed(d.difference):>12}   "
            line += f"{between(d.low, d.high, sign=True):<20}  {p_text(d.p_value):>8}"
            line += f"  {p_text(d.adjusted):>8}" if several else ""
            lines.append(f"{line}   {verdict(d)}")
            lines += [f"  {line}" for line in self.infinite_lines(d)]
        return lines

    def infinite_lines(self, d: CostDifference) -> list[str]:
        """Say plainly who gave a true class probability 0, and what the other rows say."""
        if not d.impossible:
            return []
        said = [
            say("{name} alone in {rows}", name=one_line(name), rows=say_count(rows, "row"))
            for name, rows in ((d.first, d.impossible_first), (d.second, d.impossible_second))
            if rows
        ]
        if d.impossible_both:
            said.append(say("both in {rows}", rows=say_count(d.impossible_both, "row")))
        zeros = say(
            "a true class was given probability 0, at infinite cost: {who};",
            who=say(", ").join(said),
        )
        if math.isnan(d.finite_difference):
            return [zeros, say("no row is left on which both are finite")]
        cost = f"{signed(d.finite_difference)} {said_unit(self.base)}"
        rest = say("on the other rows {cost}", cost=cost)
        if not math.isnan(d.finite_low):
            reach = between(d.finite_low, d.finite_high, sign=True)
            rest += say(" ({reach}, p {p})", reach=reach, p=p_text(d.finite_p_value))
        return [zeros, rest]

    def _slice_lines(self, name: Any) -> list[str]:
        found = [piece for piece in self.slices if piece.by == name]
        several = len(self.differences) > 1
        head = "by {name}: difference, interval, p ({correction}), rows"
        lines = [say(head, name=one_line(name), correction=self.correction)]
        for d in found[:MOST_SLICES]:
            value = say("missing") if d.value is None else one_line(d.value)
            if several:
                value = say("{value}: {pair}", value=value, pair=pair_text(d))
            lines.append(
                f"  {fitted(value, 36 if several else 18)} {signed(d.difference):>10}   "
                f"{between(d.low, d.high, sign=True):<20}  {p_text(d.adjusted):>8}  {d.rows:>9,}"
            )
        if len(found) > MOST_SLICES:
            lines.append("  " + say("and {more} more", more=len(found) - MOST_SLICES))
        return lines

    def notes(self) -> list[str]:
        """Say how intervals and p-values were found."""
        interval, test = say(INTERVALS[self.interval]), say(TESTS[self.test])
        drawn = say("rows are drawn one by one")
        if self.groups is not None:
            drawn = say("{groups} of rows are drawn whole", groups=say_count(self.groups, "group"))
            robust = self.interval == "student"
            interval += say(", cluster-robust") if robust else say(" of groups")
        line = say(
            "interval: {interval}; p: {test}; {drawn}", interval=interval, test=test, drawn=drawn
        )
        if self.interval == "bootstrap" or self.test != "t":
            line += say("; {draws:,} resamples, seed {seed}", draws=self.resamples, seed=self.seed)
        lines = [line]
        if len(self.differences) > 1:
            said = "{name}'s correction for {pairs} comparisons; intervals have none"
            lines.append(say(said, name=self.correction, pairs=len(self.differences)))
        return lines

    @staticmethod
    def _width(names: Any) -> int:
        return min(max(width_of(one_line(name)) for name in names), WIDEST_NAME)


def _table(heads: list[str], rows: list[list[Any]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return one_line(value)
    return "-" if math.isnan(value) else f"{value:.4g}"
