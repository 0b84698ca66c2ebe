"""Families with an order: Rényi, Tsallis, and the divergences named by their f.

They weight likely outcomes more or less, by a power of the probability; at order 1 they are
Shannon's. Near order 1 they are computed with expm1 and log1p, so that nothing cancels.
"""

import math
from typing import Any

import numpy as np

from xent import _check
from xent.measures.rows._decorators import takes_tables
from xent.measures.rows._dispatch import order_kernels
from xent.measures.rows._input import Rows, paired, result, rows
from xent.measures.rows._protocols import Array, ArrayLike, Axis
from xent.measures.rows._sums import by_kernel, entropy_nats, kl_nats, log_terms
from xent.measures.rows._typed_arrays import Input

FARTHEST_ORDER = (
    1e35  # orders from which only the largest power is left; float32 holds its products
)
F_DIVERGENCES = ("total_variation", "squared_hellinger", "chi_square", "alpha")


@takes_tables
def renyi_entropy(
    p: Input,
    alpha: float,
    *,
    axis: Axis = -1,
    base: float = math.e,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How uncertain p is when likely outcomes weigh more (alpha above 1) or less (below).

    H_α(p) = log(Σ_k p_k^α) / (1 - α)

    Parameters
    ----------
    p : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., K)
        A plain array is probabilities: checked, never normalised in silence.
    alpha : float
        Order from 0 to infinity: 0 counts outcomes (Hartley), 1 is Shannon's, infinity the
        min-entropy.
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
        From 0 (one outcome is certain) to log K; falls as ``alpha`` grows.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    Near 1 it is computed as log1p(Σ p expm1((α-1) log p)) / (1-α), which does not cancel.

    Examples
    --------
    >>> renyi_entropy([0.5, 0.25, 0.25], 0, base=3)
    1.0

    References
    ----------
    Rényi, A. (1961). On measures of entropy and information. 4th Berkeley Symposium.
    """
    order = _order("alpha", alpha)
    order = order if order < FARTHEST_ORDER else math.inf
    source = rows("p", p, axis, where)
    xp, library = source.library.xp, source.library
    if order == 1.0:
        nats = entropy_nats(source)
    elif source.numpy:
        nats = _entropy_powers(source, order, tsallis=False)
    elif order == math.inf:
        nats = -library.last_maximum(xp.where(source.allowed, source.log, -math.inf))
    elif abs(order - 1.0) < 0.5:
        grown = source.p * xp.expm1((order - 1.0) * source.log)
        nats = xp.log1p(grown.sum(-1)) / (1.0 - order)
    else:
        powers = xp.where(source.allowed, order * source.log, -math.inf)
        top = library.maximum(powers)
        total = xp.where(source.allowed, xp.exp(order * source.log - top), 0.0).sum(-1)
        nats = (top[..., 0] + xp.log(total)) / (1.0 - order)
    return result(nats + 0.0, base, keepdims, source)


@takes_tables
def tsallis_entropy(
    p: Input,
    alpha: float,
    *,
    axis: Axis = -1,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How uncertain p is, in the entropy that adds with a product term for independent parts.

    S_α(p) = (1 - Σ_k p_k^α) / (α - 1)

    Parameters
    ----------
    p : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., K)
        A plain array is probabilities: checked, never normalised in silence.
    alpha : float
        Order from 0, finite: 0 is the number of outcomes less one, 1 Shannon's entropy in nats, 2
        the Gini index.
    axis : int or tuple of int
        Where the outcomes are; several axes together are the outcomes of a joint distribution.
    keepdims : bool
        Keep the axes of the outcomes with length one.
    where : array_like of bool, optional
        Outcomes that count; the others are as if they were not there.

    Returns
    -------
    float or array of shape (...)
        From 0 (one outcome is certain); it has no unit.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    Computed as Σ p expm1((α-1) log p) / (1-α), which does not cancel near 1.

    Examples
    --------
    >>> round(tsallis_entropy([0.5, 0.25, 0.25], 2), 12)
    0.625

    References
    ----------
    Tsallis, C. (1988). Possible generalization of Boltzmann-Gibbs statistics. Journal of
    Statistical Physics 52.
    """
    order = _order("alpha", alpha)
    if order == math.inf:
        raise _check.invalid("alpha", "be finite", alpha)
    source = rows("p", p, axis, where)
    if order == 1.0:
        nats = entropy_nats(source)
    elif source.numpy:
        nats = _entropy_powers(source, order, tsallis=True)
    elif order == 0.0:
        nats = source.library.working(source.allowed).sum(-1) - 1.0
    else:
        nats = (source.p * source.library.xp.expm1((order - 1.0) * source.log)).sum(-1)
        nats = nats / (1.0 - order)
    return result(nats + 0.0, math.e, keepdims, source)


