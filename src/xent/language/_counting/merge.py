"""Sorted runs merged, level by level, in memory that does not grow with the text.

Every level of a run is in the order of (its prefix, its word). Rows of a run's level stand in the
merged level in the same order, so a run's list of where its rows went turns its prefixes into
merged ones without sorting anything again. The merged levels lie in files that are mapped.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from xent import _check, _store
from xent._progress import stage
from xent.language._counting.levels import Levels, NgramCounts
from xent.language._kernels import merge as kernels

U32 = NDArray[np.uint32]
MOST_ROWS = 2**32 - 2  # rows are numbered in 32 bits, and the last number means none
LEVEL_COLUMNS = ("prefix", "word", "count", "suffix")
BUFFER_ROWS = (1 << 10, 1 << 18)  # rows of one run in memory


@dataclass
class _Run:
    """One file of counts: where each column of each level lies."""

    path: Path
    places: dict[str, tuple[int, np.dtype[Any], tuple[int, ...]]]

    def read(self, name: str, low: int, high: int) -> U32:
        offset, dtype, _ = self.places[name]
        return np.fromfile(self.path, dtype, high - low, offset=offset + low * dtype.itemsize)

    def length(self, name: str) -> int:
        return self.places[name][2][0]


def merge_runs(
    paths: list[Path], words: int, order: int, buffer_bytes: int, scratch: Path
) -> Levels:
    """Add up runs.

    Parameters
    ----------
    paths : list of Path
        As `_runs` writes them.
    words, order : int
    buffer_bytes : int
        Bytes for buffers.
    scratch : Path
        A folder for the merged levels, which are mapped and last as long as it.
    """
    runs = [_Run(path, _store.places(path)) for path in paths]
    count = np.zeros(words, np.uint64)
    for run in runs:
        seen = run.read("1.count", 0, run.length("1.count"))
        count[: len(seen)] += seen
    _check_counts(count)
    zeros = np.zeros(words, np.uint32)
    first = NgramCounts(zeros, np.arange(words, dtype=np.uint32), count.astype(np.uint32), zeros)
    levels = [first]
    starts = np.arange(1, dtype=np.uint32)
    total = sum(run.length(f"{n}.word") for run in runs for n in range(2, order + 1))
    with stage("Merging counts", total, "n-grams") as advance:
        done = 0
        for n in range(2, order + 1):
            merge = _LevelMerge(runs, n, levels[-1], starts, buffer_bytes, scratch, n == order)
            for rows in merge.batches():
                advance(done := done + rows)
            levels.append(merge.level())
            starts = merge.starts
            for path in scratch.glob(f"went-{n - 1}-*"):
                path.unlink()
    return levels


class _LevelMerge:
    """The merging of one level."""

    def __init__(
        self, runs: list[_Run], n: int, below: NgramCounts, starts: U32, buffer_bytes: int,
        scratch: Path, longest: bool,
    ) -> None:  # fmt: skip
        self.runs, self.n, self.below, self.starts_below = runs, n, below, starts
        self.scratch, self.longest = scratch, longest
        # A row in a buffer takes 16 bytes, and as much again while it is read.
        rows = int(np.clip(buffer_bytes // (40 * len(runs)), *BUFFER_ROWS))
        self.keys = np.empty((len(runs), rows), np.uint64)
        self.counts, self.rows = np.empty((2, len(runs), rows), np.uint32)
        self.at, self.end, self.heap = np.zeros((3, len(runs)), np.int64)
        self.read = [0] * len(runs)
        self.length = [run.length(f"{n}.word") for run in runs]
        out = BUFFER_ROWS[1]
        self.key, self.count = np.empty(out, np.uint64), np.empty(out, np.uint64)
        self.filled = self.first = 0  # rows in the output, and rows written before them
        self.starts = np.zeros(0 if longest else len(below) + 1, np.uint32)
        self.histories = 0  # those whose start is noted

    def batches(self) -> Any:
        """Merge; yield how many rows of the runs were merged, a batch at a time."""
        files: dict[str, IO[bytes]] = {c: open(self._path(c), "wb") for c in LEVEL_COLUMNS}  # noqa: SIM115
        try:
            for r in range(len(self.runs)):
                self._refill(r)
            while (self.at < self.end).any():
                self.filled = int(
                    kernels.merge_sorted(
                        self.keys, self.counts, self.rows, self.at, self.end, self.heap,
                        self.first, self.filled, self.key, self.count,
                    )
                )  # fmt: skip
                for r in np.flatnonzero((self.at == self.end) & (self.end > 0)).tolist():
                    yield int(self.end[r])
                    self._went(r)
                    self._refill(r)
                if self.filled == len(self.key):
                    self._write(files, self.filled - 1)
            self._write(files, self.filled)
        finally:
            for file in files.values():
                file.close()
        self.starts[self.histories :] = self.first

    def level(self) -> NgramCounts:
        """Return the merged level, mapped; what is written to it stays in this process."""
        if not self.first:
            return NgramCounts(*(np.empty(0, np.uint32) for _ in LEVEL_COLUMNS))
        maps = (np.memmap(self._path(c), np.uint32, "c").view(np.ndarray) for c in LEVEL_COLUMNS)
        return NgramCounts(*maps, mapped=True)

    def _path(self, column: str) -> Path:
        return self.scratch / f"level-{self.n}-{column}"

    def _where(self, n: int, r: int) -> Path:
        return self.scratch / f"went-{n}-{r}"

    def _refill(self, r: int) -> None:
        """Read on in a run."""
        low = self.read[r]
        high = min(low + self.keys.shape[1], self.length[r])
        self.at[r], self.end[r], self.read[r] = 0, high - low, high
        if low == high:
            return
        run, n = self.runs[r], self.n
        prefix = run.read(f"{n}.prefix", low, high)
        if n > 2:
            prefix = np.memmap(self._where(n - 1, r), np.uint32, "r")[prefix]
        keys = self.keys[r, : high - low]
        np.left_shift(prefix, np.uint64(32), out=keys, dtype=np.uint64)
        keys |= run.read(f"{n}.word", low, high)
        self.counts[r, : high - low] = run.read(f"{n}.count", low, high)

    def _went(self, r: int) -> None:
        """Write down where a buffer's rows went."""
        if not self.longest:
            with open(self._where(self.n, r), "ab") as file:
                file.write(self.rows[r, : self.end[r]].data)

    def _write(self, files: dict[str, IO[bytes]], rows: int) -> None:
        """Write the first rows of the output, and keep the others."""
        key, count = self.key[:rows], self.count[:rows]
        _check_counts(count)
        if self.first + rows > MOST_ROWS:
            because = f"the text has more than 4 billion different {self.n}-grams"
            raise _check.cannot("The runs cannot be merged", because, "Fit a lower order.")
        prefix, word = (key >> np.uint64(32)).astype(np.uint32), key.astype(np.uint32)
        suffix = word
        if self.n > 2:
            suffix = np.empty(rows, np.uint32)
            below = self.below
            kernels.link_suffixes(prefix, word, below.suffix, self.starts_below, below.word, suffix)
        if not self.longest:
            self.histories = int(
                kernels.fill_starts(prefix, self.first, self.histories, self.starts)
            )
        columns = (prefix, word, count.astype(np.uint32), suffix)
        for file, column in zip(files.values(), columns, strict=True):
            file.write(column.data)
        kept = self.filled - rows
        self.key[:kept] = self.key[rows : self.filled]
        self.count[:kept] = self.count[rows : self.filled]
        self.first, self.filled = self.first + rows, kept


def _check_counts(count: NDArray[np.uint64]) -> None:
    if len(count) and int(count.max()) > 2**32 - 1:
        because = "an n-gram was seen more than 4 billion times"
        raise _check.cannot("The runs cannot be merged", because, "Fit on a part of the text.")
