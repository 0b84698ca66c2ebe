"""A report in a notebook's cell: two small tables, nothing that is loaded from anywhere."""

from collections.abc import Sequence
from html import escape

from xent._lang import say, say_count
from xent._terminal import one_line
from xent.evaluation._numbers import Figures, percent, said_unit

MOST_CLASSES = 12
CELL = "text-align:left;white-space:pre"


def cell_of(report: Figures) -> str:
    """Return a report as HTML, in the language that is spoken.

    Labels are a stranger's, and escaped.

    Parameters
    ----------
    report : Figures
        The report.
    """
    unit = said_unit(report.base)
    cost = f"{report.cross_entropy:.4f} {say('{unit} a row', unit=unit)}"
    reach = say("{low:.4f} to {high:.4f}", low=report.low, high=report.high)
    numbers = [
        (say("cross-entropy"), cost),
        (say("{share:g} % interval", share=100 * report.confidence), reach),
        (say("uniform"), f"{report.uniform:.4f}"),
        (say("class prior"), f"{report.prior:.4f}"),
        (say("explained"), percent(report.explained)),
        (say("accuracy"), percent(report.accuracy)),
        (say("Brier"), f"{report.brier:.4f}"),
        (say("calibration error"), percent(report.calibration_error)),
    ]
    if report.impossible:
        numbers.append((say("zeros on the truth"), f"{report.impossible:,}"))
    order = sorted(report.per_class, key=lambda c: -c.share)
    classes = [
        (
            c.label,
            percent(c.share),
            f"{c.cross_entropy:.3f}",
            percent(c.recall),
            percent(c.precision),
            f"{c.rows:,}",
        )
        for c in order[:MOST_CLASSES]
    ]
    shares = say("share of the {unit}", unit=unit)
    heads = (say("class"), shares, unit, say("recall"), say("precision"), say("rows"))
    more = len(order) - MOST_CLASSES
    left = say("and {classes} that cost less", classes=say_count(more, "class"))
    rest = f"<p>{left}</p>" if more > 0 else ""
    sizes = say_count(report.rows, "row"), say_count(report.classes, "class")
    size = f"<p>{escape(say('{rows}, {classes}', rows=sizes[0], classes=sizes[1]))}</p>"
    return f"<div>{size}{_table((), numbers)}{_table(heads, classes)}{rest}</div>"


def _table(heads: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    head = "".join(f'<th style="{CELL}">{escape(text)}</th>' for text in heads)
    body = "".join(
        "<tr>"
        + "".join(f'<td style="{CELL}">{escape(one_line(value))}</td>' for value in row)
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
