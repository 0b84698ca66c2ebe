"""The files of `xent compare`: each read alone, then brought into the order of the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xent.cli._compare._against import costs_in
from xent.cli._evaluate import classes_in, single
from xent.cli._labels import codes_of, labels_of
from xent.cli._predictions import Files, Scores, only_there, scores_of
from xent.cli._tables._options import TableOptions, read_numbers

UNPAIRED = "Rows that have names are paired by --id COLUMN."


@dataclass(frozen=True)
class ModelFileOptions:
    """What is read of every file.

    Parameters
    ----------
    target, truth, id : str, Path or None, str or None
        As in `Files`.
    others : dict of str to list of str
        Columns that options want beside scores and truth, by option.
    kind, pattern : str, str or None
        What the scores are, and the columns that they are in.
    positive, labels : str or None
        What was typed.
    """

    target: str
    truth: Path | None
    id: str | None
    others: dict[str, list[str]]
    kind: str
    pattern: str | None
    positive: str | None
    labels: str | None

    def read(self, file: Path, reading: TableOptions) -> ModelFile:
        """Read a model's predictions."""
        from xent import _check, _table

        names = [name for columns in self.others.values() for name in columns]
        table = Files(file, self.target, self.truth, self.id, pattern=self.pattern).read(
            reading, names
        )
        if table.num_rows == 0:
            raise _check.invalid("FILE", "have at least one row", f"{str(file)!r}")
        has = list(table.column_names)
        if self.kind != "costs" or self.truth is not None:
            _table.require(self.target, has, file, argument="--target")
        others = {name: table.column(name).to_pylist() for name in names if name in has}
        missing = {n: option for option, ns in self.others.items() for n in ns if n not in has}
        ids = None if self.id is None else [str(v) for v in table.column(self.id).to_pylist()]
        if self.kind == "costs":
            _table.require(str(self.pattern), has, file, argument="--costs")
            scores: Any = Scores(costs_in(table, str(self.pattern), "--costs"), [])
            true, classes, yes = _said(table, self.target), None, None
        else:
            leave = [self.target, *others, *([self.id] if self.id else [])]
            scores = single(
                scores_of(table, self.kind, self.pattern, file, leave), self.kind, self.positive
            )
            scores, named = labels_of(scores, self.labels, self.pattern)
            codes = codes_of(scores, named, self.labels)
            true, classes, yes = classes_in(table, self.target, scores, named, self.positive, codes)
        return ModelFile(file, ids, true, scores.matrix, classes, yes, others, missing, has)


@dataclass(frozen=True)
class ModelFile:
    """What one file holds.

    Parameters
    ----------
    file : Path
        The file.
    ids : list of str or None
        What its rows are called.
    true : list of str or None
        The true classes; None where costs came without.
    scores : ndarray
        Scores, or costs.
    classes, positive : list of str or None, str or None
        What the columns are of.
    others : dict of str to list
        Columns beside them.
    missing : dict of str to str
        Columns that it does not have, and the options that named them.
    has : list of str
        All its columns.
    """

    file: Path
    ids: list[str] | None
    true: list[str] | None
    scores: Any
    classes: list[str] | None
    positive: str | None
    others: dict[str, list[Any]]
    missing: dict[str, str]
    has: list[str]

    def weights(self, name: str | None) -> Any:
        """Return a column of numbers."""
        import pyarrow as pa

        if name is None:
            return None
        table = pa.table({name: self.others[name]})
        return read_numbers(table, [name], argument="--weights")[:, 0]

    def beside(self, first: ModelFile) -> ModelFile:
        """Return this model with its rows and columns in the order of the first model's."""
        import numpy as np

        from xent import _check, _table

        for name, option in first.missing.items():
            _table.require(name, first.has, first.file, argument=option)
        count = len(self.scores)
        order = np.arange(count)
        if first.ids is not None and self.ids is not None:
            order = self._order(first)
        elif count != len(first.scores):
            must = f"have the rows of {str(first.file)!r}, {len(first.scores)}"
            raise _check.invalid("FILE", must, f"{count} in {str(self.file)!r}", UNPAIRED)
        places = order.tolist()
        true = None if self.true is None else [self.true[i] for i in places]
        others = {name: [values[i] for i in places] for name, values in self.others.items()}
        if true is not None and first.true is not None:
            self._same("the true classes", true, first.true, first)
        for name, values in others.items():
            if name in first.others:
                self._same(f"the column {name!r}", values, first.others[name], first)
        scores = self.scores[order]
        if self.classes is not None and first.classes is not None:
            if sorted(self.classes) != sorted(first.classes):
                theirs = _check.join_names(first.classes, last="and")
                must = f"have the classes of {str(first.file)!r}, {theirs}"
                got = f"{_check.join_names(self.classes, last='and')} in {str(self.file)!r}"
                raise _check.invalid("FILE", must, got)
            if scores.ndim == 2:
                scores = scores[:, [self.classes.index(name) for name in first.classes]]
        return replace(self, true=true, others=others, scores=scores)

    def _order(self, first: ModelFile) -> Any:
        """Return where each of the first model's rows stands here."""
        import numpy as np

        from xent import _check

        place = {name: i for i, name in enumerate(self.ids or [])}
        known = set(first.ids or [])
        lost = [name for name in first.ids or [] if name not in place]
        more = [name for name in place if name not in known]
        for names, here, there in ((lost, self, first), (more, first, self)):
            if names:
                rows = _check.count(len(names), "row")
                got = f"none for {_check.join_names(names, limit=3)} ({rows})"
                must = f"have every id of {str(there.file)!r} in {str(here.file)!r}"
                raise _check.invalid("FILE", must, got, only_there(here.ids or [], there.ids or []))
        return np.array([place[name] for name in first.ids or []], dtype=np.int64)

    def _same(
        self, what: str, mine: Sequence[Any], theirs: Sequence[Any], first: ModelFile
    ) -> None:
        from xent import _check

        unpaired = UNPAIRED if first.ids is None else ""
        for row, (here, there) in enumerate(zip(mine, theirs, strict=True)):
            if here != there and not (here != here and there != there):
                at = f"row {row}" if first.ids is None else f"id {first.ids[row]!r}"
                got = f"{here!r} and not {there!r} at {at}"
                must = f"have {what} of {str(first.file)!r} in {str(self.file)!r}"
                alike = _check.look_alike(here, [there])
                raise _check.invalid("FILE", must, got, alike or unpaired)


def _said(table: Any, target: str) -> list[str] | None:
    """Return the true classes that stand beside costs, if any do."""
    if target not in table.column_names:
        return None
    return [str(value) for value in table.column(target).to_pylist()]
