"""Columns: of rows that each round of a loop left, and arrays that are filled place by place."""

from __future__ import annotations

import ast

from xent.audit._follow.averaging import arithmetic, averages
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    LOOPS,
    Const,
    Dictionary,
    Loss,
    Made,
    Sequence,
    Total,
    Value,
    Zero,
)

NAMED_TUPLES = ("collections.namedtuple", "typing.NamedTuple")


def of_rows(rows: Value) -> list[Value] | None:
    """Return what ``zip(*rows)`` is given, where each row is a tuple of the same things."""
    if not isinstance(rows, Sequence) or rows.filled is None:
        return None
    row = rows.element
    if not isinstance(row, Sequence) or row.items is None:
        return None
    return [Made("column", [_column(rows, value)], {}) for value in row.items]


def zipped(args: list[Value]) -> Sequence | None:
    """Return the columns of ``zip(*rows)``."""
    if not all(isinstance(one, Made) and one.name == "column" for one in args):
        return None
    return Sequence([one.args[0] for one in args])  # type: ignore[attr-defined]


def under(rows: Sequence, key: Value) -> Sequence | None:
    """Return a column of a table that was made of dicts: ``DataFrame(rows)["loss"]``."""
    row = rows.element
    known = isinstance(row, Dictionary) and isinstance(key, Const)
    value = row.items.get(key.value) if known else None  # type: ignore[attr-defined, union-attr]
    return _column(rows, value) if value is not None else None


def _column(rows: Sequence, value: Value) -> Sequence:
    total = None
    if isinstance(value, Loss) and rows.filled is not None:
        total = Total((rows.filled,), value, value.place)
    return Sequence(None, rows.loops, total, value, rows.filled)


def row(made: Made, args: list[Value], options: dict[str, Value]) -> Dictionary | None:
    """Return a row of a class of named tuples."""
    fields = made.args[1] if len(made.args) > 1 else None
    if made.name not in NAMED_TUPLES:
        return None
    names: list[Value] = []
    if isinstance(fields, Const):
        names = [Const(name) for name in fields.value.replace(",", " ").split()]
    elif isinstance(fields, Sequence):
        names = fields.items or []
    keys = [name.value for name in names if isinstance(name, Const)]
    return Dictionary({**dict(zip(keys, args, strict=False)), **options})


def appended(run: Walk, args: list[Value], node: ast.AST) -> Sequence | None:
    """Follow ``torch.cat([losses, loss])`` and ``np.append(losses, loss)``."""
    given = args[0].items if len(args) == 1 and isinstance(args[0], Sequence) else args
    parts = list(given or ())
    if len(parts) != 2 or not isinstance(parts[0], Sequence):
        return None
    more = parts[1]
    if isinstance(more, Sequence) and more.items is not None and len(more.items) == 1:
        more = more.items[0]
    return averages.appended(run, parts[0], more, node)


def added(run: Walk, array: Made, more: list[Value], node: ast.AST) -> bool:
    """Add a list of numbers to an array of zeros, place by place."""
    made = array.attrs.get(LOOPS)
    if not isinstance(made, Sequence):
        return False
    for number, item in enumerate(more):
        before = array.attrs.get(("item", number), Zero(0, made.loops))
        run.write(array.attrs, ("item", number), arithmetic.add(run, before, item, node))
    return True
