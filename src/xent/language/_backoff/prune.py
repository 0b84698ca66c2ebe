"""Entropy pruning: leave out the n-grams that the shorter history predicts almost as well.

Leaving out (h, w) raises the model's perplexity on its own text by exp(D) - 1, with

    D = -P(h) (p(w|h) (ln p(w|h') + ln b' - ln p(w|h)) + left(h) (ln b' - ln b))

where b and b' are the back-off weights of h before and after, and left(h) = 1 - Σ_seen p(v|h)
(Stolcke 1998). P(h) comes from the model itself or from another one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language._backoff.exact import LOG_10, Backoff, Ngrams
from xent.language._backoff.protocol import BackoffModel
from xent.language._kernels import score as kernels
from xent.language._kernels import smooth
from xent.language._vocabulary import BEGIN, END, Vocabulary

U32 = NDArray[np.uint32]
F64 = NDArray[np.float64]


def pruned(
    model: BackoffModel,
    vocabulary: Vocabulary,
    entropy: float,
    other: BackoffModel,
    theirs: Vocabulary,
) -> Backoff:
    """Return a model without the n-grams whose loss raises perplexity by less than ``entropy``.

    ``other`` and its vocabulary give the probabilities of histories.
    """
    if other is not model and not vocabulary.same_words(theirs):
        advice = "Fit both with one vocabulary."
        raise _check.invalid("histories", "have the model's vocabulary", "another", advice)
    index = theirs.index
    words = np.arange(len(vocabulary), dtype=np.uint32)
    if other is not model:
        words = np.array([index[word] for word in vocabulary.words()], np.uint32)
    likely = _marginals(model, other, words)
    keep: list[NDArray[np.bool_]] = [np.ones(len(model.rows[0]), np.bool_)] * model.order
    needed = np.zeros(len(model.rows[-1]), np.bool_)
    for n in range(model.order - 1, 0, -1):
        rows = model.rows[n]
        keep[n] = needed | (_loss(model, n, likely[n - 1]) >= np.log1p(entropy))
        needed = np.zeros(len(model.rows[n - 1]), np.bool_)
        needed[rows.prefix[keep[n]]] = True
    return _rebuilt(model, keep)


def _marginals(model: BackoffModel, other: BackoffModel, words: U32) -> list[F64]:
    """Return ln P of every n-gram as a history, level by level."""
    found: list[F64] = []
    before_state = np.zeros(1, np.int64)
    before = np.zeros(1)
    for rows in model.rows[:-1]:
        logp, state = step_all(other, before_state[rows.prefix], words[rows.word])
        if not found:
            # <s> is as frequent as </s>, whatever stands in the file for it.
            logp[BEGIN], state[BEGIN] = logp[END], other.begin
        before, before_state = before[rows.prefix] + LOG_10 * logp, state
        found.append(before)
    return found


def step_all(model: BackoffModel, state: NDArray[Any], words: U32) -> tuple[F64, NDArray[np.int64]]:
    logp, following = np.empty(len(words)), np.empty(len(words), np.int64)
    kernels.steps(state, words, model.automaton, logp, following)
    return logp, following


def _shorter(model: BackoffModel, n: int, rows: Ngrams) -> F64:
    """Return p(w | h') of the n-grams of level ``n``."""
    below = model.rows[n - 1]
    leads = np.concatenate([np.zeros(1, np.uint32), *model.states[:n]])
    state = leads[below.suffix][rows.prefix].astype(np.int64)
    return np.asarray(10.0 ** step_all(model, state, rows.word)[0])


def _sums(prefix: U32, values: F64, histories: int) -> F64:
    total = np.zeros(histories)
    smooth.sum_by_prefix(prefix, values, total)
    return total


def _loss(model: BackoffModel, n: int, likely: F64) -> F64:
    """Return D for each n-gram of level ``n``."""
    rows, histories = model.rows[n], len(model.rows[n - 1])
    p = 10.0 ** rows.logp.astype(np.float64)
    low = _shorter(model, n, rows)
    left = np.maximum(1.0 - _sums(rows.prefix, p, histories), 0.0)[rows.prefix]
    below = np.maximum(1.0 - _sums(rows.prefix, low, histories), 0.0)[rows.prefix]
    with np.errstate(divide="ignore", invalid="ignore"):
        after = np.log(left + p) - np.log(below + low)
        now = np.log(left) - np.log(below)
        lost = p * (np.log(low) + after - np.log(p))
        lost += np.where(left > 0, left * (after - now), 0.0)
    loss = -np.exp(likely)[rows.prefix] * lost
    # Where something is 0 the comparison says nothing, and the n-gram stays.
    return np.where(np.isfinite(loss), loss, np.inf)


def _rebuilt(model: BackoffModel, keep: list[NDArray[np.bool_]]) -> Backoff:
    """Return the model without the n-grams that are not kept, its weights computed anew."""
    rows: list[Ngrams] = []
    new = np.zeros(int(model.firsts[-1]), np.int64)  # node there to node here, 0 for none
    node = 1
    for old, stays, first in zip(model.rows, keep, model.firsts, strict=False):
        nodes = np.flatnonzero(stays) + int(first)
        new[nodes] = np.arange(node, node + len(nodes))
        prefix = old.prefix[stays]
        if rows:
            below = int(model.firsts[len(rows) - 1])
            prefix = (new[prefix + below] - (node - len(rows[-1]))).astype(np.uint32)
        suffix = old.suffix[stays]
        while (gone := (suffix > 0) & (new[suffix] == 0)).any():
            suffix = np.where(gone, _suffix_of(model, suffix), suffix)
        weights = old.backoff[stays] if len(old.backoff) else old.backoff
        node += len(nodes)
        rows.append(
            Ngrams(prefix, old.word[stays], new[suffix].astype(np.uint32), old.logp[stays], weights)
        )
        if len(rows) > 1:
            renormalise(rows)
    return Backoff(rows)


def _suffix_of(model: BackoffModel, nodes: U32) -> U32:
    flat = np.concatenate([np.zeros(1, np.uint32), *(rows.suffix for rows in model.rows)])
    return flat[nodes]


def renormalise(rows: list[Ngrams]) -> None:
    """Compute the back-off weights of the last level's histories."""
    last, below = rows[-1], rows[-2]
    shorter = Backoff([*rows[:-2], Ngrams(**{**vars(below), "backoff": np.empty(0, np.float32)})])
    flat = np.concatenate([np.zeros(1, np.uint32), *shorter.states])
    state = flat[below.suffix][last.prefix].astype(np.int64)
    low = 10.0 ** step_all(shorter, state, last.word)[0]
    p = 10.0 ** last.logp.astype(np.float64)
    left = 1.0 - _sums(last.prefix, p, len(below))
    missing = 1.0 - _sums(last.prefix, low, len(below))
    has = np.bincount(last.prefix, minlength=len(below)) > 0
    # Rounding leaves a trace where nothing is left; dust is nothing.
    ratio = np.divide(left, missing, out=np.zeros(len(below)), where=missing > 1e-9)
    with np.errstate(divide="ignore"):
        weights = np.log10(np.maximum(ratio, 0.0)).astype(np.float32)
    below.backoff = np.where(has, weights, np.float32(0.0))
