"""A table becomes numbers, as scikit-learn's transformers make them, and JSON says how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from xent import _check
from xent._table.frames import Accepted, Column, Frame, is_frame
from xent._table.frames.doubts import doubt_column, other_kind
from xent.training._encoding.column import NO_VALUES, SAME_VALUES, SCALES, EncodedColumn, learn

ACCEPTED_COLUMNS = Accepted(
    "X",
    "hold in each column numbers, names, booleans, dates or times",
    frozenset(("number", "name", "date", "time", "duration")),
    "Leave the column out, or make its values text.",
)


class TableEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Make numbers of a table with names, booleans, dates and gaps, as a network takes them.

    ==================  ==========================================================================
    column of           becomes
    ==================  ==========================================================================
    numbers, durations  ``(x - mean) / deviation`` of the training rows (or of their range)
    names               one-hot: a feature for each of the ``max_levels`` commonest, and one for
                        all ``other`` names where there are more
    booleans            1 for True, 0 for False
    dates               the moment, standardised, and the sine and cosine of its place in the year
                        (365.2425 days), the week and the day, as far as the training rows go
                        through one; with a time zone in UTC
    times of day        the time, standardised, and its place in the day
    ==================  ==========================================================================

    A column with gaps has one feature more, which is 1 where the value is missing; a missing number
    is the mean otherwise. A name that `fit` did not see, and a gap where `fit` saw none, is
    ``other``. Without an ``other`` it is the average of the training rows: the share of each
    feature. So nothing is ever NaN. Columns that are the same in every row are left out. So are
    names that tell rows apart and not classes, unless they are declared as categories: each once in
    10 rows or more, or more than 20 of them in less than two rows each. Where such a column has
    gaps, the gaps are kept.

    Parameters
    ----------
    scale : {"standard", "range"}
        Numbers by mean and standard deviation, or by their range to [0, 1].
    max_levels : int
        How many names of one column have a feature of their own.

    Attributes
    ----------
    columns_ : list of EncodedColumn
        What was learned of each column: its kind, parts, levels.
    left_out_ : dict of str to str
        Columns whose values are no features, and why.
    n_features_in_ : int
        The number of columns of `fit`.
    feature_names_in_ : ndarray of str
        Their names, where they are a data frame's.

    Examples
    --------
    >>> table = {"age": [22, None, 38], "port": ["S", "C", "S"], "ship": ["T", "T", "T"]}
    >>> encoder = TableEncoder().fit(table)
    >>> encoder.get_feature_names_out().tolist()
    ['age', 'age is missing', 'port=C', 'port=S']
    >>> encoder.transform({"age": [30], "port": ["Q"], "ship": ["T"]}).round(2).tolist()
    [[0.0, 0.0, 0.33, 0.67]]
    >>> encoder.left_out_
    {'ship': 'the same in every row'}

    References
    ----------
    Hastie, T., Tibshirani, R. and Friedman, J. (2009). The Elements of Statistical Learning,
    section 9.6 (missing predictors) and 2.2 (qualitative variables).
    """

    columns_: list[EncodedColumn]

    def __init__(self, scale: str = "standard", max_levels: int = 100) -> None:
        self.scale = scale
        self.max_levels = max_levels

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = tags.input_tags.categorical = True
        return tags

    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Learn from training rows how each column becomes numbers.

        Parameters
        ----------
        X : data frame, dict of columns, or array_like of shape (N, D)
            The table; what its columns hold their types say.
        y : array_like, optional
            Not used.

        Returns
        -------
        TableEncoder
            Itself.

        Raises
        ------
        ValueError, TypeError
            If an option cannot be, the table has no row, a number is infinite, a column holds
            what has no encoding, such as lists, or no column tells anything.
        """
        _check.option("scale", self.scale, SCALES)
        most = _check.integer("max_levels", self.max_levels, least=1)
        frame = self._frame(X, reset=True)
        if not len(frame) or not frame.names:
            raise _check.invalid("X", "have at least one row and one column", _shape(frame))
        if len(frame) == 1:
            got = "1 row (1 sample)"  # the words in brackets are scikit-learn's
            raise _check.invalid("X", "have rows that differ", got)
        if hasattr(self, "feature_names_in_"):
            delattr(self, "feature_names_in_")  # of an earlier fit
        columns = []
        for column in frame.columns():
            ACCEPTED_COLUMNS.check(column)
            columns.append(learn(column, self.scale, most))
            if column.kind == "name" and column.is_text:
                doubt_column("X", column.name, column.names())
        self._take(columns)
        if is_frame(X) and all(isinstance(name, str) for name in frame.names):
            self.feature_names_in_ = np.array(frame.names, dtype=object)
        self._say_what_is_left_out()
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the numbers of rows; of a data frame the columns are taken by name.

        Parameters
        ----------
        X : data frame, dict of columns, or array_like of shape (N, D)
            A table with the columns of `fit`; others are not looked at.

        Returns
        -------
        ndarray of float64, shape (N, F)
            Finite; in the order of `get_feature_names_out`.

        Raises
        ------
        ValueError, TypeError
            If it is not fitted, a column is not there or of another kind than in `fit`, or a
            number is infinite.
        """
        check_is_fitted(self)
        frame = self._frame(X, reset=False)
        found = self._matched(frame)
        out = np.empty((len(frame), len(self.get_feature_names_out())))
        at = 0
        for learned, column in zip(self.columns_, found, strict=True):
            width = len(learned.features)
            if width:
                out[:, at : at + width] = learned.encode(column)
            at += width
        return out

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the features, such as ``port=S`` and ``age is missing``.

        Parameters
        ----------
        input_features : array_like of str, optional
            The columns of `fit`, as scikit-learn passes them; they are known already.

        Returns
        -------
        ndarray of str, shape (F,)

        Raises
        ------
        ValueError
            If it is not fitted, or ``input_features`` are not the columns of `fit`.
        """
        check_is_fitted(self)
        if input_features is not None and list(input_features) != self._names():
            must = "be equal to feature_names_in_, the columns of fit"
            raise _check.invalid("input_features", must, _check.join_names(input_features))
        features = [name for column in self.columns_ for name in column.features]
        return np.array(features, dtype=object)

    def to_dict(self) -> dict[str, Any]:
        """Return all that was learned as plain values, which JSON can hold.

        Returns
        -------
        dict
            Of the options and the columns.
        """
        check_is_fitted(self)
        columns = [column.to_state() for column in self.columns_]
        return {"scale": self.scale, "max_levels": int(self.max_levels), "columns": columns}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Return the fitted encoder that `to_dict` wrote down.

        Parameters
        ----------
        state : mapping
            What `to_dict` returned, as it was or read from JSON.

        Returns
        -------
        TableEncoder

        Raises
        ------
        ValueError
            If it is not that.
        """
        try:
            encoder = cls(state["scale"], state["max_levels"])
            encoder._take([EncodedColumn.of_state(column) for column in state["columns"]])
        except (KeyError, TypeError, AttributeError):
            must = "be what TableEncoder.to_dict returned"
            raise _check.invalid("state", must, _check.a(state)) from None
        return encoder

    def _take(self, columns: list[EncodedColumn]) -> None:
        features = sum(len(column.features) for column in columns)
        if not features:
            must = "have a column that tells rows apart"
            why = "; ".join(f"{column.name!r}: {column.left_out}" for column in columns[:4])
            raise _check.invalid("X", must, why)
        self.columns_ = columns
        self.left_out_ = {column.name: column.left_out for column in columns if column.left_out}
        self.n_features_in_ = len(columns)

    def _names(self) -> list[str]:
        return [column.name for column in self.columns_]

    def _frame(self, X: Any, *, reset: bool) -> Frame:
        """Return a table of any kind as columns; those of an array are x0, x1, ..."""
        if is_frame(X):
            return Frame(X)
        if isinstance(X, list | tuple) and any(
            isinstance(cell, str) for row in X if isinstance(row, list | tuple) for cell in row
        ):
            X = np.array(X, dtype=object)
        if isinstance(X, np.ndarray) and X.dtype.kind in "OUSMm" and X.ndim == 2 and X.size:
            frame = Frame(X)
            if not reset and len(frame.names) != self.n_features_in_:
                must = f"have {self.n_features_in_} features, as in fit"
                raise _check.invalid("X", must, len(frame.names))
            return frame
        matrix = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=reset
        )
        return Frame({f"x{j}": matrix[:, j] for j in range(matrix.shape[1])})

    def _matched(self, frame: Frame) -> list[Column]:
        """Return the columns of a table that are the columns of fit."""
        place = {str(name): name for name in frame.names}
        found = []
        for learned in self.columns_:
            if learned.name not in place:
                has = _check.join_names(place, last="and", limit=8)
                must = f"have the column {learned.name!r}"
                raise _check.invalid("X", must, f"none among {has}")
            column = frame.column(place[learned.name])
            found.append(column)
            if learned.left_out and not learned.gaps:
                continue
            kind = ACCEPTED_COLUMNS.check(column)
            was = "name" if learned.is_names else learned.kind
            if kind != was and not column.empty:
                raise other_kind("X", learned.name, was, column)
            if learned.zoned is not None and column.zoned is (not learned.zoned):
                words = ["dates without a time zone", "dates with a time zone"]
                must = f"hold {words[learned.zoned]} in column {learned.name!r}, as in fit"
                advice = "Write all of them in UTC, as 2020-01-31T12:00:00Z."
                raise _check.invalid("X", must, words[not learned.zoned], advice)
        return found

    def _say_what_is_left_out(self) -> None:
        """Warn of columns of names that are no features."""
        for column in self.columns_:
            if column.left_out in ("", SAME_VALUES, NO_VALUES):
                continue
            kept = ", but for where it is missing" if column.gaps else ""
            _check.warn(
                _check.thing("X")
                + f" has in column {column.name!r} {column.left_out}: it tells nothing of other "
                f"rows and is left out{kept}."
            )


def _shape(frame: Frame) -> str:
    rows = _check.count(len(frame), "row")
    return f"{rows} and {_check.count(len(frame.names), 'column')}"
