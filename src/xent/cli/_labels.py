"""What classes are called: by their columns, by what was typed, and by numbers in the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from xent.cli._predictions import Scores, spelled


def labels_of(scores: Scores, given: str | None, pattern: str | None) -> tuple[Scores, list[str]]:
    """Return the names of the classes, and the columns in their order.

    Columns that are called as ``given`` says are taken in its order. It names all others: in the
    order in which ``pattern`` lists them, or in that of their numbers, or as they stand.
    """
    import numpy as np

    from xent import _check
    from xent._table.files.columns import parts_of

    if given is None:
        return scores, scores.classes
    names = [part.strip() for part in given.split(",")]
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise _check.invalid("--labels", "name every class once", f"{name!r} twice")
    if scores.matrix.ndim == 1:
        return scores, names
    classes = scores.classes
    if len(names) != len(classes):
        raise _check.invalid("--labels", f"name the {len(classes)} classes", len(names))
    listed = parts_of(pattern or "", scores.columns)
    if sorted(classes) == sorted(names):
        wanted = names
    elif len(listed) > 1 and sorted(listed) == sorted(scores.columns):
        wanted = [classes[scores.columns.index(name)] for name in listed]
    elif numbers_of(classes) is not None:
        wanted = sorted(classes, key=float)
    else:
        wanted = classes
    if wanted != classes:
        order = np.array([classes.index(name) for name in wanted])
        columns = [scores.columns[i] for i in order] if scores.columns else []
        scores = Scores(scores.matrix[:, order], list(wanted), columns)
    return scores, names


def numbers_of(names: Sequence[str]) -> list[float] | None:
    """Return the numbers that names are, each once; None where they are none."""
    from math import isfinite

    try:
        numbers = [float(name) for name in names]
    except ValueError:
        return None
    once = len(set(numbers)) == len(numbers)
    return numbers if once and all(map(isfinite, numbers)) else None


def codes_of(scores: Scores, names: list[str], given: str | None) -> dict[float, str]:
    """Return the class that each number stands for in a truth; the scores are those of `labels_of`.

    The number is that of the class's column. Where columns have none, 0 is the first of ``given``.
    Labels that are numbers themselves have no codes.
    """
    if given is None or any(numbers_of([name]) for name in names):
        return {}
    numbers = numbers_of(scores.classes) if scores.classes else None
    return dict(zip(numbers or map(float, range(len(names))), names, strict=True))


def numbers_by_place(scores: Scores, codes: Mapping[float, str]) -> bool:
    """Whether numbers of a truth stand for classes by the places of these alone."""
    return bool(codes) and not (scores.classes and numbers_of(scores.classes))


def is_coded(values: Iterable[Any], codes: Mapping[float, str]) -> bool:
    """Whether numbers stand for classes in a truth, and neither names nor booleans."""
    flags, known = {"true", "false"}, set(codes.values())
    texts = {spelled(value) for value in values} - flags - known
    return any(truth_as([text], list(known), codes)[0] in known for text in texts)


def doubt_codes(codes: Mapping[float, str]) -> None:
    """Warn that no row of a truth is 0: its numbers may begin at 1, with the last class absent."""
    from xent import _check

    _check.warn(
        f"`--labels` lets 0 stand for {codes[0.0]!r}, and no row of the truth is 0. If its numbers "
        "begin at 1, each is taken for the class after its own: then call the columns by their "
        "numbers (p_1, p_2, ...), or write names in the truth."
    )


def in_order(scores: Scores, names: list[str], given: str | None) -> tuple[Scores, list[str]]:
    """Return the columns and names of outcomes from the lowest to the highest.

    The order is that of ``given``, or else that of numbers; nothing else tells one.
    """
    from xent import _check

    if scores.matrix.ndim == 1:
        must = "have a column for each outcome"
        raise _check.invalid("--ordered", must, "one column", "Two outcomes have no order to use.")
    if given is not None:
        wanted = [part.strip() for part in given.split(",")]
    else:
        try:
            wanted = sorted(names, key=float)
        except ValueError:
            must = "name the outcomes from the lowest to the highest"
            got = f"none, and {_check.join_names(names, last='and')} tell no order"
            raise _check.invalid("--labels", must, got) from None
    return Scores(scores.matrix[:, [names.index(name) for name in wanted]], wanted), wanted


def truth_as(values: Sequence[Any], labels: list[str], codes: Mapping[float, str]) -> list[str]:
    """Write true classes as the labels are written: 1.0 is 1, and a code is its class.

    Parameters
    ----------
    values : sequence
        As they were read.
    labels : list of str
        The classes.
    codes : dict of float to str
        Classes by the numbers that stand for them, as `codes_of` has them.
    """
    known = set(labels)
    if known == {"0", "1"} or set(codes) == {0.0, 1.0}:  # booleans, as Python counts them
        booleans = {"true": "1", "false": "0"}
        values = [v if (v := spelled(value)) in known else booleans.get(v, v) for value in values]
    elif known == {"true", "false"}:
        codes = {0.0: "false", 1.0: "true"}
    return [_as_label(spelled(value), known, codes) for value in values]


def _as_label(text: str, known: set[str], codes: Mapping[float, str]) -> str:
    if text in known:
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    if number.is_integer() and (whole := str(int(number))) in known:
        return whole
    return codes.get(number, text)
