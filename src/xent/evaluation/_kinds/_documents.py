"""Tokens of documents in one array, from whatever form they come in, and the lengths of texts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.evaluation._arrays import array_of
from xent.evaluation._truth import values_of

Numbers = NDArray[np.float64]

ABOVE = 1e-5  # how far rounding puts the logarithm of a certain token above 0


@dataclass(frozen=True)
class Documents:
    """Log-probabilities of the tokens that count, document after document.

    Parameters
    ----------
    log_probs : ndarray of float64, shape (M,)
        All tokens.
    starts : ndarray of int64, shape (N,)
        Where each document begins among them.
    places : ndarray of int64, shape (M,)
        The place of each token in its document, from 0, those that do not count included.
    names : list
        What the documents are called, or their numbers.
    unscored, padded, context : int
        First tokens without a log-probability, entries that a mask leaves out, and tokens of
        windows that an earlier one scored.
    """

    log_probs: Numbers
    starts: NDArray[np.int64]
    places: NDArray[np.int64]
    names: list[Any]
    unscored: int
    padded: int
    context: int = 0


def documents_of(
    log_probs: Any, documents: Any, mask: Any, ids: Any, stride: int | None = None
) -> Documents:
    """Read tokens in any of their three forms, and refuse what is no log-probability."""
    values, lengths = _joined("log_probs", log_probs)
    counted = np.ones(len(values), dtype=bool)
    if mask is not None:
        told, its_lengths = _joined("mask", mask)
        if its_lengths != lengths:
            raise _check.invalid("mask", "have the shape of `log_probs`", "another")
        if not np.isin(told, (0, 1)).all():
            raise _check.invalid("mask", "be of booleans", "other numbers")
        counted = told.astype(bool)
    if lengths is None and documents is None:
        must = "be given where `log_probs` are one array of all tokens"
        advice = "For one document, pass [log_probs]."
        raise _check.wrong_kind("documents", must, "None", advice)
    if stride is not None:
        return _windows(values, counted, lengths, documents, ids, stride)
    if lengths is None:
        names, sizes = _runs(documents, np.ones(len(values), np.int64), "token")
    elif documents is not None:
        names, sizes = _runs(documents, np.array(lengths, np.int64), "array")
    else:
        names, sizes = list(range(len(lengths))), np.array(lengths, dtype=np.int64)
    if ids is not None:
        names = _names(ids, len(names))
    return _checked(values, counted, names, sizes, padded_form=mask is not None)


def _windows(
    values: Numbers,
    counted: NDArray[np.bool_],
    lengths: list[int] | None,
    documents: Any,
    ids: Any,
    stride: Any,
) -> Documents:
    """Read overlapping windows: what a window shares with the one before it is its context."""
    step = _check.integer("stride", stride, least=1)
    if lengths is None or documents is None:
        must = "be given where `stride` is, one for each window" if lengths else "be left out"
        got = "None" if lengths else "one array of all tokens"
        raise _check.wrong_kind("documents" if lengths else "stride", must, got)
    if not lengths:
        raise _check.invalid("log_probs", "have at least one document", "none")
    names, windows = _runs(documents, np.ones(len(lengths), np.int64), "window")
    begins = np.append(0, np.cumsum(lengths)[:-1])
    sizes = np.add.reduceat(np.append(counted, False), begins) * (np.array(lengths) > 0)
    opens = np.zeros(len(lengths), bool)
    opens[np.append(0, np.cumsum(windows)[:-1])] = True
    before = np.append(0, sizes[:-1])
    shared = np.where(opens, 0, before - step)
    for bad, must in (
        (shared < 0, "be at most the tokens of each window but the last of a document"),
        ((shared >= sizes) & ~opens, "leave every window a token that is new"),
    ):
        if bad.any():
            k = int(bad.argmax())
            got = f"{step} at window {k}, of {sizes[k]} tokens, after one of {before[k]}"
            advice = "Each window but the first of a document begins one stride after another."
            raise _check.invalid("stride", must, got, advice)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    rank = np.cumsum(counted) - np.append(0, np.cumsum(sizes)[:-1])[owner]  # from 1
    kept = counted & (rank > shared[owner])
    new = sizes - shared
    per_document = np.add.reduceat(new, np.append(0, np.cumsum(windows)[:-1]))
    if ids is not None:
        names = _names(ids, len(names))
    found = _checked(
        values[kept], np.ones(int(kept.sum()), bool), names, per_document, padded_form=True
    )
    context = int(shared.sum())
    return replace(found, padded=int((~counted).sum()), context=context)


def _joined(argument: str, value: Any) -> tuple[Numbers, list[int] | None]:
    """Return all entries in a row, and how many each document has; None for one array of all."""
    if isinstance(value, list | tuple) and value and isinstance(value[0], list | tuple):
        lengths = [len(part) for part in value]
        try:
            whole = np.array(list(chain.from_iterable(value)), dtype=np.float64)
        except (TypeError, ValueError):
            raise _check.wrong_kind(argument, "hold numbers", "something else") from None
        return _of_one_dimension(argument, whole), lengths
    if isinstance(value, list | tuple) and value and np.ndim(value[0]) == 1:
        parts = [_numbers(argument, part) for part in value]
        return np.concatenate(parts), [len(part) for part in parts]
    found = array_of(argument, value)
    if found.dtype == object or found.ndim == 0:
        parts = [_numbers(argument, part) for part in values_of(value)]
        return np.concatenate([*parts, np.empty(0)]), [len(part) for part in parts]
    if found.ndim > 2 or found.dtype.kind not in "fiub":
        must = "be one array a document, or have the shape (documents, tokens) or (tokens,)"
        raise _check.invalid(argument, must, f"the shape {found.shape} of {found.dtype}")
    if found.ndim == 1:
        return found.astype(np.float64), None
    return found.astype(np.float64).reshape(-1), [found.shape[1]] * len(found)


def _numbers(argument: str, part: Any) -> Numbers:
    """Return one document's numbers; None is a missing one."""
    if hasattr(part, "detach"):
        part = array_of(argument, part)
    try:
        found = np.asarray(part, dtype=np.float64)
    except (TypeError, ValueError):
        raise _check.wrong_kind(argument, "hold numbers", f"{part!r}") from None
    return _of_one_dimension(argument, found)


