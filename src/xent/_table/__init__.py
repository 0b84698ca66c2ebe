"""The one way tables reach us, and leave: files of every kind, and data frames of every kind.

`files` reads Parquet, CSV, JSON lines, NPZ and NPY, and writes all but the last; `frames` says what
the columns of a data frame hold; `sketch` sums up a column of numbers that is read piece by piece.
"""

from xent._table.files.columns import categories, matching, numbers, require
from xent._table.files.dialect import Csv
from xent._table.files.endings import ARRAY_FORMATS
from xent._table.files.npz import array_headers, array_of_npz, scan_arrays
from xent._table.files.read import blanks_as_missing, names, read, scan
from xent._table.files.write import write, writing

__all__ = [
    "ARRAY_FORMATS",
    "Csv",
    "array_headers",
    "array_of_npz",
    "blanks_as_missing",
    "categories",
    "matching",
    "names",
    "numbers",
    "read",
    "require",
    "scan",
    "scan_arrays",
    "write",
    "writing",
]
