"""A model as one file: the arrays that are scored, mapped into memory as they lie on the disk.

The automaton is stored too, so that loading computes nothing; processes that map one file share it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check, _store
from xent._table.files import compression
from xent.language import smoothing as smoothings
from xent.language._backoff import check
from xent.language._backoff.compact import Compact
from xent.language._backoff.exact import Backoff, Ngrams
from xent.language._backoff.protocol import BackoffModel
from xent.language._vocabulary import Vocabulary
from xent.language.smoothing import Smoothing

# Version 1 had a hash table in another order, which is not read but built anew.
FORMAT, VERSION = "xent.language", 2
MIXTURE, MIXTURE_VERSION = "xent.language.mixture", 2
STORED_COLUMNS = ("prefix", "word", "suffix", "logp", "backoff")


def names_arpa(path: str | os.PathLike[str]) -> bool:
    """Whether a name says that a file is ARPA text, packed or not."""
    return compression.without_suffix(path).endswith((".arpa", ".lm"))


def names_openfst(path: str | os.PathLike[str]) -> bool:
    """Whether a name says that a file is an automaton in OpenFst's text."""
    return compression.without_suffix(path).endswith(".fst.txt")


def check_name(path: str | os.PathLike[str], argument: str = "path") -> None:
    """Refuse to write a file of our own under the name of another kind."""
    shown = repr(os.fspath(path))
    if names_arpa(path):
        advice = "Of ARPA files write_arpa writes, convert in the shell."
        raise _check.invalid(argument, "name a file of our own", f"{shown}, an ARPA file", advice)
    if compression.of_name(path):
        advice = "It is mapped as it lies there; compact it instead."
        raise _check.invalid(argument, "name a file that is not packed", shown, advice)
    if names_openfst(path) or os.fspath(path).endswith(".fst"):
        advice = "Write .fst.txt with write_openfst, or convert in the shell; fstcompile packs it."
        raise _check.invalid(argument, "name no automaton", shown, advice)
    if os.fspath(path).lower().endswith((".klm", ".blm", ".binary")):
        advice = "Write .arpa, of which build_binary makes one."
        raise _check.invalid(argument, "name no KenLM binary", shown, advice)


@dataclass
class Stored:
    """What a file holds of an `NGramModel`: settings, as they are named there, and parts."""

    order: int
    smoothing: Smoothing | None
    unknown: str
    min_counts: list[int]
    unit: str
    errors: str
    vocabulary: Vocabulary
    backoff: BackoffModel


def save(model: Stored, path: str | os.PathLike[str], *, compact: bool) -> None:
    """Write a model, as it is scored fastest or as small as it gets."""
    check_name(path)
    state, arrays = _written(model, compact)
    _store.save(path, format=FORMAT, version=VERSION, state=state, arrays=arrays)


def save_mixture(
    models: list[Stored], weights: list[float], path: str | os.PathLike[str], *, compact: bool
) -> None:
    """Write the models of a mixture and their weights."""
    check_name(path)
    states: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    for number, model in enumerate(models):
        state, parts = _written(model, compact)
        states.append(state)
        arrays |= {f"{number}.{name}": part for name, part in parts.items()}
    state = {"weights": weights, "models": states}
    _store.save(path, format=MIXTURE, version=MIXTURE_VERSION, state=state, arrays=arrays)


def load_mixture(path: str | os.PathLike[str], *, mmap: bool) -> tuple[list[Stored], list[float]]:
    """Read what `save_mixture` wrote."""
    state, arrays = _store.load(path, format=MIXTURE, version=MIXTURE_VERSION, mmap=mmap)
    with _refusing(path):
        models = [_read(one, _under(str(n), arrays)) for n, one in enumerate(state["models"])]
        weights = [float(weight) for weight in state["weights"]]
    return models, weights


def is_mixture(path: str | os.PathLike[str]) -> bool:
    """Whether a file holds a mixture, going by its header alone."""
    return _store.format_of(path) == MIXTURE