def _entropy_powers(p: Rows, order: float, *, tsallis: bool) -> Array:
    kernel = order_kernels().entropy_powers
    return by_kernel(kernel, (p,), [p.with_logs], order, tsallis)


@takes_tables
def renyi_divergence(
    p: Input,
    q: Input,
    alpha: float,
    *,
    axis: Axis = -1,
    base: float = math.e,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How far q is from p when the ratio p/q weighs with a power.

    D_α(p‖q) = log(Σ_k p_k^α q_k^(1-α)) / (α - 1)

    Parameters
    ----------
    p, q : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., K)
        Truth and model over the same K outcomes; batches broadcast. The mean is under ``p``.
    alpha : float
        Order from 0 to infinity; 1 is the Kullback-Leibler divergence.
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
        From 0 (q = p); grows with ``alpha``; infinite where q excludes what p allows (``alpha``
        from 1) or nothing is common to both.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    At 0 it is -log q(p > 0), at infinity the log of the largest ratio p/q.

    Examples
    --------
    >>> round(renyi_divergence([0.5, 0.5], [0.25, 0.75], 2, base=2), 12)  # log2(4 / 3)
    0.415037499279

    References
    ----------
    van Erven, T. and Harremoës, P. (2014). Rényi divergence and Kullback-Leibler divergence. IEEE
    Transactions on Information Theory 60.
    """
    order = _order("alpha", alpha)
    left, right = paired(p, q, axis, where)
    nats = kl_nats(left, right) if order == 1.0 else renyi_nats(left, right, order)
    return result(nats, base, keepdims, left, right)


def renyi_nats(p: Rows, q: Rows, order: float, above: float | None = None) -> Array:
    """Rényi divergence of an order other than 1; ``above`` says by how much, where 1 - 1e-300 is 1.

    Below 1/2 it is α / (1 - α) times that of order 1 - α the other way round, which loses nothing.
    """
    if 0 < order < 0.5:
        return order / (1.0 - order) * renyi_nats(q, p, 1.0 - order, -order)
    if order > FARTHEST_ORDER:
        order = above = math.inf
    above = order - 1.0 if above is None else above
    if p.numpy:
        kernel = order_kernels().divergence_powers
        return by_kernel(kernel, (p, q), [p.with_logs, q.with_logs], order, above)
    xp, library = p.library.xp, p.library
    both = p.allowed & q.allowed
    ratio = log_terms(p, q)
    lost = ((p.p > 0) & ~q.allowed).any(-1)
    if order == 0.0:
        common: Array = xp.where(p.allowed, q.p, 0.0).sum(-1)
        some: Array = xp.where(common > 0, common, 1.0)
        return xp.where(common > 0, -xp.log(some) + 0.0, math.inf)
    if order == math.inf:
        nats = library.last_maximum(xp.where(both, ratio, -math.inf))
    else:
        powers = xp.where(both, p.log + above * ratio, -math.inf)
        top = library.maximum(powers)
        top = xp.where(top > -math.inf, top, 0.0)
        total = xp.where(both, xp.exp(xp.where(both, powers, top) - top), 0.0).sum(-1)
        nats = (top[..., 0] + xp.log(xp.where(total > 0, total, 1.0))) / above
    if abs(above) <= 0.5:  # the sum of powers is near 1: take the 1 out before the logarithm
        less_one = xp.where(both, p.p * xp.expm1(above * ratio), -p.p).sum(-1)
        close = xp.abs(less_one) < 0.5
        nats = xp.where(close, xp.log1p(xp.where(close, less_one, 0.0)) / above, nats)
    nats = xp.where(nats > 0, nats, 0.0)
    return xp.where(lost if above >= 0 else ~both.any(-1), math.inf, nats)


@takes_tables
def f_divergence(
    p: Input,
    q: Input,
    name: str,
    *,
    alpha: float | None = None,
    axis: Axis = -1,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How far apart p and q are, in the divergence named.

    D_f(p, q) = Σ_k q_k f(p_k / q_k)

    Parameters
    ----------
    p, q : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., K)
        Truth and model over the same K outcomes; batches broadcast. The mean is under ``p``.
    name : str
        "total_variation" (half of Σ|p - q|), "squared_hellinger" (half of Σ(√p - √q)²),
        "chi_square" (Σ(p - q)² / q) or "alpha" ((Σ p^α q^(1-α) - 1) / (α (α - 1))).
    alpha : float, optional
        Order of "alpha", from 0 and neither 0 nor 1, whose limits are the two KL divergences.
    axis : int or tuple of int
        Where the outcomes are; several axes together are the outcomes of a joint distribution.
    keepdims : bool
        Keep the axes of the outcomes with length one.
    where : array_like of bool, optional
        Outcomes that count; the others are as if they were not there.

    Returns
    -------
    float or array of shape (...)
        From 0 (p = q) to 1 for the first two, to infinity for the others; it has no unit.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    The Hellinger distance is the square root of "squared_hellinger".

    Examples
    --------
    >>> f_divergence([0.5, 0.5], [0.25, 0.75], "total_variation")
    0.25

    References
    ----------
    Liese, F. and Vajda, I. (2006). On divergences and informations in statistics and information
    theory. IEEE Transactions on Information Theory 52.
    """
    _check.option("name", name, F_DIVERGENCES)
    left, right = paired(p, q, axis, where)
    xp = left.library.xp
    if (alpha is None) == (name == "alpha"):
        must = 'be given for "alpha" and for nothing else'
        raise _check.invalid("alpha", must, f"{alpha} for {name!r}")
    if name == "alpha":
        order = _order("alpha", alpha)  # type: ignore[arg-type]
        if order < 1e-300 or order in (1.0, math.inf):  # as good as 0
            raise _check.invalid("alpha", "be finite and neither 0 nor 1", alpha)
        nats = renyi_nats(left, right, order)
        with np.errstate(over="ignore"):
            value = xp.expm1((order - 1.0) * nats) / order / (order - 1.0)
    elif left.numpy:
        probabilities = [(left.probabilities,), (right.probabilities,)]
        value = by_kernel(
            order_kernels().f_rows, (left, right), probabilities, F_DIVERGENCES.index(name)
        )
    elif name == "total_variation":
        value = 0.5 * xp.abs(left.p - right.p).sum(-1)
    elif name == "squared_hellinger":
        roots = [xp.sqrt(xp.where(r.p > 0, r.p, 1.0)) for r in (left, right)]
        one, other = (xp.where(r.p > 0, s, 0.0) for r, s in zip((left, right), roots, strict=True))
        gap = (left.p - right.p) / xp.where(one + other > 0, one + other, 1.0)
        value = 0.5 * (gap * gap).sum(-1)
    else:
        gap = left.p - right.p
        safe = xp.where(right.p > 0, right.p, 1.0)
        value = xp.where(right.p > 0, gap * gap / safe, 0.0).sum(-1)
        value = xp.where(((left.p > 0) & ~(right.p > 0)).any(-1), math.inf, value)
    return result(value, math.e, keepdims, left, right)


def _order(argument: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise _check.wrong_kind(argument, "be a number", repr(value))
    if not value >= 0:
        raise _check.invalid(argument, "be at least 0", value)
    try:
        return float(value)
    except OverflowError:
        raise _check.invalid(argument, "be a number that a float holds", "a larger one") from None
