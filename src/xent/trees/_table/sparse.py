"""A sparse matrix as a table: rows are kept for predicting, columns for growing."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xent.trees._kernels.predict import SparseRows
from xent.trees._table.columns import Cases


@dataclass
class Sparse(Cases):
    """A sparse matrix: `numbers` are its rows, and here are its columns."""

    form: ClassVar[str] = "stored"

    columns: Any  # scipy.sparse matrix in columns
    binned: bool = False

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.columns.shape[0])

    @property
    def missing(self) -> bool:
        """Whether any value is missing."""
        return bool(np.isnan(self.columns.data).any())

    def take(self, rows: NDArray[Any]) -> "Sparse":
        """Return some of the rows."""
        return of_matrix(self.columns[rows], self.binned)

    def row_hashes(self) -> NDArray[np.uint64]:
        """Return a number for each row that depends on its content alone."""
        numbers: Any = self.numbers
        column = numbers.indices.astype(np.uint64) + np.uint64(1)
        with np.errstate(over="ignore"):
            bits = np.where(np.isnan(numbers.data), np.nan, numbers.data).view(np.uint64)
            bits = (bits ^ (column * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xBF58476D1CE4E5B9)
            bits = (bits ^ (bits >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
            bits ^= bits >> np.uint64(32)
            sums = np.append(np.uint64(0), np.cumsum(bits, dtype=np.uint64))
            return np.asarray(sums[numbers.indptr[1:]] - sums[numbers.indptr[:-1]])


def of_matrix(X: Any, binned: bool = False) -> Sparse:
    """Read a sparse matrix of numbers; zeros that are stored are left out."""
    columns = X.tocsc(copy=X.format == "csc")
    columns.sum_duplicates()
    columns.eliminate_zeros()
    rows = columns.tocsr()
    n, d = X.shape
    numbers: Any = SparseRows(
        rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data
    )
    none = np.empty((0, n), np.int32)
    zeros = np.zeros(d, np.int64)
    return Sparse(zeros, np.arange(d), numbers, none, zeros[:0], columns, binned)
