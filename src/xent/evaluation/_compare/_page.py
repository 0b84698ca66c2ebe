"""A comparison as a page: what each model costs, how far apart they are, one diagram of all."""

import json
import math
import os
from typing import Any

from xent._lang import say, speaking
from xent._page import COLOURS, SOFT, Page, altair
from xent._terminal import cut, one_line
from xent.evaluation._compare._texts import between, p_text, pair_text, verdict
from xent.evaluation._html import MOST_LISTED, shown
from xent.evaluation._numbers import digits, percent, said_unit
from xent.evaluation._reliability_charts import CHART_HEIGHT

LONGEST_NAME = 40  # letters of a model's name in a chart


def write_page(
    found: Any, path: str | os.PathLike[str], title: str | None, lang: str | None
) -> None:
    """Write a comparison as a page; the parameters are those of `ModelComparison.to_html`."""
    with speaking(lang):
        lead = say("{rows}, counted in {unit}.", rows=found.head(), unit=said_unit(found.base))
        page = Page(title or say("How far apart the models are"), lead, found.signature)
        _add_cards(page, found)
        _add_models(page, found)
        _add_differences(page, found)
        _add_reliability(page, found)
        _add_slices(page, found)
        page.write(path)


def _a_row(found: Any) -> str:
    return say("{unit} a row", unit=said_unit(found.base))


def _add_cards(out: Page, found: Any) -> None:
    cards = [
        (
            cut(one_line(model.name), LONGEST_NAME),
            digits(model.cross_entropy),
            f"{_a_row(found)}, {between(model.low, model.high)}",
        )
        for model in found.models[:2]
    ]
    first = found.differences[0]
    cards.append((say("difference"), digits(first.difference, sign=True), verdict(first) or "-"))
    cards.append((say("p-value"), p_text(first.p_value), say("of no difference")))
    out.cards(cards)


def _add_models(out: Page, found: Any) -> None:
    costs = [model.cross_entropy for model in found.models]
    finite = [cost if math.isfinite(cost) else 0.0 for cost in costs]
    errors = [
        next((view["ece"] for view in model.reliability.values()), math.nan)
        for model in found.models
    ]
    out.section(
        say("What each model costs"),
        say(
            "Mean {unit} to say the true class of a row; the cheapest is printed in bold. "
            "Intervals that overlap say nothing of which is better: the rows are the same, and "
            "only their differences count.",
            unit=said_unit(found.base),
        ),
        columns=[
            say("model"),
            _a_row(found),
            say("{share:g} % interval", share=100 * found.confidence),
            say("zeros on the truth"),
            say("calibration error"),
        ],
        rows=[
            (
                shown(model.name),
                digits(model.cross_entropy),
                between(model.low, model.high),
                f"{model.impossible:,}",
                percent(error),
            )
            for model, error in zip(found.models, errors, strict=True)
        ],
        bars=finite,
        best=costs.index(min(costs)) if math.isfinite(min(costs)) else None,
    )


def _add_differences(out: Page, found: Any) -> None:
    several = len(found.differences) > 1
    columns = [say("second less first"), say("difference"), say("interval"), "p"]
    rows = [
        (
            shown(pair_text(d)),
            digits(d.difference, sign=True),
            between(d.low, d.high, sign=True),
            p_text(d.p_value),
            *([p_text(d.adjusted)] if several else []),
            verdict(d) or "-",
        )
        for d in found.differences
    ]
    out.section(
        say("How far apart they are"),
        " ".join([
            say(
                "Below 0 the second model costs less. An interval that holds 0 leaves it open "
                "which is better."
            ),
            *(f"{pair_text(d)}: {line}" for d in found.differences if d.impossible
              for line in [" ".join(found.infinite_lines(d))]),
            *found.notes(),
        ]),
        columns=[*columns, *([say("{name}'s", name=found.correction)] if several else []), ""],
        rows=rows,
        bars=[d.difference if math.isfinite(d.difference) else 0.0 for d in found.differences],
    )  # fmt: skip


