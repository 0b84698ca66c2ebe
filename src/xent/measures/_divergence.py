"""What it costs to believe q where p is true. Kullback and Leibler (1951); Lin (1991)."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from xent.measures._entropy import nats_of
from xent.measures._probabilities import Rows, paired, probabilities, result


def cross_entropy(p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float = math.e) -> Any:
    """How many nats an outcome of p takes on average in the code that is best for q.

    H(p, q) = - Σ_k p_k log q_k = H(p) + D(p‖q)

    Parameters
    ----------
    p, q : array_like, shape (..., K)
        Truth and model: probabilities over the same K outcomes; batches broadcast.
    axis : int
        Where the outcomes are.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.

    Returns
    -------
    float or ndarray of float64, shape (...)
        From H(p) (where q = p) to infinity (where q excludes what p allows).

    Raises
    ------
    ValueError, TypeError
        If ``p`` or ``q`` is not made of distributions, or ``base`` is not a base.

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
    left, right = paired(p, q, axis)
    with np.errstate(divide="ignore"):
        log_q = np.log(right)
    nats = -np.where(left > 0, left * np.where(left > 0, log_q, 0.0), 0.0).sum(axis=-1)
    return result(np.asarray(nats + 0.0), base)


def kl_divergence(p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float = math.e) -> Any:
    """How many nats too many an outcome of p takes in the code that is best for q.

    D(p‖q) = Σ_k p_k log (p_k / q_k)

    Parameters
    ----------
    p, q : array_like, shape (..., K)
        Truth and model: probabilities over the same K outcomes; batches broadcast. The mean is
        taken under ``p``.
    axis : int
        Where the outcomes are.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.

    Returns
    -------
    float or ndarray of float64, shape (...)
        From 0 (q = p) to infinity (q excludes what p allows); never negative.

    Raises
    ------
    ValueError, TypeError
        If ``p`` or ``q`` is not made of distributions, or ``base`` is not a base.

    Notes
    -----
    0 log 0 = 0. Summed as Σ p_k φ(q_k / p_k - 1) with φ(d) = d - log(1 + d) >= 0, so that nearly
    equal distributions do not give a negative number.

    Examples
    --------
    >>> round(kl_divergence([0.5, 0.5], [0.25, 0.75], base=2), 12)  # log2(4 / 3) / 2
    0.207518749639

    References
    ----------
    Kullback, S. and Leibler, R. A. (1951). On information and sufficiency. Annals of Mathematical
    Statistics 22.
    """
    left, right = paired(p, q, axis)
    return result(_kl_nats(left, right), base)


def js_divergence(p: ArrayLike, q: ArrayLike, *, axis: int = -1, base: float = math.e) -> Any:
    """How many nats one outcome tells, on average, about which of p and q it was drawn from.

    JS(p, q) = (D(p‖m) + D(q‖m)) / 2 with m = (p + q) / 2

    Parameters
    ----------
    p, q : array_like, shape (..., K)
        Probabilities over the same K outcomes; batches broadcast.
    axis : int
        Where the outcomes are.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.

    Returns
    -------
    float or ndarray of float64, shape (...)
        From 0 (p = q) to log 2 (no outcome in common); finite, symmetric, never negative.

    Raises
    ------
    ValueError, TypeError
        If ``p`` or ``q`` is not made of distributions, or ``base`` is not a base.

    Notes
    -----
    The divergence, not its square root, which is the metric.

    Examples
    --------
    >>> js_divergence([1, 0], [0, 1], base=2)
    1.0

    References
    ----------
    Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Transactions on
    Information Theory 37.
    """
    left, right = paired(p, q, axis)
    middle = (left + right) / 2
    return result(np.asarray((_kl_nats(left, middle) + _kl_nats(right, middle)) / 2), base)


def perplexity(p: ArrayLike, q: ArrayLike | None = None, *, axis: int = -1) -> Any:
    """How many equally likely outcomes would be as uncertain as p, or as p looks to the model q.

    perplexity = exp H(p), or exp H(p, q)

    Parameters
    ----------
    p : array_like, shape (..., K)
        Probabilities, the K outcomes along ``axis``.
    q : array_like, shape (..., K), optional
        The model; without it the perplexity is that of ``p`` itself.
    axis : int
        Where the outcomes are.

    Returns
    -------
    float or ndarray of float64, shape (...)
        From 1 to K without ``q``; to infinity with it. It has no base: b ** H_b is the same number
        for every b.

    Raises
    ------
    ValueError, TypeError
        If ``p`` or ``q`` is not made of distributions.

    Examples
    --------
    >>> round(perplexity([0.25, 0.25, 0.25, 0.25]), 12)
    4.0

    References
    ----------
    Jelinek, F., Mercer, R. L., Bahl, L. R. and Baker, J. K. (1977). Perplexity - a measure of the
    difficulty of speech recognition tasks. Journal of the Acoustical Society of America 62.
    """
    if q is None:
        value = np.exp(nats_of(probabilities("p", p, axis)))
    else:
        value = np.exp(cross_entropy(p, q, axis=axis))
    return float(value) if np.ndim(value) == 0 else value


def _kl_nats(p: Rows, q: Rows) -> Rows:
    """D(p‖q) of checked rows in nats, as a sum of terms none of which is negative."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ahead = (q - p) / p
        near = p * (ahead - np.log1p(ahead))
        far = p * np.log(p / q) - p + q
    terms = np.where(np.abs(ahead) < 0.5, near, far)
    terms = np.where(p > 0, np.maximum(terms, 0.0), q)
    return np.asarray(np.where((p > 0) & (q == 0), np.inf, terms).sum(axis=-1))
