"""Which form of table is searched in which way."""

from collections.abc import Callable
from typing import Any

from xent.trees._grow.dense import Dense
from xent.trees._grow.levels import Searcher
from xent.trees._grow.ordered import order, order_bins
from xent.trees._grow.sparse import SparseColumns
from xent.trees._table.columns import Cases

SEARCHERS: dict[str, Callable[[Any, int], Searcher]] = {
    "values": lambda table, threads: Dense(order(table, threads)),
    "bins": lambda table, threads: Dense(order_bins(table, threads)),
    "stored": SparseColumns,
}


def searcher(table: Cases, threads: int) -> Searcher:
    """Put the columns of a table in the order in which splits are found."""
    return SEARCHERS[table.form](table, threads)
