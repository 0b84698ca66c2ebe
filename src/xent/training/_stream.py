"""Rows that are larger than memory: read block by block, and shuffled as far as memory allows.

Each epoch takes the blocks in an order that is a function of the seed and the epoch, fills a buffer
with as many as it holds, and shuffles the rows in it, by a function of the seed, the epoch and the
number of the buffer. What a buffer has left of a batch goes first in the next.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from xent import _check
from xent._optional import need
from xent.training._steps import Batches

STREAM_BLOCK_ROWS = 8192
STREAM_BUFFER_ROWS = 131_072
Encode = Callable[[Any], ArrayLike]


class StreamedRows(ABC):
    """Features in blocks that are read one at a time, for the ``X`` of `SoftmaxClassifier.fit`.

    Parameters
    ----------
    sizes : list of int
        The rows of each block, in the order of ``y``.
    features : int
        The columns of a block.
    buffer_rows : int
        How many rows are shuffled at once, at least a block's.
    signature : str
        What tells this data from other, for a checkpoint.

    Raises
    ------
    ValueError
        If ``buffer_rows`` is below 1.

    Examples
    --------
    >>> class Halves(StreamedRows):
    ...     def block(self, number):
    ...         return np.full((2, 3), number)
    >>> rows = Halves([2, 2], 3, 100, "halves")
    >>> len(rows), rows.read(1)[0].tolist()
    (4, [1.0, 1.0, 1.0])
    """

    def __init__(self, sizes: list[int], features: int, buffer_rows: int, signature: str) -> None:
        self.sizes, self.features, self.signature = sizes, features, signature
        self.buffer_rows = _check.integer("buffer_rows", buffer_rows, least=1)
        self.starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @abstractmethod
    def block(self, number: int) -> ArrayLike:
        """Return the features of a block, (its size, ``features``)."""

    def read(self, number: int) -> NDArray[np.float32]:
        """Return a block as float32; refuse what is not finite or of another shape.

        Parameters
        ----------
        number : int
            Which, from 0.

        Raises
        ------
        ValueError
            If it is not as the other blocks, or not finite.
        """
        with np.errstate(over="ignore"):
            rows = np.asarray(self.block(number), dtype=np.float32)
        if rows.shape != (self.sizes[number], self.features):
            must = f"give ({self.sizes[number]}, {self.features}) numbers in block {number}"
            raise _check.invalid("X", must, str(rows.shape))
        if not np.isfinite(rows).all():
            row = self.starts[number] + int((~np.isfinite(rows)).any(axis=1).argmax())
            raise _check.invalid("X", "be finite in float32", f"what is not in row {row}")
        return rows

    def orders(self, seed: int, epoch: int) -> Iterator[tuple[list[int], NDArray[np.int64]]]:
        """Yield the blocks of each buffer of an epoch, and the order of their rows, end to end.

        Parameters
        ----------
        seed, epoch : int
            Of which the order is a function.

        Raises
        ------
        ValueError
            If one is negative.
        """
        held: list[int] = []
        rows = part = 0
        for number in _generator(seed, epoch, 0).permutation(len(self.sizes)).tolist():
            if held and rows + self.sizes[number] > self.buffer_rows:
                part += 1
                yield held, _generator(seed, epoch, part).permutation(rows)
                held, rows = [], 0
            held.append(number)
            rows += self.sizes[number]
        if held:
            yield held, _generator(seed, epoch, part + 1).permutation(rows)


def _generator(seed: int, epoch: int, part: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, part, epoch]))


class ArrayRows(StreamedRows):
    """Blocks of an array, as one that is mapped from an NPY or IDX file.

    Parameters
    ----------
    X : array_like, shape (N, D)
        The array. It is read a block at a time.
    encode : callable, optional
        From rows of ``X`` to features, such as ``lambda rows: rows / 255``.
    block_rows : int
        How many rows are read at once.
    buffer_rows : int
        How many rows are shuffled at once.

    Raises
    ------
    ValueError
        If ``X`` is no matrix with rows, or a number of rows is below 1.

    Examples
    --------
    >>> rows = ArrayRows(np.arange(12.0).reshape(6, 2) / 12, block_rows=2, buffer_rows=4)
    >>> model = SoftmaxClassifier(random_state=0, progress=False)  # doctest: +SKIP
    >>> model.fit(rows, [0, 0, 0, 1, 1, 1])  # doctest: +SKIP
    """

    def __init__(
        self,
        X: Any,
        encode: Encode | None = None,
        *,
        block_rows: int = STREAM_BLOCK_ROWS,
        buffer_rows: int = STREAM_BUFFER_ROWS,
    ) -> None:
        if getattr(X, "ndim", 0) != 2 or 0 in X.shape:
            raise _check.invalid("X", "have the shape (rows, features)", _check.a(X))
        self.X, self.encode = X, encode
        size = _check.integer("block_rows", block_rows, least=1)
        sizes = [min(size, len(X) - start) for start in range(0, len(X), size)]
        first = np.asarray(X[:1] if encode is None else encode(X[:1]))
        said = f"{X.shape} {X.dtype} {size} {float(np.sum(first, dtype=np.float64))}"
        super().__init__(sizes, first.shape[1], buffer_rows, said)

    def block(self, number: int) -> ArrayLike:
        """Return the features of a block.

        Parameters
        ----------
        number : int
            Which, from 0.

        Raises
        ------
        ValueError
            If ``encode`` refuses the rows.
        """
        start = int(self.starts[number])
        rows = self.X[start : start + self.sizes[number]]
        return rows if self.encode is None else self.encode(rows)


class ParquetRows(StreamedRows):
    """Row groups of a Parquet file as features.

    Parameters
    ----------
    path : str or PathLike
        The file.
    encode : callable
        From a pyarrow.Table of some rows to features, such as ``encoder.transform`` of a fitted
        `TableEncoder`.
    columns : list of str, optional
        What is read; every column where not given.
    buffer_rows : int
        How many rows are shuffled at once; a row group at least.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no Parquet file, or has no row.

    Examples
    --------
    >>> rows = ParquetRows("train.parquet", encoder.transform)  # doctest: +SKIP
    >>> SoftmaxClassifier().fit(rows, y)  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        encode: Encode,
        *,
        columns: list[str] | None = None,
        buffer_rows: int = STREAM_BUFFER_ROWS,
    ) -> None:
        need("pyarrow", extra="tables", by="Reading a Parquet file")
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not Path(path).exists():
            raise FileNotFoundError(f"There is no file {str(path)!r}.")
        try:
            self.file = pq.ParquetFile(path)
        except pa.ArrowInvalid:
            must = "name a Parquet file, which is read by row groups"
            raise _check.invalid("path", must, repr(str(path))) from None
        self.encode, self.columns = encode, columns
        whole = self.file.metadata
        groups = [whole.row_group(i).num_rows for i in range(whole.num_row_groups)]
        self.groups = [i for i, rows in enumerate(groups) if rows]
        if not self.groups:
            raise _check.invalid("path", "have at least one row", repr(str(path)))
        sizes = [groups[i] for i in self.groups]
        first = next(self.file.iter_batches(1, row_groups=[self.groups[0]], columns=columns))
        width = np.asarray(encode(pa.Table.from_batches([first]))).shape[1]
        stat = os.stat(path)
        super().__init__(sizes, width, buffer_rows, f"{stat.st_size} {stat.st_mtime_ns} {sizes}")

    def block(self, number: int) -> ArrayLike:
        """Return the features of a row group.

        Parameters
        ----------
        number : int
            Which of those that have rows, from 0.

        Raises
        ------
        ValueError
            If ``encode`` refuses the rows.
        """
        return self.encode(self.file.read_row_group(self.groups[number], columns=self.columns))


