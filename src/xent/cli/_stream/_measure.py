"""What is done with a piece: its batches are measured, and their sums are all that is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xent.cli._addresses import Address
from xent.cli._arrays import TruthArray, beside_scores
from xent.cli._labels import labels_of, truth_as
from xent.cli._predictions import Scores, columns_as_they_lie, score_columns, scores_of, spelled
from xent.cli._score_options import DROP, bins_of
from xent.cli._stream._pieces import Piece, batches
from xent.cli._tables._options import TableOptions, read_numbers, words

if TYPE_CHECKING:
    from xent.evaluation import Accumulator

MOST_BETWEEN = 200  # whole numbers between which few are true classes: -100 is one that is left out


@dataclass(frozen=True)
class Question:
    """What was asked of every row; plain data, so that it reaches other processes.

    Parameters
    ----------
    reading : TableOptions
        How the table is written.
    kind, pattern : str, str or None
        Which scores, and in which columns.
    target, weights, id : str, str or None, str or None
        Columns.
    by : tuple of str
        Columns whose values part the rows.
    positive, labels, ignore : str or None
        As they were typed.
    names : tuple of str
        The classes, once they are known.
    normalize, allow_probabilities : bool
        As in `evaluate`.
    base : float
        Base of the logarithm.
    bins : str or None
        As it was typed.
    truth : Path or None
        An array of true classes, which go by their places.
    matrices : bool
        Whether a matrix of arrays is one column of lists.
    codes : dict of float to str
        Classes by the numbers that stand for them in the truth, once they are known.
    """

    reading: TableOptions
    kind: str
    pattern: str | None
    target: str
    weights: str | None
    id: str | None
    by: tuple[str, ...]
    positive: str | None
    labels: str | None
    ignore: str | None
    names: tuple[str, ...]
    normalize: bool
    allow_probabilities: bool
    base: float
    bins: str | None = None
    truth: Path | None = None
    matrices: bool = False
    codes: dict[float, str] = field(default_factory=dict)

    @property
    def beside(self) -> list[str]:
        """The columns beside scores and truth."""
        return [name for name in (self.weights, self.id, *self.by) if name is not None]

    @property
    def text(self) -> list[str]:
        """Columns of a CSV that are text, so that a class 01 is not taken for the number 1."""
        return [self.target, *([self.id] if self.id else [])]

    def columns(self, table: Any, file: Path | Address) -> list[str]:
        """Return all columns that are needed of those that a table has."""
        mine = [] if self.truth is not None else [self.target]
        leave = [*mine, *self.beside]
        _, found = score_columns(table, self.kind, self.pattern, file, leave)
        return [*leave, *found]

    def accumulator(self) -> Accumulator:
        """Return one that has seen nothing."""
        from xent.evaluation import Accumulator

        with words("bins"):
            return Accumulator(
                normalize=self.normalize, allow_probabilities=self.allow_probabilities,
                bins=bins_of(self.bins), base=self.base,
            )  # fmt: skip

    def scores(self, table: Any, file: Any, first: int = 0) -> tuple[Scores, list[str]]:
        """Return the scores of a table, whose first row has this number, and their classes."""
        from xent import _check

        leave = [self.target, *self.beside]
        found = scores_of(table, self.kind, self.pattern, file, leave, first)
        if found.matrix.ndim == 2 and found.matrix.shape[1] == 1:
            if self.positive is None:
                option = "--" + self.kind.replace("_", "-")
                got = _check.join_names(found.classes)
                advice = "If it is the probability of one of two classes, pass --positive CLASS."
                raise _check.invalid(option, "match a column for each class", got, advice)
            found = Scores(found.matrix[:, 0], [])
        elif self.positive is not None:
            must = "be left out where there is a column for each class"
            raise _check.invalid("--positive", must, repr(self.positive))
        return labels_of(found, self.labels, self.pattern)


def measure(question: Question, piece: Piece, columns: list[str]) -> Accumulator:
    """Return what is known of a piece."""
    one = question.accumulator()
    for _ in measured(one, question, piece, columns):
        pass
    return one


def measured(
    one: Accumulator, question: Question, piece: Piece, columns: list[str], skip: int = 0
) -> Iterator[int]:
    """Add the batches of a piece, but for the first ones, and yield how many rows each had."""
    order = ScoreOrder(question)
    for table, first in tables(question, piece, columns, skip):
        TableBatch(question, piece, order, (0, 0), table, first).add(one)
        yield len(table)


def tables(
    question: Question, piece: Piece, columns: list[str], skip: int = 0
) -> Iterator[tuple[Any, int]]:
    """Yield the batches of a piece but for the first ones, and the number of the first row."""
    first = piece.first
    truth = None if question.truth is None else TruthArray(question.truth)
    for k, table in enumerate(
        batches(piece, question.reading, columns, question.text, matrices=question.matrices)
    ):
        if k >= skip:
            whole = table
            if truth is not None:
                column = truth.column(first, len(table))
                whole = beside_scores(table, column, question.target, piece.path)
            yield whole, first
        first += len(table)


class ScoreOrder:
    """In which columns scores stand, found in one batch, so that others are taken as they lie."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._known: dict[Any, list[str]] = {}  # by schema

    def matrix(self, table: Any, file: Any, first: int) -> Any:
        """Return the scores of a batch; of NaN among them the rows say what is wrong."""
        names = self._known.get(table.schema)
        if names is not None and (found := columns_as_they_lie(table, names)) is not None:
            return found
        scores, _ = self._question.scores(table, file, first)
        if scores.matrix.ndim == 2 and len(scores.columns) == scores.matrix.shape[1]:
            self._known[table.schema] = scores.columns
        return scores.matrix


