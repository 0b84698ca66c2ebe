"""How uncertain one distribution is. Shannon (1948), sections 6 and 7, and its relatives."""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import math
from typing import Any

import numpy as np

from xent import _check
from xent.measures.rows._decorators import in_order, takes_tables
from xent.measures.rows._input import check_keepdims, result, rows
from xent.measures.rows._protocols import ArrayLike, Axis
from xent.measures.rows._sparse import is_sparse
from xent.measures.rows._sums import entropy_nats
from xent.measures.rows._typed_arrays import Input, is_distribution, only_arrays, only_densities


@takes_tables
def entropy(
    p: Input,
    *,
    axis: Axis = -1,
    base: float = math.e,
    keepdims: bool = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> Any:
    """How many nats (bits, bans) it takes on average to say which outcome happened.

    H(p) = - Σ_k p_k log p_k

    Parameters
    ----------
    p : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., K), or an object
        A plain array is probabilities: checked, never normalised in silence. An object of
        scipy.stats or torch.distributions gives a `Measurement`.
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
        From 0 (one outcome is certain) to log K (all are equally likely); of a density, the
        differential entropy: any number.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    0 log 0 = 0, its limit. A tensor gives a tensor, differentiable twice; the derivative by a
    probability of 0 is infinite and returned as 0.

    Examples
    --------
    >>> entropy([0.5, 0.25, 0.25], base=2)
    1.5

    References
    ----------
    Shannon, C. E. (1948). A mathematical theory of communication. Bell System Technical Journal 27.
    """
    if is_distribution(p):
        from xent.measures.densities._measure import entropy_of

        only_densities(axis, keepdims, where)
        return entropy_of(p, base, (rng, draws))
    only_arrays(rng, draws)
    source = rows("p", p, axis, where)
    return result(entropy_nats(source), base, keepdims, source)


def self_information(
    p: Input,
    *,
    axis: Axis = -1,
    base: float = math.e,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How surprising each outcome is.

    I(x_k) = - log p_k

    Parameters
    ----------
    p : array_like, Counts, Logits or LogProbs, shape (..., K)
        A plain array is probabilities: checked, never normalised in silence.
    axis : int or tuple of int
        Where the outcomes are; several axes together are the outcomes of a joint distribution.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.
    keepdims : bool
        Keep the outcomes where they are in ``p``, instead of bringing them to the end as one axis.
    where : array_like of bool, optional
        Outcomes that count; the others are as if they were not there.

    Returns
    -------
    float or array of shape (...)
        One number for each entry of ``p``, the outcomes last: from 0 (certain) to infinity
        (impossible).

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    Its mean under p is the entropy.

    Examples
    --------
    >>> self_information([0.5, 0.25, 0.25], base=2).tolist()
    [1.0, 2.0, 2.0]

    References
    ----------
    Cover, T. M. and Thomas, J. A. (2006). Elements of Information Theory, 2nd ed., section 2.1.
    """
    if is_sparse(p):
        raise _check.cannot("Self-information", "that of a 0 is infinite", "Pass a dense array.")
    p, where = in_order("p", p, axis, where)
    source = rows("p", p, axis, where)
    nats = source.library.xp.where(source.allowed, -source.log + 0.0, math.inf)
    if check_keepdims(keepdims):
        shape = (*nats.shape[:-1], *source.extents)
        nats = nats.reshape(shape)
        last = tuple(range(len(shape) - len(source.extents), len(shape)))
        nats = source.library.xp.moveaxis(nats, last, source.axes)
    return result(nats, base, False, source)


@takes_tables
def gini(
    p: Input,
    *,
    axis: Axis = -1,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How often two independent draws differ.

    G(p) = Σ_k p_k (1 - p_k)

    Parameters
    ----------
    p : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., K)
        A plain array is probabilities: checked, never normalised in silence.
    axis : int or tuple of int
        Where the outcomes are; several axes together are the outcomes of a joint distribution.
    keepdims : bool
        Keep the axes of the outcomes with length one.
    where : array_like of bool, optional
        Outcomes that count; the others are as if they were not there.

    Returns
    -------
    float or array of shape (...)
        From 0 (one outcome is certain) to 1 - 1/K (all are equally likely).

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    Also called Gini-Simpson index or impurity; it has no unit.

    Examples
    --------
    >>> gini([0.5, 0.25, 0.25])
    0.625

    References
    ----------
    Breiman, L. et al. (1984). Classification and Regression Trees, section 4.3.
    """
    source = rows("p", p, axis, where)
    p = source.p
    return result((p * (1.0 - p)).sum(-1), math.e, keepdims, source)
