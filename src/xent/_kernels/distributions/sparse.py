"""Rows of sparse and dense matrices, packed: the outcomes that matter of each row side by side.

A pattern lists for each row, in order, the outcomes that any of the matrices has. What a dense row
holds beside them goes into one outcome more: where all others are 0, only the sum counts.
"""

from xent._compile.decorator import kernel
from xent._math.double_double import dd_add_double, dd_sum


@kernel()
def pack_sparse(edges, outcomes, indptr, indices, data, first, out):
    """Write row first + i of a sorted CSR matrix at the outcomes of the pattern."""
    for i in range(out.shape[0]):
        row = first + i
        at, stop = indptr[row], indptr[row + 1]
        for j in range(edges[row], edges[row + 1]):
            while at < stop and indices[at] < outcomes[j]:
                at += 1
            if at < stop and indices[at] == outcomes[j]:
                out[i, j - edges[row]] = data[at]


@kernel()
def pack_dense(edges, outcomes, dense, highs, lows, first, out):
    """Write row first + i, or the one row, of a dense matrix; the last outcome is all else."""
    for i in range(out.shape[0]):
        row = first + i
        mine = row if dense.shape[0] > 1 else 0
        rest, error = highs[mine], lows[mine]
        for j in range(edges[row], edges[row + 1]):
            value = dense[mine, outcomes[j]]
            out[i, j - edges[row]] = value
            rest, error = dd_add_double(rest, error, -value)
        out[i, out.shape[1] - 1] = max(0.0, rest + error)


@kernel()
def totals(dense, highs, lows):
    """Sum each row as a double-double."""
    for i in range(dense.shape[0]):
        highs[i], lows[i] = dd_sum(dense[i])