@dataclass(frozen=True)
class TableBatch:
    """Some rows of a piece.

    Parameters
    ----------
    question, piece : Question, Piece
        What is asked, and where the rows stand.
    order : ScoreOrder
        Where their scores stand.
    place : tuple of int
        The number of the piece, and of the batch in it.
    table : pyarrow.Table
        The rows.
    first : int
        The number of the first.
    """

    question: Question
    piece: Piece
    order: ScoreOrder
    place: tuple[int, int]
    table: Any
    first: int

    def add(self, one: Accumulator) -> None:
        """Measure the rows."""
        path, first = self.piece.path, self.first
        try:
            scores = self.order.matrix(self.table, path, first)
            _add(one, self.question, self.table, first, scores)
        except ValueError:
            self.question.scores(self.table, path, first)  # which says of a gap where it is
            raise


def _add(one: Accumulator, question: Question, table: Any, first: int, scores: Any) -> None:
    from xent.evaluation._predictions import predictions

    truth = codes(question, table, first)
    weight = None
    if question.weights is not None:
        names = [question.weights]
        weight = read_numbers(table, names, argument="--weights", first=first)[:, 0]
    given = {kind: None for kind in ("probs", "logits", "log_probs")} | {question.kind: scores}
    ignore = -1 if truth.min(initial=0) < 0 else None
    with words("normalize", "allow_probabilities", probs="--probs", logits="--logits",
               log_probs="--log-probs", sample_weight="--weights"):  # fmt: skip
        found = predictions(
            truth, *given.values(), labels=None, positive=None, sample_weight=weight, ignore=ignore,
            normalize=question.normalize, allow_probabilities=True, some_count=False,
            first=first,
        )  # fmt: skip
        found = replace(found, labels=list(question.names), named=True)
        one.add(
            found,
            {name: table.column(name).to_pylist() for name in question.by},
            None if question.id is None else _texts(table.column(question.id).to_pylist()),
        )


def _texts(values: list[Any]) -> list[Any]:
    return [None if value is None else str(value) for value in values]


def codes(question: Question, table: Any, first: int) -> Any:
    """Return the number of the true class of each row, -1 where it is to be left out."""
    import numpy as np

    from xent import _check
    from xent.evaluation._truth import no_label

    column = table.column(question.target)
    if column.null_count:
        row = first + column.to_pylist().index(None)
        must = f"hold a class in every row of column {question.target!r}"
        raise _check.invalid("--target", must, f"a missing value at row {row}", DROP)
    known = {name: i for i, name in enumerate(question.names)}
    values, places = _distinct(column, len(known))
    texts = texts_of(question, values)
    found = np.array(
        [-1 if text == question.ignore else known.get(text, -2) for text in texts], np.int64
    )
    if np.array_equal(found, np.arange(len(found))):
        return np.asarray(places, np.int64)
    out = found[places]
    if found.min(initial=0) < -1 and (out == -2).any():
        at = int((out == -2).argmax())
        with words("labels"):
            raise no_label("--target", texts[places[at]], first + at, list(question.names))
    return out


def _distinct(column: Any, classes: int) -> tuple[Any, Any]:
    """Return values, and of each row of a column which of them it has.

    Of whole numbers that lie together these are all between the least and the largest.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_integer(column.type) and len(column):
        ends = pc.min_max(column).as_py()
        if ends["max"] - ends["min"] <= 4 * classes + MOST_BETWEEN:
            between = pa.array(range(ends["min"], ends["max"] + 1), column.type)
            return between, column.to_numpy() - ends["min"]
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0)
    return whole.dictionary, whole.indices.to_numpy(zero_copy_only=False)


def texts_of(question: Question, values: Any) -> list[str]:
    """Return classes as the labels are written."""
    import pyarrow as pa

    from xent import _table

    table = pa.table({question.target: values})
    plain = _table.categories(table, question.target, argument="--target").tolist()
    names = list(question.names) or [spelled(question.positive)]
    return truth_as(plain, names, question.codes)
