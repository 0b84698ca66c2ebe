"""The one way tables reach us, and leave: Parquet, CSV, JSON lines and NPZ, whole or in batches.

Reading is pyarrow's work and NumPy's; here stands which file is which (`_files`), what a CSV does
not say of itself (`_csv`), how text is read block by block (`_blocks`), what a column must be
(`_columns`), and the sentence that says so when it is not. A two-dimensional array ``a`` of an NPZ
file becomes the columns ``a_0``, ``a_1``, ...
"""

from xent._table._columns import categories, matching, numbers, require
from xent._table._csv import Csv
from xent._table._read import blanks_as_missing, names, read, scan
from xent._table._write import write, writing

__all__ = [
    "Csv",
    "blanks_as_missing",
    "categories",
    "matching",
    "names",
    "numbers",
    "read",
    "require",
    "scan",
    "write",
    "writing",
]
