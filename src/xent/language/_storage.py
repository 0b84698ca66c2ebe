"""A model as one file: the arrays that are scored, mapped into memory as they lie on the disk.

The automaton is stored too, so that loading computes nothing; processes that map one file share it.
"""

import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xent import _store
from xent.language import smoothing as smoothings
from xent.language._backoff import Backoff, Rows
from xent.language._vocabulary import Vocabulary
from xent.language.smoothing import Smoothing

if TYPE_CHECKING:
    from xent.language._model import NGramModel

FORMAT, VERSION = "xent.language", 1
COLUMNS = ("prefix", "word", "suffix", "logp", "backoff")


def save(model: "NGramModel", path: str | os.PathLike[str]) -> None:
    """Write a model."""
    table, states, unigram, word_bits, firsts = model.backoff.automaton
    arrays: dict[str, NDArray[Any]] = {
        "table": table,
        "states": states,
        "unigram": unigram,
        "firsts": firsts,
    }
    for n, rows in enumerate(model.backoff.rows, 1):
        arrays |= {f"{n}.{name}": getattr(rows, name) for name in COLUMNS}
    arrays |= {f"vocabulary.{name}": part for name, part in model.vocabulary.arrays().items()}
    state = {
        "order": model.order,
        "smoothing": None if model.smoothing is None else settings(model.smoothing),
        "unknown": model.unknown,
        "least": model.least,
        "unit": model.unit,
        "errors": model.errors,
        "word_bits": int(word_bits),
    }
    _store.save(path, format=FORMAT, version=VERSION, state=state, arrays=arrays)


def load(path: str | os.PathLike[str], *, mmap: bool) -> "NGramModel":
    """Read what `save` wrote."""
    from xent.language._model import NGramModel

    state, arrays = _store.load(path, format=FORMAT, version=VERSION, mmap=mmap)
    rows = [
        Rows(*(arrays[f"{n}.{name}"] for name in COLUMNS)) for n in range(1, state["order"] + 1)
    ]
    bits = np.uint64(state["word_bits"])
    compiled = (arrays["table"], arrays["states"], arrays["unigram"], bits, arrays["firsts"])
    words = {k.partition(".")[2]: v for k, v in arrays.items() if k.startswith("vocabulary.")}
    model = NGramModel._of(Vocabulary.of(words), Backoff(rows, compiled))
    for name in ("unknown", "unit", "errors", "least"):
        setattr(model, name, state[name])
    if state["smoothing"] is not None:
        model.smoothing = restored(state["smoothing"])
    return model


def settings(smoothing: Smoothing) -> dict[str, Any]:
    """Return a smoothing as JSON can hold it."""
    found = {f.name: getattr(smoothing, f.name) for f in fields(smoothing)}  # type: ignore[arg-type]
    return {"name": type(smoothing).__name__, "fields": found}


def restored(state: dict[str, Any]) -> Smoothing:
    """Return the smoothing that `settings` described."""
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in state["fields"].items()}
    made: Smoothing = getattr(smoothings, state["name"])(**values)
    return made
