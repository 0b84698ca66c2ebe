"""Reliability diagrams of a report, with a choice of the class where there are several."""

from collections.abc import Callable
from typing import Any

from xent._lang import say
from xent._page import COLOURS, SOFT, altair
from xent._terminal import cut, one_line
from xent.evaluation._numbers import Figures

CHART_HEIGHT = 330  # pixels high; as wide as there is room


def reliability_charts(report: Figures) -> tuple[list[Any], list[str]]:
    """Return what is said against what is seen, and how many rows stand behind it.

    Returns
    -------
    charts, names : list of altair.Chart, list of str
        Both charts show what their parameter ``chosen`` names, one of ``names``.
    """
    views = views_of(report)
    bins = [{"of": name, **bin_} for name, view in views.items() for bin_ in view["bins"]]
    if not bins:
        return [], []
    alt = altair()
    # As long as one diagram is all there is, nothing is chosen.
    choice = alt.param(name="chosen", value=next(iter(views)))

    def of(values: list[dict[str, Any]]) -> Any:
        return alt.Chart(alt.Data(values=values)).transform_filter(alt.datum.of == choice)

    charts = [_seen(alt, of, views, bins), _rows(alt, of, bins)]
    return [chart.add_params(choice) for chart in charts], list(views)


def views_of(report: Figures) -> dict[str, Any]:
    """Return the diagrams by the names that they are chosen by."""
    found: dict[str, Any] = {}
    if "yes" in report.reliability:
        found[f"P({_short(report.labels[-1])})"] = report.reliability["yes"]
    if "top_label" in report.reliability:
        found[say("the winning class")] = report.reliability["top_label"]
    for entry in report.reliability.get("classwise", {}).get("classes", []):
        name = f"P({_short(entry['label'])})"
        # Labels that differ in what was cut off, or in kind alone, are told apart by a number.
        found[name if name not in found else f"{name} #{len(found)}"] = entry
    return found


def _short(label: Any) -> str:
    """Write a label as the page's list of choices shows it: what is chosen is found by its text."""
    return cut(one_line(label), 40)


def _seen(
    alt: Any, of: Callable[..., Any], views: dict[str, Any], bins: list[dict[str, Any]]
) -> Any:
    """Draw the band, the line, the steps and the dots."""
    scale = alt.Scale(domain=[0, 1])
    x = alt.X("said:Q", title=say("what the model said"), scale=scale, axis=alt.Axis(format=".0%"))
    y = alt.Y("seen:Q", title=say("how often it was so"), scale=scale, axis=alt.Axis(format=".0%"))
    band = [
        {"of": name, "said": b["said"], "seen": b["low"], "upper": b["high"]}
        for name, view in views.items()
        for b in view.get("corp", {}).get("band", [])
    ]
    steps = [
        {"of": name, "said": at, "seen": b["seen"], "order": 2 * i + j}
        for name, view in views.items()
        for i, b in enumerate(view.get("corp", {}).get("blocks", []))
        for j, at in enumerate((b["low"], b["high"]))
    ]
    layers = []
    if band:
        shade = of(band).mark_area(color=SOFT, opacity=0.22)
        layers.append(shade.encode(x=x, y=y, y2="upper:Q"))
    ends = [{"of": name, "said": end, "seen": end} for name in views for end in (0, 1)]
    line = of(ends).mark_line(color=SOFT, strokeDash=[4, 4], strokeWidth=1)
    layers.append(line.encode(x=x, y=y))
    if steps:
        path = of(steps).mark_line(color=COLOURS[0], strokeWidth=1.8)
        layers.append(path.encode(x=x, y=y, order="order:Q"))
    base = of(bins)
    rule = base.mark_rule(color=SOFT, opacity=0.7, strokeWidth=1)
    layers.append(rule.encode(x=x, y=alt.Y("band_low:Q", scale=scale), y2="band_high:Q"))
    dots = base.mark_circle(color=COLOURS[1], opacity=0.9).encode(
        x=x,
        y=y,
        size=alt.Size("rows:Q", scale=alt.Scale(range=[25, 350]), legend=None),
        tooltip=[
            alt.Tooltip("said:Q", format=".2%", title=say("said")),
            alt.Tooltip("seen:Q", format=".2%", title=say("seen")),
            alt.Tooltip("rows:Q", title=say("rows")),
            alt.Tooltip("band_low:Q", format=".2%", title=say("by chance from")),
            alt.Tooltip("band_high:Q", format=".2%", title=say("to")),
        ],
    )
    return alt.layer(*layers, dots).properties(width="container", height=CHART_HEIGHT)


def _rows(alt: Any, of: Callable[..., Any], bins: list[dict[str, Any]]) -> Any:
    said = alt.X(
        "low:Q",
        title=say("what the model said"),
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%"),
        bin="binned",
    )
    return (
        of(bins)
        .mark_bar(color=COLOURS[5])
        .encode(
            x=said,
            x2="high:Q",
            y=alt.Y("rows:Q", title=say("rows")),
            tooltip=[alt.Tooltip("rows:Q", title=say("rows"))],
        )
        .properties(width="container", height=CHART_HEIGHT)
    )
