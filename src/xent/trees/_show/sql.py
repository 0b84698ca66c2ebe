"""A tree as one CASE expression of SQL."""

import math
from collections.abc import Iterator
from typing import Any

from xent import _check
from xent.trees._show.named import SECOND, Named, date_and_time, quantity
from xent.trees._show.text import whole
from xent.trees._table.columns import FittedColumn


def sql(named: Named) -> str:
    """Write one CASE expression, a WHEN for every leaf."""
    tree = named.tree
    inner = ~tree.leaf
    if (tree.missing_to[inner] < 0).any():
        raise _check.cannot(
            "The tree cannot be written as SQL",
            "a missing value goes down several branches",
            "Fit it with " + _check.setting("missing", "direction") + ".",
        )
    if len(tree.surrogate_feature):
        raise _check.cannot(
            "The tree cannot be written as SQL",
            "it has surrogate tests",
            "Fit it with " + _check.setting("missing", "direction") + ".",
        )
    return whole(_sql(named), "SQL")


def _sql(named: Named) -> Iterator[str]:
    yield "CASE"
    conditions: list[str] = []
    for node, parent, branch, depth in named.walk():
        del conditions[max(depth - 1, 0) :]
        if parent >= 0:
            conditions.append(_sql_test(named, parent, branch))
        if named.tree.feature[node] < 0:
            if named.classes:
                says = _sql_text(named.classes[int(named.value[node].argmax())])
            else:
                says = repr(float(named.value[node, 0]))
            yield f"  WHEN {' AND '.join(conditions) or '1 = 1'} THEN {says}"
    yield "END"


def _sql_text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _sql_value(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return _sql_text(value) if isinstance(value, str) else repr(value)


def _sql_test(named: Named, node: int, branch: int) -> str:
    tree, column = named.tree, named.columns[named.tree.feature[node]]
    name = '"' + column.name.replace('"', '""') + '"'
    takes_missing = int(tree.missing_to[node]) == branch
    if column.kind == "name":
        levels = named.levels(node, branch)
        mine = [_sql_value(v) for v in levels]
        if takes_missing:
            others = [_sql_value(v) for v in column.levels if v not in set(levels)]
            # Also what no level names, as in `predict`.
            known = f"{name} NOT IN ({', '.join(others)}) OR " if others else ""
            return f"({known}{name} IS NULL)" if others else "1 = 1"
        return f"{name} IN ({', '.join(mine)})" if mine else "1 = 0"
    threshold = tree.threshold[node]
    if branch == 2:
        return f"{name} IS NULL"
    if math.isinf(threshold):
        return f"{name} IS NOT NULL" if branch == 0 else f"{name} IS NULL"
    test = f"{name} {'<=' if branch == 0 else '>'} {_sql_threshold(column, float(threshold))}"
    return f"({test} OR {name} IS NULL)" if takes_missing else test


def _sql_threshold(column: FittedColumn, threshold: float) -> str:
    """Write a number, a moment or a duration; a moment of a column with a zone has one too."""
    shown = quantity(column, threshold)
    if column.kind == "date":
        moment = date_and_time(threshold).replace("T", " ")
        # A literal without a zone is compared at the clock of the session.
        return (
            f"CAST('{moment}+00:00' AS TIMESTAMP WITH TIME ZONE)"
            if column.zoned
            else f"TIMESTAMP '{moment}'"
        )
    if column.kind == "time":
        return f"TIME '{shown}'"
    if column.kind == "duration":
        seconds, parts = divmod(abs(math.floor(threshold)), SECOND)
        return f"INTERVAL '{'-' if threshold < 0 else ''}{seconds}.{parts:06d}' SECOND"
    return shown
