"""Predictions and true classes that are arrays, or lists in a column.

Rows of arrays go by their places, not by an id.

A matrix of an NPZ or NPY file stays one column of lists, as it lies there: a column for each of
50,257 classes would cost more than all the rest.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xent.cli._addresses import Address

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_LIST = 1 << 20  # letters of a list in text that is read
NUMPY_LIST = re.compile(r"\[[-+.\deE\s]+\]")  # as NumPy prints an array: no commas
PATTERNS = ("p_*", "prob_*", "proba_*")  # what columns of probabilities are called


class TruthArray:
    """One array of true classes, which go by their places; mapped, not read.

    Parameters
    ----------
    path : Path
        A .npy file.
    """

    def __init__(self, path: Path | None) -> None:
        import numpy as np

        from xent import _check, _table

        (header,) = _table.array_headers(path or "", argument="--truth").values()
        column = len(header.shape) == 1 or header.shape[1:] == (1,)
        if not column or header.dtype.kind not in "iufbU":
            must = "hold one class a row: whole numbers, booleans or text of one dimension"
            got = f"the shape {header.shape} of {header.dtype} in {str(path)!r}"
            raise _check.invalid("--truth", must, got)
        self.path = path
        values = np.load(str(path), mmap_mode="r", allow_pickle=False)
        self.values = values if values.ndim == 1 else values[:, 0]

    def require(self, rows: int, file: Path | Address) -> None:
        """Refuse an array that has more rows than the predictions, or fewer."""
        from xent import _check

        if len(self.values) != rows:
            must = f"have a class for each of the {rows:,} rows of {str(file)!r}"
            got = f"{len(self.values):,} in {str(self.path)!r}"
            raise _check.invalid("--truth", must, got)

    def column(self, first: int, rows: int) -> Any:
        """Return the classes of some rows as a column of a table."""
        import pyarrow as pa

        found = self.values[first : first + rows]
        return pa.array(found.astype(found.dtype.newbyteorder("=")))


def with_truth(table: Any, truth: TruthArray, target: str, file: Path | Address) -> Any:
    """Return all predictions of a file with true classes beside them, by their places."""
    truth.require(len(table), file)
    return beside_scores(table, truth.column(0, len(table)), target, file)


def beside_scores(table: Any, column: Any, target: str, file: Path | Address) -> Any:
    """Return a table with the column of true classes, which it does not have yet."""
    from xent import _check

    if target in table.column_names:
        got = f"one called {target!r}"
        advice = "Pass another name with --target, or leave out --truth."
        must = f"have a truth that is no column of {str(file)!r}"
        raise _check.invalid("--truth", must, got, advice)
    return table.append_column(target, column)


def is_whole(table: Any, pattern: str | None, file: Path | Address, wanted: Sequence[str]) -> bool:
    """Whether all scores are in one column of lists, and all columns that are wanted are there."""
    names = table.column_names
    asked = whole_column(table, [n for n in names if n not in wanted], pattern, file)
    split = [n for n in wanted if n not in names and n.rpartition("_")[0] in names]
    return asked is not None and not split


def whole_column(
    table: Any, names: Sequence[str], pattern: str | None, file: Path | Address
) -> str | None:
    """Return the column of lists that a pattern means: by its name, or as ``name_*``."""
    import pyarrow as pa

    kinds = {name: table.schema.field(name).type for name in names}
    listed = [name for name, kind in kinds.items() if pa.types.is_fixed_size_list(kind)]
    if file.suffix.lower() == ".npy" and pattern in (None, "*"):
        return names[0] if len(names) == 1 else None  # a file of one array
    asked = PATTERNS if pattern is None else (pattern,)
    for name in listed:
        if name in asked or f"{name}_*" in asked:
            return name
    return None


def matrix_of_lists(column: Any) -> NDArray[Any] | None:
    """Return lists of real numbers, all as long, as a matrix of their type; None for others."""
    import numpy as np
    import pyarrow as pa

    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks)
    if not (len(whole) and is_number(getattr(whole.type, "value_type", None))):
        return None
    values = whole.flatten()
    width, rest = divmod(len(values), len(whole))
    if values.null_count or rest or not width:
        return None
    if not pa.types.is_fixed_size_list(whole.type):
        sizes = np.diff(whole.offsets.to_numpy())
        if (sizes != width).any():
            return None
    found = values.to_numpy(zero_copy_only=False)
    if found.dtype.kind != "f":
        found = found.astype(np.float64)
    return np.asarray(found.reshape(len(whole), width))


def is_number(kind: Any) -> bool:
    import pyarrow as pa

    return kind is not None and bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def lists_in_text(column: Any, option: str, first: int) -> Any:
    """Return a column with the lists or dicts that its texts are; itself where they are none.

    As JSON writes them, as Python does, or as NumPy prints an array. An array that was cut short
    with dots is none.
    """
    import pyarrow as pa

    from xent import _check

    if str(column.type) not in ("string", "large_string", "string_view") or not len(column):
        return column
    texts = column.to_pylist()
    if not str(texts[0]).strip().startswith(("[", "{", "(")):
        return column
    found = []
    for row, text in enumerate(texts, first):
        value = None if text is None else _list_in(text.strip())
        if value is None:
            got = f"{_shown(text)} at row {row}"
            advice = "JSON lines and Parquet have lists of their own."
            raise _check.invalid(option, "hold a list or dict of scores", got, advice)
        found.append(value)
    try:
        return pa.chunked_array([pa.array(found)])
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        must = "hold lists or dicts of numbers, all of one kind"
        raise _check.invalid(option, must, f"{_shown(texts[0])} and others") from None


def _list_in(text: str) -> Any:
    if len(text) > LONGEST_LIST or "..." in text:
        return None
    if NUMPY_LIST.fullmatch(text) and "," not in text:
        text = "[" + ",".join(text[1:-1].split()) + "]"
        text = re.sub(r"(?<!\d)\.(?=\d)", "0.", re.sub(r"(?<=\d)\.(?!\d)", ".0", text))
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            return None
    value = list(value) if isinstance(value, tuple) else value
    return value if isinstance(value, list | dict) else None


def _shown(text: Any) -> str:
    shown = repr(text)
    return shown if len(shown) <= 60 else shown[:59] + "…"
