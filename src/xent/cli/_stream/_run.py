"""All pieces, one after the other or on many processes, with what is kept on the way."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xent.cli._addresses import Address
from xent.cli._arrays import TruthArray, is_whole
from xent.cli._labels import codes_of, doubt_codes, is_coded, numbers_by_place, truth_as
from xent.cli._stream import _pieces
from xent.cli._stream._measure import (
    Question,
    ScoreOrder,
    TableBatch,
    measure,
    measured,
    tables,
    texts_of,
)
from xent.cli._stream._options import StreamOptions
from xent.cli._stream._pieces import Piece, batches, pieces_of, schema_of
from xent.cli._tables._options import is_array, words

if TYPE_CHECKING:
    from xent.evaluation import Accumulator, Report

SAVED_EVERY = 2.0  # seconds between two checkpoints
AGAIN = 3  # times that killed workers are begun anew without a piece in between
MOST_THREADS = 2  # each has counts of scores of its own
AHEAD = 4  # pieces for each process that are handed out at once


def run(
    file: Path | Address, question: Question, options: StreamOptions
) -> tuple[Report, dict[float, str]]:
    """Evaluate a file piece by piece; tell also which numbers of a truth stand for classes."""
    from xent import _check

    pieces = pieces_of(file, question.reading)
    question, empty = _with_form(question, pieces)
    if empty is None:
        raise _check.invalid("FILE", "have at least one row", f"{str(file)!r}")
    rows = _rows_in(pieces)
    if question.truth is not None and rows is not None:
        TruthArray(question.truth).require(rows, file)
    question, columns, doubted = _named(question, empty, pieces)
    work = _Work(file, question, pieces, columns, options.checkpoint)
    if options.dask is None and options.workers in (None, 1):
        work.alone()
    else:
        work.shared(options)
    work.keep(force=True)
    report = work.whole.result()
    if doubted and not any(c.rows for c in report.per_class if c.label == question.codes[0.0]):
        doubt_codes(question.codes)
    return report, question.codes


def _with_form(question: Question, pieces: list[Piece]) -> tuple[Question, Any]:
    """Return the question with the form of the arrays, and a table that has the columns."""
    if not pieces:
        return question, None
    piece, reading, text = pieces[0], question.reading, question.text
    if not isinstance(piece.path, Address) and is_array(piece.path):
        empty = schema_of(piece, reading, text, matrices=True)
        wanted = [*question.beside, *([] if question.truth else [question.target])]
        if empty is not None and is_whole(empty, question.pattern, piece.path, wanted):
            return replace(question, matrices=True), empty
    return question, schema_of(piece, reading, text)


def _named(question: Question, empty: Any, pieces: list[Piece]) -> tuple[Question, list[str], bool]:
    """Return the question with the names of the classes, and the columns that are read.

    Say also whether numbers of the truth stand for classes by the places of these alone.
    """
    from xent import _check, _table
    from xent.evaluation._truth import with_positive

    names, path = list(empty.column_names), pieces[0].path
    if question.truth is not None:
        names.append(question.target)
    if question.target not in names and question.target == "target":
        advice = f"Name it with --target; the table has {_check.join_names(names, last='and')}."
        raise _check.invalid("--target", f"name a column of {str(path)!r}", "'target'", advice)
    for option, wanted in (
        ("--target", [question.target]), ("--weights", [question.weights]),
        ("--id", [question.id]), ("--by", question.by),
    ):  # fmt: skip
        for name in wanted:
            if name is not None:
                _table.require(name, names, path, argument=option)
    columns = question.columns(empty, path)
    # Of lists and structs the rows say what the classes are.
    first = next(
        batches(pieces[0], question.reading, columns, question.text, matrices=question.matrices),
        empty,
    )
    scores, classes = question.scores(first, path)
    question = replace(question, codes=codes_of(scores, classes, question.labels))
    some = (
        first.column(question.target)
        if question.truth is None
        else (TruthArray(question.truth).column(0, len(first)))
    )
    doubted = numbers_by_place(scores, question.codes) and is_coded(
        some.unique().drop_null().to_pylist(), question.codes
    )
    if scores.matrix.ndim == 2:
        return replace(question, names=tuple(classes)), columns, doubted
    seen: dict[str, None] = {}
    if question.truth is not None and not classes:
        truth, last = TruthArray(question.truth), pieces[-1]
        seen = dict.fromkeys(
            texts_of(question, truth.column(0, last.first + (last.rows or 0)).unique())
        )
    for piece in pieces if not classes and question.truth is None else []:
        for table in batches(piece, question.reading, [question.target], question.text):
            values = table.column(question.target).unique()
            seen |= dict.fromkeys(texts_of(question, values.drop_null()))
    target = [text for text in seen if text != question.ignore]
    (yes,) = truth_as([question.positive], classes, question.codes)
    found = with_positive(target, yes, classes or None)
    return replace(question, names=tuple(map(str, found))), columns, doubted


@contextmanager
def _executor(options: StreamOptions) -> Iterator[Executor]:
    """Give what runs tasks elsewhere: processes of this machine, or Dask's."""
    from xent import _check, _optional

    if options.dask is None:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        from xent._signals import end_with_parent

        how: dict[str, Any] = {"mp_context": get_context("spawn"), "initializer": end_with_parent}
        try:
            processes = ProcessPoolExecutor(options.workers, **how)
        except (OSError, ImportError, NotImplementedError) as error:
            must = "be left out where processes cannot share a lock, as without /dev/shm"
            raise _check.invalid("--workers", must, f"{options.workers} ({error})") from None
        with processes as pool:
            yield pool
        return
    distributed: Any = _optional.need("distributed", extra="dask", by="--dask")
    try:
        client = distributed.Client(options.dask, timeout="10s")
    except (OSError, ValueError, TimeoutError) as error:
        first = str(error).partition("\n")[0]
        must = "be the address of a Dask scheduler"
        raise _check.invalid("--dask", must, f"{options.dask!r} ({first})") from None
    try:
        yield client.get_executor(pure=False)
    finally:
        client.close()


