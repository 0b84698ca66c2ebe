"""What estimators of scikit-learn's kind are given: rows, targets and weights, or a refusal.

scikit-learn's checks make floats of whatever they can: of dates whole numbers, of a missing date
-9.2e18. What they refuse they refuse in sentences of their own, some of which print the whole
array. Here both are asked first, once for trees and for training; what scikit-learn's own tests of
estimators look for stands in brackets or after "got".
"""

from decimal import Decimal
from numbers import Number
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

from xent import _check
from xent._table.frames import of_series
from xent._table.frames.columns import is_missing

GAPS = "Take those rows out, or fill the gaps."


def rows_of(
    estimator: Any,
    X: Any,
    *,
    reset: bool,
    dtype: Any = np.float64,
    sparse: tuple[str, ...] = (),
    argument: str = "X",
    gaps: bool = False,
    gaps_advice: _check.Words = GAPS,
    kinds_advice: _check.Words = "",
) -> Any:
    """Return a matrix of numbers with the estimator's features.

    Parameters
    ----------
    estimator : estimator
        Which learns, or knows, how many features there are and what they are called.
    X : array_like or sparse matrix, shape (N, D)
        Features.
    reset : bool
        Whether it learns them.
    dtype : dtype or list of dtypes
        Of the result: the first, unless X has one of them.
    sparse : tuple of str
        Formats of sparse matrices that are taken.
    argument : str
        What they are called, for messages.
    gaps : bool
        Whether NaN stands for a missing value; else it is refused.
    gaps_advice, kinds_advice : str
        The way out where something is missing, or is no number.

    Raises
    ------
    ValueError, TypeError
        If it is no matrix of numbers with those features.
    """
    if not hasattr(X, "shape"):
        X = _array_of(argument, X)
    shape = tuple(X.shape)
    if len(shape) != 2:
        advice = "Reshape your data: a row a case, a column a feature."
        raise _check.invalid(argument, "have two dimensions", f"the shape {shape}", advice)
    if not shape[0]:
        raise _check.invalid(argument, "have at least one row", "none")
    if not shape[1]:
        got = f"0 feature(s) (shape={shape}) while a minimum of 1 is required"
        raise _check.invalid(argument, "have at least one column", got)
    odd = _no_numbers(X)
    if odd:
        must = "hold numbers in each column"
        if odd.startswith("complex"):
            raise _check.invalid(argument, must, odd)
        raise _check.wrong_kind(argument, must, odd, kinds_advice)
    found = validate_data(
        estimator,
        X,
        reset=reset,
        dtype=dtype,
        accept_sparse=sparse or False,
        ensure_all_finite=False,
    )
    _check_finite(argument, found, gaps, gaps_advice)
    return found


def _array_of(argument: str, X: Any) -> Any:
    """Return rows in a list as an array."""
    try:
        return np.asarray(X)
    except ValueError:
        raise _check.invalid(argument, "have rows of one length", "others") from None


def _no_numbers(X: Any) -> str:
    """Say what X holds that is no number, nothing where all may be numbers."""
    dtypes = getattr(X, "dtypes", None)  # of a frame's columns
    dtypes = [getattr(X, "dtype", None)] if dtypes is None else list(dtypes)
    for dtype in dtypes:
        kind = getattr(dtype, "kind", "")
        if kind in ("M", "m"):
            return f"{dtype}"
        if kind == "c":
            return "complex ones (Complex data not supported)"
        if kind in ("S", "U"):
            return "text"
        if kind == "O" or str(dtype) in ("category", "str", "string", "String", "Categorical"):
            first = next((v for v in np.asarray(X).ravel() if isinstance(v, str | bytes)), None)
            if first is not None:
                return f"{first!r:.40}"
    return ""


