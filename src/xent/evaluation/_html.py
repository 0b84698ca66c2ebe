"""The report as a page: what to draw and how to read it. The page itself is `_page`'s business."""

import math
from typing import Any

from xent._page import COLOURS, LINE, SOFT, Page, altair
from xent.evaluation._numbers import Figures, percent

# Above this many classes a matrix or a row of bars is a texture, not a picture.
MAX_CLASSES_DRAWN = 30


def add_report(out: Page, report: Figures) -> None:
    """Add a report's blocks to a page."""
    out.cards(
        [
            (
                "Cross-entropy",
                f"{report.cross_entropy:.4f}",
                f"{report.unit} a row{_reach(report)}",
            ),
            (
                "Explained",
                percent(report.explained),
                f"of the {report.prior:.3f} {report.unit} of the class prior",
            ),
            ("Accuracy", percent(report.accuracy), "the true class came first"),
            ("Calibration error", percent(report.calibration_error), "mean gap, said and seen"),
            ("Brier score", f"{report.brier:.4f}", "0 is perfect, 2 the worst"),
        ]
    )
    if not math.isnan(report.ranking["roc_auc"]):
        out.cards(
            [
                ("ROC AUC", f"{report.ranking['roc_auc']:.4f}", "order alone: no proper score"),
                (
                    "Average precision",
                    f"{report.ranking['average_precision']:.4f}",
                    "order alone: no proper score",
                ),
            ]
        )
    if report.impossible:
        out.section(
            "The cross-entropy is infinite",
            f"{report.impossible} rows had a true class that was given probability 0. No finite "
            "number of bits makes up for that; smooth the predictions or look at these rows. "
            "With a floor for 0, as other programs have one: "
            + f"{', '.join(f'{cost:.4f} at {x}' for x, cost in report.floored.items())}.",
        )
    out.section(
        "Against knowing nothing",
        f"Mean {report.unit} to say the true class: with no knowledge, with the frequencies of the "
        "classes alone, and with the model. What is left is what the model wastes or cannot know.",
        charts=[_baselines(report)],
    )
    out.section(
        f"Where the {report.unit} go",
        "Each class's part of the whole cost. A long bar is where work pays.",
        charts=[_classes(report)],
        columns=["class", "rows", f"{report.unit} a row", "share", "recall", "precision"],
        rows=[
            (
                str(c.label),
                f"{c.rows:,}",
                "-" if math.isnan(c.cross_entropy) else f"{c.cross_entropy:.4f}",
                percent(c.share),
                percent(c.recall),
                percent(c.precision),
            )
            for c in sorted(report.per_class, key=lambda c: -c.share)[:MAX_CLASSES_DRAWN]
        ],
    )
    out.section(
        "Can its probabilities be believed?",
        "Rows grouped by the probability that the winning class was given. On the line, what is "
        "said is what is seen; below it the model is too sure of itself, above it too modest. "
        "Right, how many rows stand behind each dot.",
        charts=[_reliability(report), _confidence(report)],
    )
    _add_slices(out, report)
    if report.classes <= MAX_CLASSES_DRAWN:
        out.section(
            "What is taken for what",
            "True class by row, predicted class by column; rows that are right are left pale.",
            charts=[_confusion(report)],
        )
    out.section(
        "The most expensive rows",
        "Often mislabelled, ambiguous or broken: worth a look by eye.",
        columns=["row", "true class", "predicted", "given to the truth", report.unit],
        rows=[
            (
                str(h.row if h.id is None else h.id),
                str(h.target),
                str(h.prediction),
                f"{h.probability:.3g}",
                f"{h.cost:.2f}",
            )
            for h in report.hardest[:10]
        ],
    )


def _add_slices(out: Page, report: Figures) -> None:
    """Add a table for each column by whose values the rows were parted."""
    for name in dict.fromkeys(piece.name for piece in report.slices):
        found = [piece for piece in report.slices if piece.name == name][:MAX_CLASSES_DRAWN]
        out.section(
            f"By {name}",
            "The values that cost most in all first, with the 95 % interval of each mean.",
            columns=["value", "rows", f"{report.unit} a row", "interval", "accuracy"],
            rows=[
                (
                    "missing" if s.value is None else str(s.value),
                    f"{s.rows:,}",
                    f"{s.cross_entropy:.4f}",
                    "-" if math.isnan(s.low) else f"{s.low:.4f} to {s.high:.4f}",
                    percent(s.accuracy),
                )
                for s in found
            ],
        )


def _reach(report: Figures) -> str:
    return "" if math.isnan(report.low) else f", 95 %: {report.low:.4f} to {report.high:.4f}"