class _Work:
    """What has been read of all pieces, and what is left."""

    def __init__(
        self,
        file: Path | Address,
        question: Question,
        pieces: list[Piece],
        columns: list[str],
        checkpoint: Path | None,
    ) -> None:
        self.question, self.pieces, self.columns = question, pieces, columns
        self.checkpoint = checkpoint
        self.whole: Accumulator = question.accumulator()
        self.done: set[int] = set()
        self.batches = 0  # of the piece that is being read
        self.rows = 0
        self._saved = time.monotonic() - SAVED_EVERY + 0.1
        self.identity = _identity(file, question, pieces)
        if checkpoint is not None and checkpoint.exists():
            self._take(checkpoint)

    def _take(self, path: Path) -> None:
        """Go on where another run stopped, of the same file and question."""
        from xent import _check
        from xent.evaluation import Accumulator

        with words(path="--checkpoint"):
            found = Accumulator.load(path)
        beside = found.beside or {}
        if beside.get("identity") != self.identity:
            must = "be of the same file, options and version"
            advice = "Remove it to begin anew, or name another."
            raise _check.invalid("--checkpoint", must, f"{str(path)!r}, which is not", advice)
        self.whole, self.done = found, set(beside["done"])
        self.batches, self.rows = beside["batches"], beside["rows"]

    def keep(self, *, force: bool = False) -> None:
        """Write the checkpoint, now and then."""
        now = time.monotonic()
        if self.checkpoint is None or (now - self._saved < SAVED_EVERY and not force):
            return
        beside = {
            "identity": self.identity, "done": sorted(self.done), "batches": self.batches,
            "rows": self.rows,
        }  # fmt: skip
        self.whole.save(self.checkpoint, beside=beside)
        self._saved = time.monotonic()

    def alone(self) -> None:
        """Read one piece after the other; while a batch is measured, the next one is read."""
        from xent._progress import stage
        from xent.evaluation._accumulator.accumulator import LOGITS_DOUBTED

        with stage("rows", _rows_in(self.pieces), "rows") as told, closing(self._batches()) as left:
            for batch in left:  # until it is known whether logits are none
                batch.add(self.whole)
                self._count(batch, told)
                self.keep()
                if self.whole.seen >= LOGITS_DOUBTED:
                    break
            while self._on_threads(left, told):
                self.keep()

    def _batches(self) -> Generator[TableBatch, None, None]:
        """Yield what is left of all pieces."""
        order = ScoreOrder(self.question)
        for k, piece in enumerate(self.pieces):
            if k in self.done:
                continue
            skip = self.batches
            for i, (table, first) in enumerate(
                tables(self.question, piece, self.columns, skip), start=skip
            ):
                yield TableBatch(self.question, piece, order, (k, i), table, first)
            self.batches = 0
            self.done.add(k)

    def _count(self, batch: TableBatch, told: Callable[[int], None]) -> None:
        self.rows += len(batch.table)
        self.batches = batch.place[1] + 1
        told(self.rows)

    def _on_threads(self, left: Iterator[TableBatch], told: Callable[[int], None]) -> bool:
        """Measure batches until it is time for a checkpoint; return whether some are left.

        Each thread has sums of its own, added to the whole when all threads have stopped: then no
        batch counts without those before it. Of several errors the first row's is raised.
        """
        until = math.inf if self.checkpoint is None else time.monotonic() + SAVED_EVERY
        reading, stopped = threading.Lock(), threading.Event()
        at_end = False
        raised: list[tuple[tuple[int, int], BaseException]] = []

        def work(one: Accumulator) -> None:
            nonlocal at_end
            in_time = True
            while in_time and not stopped.is_set():
                place = len(self.pieces), 0
                try:
                    with reading:
                        batch = None if stopped.is_set() else next(left, None)
                        if batch is None:
                            at_end = True
                            return
                        place = batch.place
                        self._count(batch, told)
                    batch.add(one)
                    in_time = time.monotonic() <= until
                except BaseException as error:
                    stopped.set()
                    raised.append((place, error))

        parts = [self.whole.part() for _ in range(_threads() - 1)]
        others = [threading.Thread(target=work, args=(part,)) for part in parts]
        try:
            for other in others:
                other.start()
            work(self.whole)
        finally:
            _joined(others, stopped)
        if raised:
            raise min(raised, key=lambda error: error[0])[1]
        for part in parts:
            self.whole.merge(part)
        return not at_end

    def shared(self, options: StreamOptions) -> None:
        """Let others read the pieces, and add what they found in whatever order it comes.

        What a killed process was reading is read again: a piece is added once, when it is whole.
        """
        from xent._progress import stage

        if self.batches:  # a piece that was half read alone
            half = next(k for k in range(len(self.pieces)) if k not in self.done)
            for _ in measured(
                self.whole, self.question, self.pieces[half], self.columns, self.batches
            ):
                pass
            self.batches = 0
            self.done.add(half)
        with stage("pieces", len(self.pieces), "row groups") as told:
            broken = 0
            while len(self.done) < len(self.pieces):
                before = len(self.done)
                try:
                    with _executor(options) as executor:
                        self._hand_out(executor, options.workers or 8, told)
                except _killed_workers(options):
                    broken = 1 if len(self.done) > before else broken + 1
                    if broken > AGAIN:
                        self.keep(force=True)
                        raise _killed(options) from None

    def _hand_out(self, executor: Executor, workers: int, told: Callable[[int], None]) -> None:
        left = [k for k in range(len(self.pieces)) if k not in self.done]
        running: dict[Future[Any], int] = {}
        while left or running:
            while left and len(running) < AHEAD * workers:
                k = left.pop(0)
                task = executor.submit(measure, self.question, self.pieces[k], self.columns)
                running[task] = k
            task = next(iter(as_completed(running)))
            self.whole.merge(task.result())
            self.done.add(running.pop(task))
            told(len(self.done))
            self.keep()


