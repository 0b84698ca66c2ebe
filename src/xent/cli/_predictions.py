"""What `xent evaluate` reads: scores, and the truth, from one table or from two joined by id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xent.cli._addresses import Address
from xent.cli._arrays import (
    PATTERNS,
    TruthArray,
    is_number,
    is_whole,
    lists_in_text,
    matrix_of_lists,
    whole_column,
    with_truth,
)
from xent.cli._tables._file import TableFile
from xent.cli._tables._options import TableOptions, is_array, is_csv, read_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray


MOST_ALIKE = 1000  # ids among which one is looked for that is written otherwise


@dataclass(frozen=True)
class Files:
    """Where predictions and truth stand.

    Parameters
    ----------
    file : Path
        The predictions.
    target : str
        Column of true classes.
    truth : Path or None
        Where that column stands, if in another file.
    id : str or None
        Column that names the rows, in both.
    once : bool
        Whether rows of ``file`` may have one id, because each counts once.
    pattern : str or None
        What was typed of the columns of scores.
    """

    file: Path
    target: str
    truth: Path | None
    id: str | None
    once: bool = False
    pattern: str | None = None

    def read(self, reading: TableOptions, others: Sequence[str]) -> Any:
        """Return one table; ``others`` are columns that are wanted beside the truth."""
        from xent import _check, _table

        by_place = self.truth is not None and self.truth.suffix.lower() == ".npy"
        if self.truth is not None and not self.truth.suffix and not self.truth.exists():
            advice = f"If it is the column of true classes, pass --target {str(self.truth)!r}."
            raise FileNotFoundError(f"There is no file {str(self.truth)!r}. {advice}")
        if self.truth is not None and self.id is None and not by_place:
            raise _check.invalid("--id", "name the column that both files share", "none")
        # As text, so that a class 01 is not taken for the number 1.
        text = [self.target, *([self.id] if self.id else [])]
        table = self._table(reading, text, others)
        if by_place and self.id is not None:
            _table.require(self.id, table.column_names, self.file, argument="--id")
            self._names(table, self.file, "FILE")
        if by_place:
            return with_truth(table, TruthArray(self.truth), self.target, self.file)
        if self.id is not None:
            _table.require(self.id, table.column_names, self.file, argument="--id")
            self._names(table, self.file, "FILE")
        if self.truth is None:
            return table
        options = reading if is_csv(self.truth) else TableOptions(names=reading.names)
        truth = TableFile(self.truth, options, argument="--truth", text=text).read()
        for name, argument in ((self.id, "--id"), (self.target, "--target")):
            _table.require(str(name), truth.column_names, self.truth, argument=argument)
        return self._joined(table, truth, others)

    def _table(self, reading: TableOptions, text: Sequence[str], others: Sequence[str]) -> Any:
        """Read the predictions; a matrix that all scores come from is one column of lists."""
        if is_array(self.file):
            table = TableFile(self.file, reading, argument="FILE", matrices=True).read()
            if is_whole(table, self.pattern, self.file, [*text, *others]):
                return table
        return TableFile(self.file, reading, argument="FILE", text=text).read()

    def _joined(self, table: Any, truth: Any, others: Sequence[str]) -> Any:
        """Return the predictions with the truth of the same id beside them."""
        from xent import _check

        mine, theirs = (
            self._names(table, self.file, "FILE"),
            self._names(truth, self.truth, "--truth"),
        )
        place = {name: i for i, name in enumerate(theirs)}
        for names, beside, path, argument in (
            (mine, theirs, self.truth, "--truth"),
            (theirs, mine, self.file, "FILE"),
        ):
            known = set(beside)
            lost = [name for name in names if name not in known]
            if lost:
                rows = _check.count(len(lost), "row")
                got = f"none for {_check.join_names([*dict.fromkeys(lost)], limit=3)} ({rows})"
                raise _check.invalid(
                    argument, f"have every id in {str(path)!r}", got, only_there(beside, names)
                )
        taken = truth.take([place[name] for name in mine])
        for name in (self.target, *others):
            if name in taken.column_names and (
                name == self.target or name not in table.column_names
            ):
                if name in table.column_names:
                    table = table.drop_columns([name])
                table = table.append_column(name, taken.column(name))
        return table

    def _names(self, table: Any, path: Any, argument: str) -> list[str]:
        """Return the ids of a table as text, each once."""
        from xent import _check

        names = [None if v is None else str(v) for v in table.column(self.id).to_pylist()]
        if None in names:
            must, got = (
                f"have an id in every row of {str(path)!r}",
                f"none at row {names.index(None)}",
            )
            raise _check.invalid(argument, must, got)
        name, times = Counter(names).most_common(1)[0] if names else ("", 0)
        if times > 1 and not (self.once and argument == "FILE"):
            must = f"have every id of {str(path)!r} once"
            raise _check.invalid(argument, must, f"{name!r} {times} times")
        return [str(name) for name in names]


def only_there(names: Sequence[str], here: Sequence[str]) -> str:
    """Say which ids a file has and the other has not: 7 is no 7.0, and no 007."""
    from xent import _check
    from xent._table.frames.doubts import looks_like_date

    known = set(here)
    alone = [*dict.fromkeys(name for name in names if name not in known)]
    if not alone:
        return ""
    has = f"It has {_check.join_names(alone, limit=3, last='and')} instead."
    beside = set(names)
    lost = next((name for name in here if name not in beside), None)
    if lost is None:
        return has
    if looks_like_date(lost) and any(map(looks_like_date, alone[:3])):
        return f"{has} Write dates alike in both files, as 2026-11-30."
    alike = _check.look_alike(lost, alone[:MOST_ALIKE])
    return f"{has} {alike} Write both alike." if alike else has


@dataclass(frozen=True)
class Scores:
    """Columns of scores as one matrix, and the classes that they are of.

    Parameters
    ----------
    matrix : ndarray, shape (N, C), or (N,) for the probability of one class
        The scores, of the type that the file has.
    classes : list of str
        What the columns are called, less what they share.
    columns : list of str
        What the columns are called in the file, where they stand one by one.
    """

    matrix: NDArray[Any]
    classes: list[str]
    columns: list[str] = field(default_factory=list)


def scores_of(
    table: Any,
    kind: str,
    pattern: str | None,
    file: Path | Address,
    leave: Sequence[str],
    first: int = 0,
) -> Scores:
    """Read the columns of scores, of a table whose first row has this number.

    The other parameters are those of `score_columns`.
    """
    option = "--" + kind.replace("_", "-")
    pattern, found = score_columns(table, kind, pattern, file, leave)
    if len(found) == 1:
        column = lists_in_text(table.column(found[0]), option, first)
        if (nested := _nested(column, option, first)) is not None:
            return nested
    return columns_of(table, found, pattern, option, masked=kind != "probs", first=first)


def score_columns(
    table: Any, kind: str, pattern: str | None, file: Path | Address, leave: Sequence[str]
) -> tuple[str, list[str]]:
    """Find the columns of scores, and return the pattern that they match, and their names.

    Parameters
    ----------
    table : pyarrow.Table
        The predictions.
    kind : str
        "probs", "logits" or "log_probs".
    pattern : str or None
        What was typed; None takes `PATTERNS` in turn.
    file : Path
        Where the table comes from.
    leave : sequence of str
        Columns that are none of them.
    """
    from xent import _check, _table

    option = "--" + kind.replace("_", "-")
    names = [name for name in table.column_names if name not in leave]
    whole = whole_column(table, names, pattern, file)
    if whole is not None:
        return whole, [whole]
    if pattern is None:
        pattern = next((p for p in PATTERNS if any(n.startswith(p[:-1]) for n in names)), None)
    if pattern is None:
        must = f"match a column of {str(file)!r} for each class"
        numeric = [n for n in names if is_number(table.column(n).type) and n.lower() != "id"]
        advice = f"It has {_check.join_names(names, last='and')}."
        if len(numeric) > 1:
            advice += f" If these are probabilities, pass {option} '{','.join(numeric)}'."
        elif numeric:
            advice += f" Of one class alone, pass {option} {numeric[0]} --positive CLASS."
        raise _check.invalid(option, must, "none that begins with p_, prob_ or proba_", advice)
    return pattern, [n for n in _table.matching(pattern, names, file, argument=option)]


def columns_of(
    table: Any,
    names: list[str],
    pattern: str,
    option: str,
    *,
    masked: bool = False,
    first: int = 0,
    advice: str = "",
) -> Scores:
    """Read columns that a pattern found, and name each by what tells it from the others."""
    matrix = _matrix(table, names, option, masked=masked, first=first, advice=advice)
    return Scores(matrix, stripped(names, pattern), names)


def columns_as_they_lie(table: Any, names: Sequence[str]) -> NDArray[Any] | None:
    """Return columns of one kind of float, without a gap, as a matrix that lies column by column.

    None of others. Nothing is said of NaN: whoever takes the rows refuses them.
    """
    import numpy as np

    columns = [table.column(name) for name in names]
    kinds = {str(column.type) for column in columns}
    if kinds not in ({"float"}, {"double"}) or any(column.null_count for column in columns):
        return None
    found = np.empty((table.num_rows, len(names)), kinds.pop().replace("float", "f4"), order="F")
    for j, column in enumerate(columns):
        at = 0
        for chunk in column.chunks:
            found[at : at + len(chunk), j] = chunk.to_numpy()
            at += len(chunk)
    return found


def _matrix(
    table: Any, names: list[str], option: str, *, masked: bool, first: int = 0, advice: str = ""
) -> NDArray[Any]:
    """Return columns as a matrix of the type they have: single precision sums to 1 less nearly."""
    import numpy as np

    plain = None if masked else columns_as_they_lie(table, names)
    if plain is not None and np.isfinite(plain.sum(dtype=np.float64)):
        return np.ascontiguousarray(plain)
    kinds = {str(table.column(name).type) for name in names}
    narrow = {frozenset({"float"}): np.float32, frozenset({"halffloat"}): np.float16}
    dtype: Any = narrow.get(frozenset(kinds), np.float64)
    matrix: NDArray[Any] = read_numbers(
        table, names, argument=option, masked=masked, first=first, advice=advice
    )
    return matrix.astype(dtype, copy=False)


def stripped(names: list[str], pattern: str) -> list[str]:
    """Name the classes by what the star stood for, or by the columns less what they share."""
    if "," not in pattern and pattern.count("*") == 1:
        before, after = pattern.split("*")
        return [spelled(name[len(before) : len(name) - len(after)]) for name in names]
    first, last = min(names), max(names)  # what these two begin with, all do
    same = len(first) if first < last else 0  # p_1 is what p_10 begins with
    pairs = enumerate(zip(first, last, strict=False))
    same = next((i for i, (a, b) in pairs if a != b), same)
    start = first[: first[:same].rfind("_") + 1]
    return [spelled(name[len(start) :]) for name in names]


def _nested(column: Any, option: str, first: int) -> Scores | None:
    """Read one column of lists, structs, or lists of a label and a score; None for another.

    Its first row is number ``first``.
    """
    import numpy as np
    import pyarrow as pa

    from xent import _check

    kind = column.type
    listed = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    if not (listed or pa.types.is_struct(kind)):
        return None
    if column.null_count == 0 and (matrix := matrix_of_lists(column)) is not None:
        return Scores(matrix, [str(c) for c in range(matrix.shape[1])])
    rows = column.to_pylist()
    if None in rows:
        row = first + rows.index(None)
        raise _check.invalid(option, "have a value in every row", f"none at row {row}")
    if pa.types.is_struct(kind):
        names = [field.name for field in kind]
        table = pa.table({name: [row[name] for row in rows] for name in names})
        return Scores(
            _matrix(table, names, option, masked=True, first=first), [spelled(n) for n in names]
        )
    if pa.types.is_struct(kind.value_type):  # what pipelines of Hugging Face hand out
        dicts = [_labelled(row, i, option) for i, row in enumerate(rows, first)]
        names = sorted({name for row in dicts for name in row})
        table = pa.table({name: [row.get(name) for row in dicts] for name in names})
        return Scores(
            _matrix(table, names, option, masked=True, first=first), [spelled(n) for n in names]
        )
    if not is_number(kind.value_type):
        raise _check.invalid(option, "hold numbers", f"lists of {kind.value_type}")
    size = len(rows[0])
    for i, row in enumerate(rows):
        if len(row) != size:
            got = f"{size} numbers at row {first} and {len(row)} at row {first + i}"
            raise _check.invalid(option, "have lists of one length", got)
    matrix = np.array(rows, dtype=np.float64)
    return Scores(matrix, [str(c) for c in range(matrix.shape[1])])


def _labelled(row: list[Any], number: int, option: str) -> dict[str, Any]:
    """Return the scores of a row by their labels, of which each stands once."""
    from xent import _check

    must = "hold a label and a score for each class"
    if any(entry is None or not {"label", "score"} <= set(entry) for entry in row):
        raise _check.invalid(option, must, f"something else at row {number}")
    names = [str(entry["label"]) for entry in row]
    if len(set(names)) < len(names):
        name, _ = Counter(names).most_common(1)[0]
        raise _check.invalid(option, "hold every label once", f"{name!r} again at row {number}")
    return {str(entry["label"]): entry["score"] for entry in row}


def spelled(value: Any) -> str:
    """Write a class as a column name would: CSV spells booleans in lower case."""
    text = str(value)
    return text.lower() if text in ("True", "False") else text
