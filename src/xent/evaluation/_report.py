"""The report: numbers in a record, one screen of text. HTML is `_html`'s business."""

import math
import os
from dataclasses import dataclass

from xent._lang import say, say_count, speaking
from xent._page import Page
from xent._terminal import bar_of, cut, fitted, left_in, one_line, right_in, width_of
from xent.evaluation._hooks._notebook import cell_of
from xent.evaluation._html import add_report
from xent.evaluation._numbers import Figures, digits, percent, said_unit


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
        itself, or where more than 2^20 differ by "cells" of the log odds, or not: "none".
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

    Examples
    --------
    >>> from xent.evaluation import evaluate
    >>> report = evaluate([0, 1], [[0.9, 0.1], [0.5, 0.5]])
    >>> report.rows, report.uniform, round(report.cross_entropy, 4)
    (2, 1.0, 0.576)
    """

    def to_html(
        self, path: str | os.PathLike[str], *, title: str | None = None, lang: str | None = None
    ) -> None:
        """Write the report as one page that opens anywhere, offline.

        Parameters
        ----------
        path : str or PathLike
            Where the page shall stand; it is written whole or not at all.
        title : str, optional
            Its heading; "Where the bits go" (or nats) where not given.
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
        with speaking(lang):
            lead = say(
                "{rows} over {classes}, counted in {unit}.",
                rows=say_count(self.rows, "prediction"),
                classes=say_count(self.classes, "class"),
                unit=said_unit(self.base),
            )
            heading = say("Where the {unit} go", unit=said_unit(self.base))
            page = Page(title or heading, lead, self.signature)
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

    def to_text(self, *, lang: str | None = None) -> str:
        """Return the report as one screen of text, as `print` prints it.

        Parameters
        ----------
        lang : str, optional
            Its language: ``en``, or ``zh`` for Chinese. By default that of the environment
            variable ``XENT_LANG``, else English.

        Returns
        -------
        str
            Lines of text.

        Raises
        ------
        ValueError
            If the language is another.
        """
        with speaking(lang):
            return str(self)

    def __repr__(self) -> str:
        return str(self)  # at a prompt: the screen of text, not every number

    def _repr_html_(self) -> str:
        return cell_of(self)

    def __str__(self) -> str:
        unit = said_unit(self.base)
        lines = [
            say(
                "{rows}, {classes}",
                rows=say_count(self.rows, "row"),
                classes=say_count(self.classes, "class"),
            ),
            say(
                "cross-entropy   {mean:8.4f} {unit} a row   (perplexity {perplexity:.4g})",
                mean=self.cross_entropy,
                unit=unit,
                perplexity=self.perplexity,
            ),
            *self._interval_lines(),
            say(
                "  uniform       {cost:8.4f} {unit}   knowing nothing: log of {classes}",
                cost=self.uniform,
                unit=unit,
                classes=self.classes,
            ),
            say(
                "  class prior   {cost:8.4f} {unit}   knowing only how often each class occurs",
                cost=self.prior,
                unit=unit,
            ),
            *self._baseline_lines(),
            say(
                "  explained     {share:>8} of the class prior   classes alike: {macro}",
                share=percent(self.explained),
                macro=digits(self.macro),
            ),
            say(
                "accuracy {accuracy}{top}   Brier {brier:.4f}   calibration error {error}",
                accuracy=percent(self.accuracy),
                top=self._top(),
                brier=self.brier,
                error=percent(self.calibration_error) + self._bins(),
            ),
            *self._ranking_lines(),
            *self._impossible_lines(),
            *self._calibration_lines(),
        ]
        lines += ["", *self._class_lines(), *self._slice_lines(), "", *self._confusion_line()]
        return "\n".join([*lines, self.signature])

    def _interval_lines(self) -> list[str]:
        """Write the interval of the mean, and the mean in the other unit."""
        if math.isnan(self.low):
            return []
        if self.base == 2:
            other = say("   ({cost:.4f} nats a row)", cost=self.cross_entropy * math.log(2))
        else:
            bits = self.cross_entropy * math.log2(self.base)
            other = say("   ({cost:.4f} bits a row)", cost=bits)
        line = say(
            "  95 % interval {low:8.4f} to {high:.4f} {unit}",
            low=self.low,
            high=self.high,
            unit=said_unit(self.base),
        )
        return [line + other]

    def _baseline_lines(self) -> list[str]:
        """Write the baselines that were asked for."""
        unit, lines = said_unit(self.base), []
        if not math.isnan(self.training_prior):
            lines.append(
                say(
                    "  training prior{cost:8.4f} {unit}   how often each class occurs where the "
                    "model was trained",
                    cost=self.training_prior,
                    unit=unit,
                )
            )
        if not math.isnan(self.smoothing_floor):
            lines.append(
                say(
                    "  label smoothing{cost:7.4f} {unit}   what it makes of the best model",
                    cost=self.smoothing_floor,
                    unit=unit,
                )
            )
        return lines

    def _threshold_lines(self) -> list[str]:
        """Write what follows where yes is said from some probabilities on."""
        shown = [p for p in self.thresholds if round(10 * p.threshold) in (1, 3, 5, 7, 9)]
        shown = [p for p in shown if p.threshold == round(p.threshold, 1)]
        if not shown or self.best_f1 is None:
            return []
        yes = fitted(say("{label} from", label=_short(self.labels[-1])), 20)
        lines = ["  " + yes + "".join(f"{p.threshold:>8.1f}" for p in shown)]
        names = (say("precision"), "precision"), (say("recall"), "recall"), ("F1", "f1")
        for name, field in names:
            found = [getattr(p, field) for p in shown]
            lines.append(
                f"  {fitted(name, 20)}" + "".join(f"{percent(value):>8}" for value in found)
            )
        best = self.best_f1
        lines[-1] += say(
            "   best {share} from {threshold:.3g}",
            share=percent(best.f1),
            threshold=best.threshold,
        )
        return lines

    def _bins(self) -> str:
        """Name the bins where they are chosen."""
        return "" if self.binning == "15 equal-width bins" else f" ({self.binning})"

    def _top(self, k: str = "5") -> str:
        """Write how often the true class is among the first few."""
        if k not in self.top_k:
            return ""
        return say(" (top {k} {share})", k=k, share=percent(self.top_k[k]))

    def _ranking_lines(self) -> list[str]:
        """Write what sees the order of the rows alone."""
        if self.classes != 2 or math.isnan(self.ranking["roc_auc"]):
            return []
        return [
            say(
                "order alone, no proper scores: ROC AUC {area:.4f}   average precision "
                "{precision:.4f}",
                area=self.ranking["roc_auc"],
                precision=self.ranking["average_precision"],
            ),
            *self._threshold_lines(),
        ]

    def _impossible_lines(self) -> list[str]:
        """Say whose true class was given probability 0, and what others make of that."""
        if not self.impossible:
            return []
        return [
            say(
                "{rows} had a true class of probability 0: infinite cost; with 1e-15 for 0, as "
                "others have it, {cost:.4f} {unit} a row",
                rows=say_count(self.impossible, "row"),
                cost=self.floored["1e-15"],
                unit=said_unit(self.base),
            )
        ]

    def _calibration_lines(self) -> list[str]:
        """Write the decomposition of the cost, and what calibrators recover."""
        lines = []
        if self.classes == 2 and "log" in self.decomposition.get("corp", {}):
            lines.append(
                say(
                    "CORP: {mean:.4f} = miscalibration {miscalibration:.4f} - discrimination "
                    "{discrimination:.4f} + uncertainty {uncertainty:.4f}",
                    **self.decomposition["corp"]["log"],
                )
            )
        if self.recovered:
            each = [
                say("{name} {mean:+.4f} ({low:+.4f} to {high:+.4f})", name=name, **found)
                for name, found in self.recovered.items()
            ]
            lines.append(say("{unit} recovered: {first}", unit=said_unit(self.base), first=each[0]))
            if len(each) > 1:
                lines.append(f"  {'   '.join(each[1:])}")
        return lines

    def _slice_lines(self, most: int = 10) -> list[str]:
        """Write the slices that cost most in all, one a line."""
        lines = []
        for name in dict.fromkeys(piece.name for piece in self.slices):
            found = [piece for piece in self.slices if piece.name == name]
            head = say(
                "by {name}: {unit} a row, interval, rows, accuracy",
                name=one_line(name),
                unit=said_unit(self.base),
            )
            lines += ["", head]
            for piece in found[:most]:
                reach = "-"
                if not math.isnan(piece.low):
                    reach = say("{low:.3f} to {high:.3f}", low=piece.low, high=piece.high)
                value = say("missing") if piece.value is None else one_line(piece.value)
                lines.append(
                    f"  {fitted(value, 18)} {piece.cross_entropy:8.3f}   {left_in(reach, 16)} "
                    f"{piece.rows:>9,}   {percent(piece.accuracy)}"
                )
            if len(found) > most:
                lines.append("  " + say("and {more} more", more=len(found) - most))
        return lines

    def _class_lines(self, most: int = 10) -> list[str]:
        """Draw the classes that cost most, one a line."""
        order = sorted(self.per_class, key=lambda c: -c.share)[:most]
        width = min(max(width_of(one_line(c.label)) for c in order), 18)
        longest = max((c.share for c in order), default=0.0) or 1.0
        unit = said_unit(self.base)
        title = left_in(say("where the {unit} go", unit=unit), width + 26)
        heads = (say("share"), 6), (unit, 9), (say("recall"), 8), (say("rows"), 8)
        lines = [title + "".join(right_in(head, wide) for head, wide in heads)]
        for c in order:
            bar = bar_of(c.share / longest, 22)
            name = fitted(one_line(c.label), width)
            cost = "-" if math.isnan(c.cross_entropy) else f"{c.cross_entropy:.3f}"
            lines.append(
                f"  {name}  {bar:<22} {percent(c.share):>6}  {cost:>7} "
                f"{percent(c.recall):>7} {c.rows:>7,}"
            )
        if len(self.per_class) > most:
            rest = say_count(len(self.per_class) - most, "class")
            lines.append("  " + say("and {classes} that cost less", classes=rest))
        return lines

    def _confusion_line(self) -> list[str]:
        line = ""
        for rows, true, said in self.confused()[:4]:
            more = say(
                "{true} for {said} ({rows})", true=_short(true), said=_short(said), rows=rows
            )
            if width_of(line) + width_of(more) > 80:
                break
            line += say(", ") + more if line else say("most confused: {first}", first=more)
        return [line] if line else []


def _short(label: object) -> str:
    return cut(one_line(label), 18)
