"""How an estimator reads a table: the columns that `fit` finds and that it asks for again."""

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_regressor
from sklearn.utils.validation import validate_data

from xent import _check
from xent._table import given
from xent._table.frames import AtOnce, Frame, exact, is_frame, read_at_once
from xent._table.frames.at_once import NUMBER_FORM, OTHER_FORM
from xent.trees import _fit
from xent.trees._kernels.bins import MAX_BINS
from xent.trees._table import arrays, bins, columns, sparse, stream
from xent.trees._table.bins import Unread
from xent.trees._table.columns import Cases, FittedColumn

READ_AT_ONCE = 4096  # rows


class ReadingMethods:
    """How estimators read what they are given, as their options say."""

    splitter: str
    missing: str
    columns_: list[FittedColumn]
    n_features_in_: int

    def _read(self, X: Any, *, reset: bool) -> Cases | Unread:
        most = MAX_BINS if self.splitter == "histogram" else np.inf
        X = arrays.of_rows(X)
        if arrays.is_mixed(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if reset:
                exact.refuse_joined(exact.of_array(X), most)
            return self._of_frame(Frame(X), None, reset=reset)
        if not is_frame(X):
            if columns.is_clean(X) and (reset or self._has_form(X)):
                # What validate_data would do, at a tenth of what a small table's tree costs.
                if reset:
                    self.n_features_in_ = X.shape[1]
                    self.__dict__.pop("feature_names_in_", None)
            else:
                if reset:
                    exact.refuse_joined(exact.of_array(X), most)
                try:
                    X = given.rows_of(
                        self,
                        X,
                        reset=reset,
                        sparse=("csr", "csc"),
                        gaps=self.missing != "refuse",
                        gaps_advice=_fit.takes_gaps(),
                        kinds_advice=columns.ACCEPTED.advice,
                    )
                except OverflowError:
                    raise exact.too_large() from None
            if reset:
                names = getattr(self, "feature_names_in_", None)
                if names is None:
                    names = [f"x{j}" for j in range(X.shape[1])]
                self.columns_ = columns.number_columns([str(name) for name in names])
            elif any(c.kind != "number" for c in self.columns_):
                got = "an array of numbers"
                raise _check.wrong_kind("X", "be a table with the columns of fit", got)
            if not isinstance(X, np.ndarray):
                divides = self.missing == "fractional" and np.isnan(X.data).any()
                if not (reset and (divides or self.missing == "surrogate")):
                    return sparse.of_matrix(X, self.splitter == "histogram")
                X = X.toarray()
            if reset and self.splitter == "histogram":
                return bins.of_cases(columns.of_numbers(X, copy=False))
            return columns.of_numbers(X)
        return self._read_frame(X, reset=reset)

    def _read_frame(self, X: Any, *, reset: bool) -> Cases | Unread:
        """Read a data frame: its columns of plain numbers whole, as an array is read."""
        binned = reset and self.splitter == "histogram"
        # Bins are made column by column, so that a large table is held but once.
        at_once = None
        if not (binned and len(X) > READ_AT_ONCE):
            at_once = read_at_once(X, None if reset else [c.name for c in self.columns_])
        numbers_alone = reset or all(c.kind == "number" for c in self.columns_)
        if at_once is None or (at_once.form != NUMBER_FORM).any() or not numbers_alone:
            return self._of_frame(Frame(X), at_once, reset=reset)
        cases = columns.of_numbers(at_once.numbers, copy=not binned)
        if reset:
            self._describe(X, columns.number_columns(at_once.names))
        if self.missing == "refuse":
            _fit.refuse_missing(cases)
        return bins.of_cases(cases) if binned else cases

    def _of_frame(self, frame: Frame, at_once: AtOnce | None, *, reset: bool) -> Cases | Unread:
        """Read those columns of a frame that were not read at once, and join all."""
        cases: Cases | Unread
        binned = reset and self.splitter == "histogram"
        if reset:
            forms = at_once.form.tolist() if at_once else [OTHER_FORM] * len(frame.names)
            rest = [
                name for name, form in zip(frame.names, forms, strict=True) if form == OTHER_FORM
            ]
            most = MAX_BINS if self.splitter == "histogram" else np.inf
            exact.refuse_joined(((name, frame.column(name).in_question()) for name in rest), most)
            self._describe(frame.native, columns.describe(frame, at_once=at_once))
        if binned and not at_once:
            cases = bins.of_frame(frame, self.columns_)
        else:
            cases = columns.read(frame, self.columns_, at_once)
        if not cases.rows or not len(self.columns_):
            got = f"{cases.rows} rows and {len(self.columns_)} columns"
            raise _check.invalid("X", "have rows and columns", got)
        if self.missing == "refuse":
            _fit.refuse_missing(cases)
        return bins.of_cases(cases) if binned and isinstance(cases, Cases) else cases

    def _describe(self, X: Any, described: list[FittedColumn]) -> None:
        """Keep what the columns of a data frame are; text alone names features in scikit-learn."""
        self.columns_ = described
        self.n_features_in_ = len(described)
        self.__dict__.pop("feature_names_in_", None)
        if all(isinstance(name, str) for name in getattr(X, "columns", [None])):
            self.feature_names_in_ = np.array([c.name for c in described], dtype=object)

    def _read_batches(self, X: Any, y: Any, weight: Any, class_weight: Any) -> stream.Reading:
        if self.splitter != "histogram":
            _check.option("splitter", self.splitter, _fit.SPLITTERS)
            must = 'be "histogram" where ' + _check.thing("X") + " is read in batches"
            raise _check.invalid("splitter", must, repr(self.splitter))
        numbers = is_regressor(self)
        read = stream.Reading(X, y, weight, class_weight, numbers=numbers)
        if self.missing == "refuse":
            _fit.refuse_missing(read.cases)
        self.columns_ = read.columns
        self.n_features_in_ = len(self.columns_)
        self.feature_names_in_ = np.array([c.name for c in self.columns_], dtype=object)
        return read

    def _has_form(self, X: NDArray[Any]) -> bool:
        return X.shape[1] == self.n_features_in_ and not hasattr(self, "feature_names_in_")

    def _cases(self, X: Any) -> Cases:
        return cast(Cases, self._read(X, reset=False))
