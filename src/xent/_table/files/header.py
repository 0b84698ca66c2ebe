"""Whether the first line of a CSV is names, as it must be, or the first row of a table without."""

import itertools
import os
import re
from typing import Any

from xent import _check
from xent._table.files.dialect import Csv

NUMERAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
NO_VALUE = ("", "?", "-", "na", "n/a", "nan", "null", "none")  # what stands for a missing value
WHOLE = re.compile(r"\d+")


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
    import pyarrow.compute as pc

    if csv is not None and not csv.header:
        return
    found, wholes = [], []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        name = field.name.strip()
        if pa.types.is_string(field.type):
            if name and pc.any(pc.equal(pc.utf8_trim_whitespace(column), name)).as_py():
                found.append(name)
        elif WHOLE.fullmatch(name):
            wholes.append(int(name))
        elif NUMERAL.fullmatch(name):
            found.append(name)
        elif name.lower() not in NO_VALUE:
            return  # words above numbers: a header
    if any(a >= b for a, b in itertools.pairwise(wholes)):
        found += map(str, wholes)
    if found:
        advice = _check.Sentence("Write a line of names above it.")
        if csv is not None:
            advice = "If it is no header, pass " + _check.setting("no_header", True) + "."
        names = _check.join_names(found, last="and", limit=3)
        because = (
            f"the first line of {str(path)!r} reads like a row: {names}. It is taken as names."
        )
        _check.warn(because[:1].upper() + because[1:] + " " + advice)