def _baselines(report: Figures) -> Any:
    alt = altair()
    names = ["knowing nothing", "class frequencies", "the model"]
    costs = [report.uniform, report.prior, report.cross_entropy]
    data = [
        {"what": n, "cost": c, "text": f"{c:.3f}"}
        for n, c in zip(names, costs, strict=True)
        if math.isfinite(c)
    ]
    base = alt.Chart(alt.Data(values=data)).encode(
        y=alt.Y("what:N", sort=names, title=None, axis=alt.Axis(domain=False, ticks=False)),
        x=alt.X("cost:Q", title=f"{report.unit} a row", axis=alt.Axis(grid=True)),
    )
    bars = base.mark_bar(cornerRadiusEnd=3, height=22).encode(
        color=alt.condition(
            alt.datum.what == "the model", alt.value(COLOURS[0]), alt.value("#b9c3cf")
        )
    )
    text = base.mark_text(align="left", dx=6, color=SOFT).encode(text="text:N")
    return (bars + text).properties(width=680, height=110)


def _classes(report: Figures) -> Any:
    alt = altair()
    chosen = sorted(report.per_class, key=lambda c: -c.share)[:MAX_CLASSES_DRAWN]
    data = [
        {
            "class": str(c.label),
            "share": c.share,
            "rows": c.rows,
            "cost": None if not math.isfinite(c.cross_entropy) else c.cross_entropy,
        }
        for c in chosen
    ]
    return (
        alt.Chart(alt.Data(values=data))
        .mark_bar(cornerRadiusEnd=3, color=COLOURS[0])
        .encode(
            y=alt.Y("class:N", sort=[d["class"] for d in data], title="true class"),
            x=alt.X(
                "share:Q",
                title="share of the whole cost",
                axis=alt.Axis(format=".0%", tickCount=10),
            ),
            tooltip=["class:N", "rows:Q", alt.Tooltip("cost:Q", format=".4f", title=report.unit)],
        )
        .properties(width=680, height=alt.Step(22))
    )


def _reliability(report: Figures) -> Any:
    alt = altair()
    data = [{"said": b.confidence, "seen": b.accuracy, "rows": b.rows} for b in report.calibration]
    line = (
        alt.Chart(alt.Data(values=[{"said": 0, "seen": 0}, {"said": 1, "seen": 1}]))
        .mark_line(color=SOFT, strokeDash=[4, 4], strokeWidth=1)
        .encode(x="said:Q", y="seen:Q")
    )
    scale = alt.Scale(domain=[0, 1])
    base = alt.Chart(alt.Data(values=data)).encode(
        x=alt.X("said:Q", title="what the model said", scale=scale, axis=alt.Axis(format=".0%")),
        y=alt.Y("seen:Q", title="how often it was right", scale=scale, axis=alt.Axis(format=".0%")),
    )
    dots = base.mark_circle(color=COLOURS[0], opacity=0.85).encode(
        size=alt.Size("rows:Q", scale=alt.Scale(range=[30, 500]), legend=None),
        tooltip=[
            alt.Tooltip("said:Q", format=".1%"),
            alt.Tooltip("seen:Q", format=".1%"),
            "rows:Q",
        ],
    )
    path = base.mark_line(color=COLOURS[0], strokeWidth=1, opacity=0.4)
    return (line + path + dots).properties(width=330, height=330)


def _confidence(report: Figures) -> Any:
    alt = altair()
    data = [{"low": b.low, "high": b.high, "rows": b.rows} for b in report.calibration]
    return (
        alt.Chart(alt.Data(values=data))
        .mark_bar(color="#b9c3cf")
        .encode(
            x=alt.X(
                "low:Q",
                title="what the model said",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format=".0%"),
                bin="binned",
            ),
            x2="high:Q",
            y=alt.Y("rows:Q", title="rows"),
            tooltip=["rows:Q"],
        )
        .properties(width=330, height=330)
    )


def _confusion(report: Figures) -> Any:
    alt = altair()
    names = [str(name) for name in report.labels]
    data: list[dict[str, Any]] = [
        {
            "true": names[i],
            "predicted": names[j],
            "rows": float(n),
            "wrong": 0.0 if i == j else float(n),
            "text": f"{n:g}" if n else "",
        }
        for i, line in enumerate(report.confusion)
        for j, n in enumerate(line)
    ]
    worst = max((d["wrong"] for d in data), default=0) or 1
    base = alt.Chart(alt.Data(values=data)).encode(
        x=alt.X("predicted:N", sort=names, axis=alt.Axis(orient="top", labelAngle=0)),
        y=alt.Y("true:N", sort=names),
    )
    cells = base.mark_rect(stroke=LINE).encode(
        color=alt.Color(
            "wrong:Q",
            scale=alt.Scale(domain=[0, worst], range=["#ffffff", COLOURS[1]], interpolate="rgb"),
            legend=None,
        ),
        tooltip=["true:N", "predicted:N", "rows:Q"],
    )
    text = base.mark_text(fontSize=11).encode(
        text="text:N",
        color=alt.condition(alt.datum.wrong > worst * 0.6, alt.value("white"), alt.value(SOFT)),
    )
    layers = cells + text if report.classes <= 20 else cells
    return layers.properties(width=alt.Step(38), height=alt.Step(30))
