"""Whether the first line of a CSV is names, as it must be, or the first row of a table without."""

import itertools
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from xent import _check
from xent._table.files.columns import text_blocks
from xent._table.files.dialect import Csv

NUMERAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
NO_VALUE = ("", "?", "-", "na", "n/a", "nan", "null", "none")  # what stands for a missing value
POINT_ROWS = 1000  # rows whose numbers may have points
WHOLE = re.compile(r"\d{1,18}")


def doubt_header(batch: Any, path: str | os.PathLike[str], csv: Csv | None) -> None:
    """Warn where the names of the columns read like values: then a row is lost.

    A name is a value where a column of text holds it, or where it is a number that names nothing:
    one with a decimal point or a sign, or one of whole numbers that do not rise from column to
    column, as years and class numbers do. Words above a column of numbers are names.

    Parameters
    ----------
    batch : pyarrow.RecordBatch or pyarrow.Table
        The first rows.
    path : str or PathLike
        The file.
    csv : Csv, optional
        How it is written, where the caller can be told so.
    """
    import pyarrow as pa

    if csv is not None and not csv.header:
        return
    names = [name.strip() for name in batch.schema.names]
    is_text = [pa.types.is_string(kind) for kind in batch.schema.types]
    others = [name for name, text in zip(names, is_text, strict=True) if not text]
    if any(not NUMERAL.fullmatch(name) and name.lower() not in NO_VALUE for name in others):
        return  # words above numbers: a header
    held = _held(batch, names)
    for i, text in enumerate(is_text):
        held[i] |= not text and bool(NUMERAL.fullmatch(names[i]) and not WHOLE.fullmatch(names[i]))
    found = [name for name, is_value in zip(names, held, strict=True) if is_value]
    wholes = [name for name in others if WHOLE.fullmatch(name)]
    if any(int(a) >= int(b) for a, b in itertools.pairwise(wholes)):
        found += wholes
    if found:
        advice = _check.Sentence("Write a line of names above it.")
        if csv is not None:
            advice = "If it is no header, pass " + _check.setting("no_header", True) + "."
        shown = _check.join_names(found, last="and", limit=3)
        because = (
            f"the first line of {str(path)!r} reads like a row: {shown}. It is taken as names."
        )
        _check.warn(because[:1].upper() + because[1:] + " " + advice)


def doubt_points(
    batch: Any, path: str | os.PathLike[str], csv: Csv | None, text: Sequence[str]
) -> None:
    """Warn of numbers with a decimal point where commas are decimals: they are read as names.

    Parameters
    ----------
    batch, path, csv
        As in `doubt_header`.
    text : sequence of str
        Columns that are text by someone's wish.
    """
    import pyarrow as pa

    if csv is None or csv.decimal != ",":
        return
    for name, kind in zip(batch.schema.names, batch.schema.types, strict=True):
        if name in text or not pa.types.is_string(kind):
            continue
        words = [word for word in batch.column(name).slice(0, POINT_ROWS).to_pylist() if word]
        numbers = [word for word in words if NUMERAL.fullmatch(word.strip())]
        if 2 * len(numbers) > len(words):
            decimal = _check.setting("decimal", ",")
            shown = f"{str(path)!r} has points in the numbers of {name!r}, such as {numbers[0]!r}"
            _check.warn(f"{shown}. They are read as names: leave out " + decimal + ".")
            return


def _held(batch: Any, names: list[str]) -> list[bool]:
    """Tell of each column whether it is text that holds its own name."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = [False] * len(names)
    for at, cells in text_blocks(batch):
        own: Any = names[at[0]]
        if len(at) > 1:
            own = pa.array([names[i] for i in at]).take(
                np.repeat(np.arange(len(at)), len(cells) // len(at))
            )
        same = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(cells), own), False)
        held = np.asarray(np.asarray(same).reshape(len(at), -1).any(axis=1))
        for i, is_held in zip(at, held.tolist(), strict=True):
            found[i] = bool(is_held and names[i])
    return found
