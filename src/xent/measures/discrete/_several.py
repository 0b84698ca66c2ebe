"""What three variables or more tell about each other. Watanabe (1960); Cover and Thomas (2006)."""

import math
from typing import Any

import numpy as np

from xent import _check
from xent.measures.discrete._joint import Joint, joint_of
from xent.measures.rows._decorators import takes_joint, with_symbols
from xent.measures.rows._dispatch import joint_kernels, over_rows
from xent.measures.rows._protocols import ArrayLike
from xent.measures.rows._sparse import is_sparse
from xent.measures.rows._sums import kl_nats
from xent.measures.rows._typed_arrays import Input, untyped


@takes_joint
def conditional_mutual_information(
    joint: Input,
    *,
    axis: tuple[int, ...] = (-3, -2, -1),
    base: float = math.e,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How many nats one variable tells about another to someone who knows the third.

    I(X; Y|Z) = Σ p(x, y, z) log(p(x, y, z) p(z) / (p(x, z) p(y, z)))

    Parameters
    ----------
    joint : array_like, Counts, Logits or LogProbs, shape (..., X, Y, Z)
        Joint distribution of three variables, the third the given one; a plain array is
        probabilities that sum to 1 over the three axes.
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
        From 0 (independent given Z) to the smaller conditional entropy; never negative.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    Summed as D(p(x, y, z)‖p(x, z) p(y, z) / p(z)).

    Examples
    --------
    >>> conditional_mutual_information([[[0.25, 0], [0, 0.25]], [[0, 0.25], [0.25, 0]]], base=2)
    1.0

    References
    ----------
    Cover, T. M. and Thomas, J. A. (2006). Elements of Information Theory, 2nd ed., section 2.5.
    """
    if is_sparse(joint):
        must = "be a dense array, of three variables"
        raise _check.wrong_kind("joint", must, "a sparse one", "Convert it with .toarray() first.")
    table = joint_of(joint, axis, where, 3, 3)
    if table.source.numpy:
        probabilities = table.source.probabilities
        out = np.empty(probabilities.shape[0])
        over_rows(joint_kernels().given_third, (probabilities,), table.sizes[1:], (out,))
        return table.result(out.reshape(table.batch), base, keepdims)
    xp = table.source.library.xp
    known = table.marginal(-1)
    model = table.marginal(-3, -1) * (table.marginal(-2, -1) / xp.where(known > 0, known, 1.0))
    whole = table.rows(table.p)
    whole.model = False
    return table.result(kl_nats(whole, table.rows(table.above_zero(model))), base, keepdims)


@takes_joint
def total_correlation(
    joint: Input,
    *,
    axis: tuple[int, ...] | None = None,
    base: float = math.e,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How many nats variables tell about each other, all together.

    C(X_1, ..., X_n) = D(p(x_1, ..., x_n)‖p(x_1) ... p(x_n)) = Σ_i H(X_i) - H(X_1, ..., X_n)

    Parameters
    ----------
    joint : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., X_1, ..., X_n)
        Joint distribution; a plain array is probabilities that sum to 1 over all of ``axis``.
    axis : tuple of int, optional
        Axes of the joint distribution, one a variable, two at least; all of them without it.
    base : float
        Base of the logarithm: e gives nats, 2 bits, 10 bans.
    keepdims : bool
        Keep the axes of the joint distribution with length one.
    where : array_like of bool, optional
        Outcomes that count; the others are as if they were not there.

    Returns
    -------
    float or array of shape (...)
        From 0 (all independent) to the sum of all entropies but the largest; never negative.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    Of two variables it is the mutual information; also called multi-information. It does not say
    which of the variables hang together.

    Examples
    --------
    >>> total_correlation([[[0.5, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.5]]], base=2)
    2.0

    References
    ----------
    Watanabe, S. (1960). Information theoretical analysis of multivariate correlation. IBM Journal
    of Research and Development 4.
    """
    if axis is None:
        joint = _all_variables(joint)
        axis = tuple(range(-np.ndim(untyped(joint)), 0))
    table = joint_of(joint, axis, where, 2, 64)
    return table.result(_nats(table), base, keepdims)


def _nats(table: Joint) -> Any:
    if table.count == 2:
        return table.sums("information")[0]
    whole = table.rows(table.p)
    whole.model = False
    model: Any = table.marginal(table.keep[0])
    for place in table.keep[1:]:
        model = model * table.marginal(place)
    return kl_nats(whole, table.rows(table.above_zero(model)))


def _all_variables(joint: Input) -> Any:
    """Return numbers of combinations of symbols as a table, anything else as it is."""
    if not with_symbols(joint):
        return joint
    from xent.measures.rows._labels import read_labels, table_of_pairs

    symbols = read_labels("joint", joint).symbols[:1]
    first = symbols[0][0] if symbols and symbols[0] else None
    return table_of_pairs("joint", joint, len(first)) if isinstance(first, tuple) else joint
