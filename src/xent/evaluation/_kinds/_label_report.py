"""What `evaluate_multilabel` found, as plain data and as one screen of text."""

from dataclasses import dataclass
from typing import Any

from xent._lang import say, say_count
from xent._terminal import fitted, one_line
from xent.evaluation._kinds._means import KindReport, reach
from xent.evaluation._numbers import percent, said_unit


@dataclass(frozen=True)
class LabelRow:
    """Where one of several labels stands.

    Parameters
    ----------
    label : object
        The label.
    rows, positives : float
        Sum of the weights of the rows where it is known, and of those where it is there.
    cross_entropy, prior : float
        Its mean cost, and what it costs to know only how often it is there.
    share : float
        Its part of the whole cost.
    said : float
        Its mean probability.

    Examples
    --------
    >>> from xent.evaluation import evaluate_multilabel
    >>> report = evaluate_multilabel([[1, 0], [1, 1]], [[0.5, 0.5], [0.5, 0.25]])
    >>> report.per_label[0].positives, report.per_label[0].cross_entropy
    (2.0, 1.0)
    """

    label: Any
    rows: float
    positives: float
    cross_entropy: float
    prior: float
    share: float
    said: float


@dataclass(frozen=True)
class LabelHardRow:
    """One of the rows that cost most.

    Parameters
    ----------
    row : int
        Its number, from 0.
    cost : float
        What its labels cost together.
    label : object
        The one that cost most.
    target : bool
        Whether that one is there.
    probability : float
        What was said of it.

    Examples
    --------
    >>> from xent.evaluation import evaluate_multilabel
    >>> report = evaluate_multilabel([[1, 0], [1, 1]], [[0.5, 0.5], [0.5, 0.25]])
    >>> report.hardest[0].row, report.hardest[0].cost
    (1, 3.0)
    """

    row: int
    cost: float
    label: Any
    target: bool
    probability: float


@dataclass(frozen=True, repr=False)
class MultilabelReport(KindReport):
    """What `evaluate_multilabel` found; `print` it.

    Parameters
    ----------
    rows, classes : int
        Size of the predictions: rows of which some label is known, and labels.
    weight : float
        Sum of the weights of the rows.
    cells : float
        Sum of the weights of labels that are known.
    labels : list
        What the labels are called.
    base : float
        Base of every logarithm here: 2 for bits.
    cross_entropy, low, high : float
        Mean cost of one label, and its interval over rows.
    total, total_low, total_high : float
        Mean cost of a row, of all its labels together, and its interval.
    uniform, prior : float
        What a label costs to know nothing, and to know how often each is there.
    explained : float
        1 - cross_entropy / prior.
    brier : float
        Mean of (p - t)² over labels, from 0 to 1.
    impossible : int
        Labels that were given probability 0 for what happened.
    per_label : list of LabelRow
        One entry a label.
    hardest : list of LabelHardRow
        The rows that cost most.
    signature : str
        Versions, settings and a hash of the data.

    Examples
    --------
    >>> from xent.evaluation import evaluate_multilabel
    >>> report = evaluate_multilabel([[1, 0], [1, 1]], [[0.5, 0.5], [0.5, 0.25]])
    >>> report.cross_entropy, report.total
    (1.25, 2.5)
    """

    rows: int
    classes: int
    weight: float
    cells: float
    labels: list[Any]
    base: float
    cross_entropy: float
    low: float
    high: float
    total: float
    total_low: float
    total_high: float
    uniform: float
    prior: float
    explained: float
    brier: float
    impossible: int
    per_label: list[LabelRow]
    hardest: list[LabelHardRow]
    signature: str

    def __str__(self) -> str:
        unit = said_unit(self.base)
        sizes = say_count(self.rows, "row"), say_count(self.classes, "label")
        lines = [
            say("{rows} of {labels}, each there or not", rows=sizes[0], labels=sizes[1]),
            "",
            say(
                "cross-entropy   {mean:8.4f} {unit} a label   (95 % interval {interval})",
                mean=self.cross_entropy,
                unit=unit,
                interval=reach(self.low, self.high),
            ),
            say(
                "  a row         {cost:8.4f} {unit}   all its labels ({interval})",
                cost=self.total,
                unit=unit,
                interval=reach(self.total_low, self.total_high),
            ),
            say(
                "  uniform       {cost:8.4f} {unit} a label   knowing nothing",
                cost=self.uniform,
                unit=unit,
            ),
            say(
                "  label priors  {cost:8.4f} {unit} a label   knowing how often each is there",
                cost=self.prior,
                unit=unit,
            ),
            say("  explained     {share:>8} of the label priors", share=percent(self.explained)),
            say("Brier {brier:.4f} a label", brier=self.brier),
        ]
        if self.impossible:
            said = "{labels} had what happened at probability 0: infinite cost"
            lines.append(say(said, labels=say_count(self.impossible, "label")))
        lines += ["", say("label                share     {unit}    prior   positive", unit=unit)]
        order = sorted(self.per_label, key=lambda c: -c.share)
        for c in order[:12]:
            positive = say("{some:,.0f} of {all:,.0f}", some=c.positives, all=c.rows)
            lines.append(
                f"  {fitted(one_line(c.label), 16)} {percent(c.share):>7} {c.cross_entropy:8.4f} "
                f"{c.prior:8.4f}   {positive}"
            )
        if len(order) > 12:
            lines.append("  " + say("and {more} more", more=len(order) - 12))
        return "\n".join([*lines, "", self.signature])
