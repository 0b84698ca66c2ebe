"""What any library hands out as a NumPy array, and the names of its columns."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._array import library_of

LARGEST_WEIGHT = 1e100  # of which the square is far from infinite
LEAST_WEIGHT = 1e-100  # above 0: its square is no 0


def array_of(argument: str, value: Any) -> NDArray[Any]:
    """Turn what any library hands out into a NumPy array; nothing masked is unmasked."""
    if hasattr(value, "detach"):
        if value.is_sparse or value.device.type == "meta":
            got = f"one of layout {value.layout} on {value.device}"
            raise _check.wrong_kind(argument, "be a dense tensor that holds numbers", got)
        value = value.detach().cpu()
        if value.is_floating_point() and value.element_size() < 4:
            value = value.float()  # which holds them; NumPy has no bfloat16
    if np.ma.is_masked(value):
        raise _check.invalid(argument, "have no masked entry", "a masked array", "Drop those rows.")
    try:
        return np.asarray(value)
    except ValueError:
        must = "be an array, all its rows of one length"
        raise _check.wrong_kind(argument, must, f"a ragged {type(value).__name__}") from None


def block_of(scores: NDArray[Any]) -> NDArray[Any]:
    """Return rows of scores as kernels read them: contiguous, of float32 or float64.

    Others are converted, half precision to float32, which holds it.
    """
    single = scores.dtype.kind == "f" and scores.dtype.itemsize <= 4
    return np.ascontiguousarray(scores, np.float32 if single else np.float64)


def float64_of(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Return scores as float64."""
    return block_of(scores).astype(np.float64)


def column_names(value: Any) -> list[Any]:
    """Return the names of a data frame's columns, none of what is no frame."""
    # Arrow's tables have names where others have columns, and columns where others have values.
    names: Any = getattr(value, "column_names", None)
    if names is None:
        names = getattr(value, "columns", ())
    return [name.item() if isinstance(name, np.generic) else name for name in names]


def spellings(names: list[Any]) -> Iterator[tuple[list[str], str]]:
    """Yield what columns may be called, and what was cut off for it.

    First their names, then the last level of names of several, then what is left of these without
    a beginning, or an end, that all share: ``p_cat`` and ``p_dog`` are of cat and dog.
    """
    texts = [str(name) for name in names]
    yield texts, ""
    if all(isinstance(name, tuple) and name for name in names):
        texts = [str(name[-1]) for name in names]
        yield texts, ""
    if len(texts) < 2:
        return
    shared = _beginning(texts)
    for k in range(len(shared), 0, -1):
        yield [text[k:] for text in texts], shared[:k]
    shared = _beginning([text[::-1] for text in texts])[::-1]
    for k in range(len(shared), 0, -1):
        yield [text[:-k] for text in texts], shared[-k:]


def order_of(wanted: Iterable[Any], names: list[Any]) -> list[int] | None:
    """Return where the column of each class stands; None where the columns are others'."""
    classes = [str(name) for name in wanted]
    for plain in (str, str.casefold):
        want = [plain(name) for name in classes]
        for form, _ in spellings(names):
            have = [plain(name) for name in form]
            if sorted(have) == sorted(want) and len(set(have)) == len(have):
                return [have.index(name) for name in want]
    return None


def _beginning(texts: list[str]) -> str:
    """Return what all texts begin with."""
    first, last = min(texts), max(texts)
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(letter for letter, _ in same)


def scores_of(argument: str, value: Any) -> tuple[NDArray[Any], float]:
    """Return real numbers a row and class, and the gap between 1 and the next of their kind."""
    raw = array_of(argument, value)
    if raw.dtype == object:
        raw = _plain_numbers(raw)
    if raw.dtype.kind not in "fiub":
        must, got = "be an array of real numbers", f"an array of dtype {raw.dtype}"
        raise _check.wrong_kind(argument, must, *(_no_array(value, raw) or (got, "")))
    if 0 in raw.shape:
        raise _check.invalid(argument, "have at least one row and one class", str(raw.shape))
    if raw.ndim not in (1, 2):
        raise _check.invalid(argument, "have the shape (rows, classes)", str(raw.shape))
    if raw.ndim == 1:
        return raw, 0.0
    library = library_of(value)
    return raw, library.epsilon(raw if library.name == "numpy" else value)


def _plain_numbers(values: NDArray[Any]) -> NDArray[Any]:
    """Return an array of Python's numbers as float64: pandas hands out columns that may have gaps.

    Itself where an entry is text, a gap or anything else.
    """
    every = all(isinstance(value, Real | Decimal | np.bool_) for value in values.ravel().tolist())
    return values.astype(np.float64) if every else values


def _no_array(value: Any, raw: NDArray[Any]) -> tuple[str, str] | None:
    """Say what was given in place of an array, and what makes one of it, where that is known."""
    for method in ("toarray", "todense", "collect"):  # sparse matrices, lazy frames
        if hasattr(value, method):
            return _check.a(value), f"Call its .{method}() first."
    if isinstance(value, Mapping):
        return _check.a(value), "Make it a data frame, whose columns have names."
    if raw.ndim == 0:
        return _check.a(value), "Make it a list of rows." if isinstance(value, Iterable) else ""
    entries = raw.ravel().tolist()
    gap = next((i for i, each in enumerate(entries) if _is_gap(each)), None)
    if gap is not None:
        place = _check.at(np.unravel_index(gap, raw.shape))
        return f"a missing value at {place}", "Leave such rows out."
    if any(isinstance(each, Mapping) for each in entries):
        return "a list of dicts", "Make it a data frame, whose columns have names."
    return None


def _is_gap(value: Any) -> bool:
    named = type(value).__name__ in ("NAType", "NaTType")
    return value is None or named or (isinstance(value, float) and math.isnan(value))


def weights_of(
    value: Any, rows: int, *, some_count: bool = True, first: int = 0
) -> NDArray[np.float64]:
    """Return how much each row counts: finite, 0 or more, not all 0; the first has a number."""
    weight = array_of("sample_weight", value)
    if weight.shape != (rows,) or weight.dtype.kind not in "fiub":
        got = f"the shape {weight.shape} of {weight.dtype}"
        raise _check.invalid("sample_weight", f"have one number a row, {rows}", got)
    weight = weight.astype(np.float64)
    bad = ~(np.isfinite(weight) & (weight >= 0))
    if not bad.any() and weight.max() > LARGEST_WEIGHT:
        must, advice = f"be at most {LARGEST_WEIGHT:g}", "Weights count by their ratios alone."
        raise _check.invalid("sample_weight", must, f"{weight.max():g}", advice)
    tiny = (weight > 0) & (weight < LEAST_WEIGHT)
    if not bad.any() and tiny.any():
        must, row = f"be 0 or at least {LEAST_WEIGHT:g}", int(tiny.argmax())
        got, advice = f"{weight[row]} at row {first + row}", "Weights count by their ratios alone."
        raise _check.invalid("sample_weight", must, got, advice)
    if bad.any():
        row = int(bad.argmax())
        got = f"{weight[row]} at row {first + row}"
        raise _check.invalid("sample_weight", "be finite, 0 or more", got)
    if some_count and not weight.any():
        raise _check.invalid("sample_weight", "have one above 0", "none")
    return weight
