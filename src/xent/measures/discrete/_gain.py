"""Mutual information over entropies, and the gains that trees split by."""

import math
from typing import Any

from xent import _check
from xent.measures.discrete._joint import joint_of, mutual_information
from xent.measures.rows._decorators import takes_joint
from xent.measures.rows._protocols import ArrayLike
from xent.measures.rows._typed_arrays import Input


@takes_joint
def normalized_mutual_information(
    joint: Input,
    *,
    average: str = "arithmetic",
    axis: tuple[int, ...] = (-2, -1),
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How much of what there is to know about two variables they share, from 0 to 1.

    I(X; Y) / mean(H(X), H(Y))

    Parameters
    ----------
    joint : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., X, Y)
        Joint distribution of two variables; a plain array is probabilities that sum to 1 over
        both axes.
    average : str
        Mean of the two entropies: "arithmetic", "geometric", "min" or "max"; "joint" divides by
        H(X, Y).
    axis : tuple of int
        Axes of the joint distribution, one a variable.
    keepdims : bool
        Keep the axes of the joint distribution with length one.
    where : array_like of bool, optional
        Outcomes that count; the others are as if they were not there.

    Returns
    -------
    float or array of shape (...)
        From 0 (independent) to 1 (each determines the other); 0 where the mean is 0, so for two
        labelings of one cluster, which scikit-learn gives 1.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    Not adjusted for chance: two columns of many rare symbols share much by accident. See
    `adjusted_mutual_information`.

    Examples
    --------
    >>> round(normalized_mutual_information([[0.5, 0.0], [0.0, 0.5]]), 12)
    1.0

    References
    ----------
    Strehl, A. and Ghosh, J. (2002). Cluster ensembles. Journal of Machine Learning Research 3.
    """
    _check.option("average", average, ("arithmetic", "geometric", "min", "max", "joint"))
    table = joint_of(joint, axis, where)
    xp = table.source.library.xp
    both = ("xy",) if average == "joint" else ()
    information, one, other, *joined = table.sums("information", "x", "y", *both)
    if average == "arithmetic":
        whole = 0.5 * (one + other)
    elif average == "geometric":
        square = one * other
        whole = xp.where(square > 0, xp.sqrt(xp.where(square > 0, square, 1.0)), 0.0)
    elif average == "joint":
        whole = joined[0]
    else:
        whole = xp.where((one < other) == (average == "min"), one, other)
    return table.result(table.ratio(information, whole), math.e, keepdims)


@takes_joint
def information_gain(
    joint: Input,
    *,
    axis: tuple[int, ...] = (-2, -1),
    base: float = math.e,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How many nats a feature saves in telling the target: ID3's criterion for a split.

    gain = H(target) - H(target|feature)

    Parameters
    ----------
    joint : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., X, Y)
        Joint distribution of a feature and a target, in this order; a plain array is
        probabilities that sum to 1 over both axes.
    axis : tuple of int
        Axes of the joint distribution, one a variable.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.
    keepdims : bool
        Keep the axes of the joint distribution with length one.
    where : array_like of bool, optional
        Outcomes that count; the others are as if they were not there.

    Returns
    -------
    float or array of shape (...)
        From 0 (tells nothing) to H(target).

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    The mutual information of the two, under the name that trees give it.

    Examples
    --------
    >>> from xent.measures import Counts
    >>> weather = Counts([[2, 3], [4, 0], [3, 2]])  # outlook by play
    >>> round(information_gain(weather, base=2), 3)
    0.247

    References
    ----------
    Quinlan, J. R. (1986). Induction of decision trees. Machine Learning 1.
    """
    return mutual_information(joint, axis=axis, base=base, keepdims=keepdims, where=where)


@takes_joint
def gain_ratio(
    joint: Input,
    *,
    axis: tuple[int, ...] = (-2, -1),
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How much of its own size a split gives back as information: C4.5's criterion.

    gain ratio = I(feature; target) / H(feature)

    Parameters
    ----------
    joint : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., X, Y)
        Joint distribution of a feature and a target, in this order; a plain array is
        probabilities that sum to 1 over both axes.
    axis : tuple of int
        Axes of the joint distribution, one a variable.
    keepdims : bool
        Keep the axes of the joint distribution with length one.
    where : array_like of bool, optional
        Outcomes that count; the others are as if they were not there.

    Returns
    -------
    float or array of shape (...)
        From 0 to 1; 0 where the feature has one value.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    The division takes from a feature of many values the advantage that it has in the gain.

    Examples
    --------
    >>> from xent.measures import Counts
    >>> weather = Counts([[2, 3], [4, 0], [3, 2]])  # outlook by play
    >>> round(gain_ratio(weather), 3)
    0.156

    References
    ----------
    Quinlan, J. R. (1993). C4.5: Programs for Machine Learning, section 2.2.
    """
    table = joint_of(joint, axis, where)
    return table.result(table.ratio(*table.sums("information", "x")), math.e, keepdims)


@takes_joint
def symmetric_uncertainty(
    joint: Input,
    *,
    axis: tuple[int, ...] = (-2, -1),
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How much two variables tell about each other, as a share of both entropies.

    SU(X, Y) = 2 I(X; Y) / (H(X) + H(Y))

    Parameters
    ----------
    joint : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., X, Y)
        Joint distribution of two variables; a plain array is probabilities that sum to 1 over
        both axes.
    axis : tuple of int
        Axes of the joint distribution, one a variable.
    keepdims : bool
        Keep the axes of the joint distribution with length one.
    where : array_like of bool, optional
        Outcomes that count; the others are as if they were not there.

    Returns
    -------
    float or array of shape (...)
        From 0 (independent) to 1 (each determines the other); 0 where both are constant.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    The normalized mutual information under the arithmetic mean.

    Examples
    --------
    >>> round(symmetric_uncertainty([[0.5, 0.0], [0.0, 0.5]]), 12)
    1.0

    References
    ----------
    Press, W. H. et al. (1992). Numerical Recipes in C, 2nd ed., section 14.4.
    """
    return normalized_mutual_information(joint, axis=axis, keepdims=keepdims, where=where)