def _check_finite(argument: str, X: Any, gaps: bool, advice: _check.Words) -> None:
    """Refuse infinities, and NaN where it stands for nothing."""
    values = X if isinstance(X, np.ndarray) else X.data
    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):
            return
    bad = np.isinf(values) if gaps else ~np.isfinite(values)
    if not bad.any():
        return
    place = tuple(np.argwhere(bad)[0])
    missing = bool(np.isnan(values[place]))
    at = "" if values is not X else f" at {_check.at(place)}"
    if missing:
        raise _check.invalid(argument, "have no missing values", f"NaN{at}", advice)
    must = "be finite or missing" if gaps else "be finite"
    raise _check.invalid(argument, must, f"infinity{at}")


def target_of(y: Any) -> Any:
    """Return targets as scikit-learn's checks take them; one that is missing is refused."""
    if y is None:
        # The words after the colon are those that scikit-learn's checks look for.
        got = "None: a fit requires y to be passed, but the target y is None"
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


def column_of(y: Any) -> NDArray[Any]:
    """Return one value a row; a matrix of one column is taken with scikit-learn's warning."""
    shape = np.asarray(y).shape
    if len(shape) != 1 and not (len(shape) == 2 and shape[1] == 1):
        raise _check.invalid("y", "have one value a row", f"the shape {shape}")
    return np.asarray(column_or_1d(y, warn=True))


def labels_of(y: Any, numbers_advice: _check.Words = "") -> NDArray[Any]:
    """Return the class of every row.

    Parameters
    ----------
    y : array_like, shape (N,)
        Classes of any kind that sorts.
    numbers_advice : str
        The way out where they are numbers that are no classes.

    Raises
    ------
    ValueError, TypeError
        If one is missing or is a fraction, they are of several kinds, or a row has several.
    """
    y = target_of(y)
    if type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "biuU":
        return y
    array = column_of(y)
    if array.dtype.kind == "f":
        check_finite_target(array)
    refuse_fractions(array, numbers_advice)
    check_classification_targets(array)
    return array


def check_finite_target(y: NDArray[Any]) -> None:
    """Refuse numbers that are missing or infinite."""
    _refuse_gaps(np.isnan(y))
    if np.isinf(y).any():
        got = f"infinity at [{int(np.isinf(y).argmax())}] (Input y contains infinity)"
        raise _check.invalid("y", "be finite", got)


def refuse_fractions(y: NDArray[Any], numbers_advice: _check.Words) -> None:
    """Refuse numbers that are no classes."""
    if y.dtype.kind == "f":
        odd = np.isfinite(y) & (y != np.floor(y))
        if odd.any():
            # The words in brackets are those that scikit-learn's checks look for.
            got = f"{y[odd.argmax()]:g} (Unknown label type: continuous)"
            raise _check.invalid("y", "hold classes", got, numbers_advice)


def weights_of(sample_weight: Any, rows: int) -> NDArray[np.float64]:
    """Return a weight for each of ``rows`` rows, finite and at least 0; one number is for all."""
    try:
        given = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError):
        raise _check.wrong_kind("sample_weight", "hold numbers", "others") from None
    if isinstance(sample_weight, Number):
        given = np.full(rows, given)
    if given.shape != (rows,):
        must = f"hold one weight a row, {rows:,}"
        raise _check.invalid("sample_weight", must, f"the shape {given.shape}")
    check_weights("sample_weight", given)
    if not given.any():
        raise _check.invalid("sample_weight", "give some row a weight above 0", "zero for all")
    return np.ascontiguousarray(given)


def check_weights(argument: str, weights: NDArray[np.float64]) -> None:
    """Refuse weights that are negative or not finite."""
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        first = int(bad.argmax())
        must = "hold weights of at least 0, and finite"
        raise _check.invalid(argument, must, f"{weights[first]} at {_check.at([first])}")


def same_length(y: Any, rows: int, argument: str = "y") -> None:
    """Refuse targets of another length than the rows'."""
    shape = np.asarray(y).shape
    if shape[:1] != (rows,):
        must = f"have {rows:,} values, one a row of " + _check.thing("X")
        raise _check.invalid(argument, must, f"{shape[0]:,}" if shape else "one value")
