"""The report as a page: what to show and how to read it. The page itself is `_page`'s business.

Tables hold labels of any length and language, and are sorted and searched in the page; charts hold
numbers alone, and fill whatever width there is.
"""

import math
from collections.abc import Iterable
from typing import Any

from xent._lang import say, say_count
from xent._page import Page
from xent.evaluation._numbers import ClassRow, Figures, digits, percent, said_unit
from xent.evaluation._reliability_charts import reliability_charts

# Above this many classes a matrix is a texture, not a picture.
MAX_CLASSES_DRAWN = 30
MOST_LISTED = 1000  # rows of a table; a page is something one sends
LONGEST_LABEL = 120  # letters


def add_report(out: Page, report: Figures) -> None:
    """Add a report's blocks to a page."""
    _add_cards(out, report)
    if report.impossible:
        floors = [
            say("{cost:.4f} at {floor}", cost=cost, floor=floor)
            for floor, cost in report.floored.items()
        ]
        out.section(
            say("The cross-entropy is infinite"),
            say(
                "{rows} had a true class that was given probability 0. No finite number of "
                "bits makes up for that; smooth the predictions or look at these rows. With a "
                "floor for 0, as other programs have one: {floors}.",
                rows=say_count(report.impossible, "row"),
                floors=say(", ").join(floors),
            ),
        )
    _add_baselines(out, report)
    _add_decomposition(out, report)
    _add_recovered(out, report)
    _add_classes(out, report)
    _add_reliability(out, report)
    _add_thresholds(out, report)
    _add_slices(out, report)
    _add_confusions(out, report)
    _add_hardest(out, report)


def shown(label: Any) -> str:
    """Write a label, a very long one cut short."""
    text = str(label)
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"


def _a_row(report: Figures) -> str:
    return say("{unit} a row", unit=said_unit(report.base))


def _add_cards(out: Page, report: Figures) -> None:
    reach = ""
    if not math.isnan(report.low):
        reach = say(", 95 %: {low:.4f} to {high:.4f}", low=report.low, high=report.high)
    prior = say(
        "of the {prior:.3f} {unit} of the class prior",
        prior=report.prior,
        unit=said_unit(report.base),
    )
    cards = [
        (say("Cross-entropy"), f"{report.cross_entropy:.4f}", _a_row(report) + reach),
        (say("Explained"), percent(report.explained), prior),
        (say("Accuracy"), percent(report.accuracy), say("the true class came first")),
        (
            say("Calibration error"),
            percent(report.calibration_error),
            say("mean gap, said and seen"),
        ),
        (say("Brier score"), f"{report.brier:.4f}", say("0 is perfect, 2 the worst")),
    ]
    if not math.isnan(report.ranking["roc_auc"]):
        names = (say("ROC AUC"), "roc_auc"), (say("Average precision"), "average_precision")
        note = say("order alone: no proper score")
        cards += [(name, f"{report.ranking[key]:.4f}", note) for name, key in names]
    out.cards(cards)


def _add_baselines(out: Page, report: Figures) -> None:
    model = say("the model")
    costs = {
        say("knowing nothing"): report.uniform,
        say("class frequencies"): report.prior,
        model: report.cross_entropy,
    }
    finite = {name: cost for name, cost in costs.items() if math.isfinite(cost)}
    out.section(
        say("Against knowing nothing"),
        say(
            "Mean {unit} to say the true class: with no knowledge, with the frequencies of the "
            "classes alone, and with the model. What is left is what the model wastes or cannot "
            "know.",
            unit=said_unit(report.base),
        ),
        columns=["", _a_row(report)],
        rows=[(name, f"{cost:.4f}") for name, cost in finite.items()],
        bars=list(finite.values()),
        best=list(finite).index(model) if model in finite else None,
    )


def _add_decomposition(out: Page, report: Figures) -> None:
    corp = report.decomposition.get("corp", {})
    whole = say("each class against the rest, summed") if report.classes > 2 else ""
    named = {whole: corp, say("the winning class: is it right?"): corp.get("top_label", {})}
    rows = [
        (title + (say(", ") if name else "") + name, *map(digits, found[score].values()))
        for name, found in named.items()
        for score, title in (("log", said_unit(report.base)), ("brier", say("Brier score")))
        if score in found
    ]
    if rows:
        out.section(
            say("Where the cost comes from"),
            say(
                "Mean = miscalibration - discrimination + uncertainty. Miscalibration is what a "
                "calibrator could save, discrimination what the order of the rows is worth, and "
                "uncertainty what a row costs if one knows the class frequencies alone (CORP: "
                "Dimitriadis, Gneiting and Jordan 2021)."
            ),
            columns=[
                say("score"),
                say("mean"),
                say("miscalibration"),
                say("discrimination"),
                say("uncertainty"),
            ],
            rows=rows,
        )