def _of_one_dimension(argument: str, found: Numbers) -> Numbers:
    if found.ndim != 1:
        raise _check.invalid(argument, "be one array a document", f"the shape {found.shape}")
    return found


def _runs(
    documents: Any, sizes: NDArray[np.int64], piece: str
) -> tuple[list[Any], NDArray[np.int64]]:
    """Return the documents in the order of their pieces, which must stand together, and sizes."""
    names = values_of(documents, "documents")
    if len(names) != len(sizes):
        raise _check.invalid("documents", f"have one value a {piece}, {len(sizes)}", len(names))
    codes = np.fromiter(_codes(names), dtype=np.int64, count=len(names))
    starts = np.flatnonzero(np.append(True, codes[1:] != codes[:-1]))[: len(codes)]
    order = codes[starts]
    if len(np.unique(order)) < len(order):
        _, first = np.unique(order, return_index=True)
        again = int(np.setdiff1d(np.arange(len(order)), first)[0])
        must = "have what belongs to a document together, in the order of its text"
        got = f"{names[starts[again]]!r} again at {piece} {int(starts[again])}"
        raise _check.invalid("documents", must, got)
    return [names[i] for i in starts.tolist()], np.add.reduceat(sizes, starts)


def _codes(names: list[Any]) -> Iterator[int]:
    """Yield a number for each name, the same for the same name."""
    known: dict[Any, int] = {}
    for name in names:
        yield known.setdefault(name, len(known))


def _names(ids: Any, documents: int) -> list[Any]:
    names = values_of(ids, "ids")
    if len(names) != documents:
        raise _check.invalid("ids", f"have one value a document, {documents}", len(names))
    return names


def _checked(
    values: Numbers,
    counted: NDArray[np.bool_],
    names: list[Any],
    sizes: NDArray[np.int64],
    *,
    padded_form: bool,
) -> Documents:
    """Leave out what does not count, and refuse what is no log-probability."""
    if not len(names):
        raise _check.invalid("log_probs", "have at least one document", "none")
    begins = np.append(0, np.cumsum(sizes)[:-1])
    owner = np.repeat(np.arange(len(sizes)), sizes)
    begun = np.append(np.flatnonzero(counted), len(values))
    # The first entry of each document that counts: padding may stand on the left.
    places = np.arange(len(values)) - begun[np.searchsorted(begun, begins)][owner]
    missing = np.isnan(values) & counted
    first = missing & (places == 0)
    for bad, must in (
        (missing & ~first, "have a number for every token but the first of a document"),
        (counted & (values > ABOVE), "be at most 0: they are logarithms of probabilities"),
    ):
        if bad.any():
            at = int(bad.argmax())
            got = f"{values[at]:.6g} at token {int(places[at])} of document {names[owner[at]]!r}"
            advice: _check.Words = ""
            if not padded_form and not values[at] > 0:
                advice = "Padding is left out by " + _check.setting("mask") + "."
            raise _check.invalid("log_probs", must, got, advice)
    kept = counted & ~first
    if not kept.any():
        raise _check.invalid("log_probs", "have a token that counts", "none")
    starts = np.searchsorted(np.flatnonzero(kept), begins)
    return Documents(
        np.minimum(values[kept], 0.0),
        starts.astype(np.int64),
        places[kept],
        names,
        int(first.sum()),
        int((~counted).sum()),
    )


def sizes_of(texts: Any, names: list[Any]) -> dict[str, NDArray[np.int64]]:
    """Return how many words, characters and bytes each text has."""
    listed = [texts] if isinstance(texts, str) else list(texts)
    if len(listed) != len(names):
        raise _check.invalid("texts", f"have one text a document, {len(names)}", len(listed))
    for name, text in zip(names, listed, strict=True):
        if not isinstance(text, str):
            raise _check.wrong_kind(
                "texts", "be strings", f"{_check.a(text)} for document {name!r}"
            )
    found = {
        "word": [len(text.split()) for text in listed],
        "character": [len(text) for text in listed],
        "byte": [len(text.encode("utf-8", "surrogatepass")) for text in listed],
    }
    if not any(found["byte"]):
        raise _check.invalid("texts", "hold some text", "none")
    return {name: np.array(number, dtype=np.int64) for name, number in found.items()}
