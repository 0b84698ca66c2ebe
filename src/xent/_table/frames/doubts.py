"""Columns of text that were hardly meant to be names: numbers, dates, and marks for a gap.

What a column holds is never guessed: it stays what it is, and the doubt is said, with the way out.
"""

import re
from collections.abc import Iterable

import numpy as np

from xent import _check
from xent._table.frames.columns import Column, Names

DOUBTED_LEVELS = 10_000  # of a column of text that are looked at

NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*")
ISO_DATE = re.compile(r"\s*\d{4}([-/.])\d{1,2}\1\d{1,2}([T ].*)?")
PADDED_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")
MONEY = "(?:[$€£¥₹₩₽]|USD|EUR|GBP|JPY|CNY|RMB|CHF|INR)"
MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
UNIT = "(?:kg|mg|g|lbs?|km|cm|mm|m|ft|kB|MB|GB|TB|ms|s|min|h|°C|°F|kW|Hz)"
# What people write numbers with, and what is left to do about each.
WRITTEN = (
    (re.compile(r"\s*[+-]?[\d.,]+\s*%\s*"), "percentages", "Take the sign % away"),
    (re.compile(rf"\s*[+-]?{MONEY}\s*[\d.,]+\s*|\s*[+-]?[\d.,]+\s*{MONEY}\s*"),
     "amounts of money", "Take the currency away"),
    (re.compile(rf"\s*[+-]?\d+([.,]\d+)?\s*{UNIT}\s*"), "amounts with a unit", "Take it away"),
    (re.compile(r"\s*[+-]?\d{1,3}(,\d{3})+(\.\d*)?\s*"), "numbers with commas between thousands",
     "Take the commas away"),
    (re.compile(r"\s*[+-]?[1-9]\d{0,2}([ \u00a0\u202f'’]\d{3})+([.,]\d*)?\s*"),
     "numbers with blanks or apostrophes between thousands", "Take these away"),
    (re.compile(r"\s*[+-]?\d{1,3}(\.\d{3})+,\d+\s*"), "numbers with points between thousands",
     "Take the points away and make the comma a point"),
    (re.compile(r"\s*[\u2212\u2013\u2010\uff0d]\s*[.,]?\d[\d.,]*\s*"),
     "numbers with another sign for minus", "Make it -"),
    (re.compile(r"""\s*(['"\u2018\u201c\u00b4`])\s*[+-]?[\d.,]+\s*['"\u2019\u201d\u00b4`]\s*"""),
     "numbers in quotation marks", "Take the marks away"),
    (re.compile(r"(?=.*[^\x00-\x7f\s])\s*[+-]?[\d.,\u066b\uff0e]*\d[\d.,\u066b\uff0e]*\s*"),
     "numbers in another script's digits", "Write them with 0 to 9"),
    (re.compile(r"\s*\d{1,2}([/.-])\d{1,2}\1(\d{4}|\d{2})(\s.*)?"), "dates",
     "Write them as 2026-11-30"),
    (re.compile(rf"\s*(\d{{1,2}}[\s.-]*{MONTH}[\s.,-]*\d{{2,4}}|{MONTH}[\s.-]*\d{{1,2}},?\s+\d{{4}})"
                r"(\s.*)?", re.IGNORECASE), "dates", "Write them as 2026-11-30"),
    (re.compile(r"\s*([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d([.,]\d*)?)?(\s*[ap]\.?m\.?)?\s*",
                re.IGNORECASE), "times of day",
     "Make them times, or write them as 14:30:00 in a file"),
)  # fmt: skip
# What tells of a gap and hardly anything else. "None" and "-" are names of many tables.
MISSING_WORDS = frozenset(["?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null"])
FORMS = (NUMBER, ISO_DATE, *(form for form, _, _ in WRITTEN))
SIGN = re.compile(r"[\d.,]")  # one of which each of the forms has


def doubt_column(argument: str, name: object, names: Names) -> None:
    """Warn of a column of text, as a frame holds it, that looks like numbers or dates."""
    some = names.levels[:DOUBTED_LEVELS]
    rows = np.bincount(names.codes[names.codes >= 0], minlength=len(names.levels))[: len(some)]
    if all(isinstance(level, str) for level in some):
        doubt_names(argument, name, zip(some, rows.tolist(), strict=True))


def doubt_names(argument: str, name: object, levels: Iterable[tuple[str, float]]) -> bool:
    """Warn of a column of text that looks like numbers or dates, or has gaps; say whether it did.

    Parameters
    ----------
    argument : str
        What the caller calls the table.
    name : object
        The column.
    levels : iterable of (str, float)
        Its distinct names, and in how many rows each stands.

    Returns
    -------
    bool
    """
    known = [(text, rows) for text, rows in levels if text.strip()]
    total = sum(rows for _, rows in known)
    return (
        any(SIGN.search(text) for text, _ in known) and _doubt_values(argument, name, known, total)
    ) or _doubt_gaps(argument, name, known, total)


