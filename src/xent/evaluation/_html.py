"""The report as a page: what to show and how to read it. The page itself is `_page`'s business.

Tables hold labels of any length and language, and are sorted and searched in the page; charts hold
numbers alone, and fill whatever width there is.
"""

import math
from collections.abc import Iterable
from typing import Any

from xent._page import Page
from xent.evaluation._numbers import ClassRow, Figures, digits, percent
from xent.evaluation._reliability_charts import reliability_charts

# Above this many classes a matrix is a texture, not a picture.
MAX_CLASSES_DRAWN = 30
MOST_LISTED = 1000  # rows of a table; a page is something one sends
LONGEST_LABEL = 120  # letters


def add_report(out: Page, report: Figures) -> None:
    """Add a report's blocks to a page."""
    _add_cards(out, report)
    if report.impossible:
        out.section(
            "The cross-entropy is infinite",
            f"{report.impossible} rows had a true class that was given probability 0. No finite "
            "number of bits makes up for that; smooth the predictions or look at these rows. "
            "With a floor for 0, as other programs have one: "
            + f"{', '.join(f'{cost:.4f} at {x}' for x, cost in report.floored.items())}.",
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


def _add_cards(out: Page, report: Figures) -> None:
    reach = "" if math.isnan(report.low) else f", 95 %: {report.low:.4f} to {report.high:.4f}"
    cards = [
        ("Cross-entropy", f"{report.cross_entropy:.4f}", f"{report.unit} a row{reach}"),
        (
            "Explained",
            percent(report.explained),
            f"of the {report.prior:.3f} {report.unit} of the class prior",
        ),
        ("Accuracy", percent(report.accuracy), "the true class came first"),
        ("Calibration error", percent(report.calibration_error), "mean gap, said and seen"),
        ("Brier score", f"{report.brier:.4f}", "0 is perfect, 2 the worst"),
    ]
    if not math.isnan(report.ranking["roc_auc"]):
        for name, key in (("ROC AUC", "roc_auc"), ("Average precision", "average_precision")):
            cards.append((name, f"{report.ranking[key]:.4f}", "order alone: no proper score"))
    out.cards(cards)


def _add_baselines(out: Page, report: Figures) -> None:
    costs = {
        "knowing nothing": report.uniform,
        "class frequencies": report.prior,
        "the model": report.cross_entropy,
    }
    finite = {name: cost for name, cost in costs.items() if math.isfinite(cost)}
    out.section(
        "Against knowing nothing",
        f"Mean {report.unit} to say the true class: with no knowledge, with the frequencies of the "
        "classes alone, and with the model. What is left is what the model wastes or cannot know.",
        columns=["", f"{report.unit} a row"],
        rows=[(name, f"{cost:.4f}") for name, cost in finite.items()],
        bars=list(finite.values()),
        best=list(finite).index("the model") if "the model" in finite else None,
    )


def _add_decomposition(out: Page, report: Figures) -> None:
    corp = report.decomposition.get("corp", {})
    named = {"each class against the rest, summed": corp} if report.classes > 2 else {"": corp}
    named["the winning class: is it right?"] = corp.get("top_label", {})
    rows = [
        (f"{title}{', ' if name else ''}{name}", *map(digits, found[score].values()))
        for name, found in named.items()
        for score, title in (("log", report.unit), ("brier", "Brier score"))
        if score in found
    ]
    if rows:
        out.section(
            "Where the cost comes from",
            "Mean = miscalibration - discrimination + uncertainty. Miscalibration is what a "
            "calibrator could save, discrimination what the order of the rows is worth, and "
            "uncertainty what a row costs if one knows the class frequencies alone (CORP: "
            "Dimitriadis, Gneiting and Jordan 2021).",
            columns=["score", "mean", "miscalibration", "discrimination", "uncertainty"],
            rows=rows,
        )


def _add_recovered(out: Page, report: Figures) -> None:
    if report.recovered:
        out.section(
            f"What mending would save: {report.unit} recovered",
            "Each row mended by a calibrator that was fitted on other rows, so it is what new rows "
            "would save. Below 0 mending does harm; an interval that holds 0 shows nothing.",
            columns=["calibrator", f"{report.unit} a row", "95 % interval", "left"],
            rows=[
                (
                    name,
                    f"{found['mean']:+.4f}",
                    f"{found['low']:+.4f} to {found['high']:+.4f}",
                    f"{found['left']:.4f}",
                )
                for name, found in report.recovered.items()
            ],
            bars=[_finite(found["mean"]) for found in report.recovered.values()],
        )


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0


def _add_classes(out: Page, report: Figures) -> None:
    """Add the classes by what they cost above the mean: shares of 1,000 classes say nothing."""

    def excess(row: ClassRow) -> float:
        if not math.isfinite(report.cross_entropy):
            return row.share
        return row.rows * (row.cross_entropy - report.cross_entropy) / report.weight

    costly = [c for c in report.per_class if c.rows]
    order = sorted(costly, key=excess, reverse=True)
    idle = [c for c in report.per_class if not c.rows]
    chosen = [*order, *idle][:MOST_LISTED]
    more = "" if len(chosen) == len(report.per_class) else f" The first {MOST_LISTED:,} are listed."
    out.section(
        f"Where the {report.unit} go",
        f"Bars: how much each true class adds to the mean of {report.cross_entropy:.4f} "
        f"{report.unit} because its rows cost more than that, or takes from it, to the left, "
        f"because they cost less. A long bar to the right is where work pays.{more}",
        columns=[
            "class",
            f"adds, {report.unit}",
            f"{report.unit} a row",
            "rows",
            "share",
            "recall",
            "precision",
        ],
        rows=[
            (
                shown(c.label),
                digits(excess(c), sign=True) if c.rows else "-",
                digits(c.cross_entropy),
                f"{c.rows:,}",
                percent(c.share),
                percent(c.recall),
                percent(c.precision),
            )
            for c in chosen
        ],
        bars=[excess(c) if c.rows else 0.0 for c in chosen],
        search="Find a class" if len(chosen) > 5 else "",
    )


def _add_reliability(out: Page, report: Figures) -> None:
    rows = []
    for name, title in (("yes", None), ("top_label", "the winning class"), ("classwise", None)):
        found = report.reliability.get(name)
        if found is None:
            continue
        label = f"P({shown(report.labels[-1])})" if name == "yes" else title
        rows.append(
            (
                label or "mean over the classes",
                percent(found["ece"]),
                percent(found["ece_if_calibrated"]),
                percent(found["ece_debiased"]),
                percent(found["smooth_ece"]) if "smooth_ece" in found else "-",
                *(_with_reach(found.get(end)) for end in ("slope", "intercept")),
            )
        )
    columns = ["of", "calibration error", "by chance alone", "less chance", "without bins"]
    columns += ["slope", "intercept"]
    if not any("yes" in report.reliability for _ in rows):
        columns, rows = columns[:5], [row[:5] for row in rows]
    charts, names = reliability_charts(report)
    out.section(
        "Can its probabilities be believed?",
        "On the line, what is said is what is seen; below it the model is too sure of itself, "
        f"above it too modest. Dots are {report.binning}, the steps the best rising curve; in "
        "the grey band lie 95 % of such curves if every probability is true. Beside it, how many "
        "rows stand behind each bin.",
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
        f"From which probability on is it {yes}?",
        "No proper scores: they see on which side of a threshold a row lies, and not how far. Cost "
        "is the mean cost of a row where a false yes costs as much as the threshold says and a "
        "false no the rest to 1: the prices at which the threshold is the right one. Marked is the "
        "highest F1 on these very rows; on others it will be lower.",
        columns=["threshold", "said yes", "precision", "recall", "F1", "cost"],
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
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def _add_slices(out: Page, report: Figures) -> None:
    """Add a table for each column by whose values the rows were parted."""
    for name in dict.fromkeys(piece.name for piece in report.slices):
        found = [piece for piece in report.slices if piece.name == name][:MOST_LISTED]
        out.section(
            f"By {name}",
            "The values that cost most in all first, with the 95 % interval of each mean.",
            columns=["value", f"{report.unit} a row", "interval", "rows", "accuracy"],
            rows=[
                (
                    "missing" if s.value is None else shown(s.value),
                    digits(s.cross_entropy),
                    "-" if math.isnan(s.low) else f"{s.low:.4f} to {s.high:.4f}",
                    f"{s.rows:,}",
                    percent(s.accuracy),
                )
                for s in found
            ],
            bars=[_finite(s.cross_entropy) for s in found],
            search=f"Find a value of {name}" if len(found) > 5 else "",
        )


def _add_confusions(out: Page, report: Figures) -> None:
    wrong = [p for p in report.pairs if p.target != p.prediction]
    if 2 <= report.classes <= MAX_CLASSES_DRAWN:
        table = report.confusion.tolist()
        most = max((p.rows for p in wrong), default=0) or 1
        names = [shown(label) for label in report.labels]
        out.section(
            "What is taken for what",
            "True class by row, predicted class by column; rows that are right are left pale.",
            columns=["true", *names],
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
        out.section(
            "What is taken for what",
            "The most frequent mistakes, and what these rows cost together.",
            columns=["true class", "taken for", "rows", report.unit],
            rows=[
                (shown(p.target), shown(p.prediction), f"{p.rows:,}", digits(p.cost))
                for p in wrong[: MOST_LISTED // 4]
            ],
            texts=2,
            search="Find a class",
        )


def _add_hardest(out: Page, report: Figures) -> None:
    rows: Iterable[Any] = report.hardest
    out.section(
        "The most expensive rows",
        "Often mislabelled, ambiguous or broken: worth a look by eye.",
        columns=["row", "true class", "predicted", "given to the truth", report.unit],
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
        search="Find a row",
    )
