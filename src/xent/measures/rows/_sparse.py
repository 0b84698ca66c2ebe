"""scipy.sparse matrices as distributions, one a row, without filling in their zeros.

An outcome whose probability is 0 in every distribution of a row changes no measure. So a block of
rows at a time is packed: the other outcomes stand side by side in a dense array, which is measured
as any array. Where one distribution is dense, its probability of all left-out outcomes is one more
outcome: where the others are 0, only that sum matters.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from xent import _check
from xent._array import NUMPY, library_of
from xent.measures.rows._dispatch import sparse_kernels
from xent.measures.rows._input import Rows, check_keepdims, mask_of, outcome_axes, read
from xent.measures.rows._protocols import ArrayLike, Axis, Codes, Numbers
from xent.measures.rows._typed_arrays import TYPED, Counts, Input, untyped

DENSE_BLOCK = 1 << 20  # numbers packed at once
LARGE, LESS = 2.0**900, 2.0**-120


def is_sparse(value: object) -> bool:
    """Tell whether this is a matrix of scipy.sparse, or a typed array of one."""
    return type(untyped(value)).__module__.startswith("scipy.sparse")


def apply_where(argument: str, value: Input, where: ArrayLike | None) -> Input:
    """Set the outcomes that ``where`` leaves out to 0; a sparse distribution stays sparse."""
    inner = untyped(value)
    if where is None or library_of(inner).name != "numpy":
        return value
    if is_sparse(inner):
        import scipy.sparse

        mask, cells = mask_of(argument, inner, where, NUMPY), inner.tocoo()
        if np.broadcast_shapes(mask.shape, inner.shape) != inner.shape:
            must = f"have a shape that broadcasts to that of the sparse `{argument}`, {inner.shape}"
            raise _check.invalid("where", must, mask.shape)
        some = np.broadcast_to(mask, inner.shape)[tuple(cells.coords)]
        places = tuple(place[some] for place in cells.coords)
        left: Any = scipy.sparse.coo_array((cells.data[some], places), shape=inner.shape)
    else:
        array = read(argument, inner, NUMPY, where)
        left = np.where(mask_of(argument, array, where, NUMPY), array, 0)
    return type(value)(left) if isinstance(value, TYPED) else left


class RowMatrix:
    """One distribution a row: CSR in order where `matrix`, otherwise the rows of `dense`."""

    def __init__(self, argument: str, value: Input, axis: Axis) -> None:
        self.argument = argument
        self.kind = type(value) if isinstance(value, TYPED) else None
        inner = untyped(value)
        self.matrix: Any = None
        self.dense: Any = None
        if self.kind not in (None, Counts):
            must = "be probabilities or Counts where one of the distributions is sparse"
            raise _check.invalid(argument, must, f"{type(value).__name__}")
        if is_sparse(value):
            self.axes, self.ndim = outcome_axes(argument, axis, inner.ndim), inner.ndim
            self.matrix = self._rows(inner)
        else:
            if library_of(inner).name != "numpy":
                must = "be arrays of one library"
                raise _check.wrong_kind(argument, must, f"{_check.a(inner)} and scipy.sparse")
            array = np.asarray(read(argument, inner, NUMPY), dtype=np.float64)
            self.axes, self.ndim = outcome_axes(argument, axis, max(1, array.ndim)), array.ndim
            self.dense = self._rows(array)
        self.count, self.size = (self.dense if self.matrix is None else self.matrix).shape
        if self.size == 0:
            must = f"have at least one outcome along axis {axis}"
            raise _check.invalid(argument, must, "none")
        if self.matrix is not None:
            self._check(axis)

    def _rows(self, values: Any) -> Any:
        """Return the distributions as the rows of a matrix."""
        if values.ndim not in (1, 2):
            must = "have one or two axes where one of the distributions is sparse"
            raise _check.invalid(self.argument, must, values.ndim)
        if values.ndim == 1 or len(self.axes) == 2:
            values = values.reshape((1, -1))
        elif self.axes == (0,):
            values = values.T
        if isinstance(values, np.ndarray):
            return np.ascontiguousarray(values)
        import scipy.sparse

        if values.dtype.kind not in "fiub":
            must = "be an array of real numbers"
            got = f"an array of dtype {values.dtype}"
            raise _check.wrong_kind(self.argument, must, got)
        matrix = scipy.sparse.csr_array(values, dtype=np.float64)
        if not matrix.has_canonical_format:
            matrix = matrix.copy()  # the caller's stays as it is
            matrix.sum_duplicates()
        return matrix

    def _check(self, axis: Axis) -> None:
        data = self.matrix.data
        bad = ~(np.isfinite(data) & (data >= 0))
        if bad.any():
            place = int(np.argmax(bad))
            row = int(np.searchsorted(self.matrix.indptr, place, side="right")) - 1
            must = "be non-negative" if data[place] < 0 else "be finite"
            index = [row, int(self.matrix.indices[place])]
            got = f"{data[place]:.6g} at {_check.at(index if self.axes != (0,) else index[::-1])}"
            raise _check.invalid(self.argument, must, got)
        with np.errstate(over="ignore"):
            sums = np.asarray(self.matrix.sum(1)).reshape(-1)
        if self.kind is Counts:
            if not (sums > 0).all():
                got = f"none at row {int(np.argmin(sums > 0))}"
                raise _check.invalid(self.argument, "count something in every row", got)
            return
        off = ~(np.abs(sums - 1.0) <= max(1e-6, 2**-51 * math.sqrt(self.size)))
        if off.any():
            row = int(np.argmax(off))
            advice = f"For counts pass Counts({self.argument})."
            got = f"{sums[row]:.9g} at row {row}"
            raise _check.invalid(self.argument, f"sum to 1 along axis {axis}", got, advice)

    def retyped(self, values: Numbers) -> Input:
        """Return packed rows with the type that the distribution had."""
        return values if self.kind is None else self.kind(values)


def by_blocks(function: Callable[..., Any], bound: inspect.BoundArguments) -> Any:
    """Measure sparse matrices, and dense arrays beside them, by blocks of packed rows."""
    given = bound.arguments
    axis, keepdims = given.pop("axis", -1), check_keepdims(given.pop("keepdims", False))
    where = given.pop("where", None)
    named = [(name, given.pop(name)) for name in ("p", "q") if given.get(name) is not None]
    named += [(f"#{i + 3}", value) for i, value in enumerate(given.pop("more", ()))]
    parts = [RowMatrix(name, apply_where(name, value, where), axis) for name, value in named]
    for part in parts[1:]:
        if part.size != parts[0].size:
            must = f"have the {parts[0].size} outcomes of `p` along axis {axis}"
            raise _check.invalid(part.argument, must, part.size)
    count = max(part.count for part in parts)
    for part in parts:
        if part.count not in (1, count):
            must = f"have {count} distributions, or one"
            raise _check.invalid(part.argument, must, part.count)

    def call(values: list[Numbers]) -> Numbers:
        packed = [part.retyped(rows) for part, rows in zip(parts, values, strict=True)]
        return np.atleast_1d(function(*packed, **given))

    found = _packed(parts, count, call)
    lead = max(parts, key=lambda part: part.ndim)
    batch = lead.ndim == 2 and len(lead.axes) == 1
    if not keepdims:
        return found if batch else float(found[0])
    if not batch:
        return found.reshape((1,) * lead.ndim)
    return found.reshape((1, count) if lead.axes == (0,) else (count, 1))


def _packed(
    parts: list[RowMatrix], count: int, call: Callable[[list[Numbers]], Numbers]
) -> Numbers:
    """Measure packed blocks of rows."""
    kernels = sparse_kernels()
    for part in parts:
        if part.matrix is not None and part.count < count:  # one row for all: as long as it is
            part.dense, part.matrix = part.matrix.toarray(), None
    dense = [part for part in parts if part.matrix is None]
    if len(dense) == len(parts):
        return np.asarray(call([part.dense for part in parts]))
    if len(dense) > 1:
        because = "more than one of the others is dense, or one row for all"
        raise _check.cannot("A sparse distribution", because, "Make them sparse, of as many rows.")
    if count == 0:
        return np.empty(0)
    sums = [np.empty((2, part.count)) for part in dense]
    for part, both in zip(dense, sums, strict=True):
        Rows(part.argument, part.retyped(part.dense), -1, None, NUMPY, False).check()
        if part.dense.max() > LARGE:  # counts whose sum no float holds
            part.dense = np.where(part.dense.max(1, keepdims=True) > LARGE, LESS, 1.0) * part.dense
        kernels.totals(part.dense, *both)
    edges, outcomes = _pattern([part.matrix for part in parts if part.matrix is not None])
    lengths = np.diff(edges)
    found = []
    first = 0
    while first < count:
        widest = np.maximum.accumulate(lengths[first : first + DENSE_BLOCK]) + 1
        fitting = int(
            np.searchsorted(widest * np.arange(1, widest.size + 1), DENSE_BLOCK, side="right")
        )
        rows = max(1, fitting)
        values = []
        for part in parts:
            out = np.zeros((rows, int(widest[rows - 1])))
            if part.matrix is None:
                kernels.pack_dense(edges, outcomes, part.dense, *sums[0], first, out)
            else:
                m = part.matrix
                kernels.pack_sparse(edges, outcomes, m.indptr, m.indices, m.data, first, out)
            values.append(out)
        found.append(call(values))
        first += rows
    return np.concatenate(found)


def _pattern(matrices: list[Any]) -> tuple[Codes, Codes]:
    """Return where any of some CSR matrices has an entry: edges of rows, and columns in order."""
    import scipy.sparse

    whole = matrices[0]
    if len(matrices) > 1:
        whole = sum(
            scipy.sparse.csr_array((np.ones(m.nnz, np.int32), m.indices, m.indptr), shape=m.shape)
            for m in matrices
        )
        whole.sort_indices()
    return whole.indptr, whole.indices
