"""Arrays and rows that are not numbers alone: text, dates, masks. They are read as columns.

scikit-learn's checks make floats of whatever they can, of a masked value of what lies under the
mask. Here each is what it is.
"""

from datetime import date, time, timedelta
from typing import Any

import narwhals as nw
import numpy as np

from xent import _check

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
