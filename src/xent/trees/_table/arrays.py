"""Arrays and rows that are not numbers alone: text, dates, masks. They are read as columns.

scikit-learn's checks make floats of whatever they can: of dates whole numbers, of a missing date
-9.2e18, of a masked value what lies under the mask. Here each is what it is.
"""

from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._table.frames import of_series
from xent._table.frames.columns import is_missing

NO_NUMBER = (str, bytes, date, time, timedelta, np.datetime64, np.timedelta64)


def of_rows(X: Any) -> Any:
    """Return an array of objects, text or dates for one that `Frame` must read; else X as it is."""
    if isinstance(X, np.ma.MaskedArray):
        gap, kind = (np.nan, np.float64) if X.dtype.kind in "biuf" else (None, object)
        X = np.ma.masked_array(X, dtype=kind).filled(gap)
    if isinstance(X, (list, tuple)) and any(
        isinstance(row, (list, tuple)) and any(isinstance(v, NO_NUMBER) for v in row) for row in X
    ):
        widths = {len(row) for row in X}
        if len(widths) > 1:
            got = _check.join_names(sorted(map(str, widths)), last="and")
            raise _check.invalid("X", "have rows of one length", f"lengths {got}")
        array = np.empty((len(X), widths.pop()), object)
        array[:] = X
        return array
    return X


def is_mixed(X: Any) -> bool:
    """Whether an array holds what is no number, so that its columns are read one by one."""
    series = nw.from_native(X, series_only=True, pass_through=True)
    if isinstance(series, nw.Series) and not series.dtype.is_numeric():
        X = np.array(series.to_list(), dtype=object)
    if not isinstance(X, np.ndarray) or X.dtype.names:
        return False
    kind = X.dtype.kind
    mixed = kind in "USTMm" or (kind == "O" and any(isinstance(v, NO_NUMBER) for v in X.ravel()))
    if mixed and X.ndim != 2:
        advice = "Reshape your data: a row a case, a column a feature."
        raise _check.invalid("X", "have two dimensions", X.ndim, advice)
    return mixed


def target_of(y: Any) -> Any:
    """Return targets as scikit-learn's checks take them; one that is missing is refused."""
    if y is None:
        # The words after the colon are those that scikit-learn's checks look for.
        got = "None: a tree requires y to be passed, but the target y is None"
        raise _check.invalid("y", "be an array", got)
    if isinstance(y, np.ma.MaskedArray):
        _refuse_gaps(np.ma.getmaskarray(y).ravel())
        return y.data
    if isinstance(y, (list, tuple)) and any(v is None or isinstance(v, Decimal) for v in y):
        y = np.array([*y, ...], dtype=object)[:-1]  # never read as rows
    if isinstance(y, np.ndarray):
        return _of_objects(y) if y.dtype == object and y.ndim == 1 else y
    pandas = nw.dependencies.get_pandas()
    if pandas is not None and isinstance(y, pandas.api.extensions.ExtensionArray):
        y = pandas.Series(y)
    series = nw.from_native(y, series_only=True, pass_through=True)
    if not isinstance(series, nw.Series):
        return y
    _refuse_gaps(np.asarray(series.is_null().to_numpy(), dtype=bool))
    if series.dtype in (nw.Categorical, nw.Enum):
        names = of_series("y", series).names()
        levels = np.empty(len(names.levels), object)
        levels[:] = names.levels
        return np.array(levels[names.codes].tolist())
    if series.dtype.is_integer() and not len(np.shape(y)) > 1:
        return series.to_numpy().astype(np.uint64 if series.dtype == nw.UInt64 else np.int64)
    found = series.to_numpy()
    return _of_objects(found) if found.dtype == object else found


def _of_objects(y: NDArray[Any]) -> NDArray[Any]:
    """Return Python objects as an array of their own type, where they have one."""
    _refuse_gaps(np.fromiter(map(is_missing, y), bool, len(y)))
    kinds = {type(v) for v in y.tolist()}
    if len(kinds) > 1 and any(issubclass(kind, str) for kind in kinds):
        got = " and ".join(sorted(kind.__name__ for kind in kinds))
        raise _check.wrong_kind("y", "hold values of one kind", got, "Make all of them text.")
    if kinds <= {bool, np.bool_, int} and len(y):
        return np.array(y.tolist())
    if kinds == {Decimal}:  # from a database
        whole = all(v == int(v) for v in y)
        return y.astype(np.int64 if whole else np.float64)
    return y


def _refuse_gaps(missing: NDArray[np.bool_]) -> None:
    if missing.any():
        # The words in brackets are those that scikit-learn's checks look for.
        got = f"{_check.count(int(missing.sum()), 'row')} without, the first at "
        got += f"[{int(missing.argmax())}] (Input y contains NaN)"
        advice = "Take those rows out: nothing can be learned from them."
        raise _check.invalid("y", "have no missing values", got, advice)