def _add_recovered(out: Page, report: Figures) -> None:
    if not report.recovered:
        return
    rows = [
        (
            name,
            f"{found['mean']:+.4f}",
            say("{low:+.4f} to {high:+.4f}", **found),
            f"{found['left']:.4f}",
        )
        for name, found in report.recovered.items()
    ]
    out.section(
        say("What mending would save: {unit} recovered", unit=said_unit(report.base)),
        say(
            "Each row mended by a calibrator that was fitted on other rows, so it is what new rows "
            "would save. Below 0 mending does harm; an interval that holds 0 shows nothing."
        ),
        columns=[say("calibrator"), _a_row(report), say("95 % interval"), say("left")],
        rows=rows,
        bars=[_finite(found["mean"]) for found in report.recovered.values()],
    )


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _add_classes(out: Page, report: Figures) -> None:
    """Add the classes by what they cost above the mean: shares of 1,000 classes say nothing."""
    finite = math.isfinite(report.cross_entropy)

    def excess(row: ClassRow) -> float:
        if not finite:
            return row.share
        return row.rows * (row.cross_entropy - report.cross_entropy) / report.weight

    costly = [c for c in report.per_class if c.rows]
    order = sorted(costly, key=excess, reverse=True)
    idle = [c for c in report.per_class if not c.rows]
    chosen = [*order, *idle][:MOST_LISTED]
    unit, more = said_unit(report.base), ""
    if len(chosen) < len(report.per_class):
        more = say(" The first {most:,} are listed.", most=MOST_LISTED)
    text = say(
        "Bars: how much each true class adds to the mean of {mean:.4f} {unit} because its rows "
        "cost more than that, or takes from it, to the left, because they cost less. A long bar to "
        "the right is where work pays.",
        mean=report.cross_entropy,
        unit=unit,
    )
    out.section(
        say("Where the {unit} go", unit=unit),
        text + more,
        columns=[
            say("class"),
            say("adds, {unit}", unit=unit),
            _a_row(report),
            say("rows"),
            say("share"),
            say("recall"),
            say("precision"),
        ],
        rows=[
            (
                shown(c.label),
                # Where the mean is infinite the bars show shares of what is endless, no unit.
                digits(excess(c), sign=True) if c.rows and finite else "-",
                digits(c.cross_entropy),
                f"{c.rows:,}",
                percent(c.share),
                percent(c.recall),
                percent(c.precision),
            )
            for c in chosen
        ],
        bars=[excess(c) if c.rows else 0.0 for c in chosen],
        search=say("Find a class") if len(chosen) > 5 else "",
    )


def _add_reliability(out: Page, report: Figures) -> None:
    rows = []
    for name in ("yes", "top_label", "classwise"):
        found = report.reliability.get(name)
        if found is None:
            continue
        label = {
            "yes": f"P({shown(report.labels[-1])})",
            "top_label": say("the winning class"),
            "classwise": say("mean over the classes"),
        }[name]
        rows.append(
            (
                label,
                percent(found["ece"]),
                percent(found["ece_if_calibrated"]),
                percent(found["ece_debiased"]),
                percent(found["smooth_ece"]) if "smooth_ece" in found else "-",
                *(_with_reach(found.get(end)) for end in ("slope", "intercept")),
            )
        )
    columns = [say("of"), say("calibration error"), say("by chance alone"), say("less chance")]
    columns += [say("without bins"), say("slope"), say("intercept")]
    if not any("yes" in report.reliability for _ in rows):
        columns, rows = columns[:5], [row[:5] for row in rows]
    charts, names = reliability_charts(report)
    usual = report.binning == "15 equal-width bins"
    out.section(
        say("Can its probabilities be believed?"),
        say(
            "On the line, what is said is what is seen; below it the model is too sure of itself, "
            "above it too modest. Dots are {bins}, the steps the best rising curve; in the grey "
            "band lie 95 % of such curves if every probability is true. Beside it, how many rows "
            "stand behind each bin.",
            bins=say("bins of equal width") if usual else report.binning,
        ),
        columns=columns,
        rows=rows,
        charts=charts,
        choice=names if len(names) > 1 else (),
    )


