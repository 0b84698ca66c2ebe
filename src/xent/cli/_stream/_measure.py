"""What is done with a piece: its batches are measured, and their sums are all that is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xent.cli._addresses import Address
from xent.cli._arrays import TruthArray, beside_scores
from xent.cli._predictions import (
    Scores,
    labels_of,
    score_columns,
    scores_of,
    spelled,
    truth_as,
)
from xent.cli._score_options import DROP
from xent.cli._stream._pieces import Piece, batches
from xent.cli._tables import TableOptions, words

if TYPE_CHECKING:
    from xent.evaluation import Accumulator


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
    truth : Path or None
        An array of true classes, which go by their places.
    matrices : bool
        Whether a matrix of arrays is one column of lists.
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
    truth: Path | None = None
    matrices: bool = False

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

        return Accumulator(
            normalize=self.normalize, allow_probabilities=self.allow_probabilities, base=self.base
        )

    def scores(self, table: Any, file: Any) -> tuple[Scores, list[str]]:
        """Return the scores of a table, and the names of their classes."""
        from xent import _check

        found = scores_of(table, self.kind, self.pattern, file, [self.target, *self.beside])
        if found.matrix.ndim == 2 and found.matrix.shape[1] == 1:
            if self.positive is None:
                option = "--" + self.kind.replace("_", "-")
                got = _check.join_names(found.classes)
                advice = "If it is the probability of one of two classes, pass --positive CLASS."
                raise _check.invalid(option, "match a column for each class", got, advice)
            found = Scores(found.matrix[:, 0], [])
        return labels_of(found, self.labels)


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
            add(one, question, whole, first, piece)
        first += len(table)
        yield len(table)


def add(one: Accumulator, question: Question, table: Any, first: int, piece: Piece) -> None:
    """Add the rows of a table, of which the first has this number."""
    from xent import _table
    from xent.evaluation._predictions import predictions

    scores, _ = question.scores(table, piece.path)
    truth = codes(question, table, first)
    weight = None
    if question.weights is not None:
        weight = _table.numbers(table, [question.weights], argument="--weights")[:, 0]
    given = {kind: None for kind in ("probs", "logits", "log_probs")} | {
        question.kind: scores.matrix
    }
    with words("normalize", "allow_probabilities", probs="--probs", logits="--logits",
               log_probs="--log-probs", sample_weight="--weights"):  # fmt: skip
        found = predictions(
            truth, *given.values(), labels=None, positive=None, sample_weight=weight, ignore=-1,
            normalize=question.normalize, allow_probabilities=True, some_count=False,
        )  # fmt: skip
        found = replace(found, labels=list(question.names), named=True, first=first)
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
    import pyarrow as pa

    from xent import _check

    column = table.column(question.target)
    if column.null_count:
        row = first + column.to_pylist().index(None)
        must = f"hold a class in every row of column {question.target!r}"
        raise _check.invalid("--target", must, f"a missing value at row {row}", DROP)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0)
    known = {name: i for i, name in enumerate(question.names)}
    texts = texts_of(question, whole.dictionary)
    found = np.array(
        [-1 if text == question.ignore else known.get(text, -2) for text in texts], np.int64
    )
    out = found[whole.indices.to_numpy(zero_copy_only=False)]
    if (out == -2).any():
        at = int((out == -2).argmax())
        must = f"be one of the labels {_check.join_names(list(question.names))}"
        shown = texts[whole.indices[at].as_py()]
        raise _check.invalid("--target", must, f"{shown!r} at row {first + at}")
    return out


def texts_of(question: Question, values: Any) -> list[str]:
    """Return classes as the labels are written."""
    import pyarrow as pa

    from xent import _table

    table = pa.table({question.target: values})
    plain = _table.categories(table, question.target, argument="--target").tolist()
    names = list(question.names) or [spelled(question.positive)]
    return truth_as(plain, names, coded=question.labels is not None)
