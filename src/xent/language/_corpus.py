"""Work on corpora: lines chosen for a domain, lines sorted by how rare they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language._lines._text import check_rereadable
from xent.language._scorer import Scorer

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Selection:
    """Lines chosen from a pool.

    Parameters
    ----------
    chosen : ndarray of int
        Places of the chosen lines in the pool, ascending.
    difference : ndarray of float
        For every line, cross-entropy in the domain minus in general, in nats an event; the lower,
        the more the line is like the domain.

    Examples
    --------
    >>> Selection(np.array([1]), np.array([0.3, -0.2])).chosen.tolist()
    [1]
    """

    chosen: NDArray[np.int64]
    difference: F64


def select(
    pool: Any,
    in_domain: Scorer,
    general: Scorer,
    *,
    share: float | None = None,
    below: float | None = None,
) -> Selection:
    """Choose the lines of a pool that look like a domain more than like everything.

    difference(s) = H(s; in_domain) - H(s; general), each in nats an event of s

    Parameters
    ----------
    pool : path, lines, token lists or id arrays
        As in `NGramModel.fit`, but no iterator: it is read once a model.
    in_domain, general : NGramModel or Mixture
        Best of one order, smoothing and vocabulary, the general one fitted on as much text.
    share : float, optional
        Choose this share of the lines, the lowest differences.
    below : float, optional
        Choose lines with a difference below this number; 0 where neither is given.

    Returns
    -------
    Selection

    Raises
    ------
    ValueError, TypeError
        If both ``share`` and ``below`` are given, or ``share`` is not between 0 and 1; if ``pool``
        is no text, or an iterator.
    FileNotFoundError
        If it is a file that does not exist.

    Examples
    --------
    >>> from xent.language import NGramModel, WittenBell
    >>> news = NGramModel(1, WittenBell()).fit(["stocks fell", "stocks rose", "prices rose"])
    >>> everything = NGramModel(1, WittenBell()).fit(["cats sat", "stocks fell", "dogs ran"])
    >>> select(["prices fell", "cats ran"], news, everything).chosen.tolist()
    [0]

    References
    ----------
    R. C. Moore and W. Lewis (2010). Intelligent selection of language model training data. ACL.
    """
    if share is not None and below is not None:
        raise _check.invalid("below", "be None where `share` is given", below)
    check_rereadable("pool", pool)
    difference = _cross_entropy(pool, in_domain) - _cross_entropy(pool, general)
    if share is not None:
        size = round(_check.share("share", share) * len(difference))
        chosen = np.sort(np.argsort(difference, kind="stable")[:size])
    else:
        chosen = np.flatnonzero(difference < (0.0 if below is None else below))
    return Selection(chosen, difference)


def buckets(
    pool: Any, model: Scorer, shares: Sequence[float] = (1 / 3, 1 / 3, 1 / 3)
) -> NDArray[np.int64]:
    """Sort lines into classes by how well a model predicts them.

    Parameters
    ----------
    pool : path, lines, token lists or id arrays
        As in `NGramModel.fit`.
    model : NGramModel or Mixture
    shares : sequence of float
        Share of the lines in each class, the best predicted first; their sum is 1.

    Returns
    -------
    ndarray of int
        The class of each line, from 0 on.

    Raises
    ------
    ValueError, TypeError
        If ``shares`` are not positive with sum 1, or ``pool`` is no text.
    FileNotFoundError
        If it is a file that does not exist.

    Examples
    --------
    >>> from xent.language import NGramModel, WittenBell
    >>> lm = NGramModel(2, WittenBell()).fit(["the cat sat", "the dog sat"])
    >>> buckets(["sat dog the", "the cat sat"], lm, shares=[0.5, 0.5]).tolist()
    [1, 0]

    References
    ----------
    G. Wenzek et al. (2020). CCNet: Extracting high quality monolingual datasets from web crawl
    data. LREC (head, middle and tail by perplexity).
    """
    parts = np.array(shares, np.float64)
    if parts.ndim != 1 or not (parts > 0).all() or abs(parts.sum() - 1) > 1e-9:
        raise _check.invalid("shares", "be positive with sum 1", list(shares))
    entropy = _cross_entropy(pool, model)
    rank = np.empty(len(entropy), np.int64)
    rank[np.argsort(entropy, kind="stable")] = np.arange(len(entropy))
    edges = np.round(np.cumsum(parts)[:-1] * len(entropy))
    return np.searchsorted(edges, rank, "right")


def _cross_entropy(text: Any, model: Scorer) -> F64:
    """Return nats an event of each sentence."""
    values, offsets = model.token_log_probs(text)
    if not len(values):
        return np.empty(0)
    known = ~np.isnan(values)
    sums = np.add.reduceat(np.where(known, values, 0.0), offsets[:-1])
    return -sums / np.add.reduceat(known.astype(np.int64), offsets[:-1])
