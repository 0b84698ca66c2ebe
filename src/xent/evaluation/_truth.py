"""Which column of the predictions was true in each row, by name or by number, never by guess."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.evaluation._arrays import array_of, column_names


def names_of(labels: Any) -> list[Any] | None:
    """Return names of classes as a list; a generator is read but once."""
    if labels is None:
        return None
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise _check.wrong_kind("labels", "be a list of names", repr(labels))
    if isinstance(labels, set | frozenset):
        must = "be a list of names, in the order of the columns"
        raise _check.wrong_kind("labels", must, _check.a(labels) + ", which has no order")
    listed = labels.tolist() if hasattr(labels, "tolist") else list(labels)
    names = [name.item() if isinstance(name, np.generic) else name for name in listed]
    odd = [name for name in names if not isinstance(name, str | int | float | bool)]
    if odd:
        must = "be strings, numbers or booleans"
        raise _check.wrong_kind("labels", must, _check.a(odd[0]))
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise _check.invalid("labels", "name every class once", f"{twice!r} twice")
    return names


def with_positive(
    target: Any, positive: Any, labels: list[Any] | None, ignore: Any = None
) -> list[Any]:
    """Return the names of no and of yes, where one column is the probability of yes.

    Parameters
    ----------
    target : array_like, shape (N,)
        The true classes.
    positive : object
        The class that the column is of.
    labels : list of 2 names, optional
        Both classes; those of ``target`` where not given.
    ignore : object, optional
        What stands for a class in rows that do not count.
    """
    positive = positive.item() if isinstance(positive, np.generic) else positive
    if labels is None:
        labels = classes_of(target, ignore)
        if len(labels) > 2 or (len(labels) == 2 and positive not in labels):
            must = "hold " + _check.argument("positive") + f", {positive!r}, and one class more"
            raise _check.invalid("target", must, _check.join_names(labels, last="and"))
        labels = [_whole(name) for name in labels if name != positive] + [_whole(positive)]
        return labels if len(labels) == 2 else [f"not {positive}", positive]
    if len(labels) != 2 or positive not in labels:
        must = "be two classes, one of them " + _check.argument("positive") + f", {positive!r}"
        raise _check.invalid("labels", must, _check.join_names(labels, last="and"))
    return [name for name in labels if name != positive] + [positive]


def classes_of(target: Any, ignore: Any) -> list[Any]:
    """Return the classes of the rows that count, in the order in which they come."""
    values = dict.fromkeys(values_of(target))
    return [value for value in values if ignore is None or value != ignore]


def _whole(name: Any) -> Any:
    """Write a class that a gap, or a file, made a float as the whole number that it is."""
    return int(name) if isinstance(name, float) and name.is_integer() else name


def truth_of(
    target: Any, names: list[Any] | None, rows: int, classes: int, ignore: Any, first: int = 0
) -> NDArray[np.int64]:
    """Return the column that was true in each row, -1 where the target says to ignore it.

    A refusal counts rows from ``first`` on.
    """
    if names is not None:
        number = {name: i for i, name in enumerate(names)}
        values = values_of(target)
        if len(values) != rows:
            raise _check.invalid("target", f"have one class a row, {rows}", len(values))
        several = next((value for value in values if isinstance(value, list)), None)
        if several is not None:
            got = f"{_check.count(len(several), 'column')} of them"
            soft = "If it is one-hot, pass its argmax(axis=1); `evaluate_soft` takes distributions."
            if len(several) == 1:
                soft = "Pass the column alone."
            raise _check.invalid("target", f"have one class a row, {rows}", got, soft)
        found = np.array([number.get(_hashed(value), -2) for value in values], dtype=np.int64)
        if ignore is not None:
            found[[value == ignore for value in values]] = -1
        if (found == -2).any():
            row = int((found == -2).argmax())
            raise no_label("target", values[row], first + row, names)
        return found
    raw = array_of("target", target)
    if raw.shape != (rows,):
        must = f"have one class a row, {rows}"
        soft = "If it is one-hot, pass its argmax(axis=1); `evaluate_soft` takes distributions."
        if raw.shape == (rows, 1):
            soft = "Pass target[:, 0]."
        elif raw.shape != (rows, classes):
            soft = "Make it a list." if raw.shape == () and isinstance(target, Iterable) else ""
        raise _check.invalid("target", must, f"the shape {raw.shape}", soft)
    if raw.dtype.kind == "f":
        if np.isnan(raw).any():
            row = int(np.isnan(raw).argmax())
            must = "have a class in every row"
            raise _check.invalid(
                "target", must, f"nan at row {first + row}", "Leave such rows out."
            )
        if bool((np.isfinite(raw) & (raw == np.trunc(raw))).all()):
            raw = raw.astype(np.int64)  # 0.0 and 1.0, as a column with gaps once had them
    if raw.dtype.kind not in "iub":
        advice = (
            "Name the classes in the order of the columns with " + _check.setting("labels") + "."
        )
        must = "hold class numbers where no `labels` are given"
        raise _check.wrong_kind("target", must, f"dtype {raw.dtype}", advice)
    skipped = None if ignore is None else raw == ignore
    if rows and (raw.min() < 0 or raw.max() >= classes):
        outside = (raw < 0) | (raw >= classes)
        if skipped is not None:
            outside &= ~skipped
        row = int(outside.argmax())
        if outside[row]:
            must = f"be from 0 to {classes - 1}, the class numbers"
            raise _check.invalid("target", must, f"{raw[row]} at row {first + row}")
    whole: NDArray[np.int64] = np.ascontiguousarray(raw, np.int64)
    return whole if skipped is None else np.where(skipped, -1, whole)


def no_label(argument: str, value: Any, row: int, names: list[Any]) -> ValueError:
    """Say that a true class is none of the labels, and what may be the reason."""
    from xent._table.files.header import NO_VALUE

    must, got = f"be one of the labels {_check.join_names(names)}", f"{value!r} at row {row}"
    advice: _check.Words = ""
    if (na := _check.typed("na")) and str(value).lower() in NO_VALUE:
        advice = f"If it means a missing class, pass {na} {value} and --drop-missing-target."
    elif alike := _check.look_alike(value, [name for name in names if name == name]):
        advice = f"{alike} Write both alike."
    elif _check.typed("labels") and _is_number(value) and not any(map(_is_number, names)):
        advice = "With " + _check.setting("labels") + " numbers stand for classes, 0 for the first."
    return _check.invalid(argument, must, got, advice)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def values_of(target: Any, argument: str = "target") -> list[Any]:
    """Return the true classes as they are called, or another column's values."""
    # Not through an array where it is none yet: NumPy makes text of a list like [1, "a"].
    if isinstance(target, list | tuple):
        values: Any = [v.item() if isinstance(v, np.generic) else v for v in target]
    else:
        values = array_of(argument, target).tolist()
    if not isinstance(values, list):
        what = "class" if argument == "target" else "value"
        raise _check.invalid(argument, f"have one {what} a row", "one")
    return values


def column_of(argument: str, values: Any, rows: int) -> list[Any]:
    """Return a column's values, one a row."""
    found = values_of(values, argument)
    if len(found) != rows:
        raise _check.invalid(argument, f"have one value a row, {rows}", len(found))
    return found


def slices_of(by: Any, rows: int) -> dict[Any, list[Any]]:
    """Return the columns whose values part the rows, by name: of a mapping, or of a data frame."""
    names = column_names(by) if by is not None else []
    if not isinstance(by, Mapping | None) and not names:
        must, advice = "be a mapping of names to columns", 'Pass by={"name": column}.'
        raise _check.wrong_kind("by", must, _check.a(by), advice)
    columns = {name: by[name] for name in names} if names else dict(by or {})
    return {name: column_of(f"by[{name!r}]", each, rows) for name, each in columns.items()}


def _hashed(value: Any) -> Any:
    return value if isinstance(value, Hashable) else None
