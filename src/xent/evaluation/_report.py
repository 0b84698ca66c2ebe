"""The report: numbers in a record, one screen of text. HTML is `_html`'s business."""

import math
import os
from dataclasses import dataclass

from xent._check import count
from xent._page import Page
from xent._terminal import bar_of, cut, fitted, one_line, width_of
from xent.evaluation._hooks._notebook import cell_of
from xent.evaluation._html import add_report
from xent.evaluation._numbers import Figures, digits, percent


@dataclass(frozen=True, repr=False)
class Report(Figures):
    """What `evaluate` found; `print` it, or write it with `to_html`.

    Parameters
    ----------
    rows, classes, weight : int, int, float
        Rows that are not ignored nor of weight 0, columns, and the sum of the weights.
    labels, base : list, float
        The classes in the order of the columns; the base of every logarithm here: 2 for bits.
    cross_entropy, low, high, confidence : float
        Mean cost of the true class; its interval, Student's for independent rows (NaN for one), and
        how often such an interval holds the true mean.
    uniform, prior, explained : float
        What it costs to know nothing (log C), and to know how often each class occurs (H(Y));
        1 - cross_entropy / prior, NaN where but one class occurs.
    accuracy, brier, calibration_error : float
        Share of rows whose true class won; Brier's score, 0 to 2; mean gap between confidence and
        accuracy over the bins.
    calibration, binning : list of Bin, str
        Reliability of the winning class; which bins it and every diagram is in.
    impossible, floored : int, dict of str to float
        Rows whose true class was given probability 0, each of which makes the cross-entropy
        infinite; what it would be, were no probability below a floor, by the floor.
    ranking, score_counts : dict of str to float, str
        ``roc_auc`` and ``average_precision``, no proper scores: they see the order alone; of 3 to
        64 classes the means over each against the rest. Scores were counted "exact", each by
        itself, or where more than 2^17 differ by "cells" of the log odds, or not: "none".
    thresholds, best_f1 : list of OperatingPoint, OperatingPoint or None
        Of two classes: precision, recall, F1 and cost at some thresholds of P(yes), and where F1 is
        highest on these very rows. In `to_dict` they stand in ``ranking``.
    per_class, pairs : list of ClassRow, sequence of ConfusedRows
        Each class that occurs or was predicted; how many rows of which class were taken for which.
    slices, hardest : list of SliceRow, list of HardRow
        Rows that share a value of a column that was asked for; the most expensive rows.
    signature : str
        Versions, settings and a hash of the data.
    macro, top_k, coverage : float, dict of str to float, list of CoveredRows
        Mean over the classes of their mean cost; share of rows whose true class is among the first
        k, of equals in the order of the columns; what the surest rows cost.
    training_prior, smoothing_floor : float
        What the class frequencies of the training set, ``prior=``, would cost on these rows; the
        least that a model can cost that was trained with ``label_smoothing=``: -log(1 - ε + ε / C).
        NaN where they were not given.
    decomposition : dict
        ``corp``: ``mean``, ``miscalibration``, ``discrimination`` and ``uncertainty`` of the
        ``brier`` score of P(yes) and of the ``log`` score, by the best monotone recalibration; of
        more than two classes, up to 64, sums over each against the rest, which ``classes`` lists;
        ``top_label`` is of the winning class. ``refinement``: what is left of the mean, and the
        ``calibration_error``, by temperature, cross-fitted.
    recovered : dict
        By calibrator, the ``mean`` that it saves a row that it was not fitted on, from ``low`` to
        ``high``, and what is ``left``. Negative where it does harm.
    reliability : dict
        Calibration errors and diagrams of ``yes``, the second of two classes, of ``top_label``, and
        ``classwise`` of up to 64 classes against the rest: ``ece``, ``ece_debiased``,
        ``ece_if_calibrated``, ``smooth_ece``, ``slope``, ``intercept``, ``bins``, ``corp``.
        ``slices``: the same errors and bins of the values of ``by`` that cost most.
    """

    def to_html(self, path: str | os.PathLike[str], *, title: str | None = None) -> None:
        """Write the report as one page that opens anywhere, offline.

        Parameters
        ----------
        path : str or PathLike
            Where the page shall stand; it is written whole or not at all.
        title : str, optional
            Its heading; "Where the bits go" (or nats) where not given.

        Raises
        ------
        ImportError
            If the extra ``report`` is not installed.
        """
        rows, classes = count(self.rows, "prediction"), count(self.classes, "class")
        lead = f"{rows} over {classes}, counted in {self.unit}."
        page = Page(title or f"Where the {self.unit} go", lead, self.signature)
        self.add_to(page)
        page.write(path)

    def add_to(self, page: Page) -> None:
        """Add the report's tables and charts to a page that holds more than this report.

        Parameters
        ----------
        page : Page
            The page.
        """
        add_report(page, self)

    def __repr__(self) -> str:
        return str(self)  # at a prompt: the screen of text, not every number

    def _repr_html_(self) -> str:
        return cell_of(self)

    def __str__(self) -> str:
        unit = self.unit
        lines = [
            f"{count(self.rows, 'row')}, {count(self.classes, 'class')}",
            f"cross-entropy   {self.cross_entropy:8.4f} {unit} a row"
            f"   (perplexity {self.perplexity:.4g})",
            f"  95 % interval {self.low:8.4f} to {self.high:.4f} {unit}{self._other_unit()}",
            f"  uniform       {self.uniform:8.4f} {unit}   knowing nothing: log of {self.classes}",
            f"  class prior   {self.prior:8.4f} {unit}   knowing only how often each class occurs",
            f"  explained     {percent(self.explained):>8} of the class prior"
            f"   classes alike: {digits(self.macro)}",
            f"accuracy {percent(self.accuracy)}{self._top()}   Brier {self.brier:.4f}"
            f"   calibration error {percent(self.calibration_error)}{self._bins()}",
        ]
        lines[5:5] = self._baseline_lines()
        if math.isnan(self.low):
            del lines[2]
        if self.classes == 2 and not math.isnan(self.ranking["roc_auc"]):
            lines.append(
                f"order alone, no proper scores: ROC AUC {self.ranking['roc_auc']:.4f}   "
                f"average precision {self.ranking['average_precision']:.4f}"
            )
            lines += self._threshold_lines()
        if self.impossible:
            rows = count(self.impossible, "row")
            lines.append(
                f"{rows} had a true class of probability 0: infinite cost; with 1e-15 for 0, as "
                f"others have it, {self.floored['1e-15']:.4f} {unit} a row"
            )
        lines += self._calibration_lines()
        lines += ["", *self._class_lines(), *self._slice_lines(), "", *self._confusion_line()]
        return "\n".join([*lines, self.signature])

    def _baseline_lines(self) -> list[str]:
        """Write the baselines that were asked for."""
        unit, lines = self.unit, []
        if not math.isnan(self.training_prior):
            lines.append(
                f"  training prior{self.training_prior:8.4f} {unit}   how often each class occurs "
                "where the model was trained"
            )
        if not math.isnan(self.smoothing_floor):
            lines.append(
                f"  label smoothing{self.smoothing_floor:7.4f} {unit}   what it makes of the best "
                "model"
            )
        return lines

    def _threshold_lines(self) -> list[str]:
        """Write what follows where yes is said from some probabilities on."""
        shown = [p for p in self.thresholds if round(10 * p.threshold) in (1, 3, 5, 7, 9)]
        shown = [p for p in shown if p.threshold == round(p.threshold, 1)]
        if not shown or self.best_f1 is None:
            return []
        yes = fitted(f"{_short(self.labels[-1])} from", 20)
        lines = ["  " + yes + "".join(f"{p.threshold:>8.1f}" for p in shown)]
        for name, field in (("precision", "precision"), ("recall", "recall"), ("F1", "f1")):
            found = [getattr(p, field) for p in shown]
            lines.append(f"  {name:<20}" + "".join(f"{percent(value):>8}" for value in found))
        best = self.best_f1
        lines[-1] += f"   best {percent(best.f1)} from {best.threshold:.3g}"
        return lines

    def _bins(self) -> str:
        """Name the bins where they are chosen."""
        return "" if self.binning == "15 equal-width bins" else f" ({self.binning})"

    def _top(self, k: str = "5") -> str:
        """Write how often the true class is among the first few."""
        return f" (top {k} {percent(self.top_k[k])})" if k in self.top_k else ""

    def _calibration_lines(self) -> list[str]:
        """Write the decomposition of the cost, and what calibrators recover."""
        lines = []
        if self.classes == 2 and "log" in self.decomposition.get("corp", {}):
            found = self.decomposition["corp"]["log"]
            lines.append(
                f"CORP: {found['mean']:.4f} = miscalibration {found['miscalibration']:.4f} - "
                f"discrimination {found['discrimination']:.4f} + uncertainty "
                f"{found['uncertainty']:.4f}"
            )
        if self.recovered:
            each = [
                f"{name} {found['mean']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})"
                for name, found in self.recovered.items()
            ]
            lines.append(f"{self.unit} recovered: {each[0]}")
            if len(each) > 1:
                lines.append(f"  {'   '.join(each[1:])}")
        return lines

    def _other_unit(self) -> str:
        """Write the mean in the unit of the two that the report is not in."""
        if self.base == 2:
            return f"   ({self.cross_entropy * math.log(2):.4f} nats a row)"
        return f"   ({self.cross_entropy * math.log2(self.base):.4f} bits a row)"

    def _slice_lines(self, most: int = 10) -> list[str]:
        """Write the slices that cost most in all, one a line."""
        lines = []
        for name in dict.fromkeys(piece.name for piece in self.slices):
            found = [piece for piece in self.slices if piece.name == name]
            lines += ["", f"by {one_line(name)}: {self.unit} a row, interval, rows, accuracy"]
            for piece in found[:most]:
                reach = "-" if math.isnan(piece.low) else f"{piece.low:.3f} to {piece.high:.3f}"
                value = fitted("missing" if piece.value is None else one_line(piece.value), 18)
                lines.append(
                    f"  {value} {piece.cross_entropy:8.3f}   {reach:<16} {piece.rows:>9,}"
                    f"   {percent(piece.accuracy)}"
                )
            if len(found) > most:
                lines.append(f"  and {len(found) - most} more")
        return lines

    def _class_lines(self, most: int = 10) -> list[str]:
        """Draw the classes that cost most, one a line."""
        order = sorted(self.per_class, key=lambda c: -c.share)[:most]
        width = min(max(width_of(one_line(c.label)) for c in order), 18)
        longest = max((c.share for c in order), default=0.0) or 1.0
        title = f"where the {self.unit} go"
        lines = [f"{title:{width + 26}} share  {self.unit:>7}  recall    rows"]
        for c in order:
            bar = bar_of(c.share / longest, 22)
            name = fitted(one_line(c.label), width)
            cost = "-" if math.isnan(c.cross_entropy) else f"{c.cross_entropy:.3f}"
            lines.append(
                f"  {name}  {bar:<22} {percent(c.share):>6}  {cost:>7} "
                f"{percent(c.recall):>7} {c.rows:>7,}"
            )
        if len(self.per_class) > most:
            lines.append(f"  and {len(self.per_class) - most} classes that cost less")
        return lines

    def _confusion_line(self) -> list[str]:
        line = ""
        for rows, true, said in self.confused()[:4]:
            more = f"{_short(true)} for {_short(said)} ({rows})"
            if len(line) + len(more) > 80:
                break
            line += f", {more}" if line else f"most confused: {more}"
        return [line] if line else []


def _short(label: object) -> str:
    return cut(one_line(label), 18)