def _add_slices(out: Page, found: Any) -> None:
    several = len(found.differences) > 1
    for name in dict.fromkeys(piece.by for piece in found.slices):
        pieces = [piece for piece in found.slices if piece.by == name][:MOST_LISTED]
        out.section(
            say("By {name}", name=name),
            say("The largest slices first; p-values are corrected for all of them."),
            columns=[
                say("value"),
                *([say("second less first")] if several else []),
                say("difference"),
                say("interval"),
                "p",
                say("rows"),
                "",
            ],
            rows=[
                (
                    say("missing") if d.value is None else shown(d.value),
                    *([shown(pair_text(d))] if several else []),
                    digits(d.difference, sign=True),
                    between(d.low, d.high, sign=True),
                    p_text(d.adjusted),
                    f"{d.rows:,}",
                    verdict(d) or "-",
                )
                for d in pieces
            ],
            bars=[d.difference if math.isfinite(d.difference) else 0.0 for d in pieces],
            texts=2 if several else 1,
            search=say("Find a value of {name}", name=name) if len(pieces) > 5 else "",
        )


def _add_reliability(out: Page, found: Any) -> None:
    every = say("all models")
    views: dict[str, dict[str, Any]] = {}
    for model in found.models:
        for view in model.reliability.values():
            name = cut(one_line(model.name), LONGEST_NAME)
            views[name if name not in (*views, every) else f"{name} #{len(views) + 1}"] = view
    if not views:
        return
    of_yes = any("yes" in model.reliability for model in found.models)
    what = say("the second of the two classes") if of_yes else say("the winning class")
    out.section(
        say("Can their probabilities be believed?"),
        say(
            "On the line, what is said is what is seen; below it a model is too sure of itself, "
            "above it too modest. Of {what}: dots are bins of equal width, the larger the more "
            "rows, and the steps the best rising curve.",
            what=what,
        ),
        charts=[_diagram(views, every)],
        choice=[every, *views] if len(views) > 1 else (),
    )


def _diagram(views: dict[str, dict[str, Any]], every: str) -> Any:
    """Draw the dots and steps of all models, each in a colour of its own."""
    alt = altair()
    choice = alt.param(name="chosen", value=every)
    scale = alt.Scale(domain=[0, 1])
    x = alt.X("said:Q", title=say("what the model said"), scale=scale, axis=alt.Axis(format=".0%"))
    y = alt.Y("seen:Q", title=say("how often it was so"), scale=scale, axis=alt.Axis(format=".0%"))
    names = list(views)
    colour = alt.Color(
        "of:N",
        scale=alt.Scale(domain=names, range=[COLOURS[k % len(COLOURS)] for k in range(len(names))]),
        legend=alt.Legend(orient="top", title=None, columns=1, labelLimit=260),
    )
    picked = f"chosen === {json.dumps(every)} || datum.of === chosen"

    def of(values: list[dict[str, Any]]) -> Any:
        return alt.Chart(alt.Data(values=values)).transform_filter(picked)

    diagonal = alt.Chart(alt.Data(values=[{"said": end, "seen": end} for end in (0, 1)]))
    path = [
        {"of": name, "said": at, "seen": b["seen"], "order": 2 * i + j}
        for name, view in views.items()
        for i, b in enumerate(view["corp"]["blocks"])
        for j, at in enumerate((b["low"], b["high"]))
    ]
    dots = of([{"of": name, **b} for name, view in views.items() for b in view["bins"]])
    chart = alt.layer(
        diagonal.mark_line(color=SOFT, strokeDash=[4, 4], strokeWidth=1).encode(x=x, y=y),
        of(path).mark_line(strokeWidth=1.8).encode(x=x, y=y, color=colour, order="order:Q"),
        dots.mark_circle(opacity=0.75).encode(
            x=x,
            y=y,
            color=colour,
            size=alt.Size("rows:Q", scale=alt.Scale(range=[25, 350]), legend=None),
            tooltip=[
                alt.Tooltip("of:N", title=say("model")),
                alt.Tooltip("said:Q", format=".2%", title=say("said")),
                alt.Tooltip("seen:Q", format=".2%", title=say("seen")),
                alt.Tooltip("rows:Q", title=say("rows")),
            ],
        ),
    )
    return chart.properties(width="container", height=CHART_HEIGHT).add_params(choice)
