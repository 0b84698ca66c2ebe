"""Data frames of every kind, column by column: what a column holds, exactly.

A frame is whatever narwhals reads (pandas, polars, Arrow, ...), a dict of columns or a structured
array of NumPy. The type of a column says what it holds; a column of Python objects is what all its
values are. A room says which kinds it accepts, and gets our sentence for the rest.
"""

from xent._optional import need

for library in ("narwhals", "pyarrow"):
    need(library, extra="tables", by="A table")

from xent._table.frames.at_once import AtOnce, read_at_once  # noqa: E402
from xent._table.frames.columns import Accepted, Column, Names  # noqa: E402
from xent._table.frames.frame import Frame, is_frame, of_series  # noqa: E402

__all__ = [
    "Accepted",
    "AtOnce",
    "Column",
    "Frame",
    "Names",
    "is_frame",
    "of_series",
    "read_at_once",
]