def _add_thresholds(out: Page, report: Figures) -> None:
    """Add what follows where yes is said from some probabilities on."""
    best = report.best_f1
    if best is None:
        return
    yes = shown(report.labels[-1])
    points = sorted([*report.thresholds, best], key=lambda point: point.threshold)
    out.section(
        say("From which probability on is it {label}?", label=yes),
        say(
            "No proper scores: they see on which side of a threshold a row lies, and not how far. "
            "Cost is the mean cost of a row where a false yes costs as much as the threshold says "
            "and a false no the rest to 1: the prices at which the threshold is the right one. "
            "Marked is the highest F1 on these very rows; on others it will be lower."
        ),
        columns=[
            say("threshold"),
            say("said yes"),
            say("precision"),
            say("recall"),
            "F1",
            say("cost"),
        ],
        rows=[
            (
                f"{point.threshold:.3g}",
                percent(point.predicted),
                percent(point.precision),
                percent(point.recall),
                percent(point.f1),
                digits(point.cost),
            )
            for point in points
        ],
        best=points.index(best),
    )


def _with_reach(found: dict[str, float] | None) -> str:
    if found is None:
        return "-"
    return f"{found['value']:.3f} " + say("({low:.3f} to {high:.3f})", **found)


def _add_slices(out: Page, report: Figures) -> None:
    """Add a table for each column by whose values the rows were parted."""
    for name in dict.fromkeys(piece.name for piece in report.slices):
        found = [piece for piece in report.slices if piece.name == name][:MOST_LISTED]
        out.section(
            say("By {name}", name=name),
            say("The values that cost most in all first, with the 95 % interval of each mean."),
            columns=[say("value"), _a_row(report), say("interval"), say("rows"), say("accuracy")],
            rows=[
                (
                    say("missing") if s.value is None else shown(s.value),
                    digits(s.cross_entropy),
                    "-"
                    if math.isnan(s.low)
                    else say("{low:.4f} to {high:.4f}", low=s.low, high=s.high),
                    f"{s.rows:,}",
                    percent(s.accuracy),
                )
                for s in found
            ],
            bars=[_finite(s.cross_entropy) for s in found],
            search=say("Find a value of {name}", name=name) if len(found) > 5 else "",
        )


def _add_confusions(out: Page, report: Figures) -> None:
    wrong = [p for p in report.pairs if p.target != p.prediction]
    if 2 <= report.classes <= MAX_CLASSES_DRAWN:
        table = report.confusion.tolist()
        most = max((p.rows for p in wrong), default=0) or 1
        names = [shown(label) for label in report.labels]
        out.section(
            say("What is taken for what"),
            say("True class by row, predicted class by column; rows that are right are left pale."),
            columns=[say("true"), *names],
            rows=[
                (name, *(f"{n:,.6g}" if n else "" for n in line))
                for name, line in zip(names, table, strict=True)
            ],
            heat=[
                [0.0 if i == j else 0.85 * n / most for j, n in enumerate(line)]
                for i, line in enumerate(table)
            ],
        )
    elif wrong:
        unit = said_unit(report.base)
        out.section(
            say("What is taken for what"),
            say("The most frequent mistakes, and what these rows cost together."),
            columns=[say("true class"), say("taken for"), say("rows"), unit],
            rows=[
                (shown(p.target), shown(p.prediction), f"{p.rows:,}", digits(p.cost))
                for p in wrong[: MOST_LISTED // 4]
            ],
            texts=2,
            search=say("Find a class"),
        )


def _add_hardest(out: Page, report: Figures) -> None:
    rows: Iterable[Any] = report.hardest
    out.section(
        say("The most expensive rows"),
        say("Often mislabelled, ambiguous or broken: worth a look by eye."),
        columns=[
            say("row"),
            say("true class"),
            say("predicted"),
            say("given to the truth"),
            said_unit(report.base),
        ],
        rows=[
            (
                shown(h.row if h.id is None else h.id),
                shown(h.target),
                shown(h.prediction),
                f"{h.probability:.3g}",
                f"{h.cost:.2f}",
            )
            for h in rows
        ],
        texts=3,
        search=say("Find a row"),
    )