def _written(model: Stored, compact: bool) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    if compact:
        arrays = {f"compact.{k}": part for k, part in Compact.of(model.backoff).arrays.items()}
        words = model.vocabulary.packed()
    else:
        arrays = _exact(model.backoff)
        words = model.vocabulary.arrays()
    arrays |= {f"vocabulary.{name}": part for name, part in words.items()}
    state = {
        "order": model.order,
        "smoothing": None if model.smoothing is None else settings(model.smoothing),
        "unknown": model.unknown,
        "least": model.min_counts,
        "unit": model.unit,
        "errors": model.errors,
    }
    return state, arrays


def _exact(backoff: BackoffModel) -> dict[str, NDArray[Any]]:
    table, states, unigram, word_bits, firsts = backoff.automaton
    arrays: dict[str, NDArray[Any]] = {
        "sorted_table": table,
        "states": states,
        "unigram": unigram,
        "firsts": firsts,
        "word_bits": np.array([word_bits]),
    }
    for n, rows in enumerate(backoff.rows, 1):
        arrays |= {f"{n}.{name}": getattr(rows, name) for name in STORED_COLUMNS}
    return arrays


def load(path: str | os.PathLike[str], *, mmap: bool) -> Stored:
    """Read what `save` wrote."""
    state, arrays = _store.load(path, format=FORMAT, version=VERSION, mmap=mmap)
    with _refusing(path):
        return _read(state, arrays)


@contextmanager
def _refusing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say in a sentence that what a file holds, whole as it may be, is no model."""
    wrong = (LookupError, TypeError, ValueError, AttributeError, OverflowError)
    try:
        yield
    except (check.DamagedError, *wrong):
        because = "what it holds is no model"
        advice = "It is damaged; restore a copy."
        raise _check.cannot(f"{str(path)!r} cannot be read", because, advice) from None


def _read(state: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Stored:
    packed = _under("compact", arrays)
    smoothing = None if state["smoothing"] is None else restored(state["smoothing"])
    order, least = state["order"], state["least"]
    check.need(all(type(n) is int and n > 0 for n in (order, *least)) and len(least) == order)
    vocabulary = check.vocabulary(_under("vocabulary", arrays))
    backoff: BackoffModel
    if packed:
        check.compact(packed, order, len(vocabulary))
        backoff = Compact(packed)
    else:
        check.exact(arrays, order, len(vocabulary))
        backoff = _rows_and_automaton(arrays, order)
        check.automaton(backoff, len(vocabulary))
    return Stored(
        order=order,
        smoothing=smoothing,
        unknown=state["unknown"],
        min_counts=least,
        unit=state["unit"],
        errors=state["errors"],
        vocabulary=vocabulary,
        backoff=backoff,
    )


def _rows_and_automaton(arrays: dict[str, NDArray[Any]], order: int) -> Backoff:
    rows = [
        Ngrams(*(arrays[f"{n}.{name}"] for name in STORED_COLUMNS)) for n in range(1, order + 1)
    ]
    if "sorted_table" not in arrays:
        return Backoff(rows)
    bits = np.uint64(arrays["word_bits"][0])
    return Backoff(
        rows, (arrays["sorted_table"], arrays["states"], arrays["unigram"], bits, arrays["firsts"])
    )


def _under(name: str, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays that are stored under a name, without it."""
    return {k.partition(".")[2]: v for k, v in arrays.items() if k.startswith(f"{name}.")}


def settings(smoothing: Smoothing) -> dict[str, Any]:
    """Return a smoothing as JSON can hold it."""
    found = {f.name: getattr(smoothing, f.name) for f in fields(smoothing)}  # type: ignore[arg-type]
    return {"name": type(smoothing).__name__, "fields": found}


def restored(state: dict[str, Any]) -> Smoothing:
    """Return the smoothing that `settings` described."""
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in state["fields"].items()}
    kind = getattr(smoothings, state["name"])
    check.need(isinstance(kind, type) and issubclass(kind, Smoothing))
    made: Smoothing = kind(**values)
    return made
