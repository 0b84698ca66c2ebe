"""Work on corpora: models mixed for a domain, lines chosen for it, lines sorted by rarity."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language._model import NGramModel, TokenLogProbs

F64 = NDArray[np.float64]
ROUNDS = 500
ENOUGH = 1e-12  # gain in nats a token below which EM stops


class Mixture:
    """Models whose probabilities are added up with weights.

    p(w | h) = Σ weight_i p_i(w | h)

    Parameters
    ----------
    models : sequence of NGramModel
        With one vocabulary.
    weights : sequence of float
        One a model, non-negative, with sum 1.
    """

    def __init__(self, models: Sequence[NGramModel], weights: Sequence[float]) -> None:
        self.models = list(models)
        self.weights = np.array(weights, np.float64)
        _check_models(self.models)
        if self.weights.shape != (len(self.models),):
            must = f"hold one number for each of the {len(self.models)} models"
            raise _check.invalid("weights", must, self.weights.tolist())
        if not (self.weights >= 0).all() or abs(self.weights.sum() - 1) > 1e-9:
            raise _check.invalid("weights", "be shares with sum 1", self.weights.tolist())

    def token_log_probs(self, text: Any) -> TokenLogProbs:
        """Return the natural log-probability of each token and each sentence's end.

        Parameters
        ----------
        text : path, lines, token lists or id arrays
            As in `NGramModel.fit`, but no iterator: it is read once a model.
        """
        found = [model.token_log_probs(text) for model in self.models]
        return TokenLogProbs(_mixed(_columns(found), self.weights), found[0].offsets)

    def score(self, text: Any) -> F64:
        """Return the natural log-probability of each sentence, its end included.

        Parameters
        ----------
        text : path, lines, token lists or id arrays
            As in `token_log_probs`.
        """
        values, offsets = self.token_log_probs(text)
        values = np.where(np.isnan(values), 0.0, values)
        return np.add.reduceat(values, offsets[:-1]) if len(values) else np.empty(0)

    def perplexity(self, text: Any) -> float:
        """Return the exponential of the cross-entropy of a text.

        Parameters
        ----------
        text : path, lines, token lists or id arrays
            As in `token_log_probs`.
        """
        values = self.token_log_probs(text).values
        values = values[~np.isnan(values)]
        if not len(values):
            raise _check.invalid("text", "hold at least one line", "none")
        return float(np.exp(-values.mean()))


def mix(models: Sequence[NGramModel], dev: Any) -> Mixture:
    """Mix models with the weights under which a development text is most probable.

    Parameters
    ----------
    models : sequence of NGramModel
        With one vocabulary: fit them with the same ``vocabulary=``.
    dev : path, lines, token lists or id arrays
        As in `NGramModel.fit`, but no iterator. It must not be part of the training texts.

    Returns
    -------
    Mixture
        Its ``weights`` are found by EM.

    Examples
    --------
    >>> from xent.language import WittenBell
    >>> words = ["a", "b"]
    >>> first = NGramModel(1, WittenBell(), vocabulary=words).fit(["a a a b"])
    >>> second = NGramModel(1, WittenBell(), vocabulary=words).fit(["b b b a"])
    >>> mix([first, second], ["a b", "b a"]).weights.round(6).tolist()
    [0.5, 0.5]

    References
    ----------
    F. Jelinek and R. L. Mercer (1980). Interpolated estimation of Markov source parameters from
    sparse data.
    """
    models = list(models)
    _check_models(models)
    columns = _columns([model.token_log_probs(dev) for model in models])
    columns = columns[:, ~np.isnan(columns).any(axis=0) & np.isfinite(columns).any(axis=0)]
    if not columns.shape[1]:
        raise _check.invalid("dev", "hold at least one event that a model thinks possible", "none")
    weights = np.full(len(models), 1.0 / len(models))
    before = -np.inf
    for _ in range(ROUNDS):
        mixed = _mixed(columns, weights)
        if mixed.mean() - before <= ENOUGH:
            break
        before = float(mixed.mean())
        weights = weights * np.exp(columns - mixed).mean(axis=1)
        weights /= weights.sum()
    return Mixture(models, weights.tolist())


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
    """

    chosen: NDArray[np.int64]
    difference: F64


def select(
    pool: Any,
    in_domain: NGramModel,
    general: NGramModel,
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
    in_domain, general : NGramModel
        Best of one order, smoothing and vocabulary, the general one fitted on as much text.
    share : float, optional
        Choose this share of the lines, the lowest differences.
    below : float, optional
        Choose lines with a difference below this number; 0 where neither is given.

    Returns
    -------
    Selection

    References
    ----------
    R. C. Moore and W. Lewis (2010). Intelligent selection of language model training data. ACL.
    """
    if share is not None and below is not None:
        raise _check.invalid("below", "be None where `share` is given", below)
    difference = _cross_entropy(pool, in_domain) - _cross_entropy(pool, general)
    if share is not None:
        most = round(_check.share("share", share) * len(difference))
        chosen = np.sort(np.argsort(difference, kind="stable")[:most])
    else:
        chosen = np.flatnonzero(difference < (0.0 if below is None else below))
    return Selection(chosen, difference)


def buckets(
    pool: Any, model: NGramModel, shares: Sequence[float] = (1 / 3, 1 / 3, 1 / 3)
) -> NDArray[np.int64]:
    """Sort lines into classes by how well a model predicts them.

    Parameters
    ----------
    pool : path, lines, token lists or id arrays
        As in `NGramModel.fit`.
    model : NGramModel
    shares : sequence of float
        Share of the lines in each class, the best predicted first; their sum is 1.

    Returns
    -------
    ndarray of int
        The class of each line, from 0 on.

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


def _cross_entropy(text: Any, model: NGramModel) -> F64:
    """Return nats an event of each sentence."""
    values, offsets = model.token_log_probs(text)
    if not len(values):
        return np.empty(0)
    known = ~np.isnan(values)
    sums = np.add.reduceat(np.where(known, values, 0.0), offsets[:-1])
    return -sums / np.add.reduceat(known.astype(np.int64), offsets[:-1])


def _columns(found: list[TokenLogProbs]) -> F64:
    return np.stack([one.values for one in found])


def _mixed(columns: F64, weights: F64) -> F64:
    """Return the logarithm of the weighted sum of exponentials."""
    with np.errstate(divide="ignore"):
        weighted = columns + np.log(weights)[:, None]
    return np.asarray(np.logaddexp.reduce(weighted, axis=0))


def _check_models(models: list[NGramModel]) -> None:
    if len(models) < 2:
        raise _check.invalid("models", "hold at least two models", len(models))
    first = models[0]
    for place, model in enumerate(models):
        if not model.is_distribution:
            raise _check.invalid("models", "be distributions", f"{model!r} at [{place}]")
        same = model.vocabulary.same_words(first.vocabulary)
        if not same or (model.unknown, model.unit) != (first.unknown, first.unit):
            advice = "Fit them with one vocabulary= and one unknown=."
            raise _check.invalid("models", "share one vocabulary", f"another at [{place}]", advice)
