"""Columns of text that a command warns of."""

from __future__ import annotations

import shlex
from typing import Any

from xent.cli._tables._options import words


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


def doubt_ids(table: Any, argument: str = "DATA") -> None:
    """Warn of columns of text in which every row has a name of its own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from xent import _check
    from xent._table.frames.doubts import read_as_values

    for field in table.schema:
        if not pa.types.is_string(field.type):
            continue
        values = table[field.name].drop_null()
        own = pc.count_distinct(values).as_py() == len(values) > 9
        if own and not read_as_values((value, 1) for value in values.to_pylist()):
            column = f"`{argument}` has a name of its own in every row of {field.name!r}"
            advice = f"Pass --drop {shlex.quote(field.name)}."
            _check.warn(f"{column}: it tells nothing of other rows. {advice}")
