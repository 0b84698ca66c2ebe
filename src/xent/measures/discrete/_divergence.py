"""What it costs to believe q where p is true. Kullback and Leibler (1951); Lin (1991)."""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import math
from typing import Any

import numpy as np

from xent import _check
from xent.measures.rows._decorators import names_outcomes, takes_tables
from xent.measures.rows._input import TOLERANCE, paired, result, rows, several
from xent.measures.rows._protocols import ArrayLike, Axis
from xent.measures.rows._sums import (
    cross_entropy_nats,
    entropy_nats,
    js_nats,
    js_root_nats,
    kl_nats,
)
from xent.measures.rows._typed_arrays import Input, is_distribution, only_arrays, only_densities


@takes_tables
def cross_entropy(
    p: Input,
    q: Input,
    *,
    axis: Axis = -1,
    base: float = math.e,
    keepdims: bool = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> Any:
    """How many nats an outcome of p takes on average in the code that is best for q.

    H(p, q) = - Σ_k p_k log q_k = H(p) + D(p‖q)

    Parameters
    ----------
    p, q : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., K), or objects
        Truth and model over the same K outcomes; batches broadcast. The mean is under ``p``. Two
        objects of scipy.stats or torch.distributions give a `Measurement`; so does a sample ``p``,
        one outcome a row, or `Counts` of numbers, beside an object ``q``.
    axis : int or tuple of int
        Where the outcomes are; several axes together are the outcomes of a joint distribution.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.
    keepdims : bool
        Keep the axes of the outcomes with length one.
    where : array_like of bool, optional
        Outcomes that count; the others are as if they were not there.
    rng, draws : Generator or int, int, optional
        For objects alone: chance, and how many draws (100,000) a mean over them takes.

    Returns
    -------
    float or array of shape (...)
        From H(p) (where q = p) to infinity (where q excludes what p allows).

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    0 log 0 = 0. Nothing is clipped: q = 0 where p > 0 costs infinitely much.

    Examples
    --------
    >>> cross_entropy([0.5, 0.25, 0.25], [0.25, 0.25, 0.5], base=2)
    1.75

    References
    ----------
    Cover, T. M. and Thomas, J. A. (2006). Elements of Information Theory, 2nd ed., section 5.4.
    """
    if is_distribution(p) or is_distribution(q):
        from xent.measures.densities._measure import cross_entropy_of

        only_densities(axis, keepdims, where)
        return cross_entropy_of(p, q, base, (rng, draws))
    only_arrays(rng, draws)
    left, right = paired(p, q, axis, where)
    left.model = True  # the derivative by a p of 0 is finite here: the cost of that outcome
    return result(cross_entropy_nats(left, right), base, keepdims, left, right)


@takes_tables
def kl_divergence(
    p: Input,
    q: Input,
    *,
    axis: Axis = -1,
    base: float = math.e,
    keepdims: bool = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> Any:
    """How many nats too many an outcome of p takes in the code that is best for q.

    D(p‖q) = Σ_k p_k log (p_k / q_k)

    Parameters
    ----------
    p, q : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., K), or objects
        Truth and model over the same K outcomes; batches broadcast. The mean is under ``p``. Two
        objects of scipy.stats or torch.distributions give a `Measurement`; so does a sample ``p``,
        one outcome a row, or `Counts` of numbers, beside an object ``q`` of whole numbers.
    axis : int or tuple of int
        Where the outcomes are; several axes together are the outcomes of a joint distribution.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.
    keepdims : bool
        Keep the axes of the outcomes with length one.
    where : array_like of bool, optional
        Outcomes that count; the others are as if they were not there.
    rng, draws : Generator or int, int, optional
        For objects alone: chance, and how many draws (100,000) a mean over them takes.

    Returns
    -------
    float or array of shape (...)
        From 0 (q = p) to infinity (q excludes what p allows); never negative.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    0 log 0 = 0. Summed as Σ p log(p/q) - p + q, whose terms are never negative: nearly equal
    distributions lose nothing.

    Examples
    --------
    >>> round(kl_divergence([0.5, 0.5], [0.25, 0.75], base=2), 12)  # log2(4 / 3) / 2
    0.207518749639

    References
    ----------
    Kullback, S. and Leibler, R. A. (1951). On information and sufficiency. Annals of Mathematical
    Statistics 22.
    """
    if is_distribution(p) or is_distribution(q):
        from xent.measures.densities._measure import kl_of

        only_densities(axis, keepdims, where)
        return kl_of(p, q, base, (rng, draws))
    only_arrays(rng, draws)
    left, right = paired(p, q, axis, where)
    return result(kl_nats(left, right), base, keepdims, left, right)


@takes_tables
def perplexity(
    p: Input,
    q: Input | None = None,
    *,
    axis: Axis = -1,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How many equally likely outcomes would be as uncertain as p, or as p looks to the model q.

    perplexity = exp H(p), or exp H(p, q)

    Parameters
    ----------
    p : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., K)
        A plain array is probabilities: checked, never normalised in silence.
    q : like p, optional
        The model; without it the perplexity is that of ``p`` itself.
    axis : int or tuple of int
        Where the outcomes are; several axes together are the outcomes of a joint distribution.
    keepdims : bool
        Keep the axes of the outcomes with length one.
    where : array_like of bool, optional
        Outcomes that count; the others are as if they were not there.

    Returns
    -------
    float or array of shape (...)
        From 1 (certain) to K for one distribution, to infinity for two.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    The base of the logarithm cancels, so there is none to choose.

    Examples
    --------
    >>> round(perplexity([0.25, 0.25, 0.25, 0.25]), 12)
    4.0

    References
    ----------
    Jelinek, F. et al. (1977). Perplexity: a measure of the difficulty of speech recognition tasks.
    Journal of the Acoustical Society of America 62.
    """
    if q is None:
        source = rows("p", p, axis, where)
        return result(source.library.xp.exp(entropy_nats(source)), math.e, keepdims, source)
    left, right = paired(p, q, axis, where)
    left.model = True
    cost = left.library.xp.exp(cross_entropy_nats(left, right))
    return result(cost, math.e, keepdims, left, right)


@takes_tables
def js_divergence(
    p: Input,
    q: Input,
    *more: Input,
    weights: ArrayLike | None = None,
    axis: Axis = -1,
    base: float = math.e,
    keepdims: bool = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> Any:
    """How many nats one outcome tells, on average, about which distribution it was drawn from.

    JS(p_1, ..., p_n) = Σ_i w_i D(p_i‖m) with m = Σ_i w_i p_i

    Parameters
    ----------
    p, q, *more : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., K), or objects
        Two distributions or more over the same K outcomes; batches broadcast. Objects of
        scipy.stats or torch.distributions give a `Measurement`.
    weights : sequence of float, optional
        Share of each distribution, summing to 1; equal without it.
    axis : int or tuple of int
        Where the outcomes are; several axes together are the outcomes of a joint distribution.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.
    keepdims : bool
        Keep the axes of the outcomes with length one.
    where : array_like of bool, optional
        Outcomes that count; the others are as if they were not there.
    rng, draws : Generator or int, int, optional
        For objects alone: chance, and how many draws (100,000) a mean over them takes.

    Returns
    -------
    float or array of shape (...)
        From 0 (all equal) to the entropy of the weights, log 2 for two (no outcome in common);
        finite, symmetric, never negative.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    The divergence; its square root, `js_distance`, is the metric.

    Examples
    --------
    >>> js_divergence([1, 0], [0, 1], base=2)
    1.0

    References
    ----------
    Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Transactions on
    Information Theory 37.
    """
    many = (p, q, *more)
    if any(is_distribution(one) for one in many):
        from xent.measures.densities._measure import js_of

        only_densities(axis, keepdims, where)
        return js_of(many, _weights(weights, len(many)), base, (rng, draws))
    only_arrays(rng, draws)
    parts = several((p, q, *more), axis, where)
    return result(js_nats(parts, _weights(weights, len(parts))), base, keepdims, *parts)


@takes_tables
def js_distance(
    p: Input,
    q: Input,
    *more: Input,
    weights: ArrayLike | None = None,
    axis: Axis = -1,
    base: float = math.e,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How far apart distributions are, in a metric: the square root of their JS divergence.

    √JS(p, q)

    Parameters
    ----------
    p, q, *more : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., K)
        Two distributions or more over the same K outcomes; batches broadcast.
    weights : sequence of float, optional
        Share of each distribution, summing to 1; equal without it.
    axis : int or tuple of int
        Where the outcomes are; several axes together are the outcomes of a joint distribution.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.
    keepdims : bool
        Keep the axes of the outcomes with length one.
    where : array_like of bool, optional
        Outcomes that count; the others are as if they were not there.

    Returns
    -------
    float or array of shape (...)
        From 0 (all equal) to the root of log 2 in the unit of ``base`` (no outcome in common).

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    The derivative where all are equal is infinite and returned as 0.

    Examples
    --------
    >>> js_distance([1, 0], [0, 1], base=2)
    1.0

    References
    ----------
    Endres, D. M. and Schindelin, J. E. (2003). A new metric for probability distributions. IEEE
    Transactions on Information Theory 49.
    """
    parts = several((p, q, *more), axis, where)
    scale = _check.log_of_base(base, "a distance")
    root = js_root_nats(parts, _weights(weights, len(parts)))
    return result(root / math.sqrt(scale), math.e, keepdims, *parts)


def _weights(weights: ArrayLike | None, count: int) -> list[float] | None:
    if weights is None:
        return None
    if isinstance(weights, list | tuple) and len(weights) == count:
        plain = all([type(w) is float and w >= 0 for w in weights])
        total = math.fsum(weights) if plain else math.inf
        if abs(total - 1) <= TOLERANCE:
            return [w / total for w in weights]
    if names_outcomes(weights):
        must = f"be {count} numbers in the order of the distributions"
        raise _check.wrong_kind("weights", must, f"{_check.a(weights)} with names of its own")
    source = rows("weights", weights, -1)
    found = source.p  # checked before its shape is
    if source.array.ndim != 1 or source.size != count:
        shape = tuple(source.array.shape)
        raise _check.invalid("weights", f"be {count} numbers, one a distribution", f"shape {shape}")
    return [float(w) for w in found]