def _threads() -> int:
    """Return on how many threads batches are measured, one of which reads the next meanwhile."""
    import numba

    return min(numba.get_num_threads(), MOST_THREADS)


def _joined(threads: list[threading.Thread], stopped: threading.Event) -> None:
    """Wait until threads have ended, soon where this one is interrupted."""
    try:
        for thread in threads:
            if thread.ident is not None:
                thread.join()
    except BaseException:
        stopped.set()
        _joined(threads, stopped)
        raise


def _killed_workers(options: StreamOptions) -> tuple[type[Exception], ...]:
    """Return the errors by which an executor says that its workers were killed."""
    if options.dask is None:
        return (BrokenExecutor,)
    distributed: Any = import_module("distributed")
    return (distributed.KilledWorker,)


def _killed(options: StreamOptions) -> ValueError:
    """Say that worker processes are killed again and again, and the way on."""
    from xent import _check

    times = f"a worker process was killed {AGAIN + 1} times, and nothing was read in between"
    advice = "Where memory is short, pass fewer --workers."
    if options.checkpoint is None:
        advice += " With --checkpoint FILE, what has been read is kept."
    else:
        advice += " What has been read is kept: the same command goes on."
    return _check.cannot("The row groups cannot be read", times, advice)


def _rows_in(pieces: list[Piece]) -> int | None:
    """Return how many rows there are, where files say so."""
    last = pieces[-1] if pieces else Piece(Path(), None, 0, 0)
    return None if last.rows is None else last.first + last.rows


def _identity(file: Path | Address, question: Question, pieces: list[Piece]) -> list[Any]:
    """Return what a checkpoint must be of: files as they are, and what is asked of them."""
    import json

    files: dict[Path | Address, None] = dict.fromkeys(piece.path for piece in pieces)
    if question.truth is not None:
        files[question.truth] = None
    stats = [
        [str(path), *path.version()] if isinstance(path, Address)
        else [str(path), path.stat().st_size, path.stat().st_mtime_ns]
        for path in files
    ]  # fmt: skip
    asked = json.loads(json.dumps(asdict(question), default=str))
    # What has been read of a piece is counted in batches.
    return [str(file), stats, asked, [_pieces.STREAMED_ROWS, _pieces.BATCH_CELLS]]
