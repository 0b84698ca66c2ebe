"""Columns of text that a command warns of."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from xent.cli._tables._options import words

CHANCE_ROWS = 9  # which may all differ by chance


def doubt(table: Any, argument: str = "DATA") -> None:
    """Warn of columns of text that look like numbers, and of those that name every row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from xent._table.frames.doubts import doubt_names

    for field in table.schema:
        if not pa.types.is_string(field.type):
            continue
        values = table[field.name].drop_null()
        found = pc.value_counts(values)
        levels = zip(*(part.to_pylist() for part in found.flatten()), strict=True)
        with words():
            doubt_names(argument, field.name, levels)
    doubt_ids(table, argument)


def doubt_classes(classes: Iterable[object]) -> None:
    """Warn of a class that stands for a missing value elsewhere."""
    from xent import _check
    from xent._table.frames.doubts import MISSING_WORDS

    for name in classes:
        if isinstance(name, str) and name in MISSING_WORDS:
            found = f"The target has the class {str(name)!r}."
            advice = f"If it means a missing class, pass --na {shlex.quote(name)}"
            _check.warn(f"{found} {advice} --drop-missing-target.")


def doubt_ids(table: Any, argument: str = "DATA") -> None:
    """Warn of columns of text in which every row has a name of its own."""
    from xent import _check
    from xent._table.files.columns import text_blocks
    from xent._table.frames.doubts import read_as_values

    names = table.schema.names
    for at, cells in text_blocks(table):
        for i in (at[k] for k in _own_names(cells, len(at))):
            if not read_as_values((v, 1) for v in table.column(i).drop_null().to_pylist()):
                column = f"`{argument}` has a name of its own in every row of {names[i]!r}"
                advice = f"Pass --drop {shlex.quote(names[i])}."
                _check.warn(f"{column}: it tells nothing of other rows. {advice}")


def _own_names(cells: Any, columns: int) -> list[int]:
    """Return which of so many columns of text, one after another, hold no name twice."""
    import numpy as np
    import pyarrow.compute as pc

    if columns == 1:
        values = cells.drop_null()
        return [0] if pc.count_distinct(values).as_py() == len(values) > CHANCE_ROWS else []
    codes = cells.dictionary_encode().indices.fill_null(-1).to_numpy().reshape(columns, -1)
    codes = np.sort(codes, axis=1)
    twice = ((codes[:, 1:] == codes[:, :-1]) & (codes[:, 1:] >= 0)).any(axis=1)
    own: list[int] = np.flatnonzero(~twice & ((codes >= 0).sum(axis=1) > CHANCE_ROWS)).tolist()
    return own