def _doubt_gaps(argument: str, name: object, known: list[tuple[str, float]], total: float) -> bool:
    """Warn of names that stand for a missing value elsewhere."""
    gaps = [(text, rows) for text, rows in known if text in MISSING_WORDS]
    if not gaps:
        return False
    text, rows = gaps[0]
    found = f" has {text!r} in {rows:,.0f} of {total:,.0f} rows of {name!r}"
    advice = f"If it means a missing value, {_as_missing(text)}."
    _check.warn(_check.argument(argument) + f"{found}, which is read as a name. {advice}")
    return True


def _doubt_values(
    argument: str, name: object, known: list[tuple[str, float]], total: float
) -> bool:
    """Warn of names that are numbers or dates."""
    for form, what, advice in WRITTEN:
        if 2 * _rows(known, form) > total:
            rows = f" has {what} in {_rows(known, form):,.0f} of {total:,.0f} rows of {name!r}"
            _check.warn(_check.argument(argument) + f"{rows}, which is read as names. {advice}.")
            return True
    if 2 * _rows(known, ISO_DATE) > total:
        odd = next((text for text, _ in known if not ISO_DATE.fullmatch(text)), None)
        means = f"If {odd!r} means a missing value, {_as_missing(odd)}" if odd else ""
        advice = means or _as_dates(known)
        rows = f" has dates in {_rows(known, ISO_DATE):,.0f} of {total:,.0f} rows of {name!r}"
        _check.warn(_check.argument(argument) + f"{rows}, which is read as names. {advice}.")
        return True
    reads = _rows(known, NUMBER)
    if not 2 * reads > total:
        return False
    odd = next((text for text, _ in known if not NUMBER.fullmatch(text)), None)
    commas = any("," in text for text, _ in known if NUMBER.fullmatch(text))
    if odd is None and not commas:
        return False  # text by someone's wish, such as codes of regions
    advice = "" if odd is None else " " + otherwise_written(odd)
    if odd is not None and not advice.strip():
        advice = f" If {odd!r} means a missing value, {_as_missing(odd)}."
    if commas:
        point = _check.typed("decimal")
        advice += " If its decimals are commas, "
        advice += f"pass {point} ','." if point else "read it so."
    odd = known[0][0] if odd is None else odd
    rows = f" has numbers in {reads:,.0f} of {total:,.0f} rows of {name!r}"
    because = f"{rows}, which is read as names because of {odd!r}.{advice}"
    _check.warn(_check.argument(argument) + because)
    return True


def other_kind(argument: str, name: str, was: str, column: Column) -> ValueError:
    """Return the error for a column of another kind than that of fit, with its first odd value.

    Parameters
    ----------
    argument : str
        What the caller calls the table.
    name : str
        The column.
    was : str
        The kind that it had.
    column : Column
        What it holds now.
    """
    got, advice = f"a {column.kind} ({column.dtype})", ""
    if was == "number" and column.is_text:
        texts = [text for text in column.names().levels if isinstance(text, str) and text.strip()]
        odd = next((text for text in texts if not NUMBER.fullmatch(text)), None)
        if odd is not None:
            got += f", {odd!r}"
            advice = f"If {odd!r} means a missing value, {_as_missing(odd)}."
        elif any("," in text for text in texts) and (point := _check.typed("decimal")):
            got, advice = f"{got}, {texts[0]!r}", f"If its decimals are commas, pass {point} ','."
    return _check.invalid(argument, f"hold a {was} in column {name!r}, as in fit", got, advice)


def read_as_values(levels: Iterable[tuple[str, float]]) -> bool:
    """Whether most rows of a column of text hold numbers or dates, however written."""
    known = [(text, rows) for text, rows in levels if text.strip()]
    total = sum(rows for _, rows in known)
    return any(2 * _rows(known, form) > total for form in FORMS)


def looks_like_date(text: str) -> bool:
    """Whether a text is a date, however written."""
    forms = [ISO_DATE, *(form for form, what, _ in WRITTEN if what == "dates")]
    return any(form.fullmatch(text) for form in forms)


def otherwise_written(text: str) -> str:
    """Say what to do about a text that is a number as people write them; nothing of another.

    >>> otherwise_written("12 %"), otherwise_written("cat")
    ('Take the sign % away.', '')
    """
    return next((f"{advice}." for form, _, advice in WRITTEN if form.fullmatch(text)), "")


def is_value(text: str) -> bool:
    """Whether a text is a number or a date, however written.

    >>> is_value("12 %"), is_value("3 May 2020"), is_value("route 66")
    (True, True, False)
    """
    return SIGN.search(text) is not None and any(form.fullmatch(text) for form in FORMS)


def _rows(levels: list[tuple[str, float]], form: re.Pattern[str]) -> float:
    return sum(rows for text, rows in levels if form.fullmatch(text))


def _as_dates(levels: list[tuple[str, float]]) -> str:
    """Say what makes dates of a column: a command reads them from a file as they should stand."""
    if _check.typed("na") and not all(PADDED_DATE.fullmatch(text) for text, _ in levels):
        return "Write them as 2026-11-30"
    return "Make them dates where the table is read"


def _as_missing(word: str) -> str:
    option = _check.typed("na")
    return f"pass {option} {word!r}" if option else "make it None where the table is read"