class StreamedBatches(Batches):
    """Batches of rows in blocks: a buffer of them is there at a time.

    Parameters
    ----------
    blocks : StreamedRows
        The rows.
    target, weight : ndarray
        Of all rows, as `Batches` takes them.
    device : str
        Where to compute.
    seed : int
        Of the order.
    """

    def __init__(
        self,
        blocks: StreamedRows,
        target: NDArray[Any],
        weight: NDArray[Any] | None,
        device: str,
        seed: int,
    ) -> None:
        self.blocks, self.seed, self.device = blocks, seed, device
        self.all_target = target if target.ndim == 1 else target.astype(np.float32)
        self.all_weight = None if weight is None else weight.astype(np.float32)
        self.weight = None

    def __len__(self) -> int:
        return len(self.blocks)

    def parts(
        self, rng: np.random.RandomState, epoch: int, batch_size: int
    ) -> Iterator[list[Tensor]]:
        """Fill the buffer, and yield its batches as places in it, until an epoch is over.

        Parameters
        ----------
        rng : RandomState
            Is not drawn from.
        epoch : int
            From 1.
        batch_size : int
            Rows in a step.
        """
        width = self.blocks.features
        left = np.empty((0, width), np.float32), np.empty(0, np.int64)
        seen, count = 0, len(self.blocks)
        for numbers, order in self.blocks.orders(self.seed, epoch):
            sizes = [self.blocks.sizes[n] for n in numbers]
            rows = np.empty((len(left[0]) + sum(sizes), width), np.float32)
            rows[: len(left[0])] = left[0]
            at, places = len(left[0]), [left[1]]
            for number, size in zip(numbers, sizes, strict=True):
                rows[at : at + size] = self.blocks.read(number)
                places.append(self.blocks.starts[number] + np.arange(size))
                at += size
            seen += sum(sizes)
            place = np.concatenate(places)
            taken = np.concatenate([np.arange(len(left[0])), len(left[0]) + order])
            whole = len(taken) if seen == count else len(taken) // batch_size * batch_size
            self._hold(rows, place)
            if whole:
                yield list(torch.split(torch.from_numpy(taken[:whole]).to(self.device), batch_size))
            left = rows[taken[whole:]], place[taken[whole:]]

    def first(self, count: int) -> tuple[Tensor, Tensor] | None:
        """Return the first rows of the first block, and their targets.

        Parameters
        ----------
        count : int
            How many at most.
        """
        rows = self.blocks.read(0)[:count]
        self._hold(rows, np.arange(len(rows)))
        return (self.rows, self.target) if len(rows) > 1 else None

    def _hold(self, rows: NDArray[np.float32], place: NDArray[np.int64]) -> None:
        """Put rows, and what belongs to them, where batches are taken from."""
        self.rows = torch.from_numpy(rows).to(self.device)
        self.target = torch.from_numpy(self.all_target[place]).to(self.device)
        if self.all_weight is not None:
            self.weight = torch.from_numpy(self.all_weight[place]).to(self.device)
