"""A report in a notebook's cell: two small tables, nothing that is loaded from anywhere."""

from collections.abc import Sequence
from html import escape

from xent._terminal import one_line
from xent.evaluation._numbers import Figures, percent

MOST_CLASSES = 12
CELL = "text-align:left;white-space:pre"


def cell_of(report: Figures) -> str:
    """Return a report as HTML; labels are a stranger's, and escaped.

    Parameters
    ----------
    report : Figures
        The report.
    """
    unit = report.unit
    numbers = [
        ("cross-entropy", f"{report.cross_entropy:.4f} {unit} a row"),
        (f"{100 * report.confidence:g} % interval", f"{report.low:.4f} to {report.high:.4f}"),
        ("uniform", f"{report.uniform:.4f}"),
        ("class prior", f"{report.prior:.4f}"),
        ("explained", percent(report.explained)),
        ("accuracy", percent(report.accuracy)),
        ("Brier", f"{report.brier:.4f}"),
        ("calibration error", percent(report.calibration_error)),
    ]
    if report.impossible:
        numbers.append(("zeros on the truth", f"{report.impossible:,}"))
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
    heads = ("class", f"share of the {unit}", unit, "recall", "precision", "rows")
    more = len(order) - MOST_CLASSES
    rest = f"<p>and {more:,} classes that cost less</p>" if more > 0 else ""
    size = f"<p>{report.rows:,} rows, {report.classes:,} classes</p>"
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
