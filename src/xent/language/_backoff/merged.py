"""Several models made one: each n-gram of any has its mixed probability, the rest backs off.

    p(w | h) = Σ weight_i p_i(w | h)                 if any model lists the n-gram (h, w)
               weight(h) p(w | h without its first word)   otherwise

A sum of back-off models is none, so what no model lists is only near to the mixture. This is what
SRILM's ``ngram -mix-lm`` does (Stolcke 2002).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent.language._backoff.estimate import NO_PROBABILITY
from xent.language._backoff.exact import Backoff
from xent.language._backoff.linked import U64, LinkedLevels, packed, unpacked
from xent.language._backoff.protocol import BackoffModel
from xent.language._backoff.prune import renormalise, step_all
from xent.language._vocabulary import BEGIN

U32 = NDArray[np.uint32]
F32 = NDArray[np.float32]


@dataclass
class MixturePart:
    """A model of a mixture, and how its words stand to those of the mixture."""

    model: BackoffModel
    weight: float
    numbers: U32  # its number of each word of the mixture, that of <unk> where it has none
    foreign: NDArray[np.bool_]  # the words of the mixture that it has not


def merged(parts: list[MixturePart]) -> Backoff:
    """Return one model."""
    everyone = np.arange(len(parts[0].numbers), dtype=np.uint32)
    empty = [np.zeros(1, np.int64)] * len(parts)
    logp, states = _mixed(parts, np.zeros(len(everyone), np.int64), everyone, empty)
    logp[BEGIN] = NO_PROBABILITY
    for part, state in zip(parts, states, strict=True):
        state[BEGIN] = part.model.begin
    words = [_names(part) for part in parts]
    rows_of = words  # where the rows of each part's last level stand here
    levels = LinkedLevels(logp, np.empty(0, np.float32))
    for n in range(1, max(part.model.order for part in parts)):
        first = levels.firsts[-2]
        keys = [
            _keys(part.model, n, rows, names) if n < part.model.order else np.empty(0, np.uint64)
            for part, rows, names in zip(parts, rows_of, words, strict=True)
        ]
        every = np.unique(np.concatenate(keys))
        prefix, word = unpacked(every)
        logp, states = _mixed(parts, prefix.astype(np.int64), word, states)
        levels.add(prefix + np.uint32(first), word, logp, np.empty(0, np.float32))
        renormalise(levels.rows)
        rows_of = [np.searchsorted(every, key) for key in keys]
    return Backoff(levels.rows)


def _names(part: MixturePart) -> NDArray[np.int64]:
    """Return the mixture's number of each word of a part."""
    own = np.flatnonzero(~part.foreign)
    return own[np.argsort(part.numbers[own])]


def _keys(model: BackoffModel, n: int, rows: NDArray[np.int64], names: NDArray[np.int64]) -> U64:
    """Return the n-grams of a part's level as the mixture's rows below and words."""
    level = model.rows[n]
    return packed(rows[level.prefix], names[level.word])


def _mixed(
    parts: list[MixturePart],
    prefix: NDArray[np.int64],
    word: U32,
    states: list[NDArray[np.int64]],
) -> tuple[F32, list[NDArray[np.int64]]]:
    """Return the mixed log10-probabilities of words after histories, and each part's states."""
    total = np.zeros(len(word))
    after = []
    for part, state in zip(parts, states, strict=True):
        logp, following = step_all(part.model, state[prefix], part.numbers[word])
        total += part.weight * np.where(part.foreign[word], 0.0, 10.0**logp)
        after.append(following)
    with np.errstate(divide="ignore"):
        return np.log10(total).astype(np.float32), after
