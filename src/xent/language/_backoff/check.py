"""What a stored model must be before it is used: arrays of the right kinds, every index in bounds.

Checksums notice damage; they do not stop a file that was made to lead a kernel astray.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.language._backoff.exact import Backoff
from xent.language._kernels import check as kernels
from xent.language._kernels.compact import CHILDREN_SPAN
from xent.language._vocabulary import SPECIAL, Vocabulary

Arrays = dict[str, NDArray[Any]]
WORD_ARRAYS = {"blob": "u1", "starts": "i8", "table": "u8", "slots": "u4"}
LEVEL_ARRAYS = {"prefix": "u4", "word": "u4", "suffix": "u4", "logp": "f4", "backoff": "f4"}
AUTOMATON_ARRAYS = {"sorted_table": "u8", "states": "u8", "unigram": "u8", "firsts": "i8"}
COMPACT_ARRAYS = {
    "firsts": "i8", "widths": "i8", "words": "u8", "spans": "u4", "more": "u8", "logp": "u1",
    "backoff": "u1", "unigram_logp": "f4", "unigram_backoff": "f4",
}  # fmt: skip


class DamagedError(Exception):
    """What a file holds is no model."""


def need(holds: Any) -> None:
    """Stop where something does not hold."""
    if not holds:
        raise DamagedError


def kinds(arrays: Arrays, wanted: dict[str, str], before: str = "") -> None:
    """Check that arrays are there, in one dimension and of their kinds."""
    for name, kind in wanted.items():
        array = arrays[before + name]
        need(array.ndim == 1 and array.dtype == np.dtype(kind))


def vocabulary(arrays: Arrays) -> Vocabulary:
    """Return the words of a file."""
    if "lengths" in arrays:
        lengths, blob = arrays["lengths"], arrays["blob"]
        need(lengths.ndim == 1 and lengths.dtype.kind in "iu" and blob.dtype == np.uint8)
        need(len(lengths) and int(lengths.min()) >= 0 and int(lengths.max()) <= blob.size)
        need(int(lengths.sum(dtype=np.float64)) == blob.size and blob.ndim == 1)
    else:
        hashed = {"blob", "starts", "table", "slots"} <= set(arrays)
        kinds(arrays, WORD_ARRAYS if hashed else {"blob": "u1", "starts": "i8"})
        starts, size = arrays["starts"], arrays["blob"].size
        need(len(starts) > 1)
        keys = arrays.get("table", np.zeros(1, np.uint64))
        slots = arrays.get("slots", np.zeros(1, np.uint32))
        need(len(keys) == len(slots) and len(keys) & (len(keys) - 1) == 0)
        need(kernels.words(starts, size, keys, slots))
    found = Vocabulary.of(arrays)
    need(len(found) >= len(SPECIAL) and found.words(range(len(SPECIAL))) == list(SPECIAL))
    return found


def exact(arrays: Arrays, order: int, words: int) -> None:
    """Check the arrays of an automaton and of the n-grams of each order."""
    if "sorted_table" in arrays:
        kinds(arrays, AUTOMATON_ARRAYS)
    below, first = 1, 1
    for n in range(1, order + 1):
        kinds(arrays, LEVEL_ARRAYS, f"{n}.")
        prefix, word, suffix, logp, backoff = (arrays[f"{n}.{name}"] for name in LEVEL_ARRAYS)
        size = len(prefix)
        need(len(word) == len(suffix) == len(logp) == size)
        need(len(backoff) in ((0, size) if n == order else (size,)))
        need(n > 1 or size == words)
        need(kernels.level(prefix, word, suffix, logp, backoff, below, words, first))
        below, first = size, first + size


def automaton(model: Backoff, words: int) -> None:
    """Check that a search in the automaton ends, and in bounds."""
    table, states, unigram, word_bits, firsts = model.automaton
    need(len(table) >= 2 and len(table) % 2 == 0)
    need(np.array_equal(firsts, model.firsts[: max(1, model.order - 1)]))
    need(len(states) == model.firsts[max(1, model.order - 1)] and len(unigram) == words)
    need(int(word_bits) == max(1, (words - 1).bit_length()))
    need(kernels.hash_table(table, len(states)))
    need(kernels.packed_states(states, len(states), True))
    need(kernels.packed_states(unigram, len(states), False))


def compact(arrays: Arrays, order: int, words: int) -> None:
    """Check the arrays of a compact model."""
    kinds(arrays, COMPACT_ARRAYS)
    firsts = arrays["firsts"]
    need(len(firsts) == order + 1 and firsts[0] == 1 and firsts[1] == 1 + words)
    need((np.diff(firsts) >= 0).all() and firsts[-1] < 1 << 40)
    need(arrays["widths"].shape == (2,))
    word_width, more_width = arrays["widths"].tolist()
    longer = int(firsts[-1]) - 1 - words
    nodes = int(firsts[order - 1]) + 1
    need(1 <= word_width <= 32 and 1 <= more_width <= 40)
    need(len(arrays["words"]) == longer * word_width // 64 + 2)
    need(len(arrays["more"]) == nodes * more_width // 64 + 2)
    need(len(arrays["spans"]) == -(-nodes // CHILDREN_SPAN))
    need(len(arrays["logp"]) == longer)
    need(len(arrays["backoff"]) == max(0, int(firsts[order - 1]) - 1 - words))
    for name in ("logp_book", "backoff_book"):
        book = arrays[name]
        need(book.shape == (order - 1, 256) and book.dtype == np.float32 and (book < np.inf).all())
    logp, weights = arrays["unigram_logp"], arrays["unigram_backoff"]
    need(len(logp) == words and len(weights) in ((0, words) if order == 1 else (words,)))
    need((logp < np.inf).all() and (weights < np.inf).all())
    trie = arrays["words"], word_width, arrays["spans"], arrays["more"], more_width
    need(kernels.compact(trie, firsts, words))
