"""Each kind's columns or arrays read, and handed to the function that judges it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xent.cli._arrays import lists_in_text
from xent.cli._kinds._options import KindOptions, refuse_others
from xent.cli._predictions import Scores, columns_of, scores_of
from xent.cli._tables._file import TableFile
from xent.cli._tables._options import TableOptions, words

if TYPE_CHECKING:
    from numpy.typing import NDArray

YES_OR_NO = (
    "Each label is a column of 0 and 1. Of one that is not known, write -1 and pass --ignore -1."
)
ReportAndRows = tuple[Any, dict[str, Any]]


@dataclass(frozen=True)
class KindFile:
    """A file of another kind of predictions, and what was said of it.

    Parameters
    ----------
    file : Path
        The file.
    reading : TableOptions
        How it is written.
    kinds : KindOptions
        Which kind.
    kind, pattern : str, str or None
        What the scores are, and their columns.
    base : float
        Base of the logarithm.
    said : dict
        The other options of the command, by their names in Python.
    """

    file: Path
    reading: TableOptions
    kinds: KindOptions
    kind: str
    pattern: str | None
    base: float
    said: dict[str, Any]

    def evaluated(self) -> ReportAndRows:
        """Return the report, and columns of what each row or document cost."""
        alone = str(self.kinds.alone)
        refuse_others(alone, self.said, self.reading.given())
        truth = "--soft" if alone == "--soft" else "--target"
        with words("normalize", "allow_probabilities", "base", "text", "first", "mask", "stride",
                   "log_base", "class_axis", probs="--probs", logits="--logits",
                   log_probs="--tokens" if alone == "--tokens" else "--log-probs", path="FILE",
                   target=truth, sample_weight="--weights", ignore_index="--ignore", texts="--text",
                   ids="--id"):  # fmt: skip
            return {
                "--soft": self._soft,
                "--multilabel": self._multilabel,
                "--class-axis": self._dense,
                "--tokens": self._tokens,
                "--harness": self._harness,
            }[alone]()

    def _table(self, text: Sequence[str] = (), blank: Sequence[str] = ()) -> Any:
        from xent import _check

        table = TableFile(self.file, self.reading, argument="FILE", text=text, blank=blank).read()
        if table.num_rows == 0:
            raise _check.invalid("FILE", "have at least one row", f"{str(self.file)!r}")
        return table

    def _scores(self, table: Any, leave: list[str]) -> Scores:
        weights = self.said["weights"]
        leave = [*leave, *([weights] if weights else [])]
        return scores_of(table, self.kind, self.pattern, self.file, leave)

    def _weight(self, table: Any) -> Any:
        from xent import _table

        name = self.said["weights"]
        if name is None:
            return None
        _table.require(name, table.column_names, self.file, argument="--weights")
        return _table.numbers(table, [name], argument="--weights")[:, 0]

    def _beside(self, table: Any, pattern: str, option: str, advice: str = "") -> Scores:
        """Return columns of truth, in the order that those of scores will be brought into."""
        from xent import _table

        found = _table.matching(pattern, table.column_names, self.file, argument=option)
        return columns_of(table, found, pattern, option, advice=advice)

    def _paired(self, truth: Scores, scores: Scores, option: str) -> NDArray[Any]:
        """Return the truth's columns in the order of the scores'."""
        from xent import _check

        if sorted(truth.classes) != sorted(scores.classes):
            must = f"have the columns of the predictions, {_check.join_names(scores.classes)}"
            raise _check.invalid(option, must, _check.join_names(truth.classes))
        return truth.matrix[:, [truth.classes.index(name) for name in scores.classes]]

    def _as_kind(self, scores: NDArray[Any], *kinds: str) -> dict[str, Any]:
        """Return the scores as the argument that they are, and the other arguments as None."""
        kinds = kinds or ("probs", "logits", "log_probs")
        return {kind: scores if kind == self.kind else None for kind in kinds}

    def _soft(self) -> ReportAndRows:
        from xent.evaluation._kinds._soft import soft_evaluated

        table = self._table()
        truth = self._beside(table, str(self.kinds.soft), "--soft")
        names = [n for n in table.column_names if n in truth.columns]
        scores = self._scores(table, names)
        return soft_evaluated(
            self._paired(truth, scores, "--soft"), **self._as_kind(scores.matrix),
            labels=scores.classes, sample_weight=self._weight(table),
            normalize=self.said["normalize"], base=self.base,
            allow_probabilities=self.said["allow_probabilities"],
        )  # fmt: skip

    def _multilabel(self) -> ReportAndRows:
        from xent.evaluation._kinds._multilabel import multilabel_evaluated

        table = self._table()
        truth = self._beside(table, self.said["target"], "--target", YES_OR_NO)
        scores = self._scores(table, list(truth.columns))
        return multilabel_evaluated(
            self._paired(truth, scores, "--target"),
            **self._as_kind(scores.matrix, "probs", "logits"), labels=scores.classes,
            sample_weight=self._weight(table), ignore_index=self._number("ignore"), base=self.base,
            allow_probabilities=self.said["allow_probabilities"],
        )  # fmt: skip

    def _number(self, name: str) -> float | None:
        from xent import _check

        said = self.said[name]
        try:
            return None if said is None else float(said)
        except ValueError:
            raise _check.invalid(f"--{name}", "be a number", repr(said)) from None

    def _dense(self) -> ReportAndRows:
        from xent._table import array_of_npz
        from xent.evaluation import evaluate_dense

        scores, truth = (
            array_of_npz(self.file, name, argument=option)
            for name, option in (
                (self.pattern or "predictions", "--" + self.kind.replace("_", "-")),
                (self.said["target"], "--target"),
            )
        )
        report = evaluate_dense(
            truth, **self._as_kind(scores), class_axis=int(self.kinds.class_axis or 0),
            ignore_index=self._number("ignore"), base=self.base,
            allow_probabilities=self.said["allow_probabilities"],
        )  # fmt: skip
        return report, {}

    def _tokens(self) -> ReportAndRows:
        from xent import _check, _table
        from xent.cli._data import base_of
        from xent.evaluation._kinds._documents import documents_of, sizes_of
        from xent.evaluation._kinds._tokens import tokens_evaluated

        id_, kinds = self.said["id_"], self.kinds
        # A text may be empty, which is no missing one.
        table = self._table(
            [name for name in (id_, kinds.text) if name], [kinds.text] if kinds.text else []
        )
        wanted = {"--tokens": kinds.tokens, "--text": kinds.text, "--mask": kinds.mask, "--id": id_}
        for option, name in wanted.items():
            if name is not None:
                _table.require(name, table.column_names, self.file, argument=option)
        names = None if id_ is None else table.column(id_).to_pylist()
        if kinds.stride is not None and names is None:
            must = "name the column that says which text a window is of"
            raise _check.invalid("--id", must, "none")
        windows = names if kinds.stride is not None else None
        found = documents_of(
            _lists(table, str(kinds.tokens), "--tokens"),
            windows,
            None if kinds.mask is None else _lists(table, kinds.mask, "--mask"),
            names if windows is None else None,
            kinds.stride,
        )
        texts = None if kinds.text is None else table.column(kinds.text).to_pylist()
        if windows is not None and texts is not None:
            texts = _texts_of(windows, texts)
        sizes = None if texts is None else sizes_of(texts, found.names)
        return tokens_evaluated(
            found, sizes, first=kinds.first, log_base=base_of(kinds.log_base), base=self.base
        )

    def _harness(self) -> ReportAndRows:
        from xent.evaluation._kinds._harness import harness_evaluated

        return harness_evaluated(self.file, text=self.kinds.text, base=self.base)


def _texts_of(windows: list[Any], texts: list[Any]) -> list[Any]:
    """Return the text of each document, which stands beside all of its windows or the first."""
    from xent import _check

    found: dict[Any, Any] = {}
    for row, (name, text) in enumerate(zip(windows, texts, strict=True)):
        whole = found.setdefault(name, text)
        if text is not None and text != whole:
            must = "be the whole text of its document in every row, or in its first one alone"
            raise _check.invalid("--text", must, f"another one for {name!r} at row {row}")
    return list(found.values())


def _lists(table: Any, name: str, option: str) -> list[Any]:
    """Return a column of lists of numbers, an array a row."""
    import numpy as np
    import pyarrow as pa

    from xent import _check

    column = lists_in_text(table.column(name), option, 0).combine_chunks()
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not (
        pa.types.is_floating(kind.value_type)
        or pa.types.is_integer(kind.value_type)
        or pa.types.is_boolean(kind.value_type)
        or pa.types.is_null(kind.value_type)
    ):
        advice = "CSV has no lists: save JSON lines or Parquet." if pa.types.is_string(kind) else ""
        must = "name a column of lists of numbers"
        raise _check.invalid(option, must, f"{name!r} of {kind}", advice)
    if column.null_count:
        row = column.is_null().index(True).as_py()
        raise _check.invalid(option, "have a list in every row", f"none at row {row}")
    values = np.asarray(column.flatten().cast(pa.float64()), dtype=np.float64)
    ends = np.asarray(column.value_lengths()).cumsum()
    return np.split(values, ends[:-1])
