"""Measures of a joint distribution, each axis a variable: what one tells about another.

Mutual information is summed as a KL divergence, term by term non-negative, so that it does not
drown near independence, where three entropies would cancel. Shannon (1948).
"""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from xent import _check
from xent._array import NUMPY
from xent.measures.rows._decorators import in_order, takes_joint
from xent.measures.rows._dispatch import flat_rows, joint_kernels, over_rows
from xent.measures.rows._input import Rows, outcome_axes, paired, result, rows
from xent.measures.rows._protocols import Array, ArrayLike, Axis, Numbers
from xent.measures.rows._sparse import RowMatrix, apply_where, is_sparse
from xent.measures.rows._sums import entropy_nats, entropy_of_counts, kl_nats
from xent.measures.rows._typed_arrays import Input, untyped

SUM_NAMES = ("x", "y", "xy", "x|y", "y|x", "information")  # in the kernel's order


class Joint:
    """A joint distribution, its variables the last axes in the order of ``axis``."""

    def __init__(
        self,
        joint: Input,
        axis: Axis,
        where: ArrayLike | None,
        min_axes: int = 2,
        max_axes: int = 2,
    ) -> None:
        axes = axis if isinstance(axis, tuple) else (axis,)
        if not min_axes <= len(axes) <= max_axes:
            count = str(min_axes) if min_axes == max_axes else f"at least {min_axes}"
            raise _check.invalid("axis", f"name {count} axes, one a variable", repr(axis))
        self.source = rows("joint", joint, axes, where)
        self.count = len(axes)
        self.keep = tuple(range(-self.count, 0))
        self.batch, self.sizes = self.source.array.shape[:-1], self.source.extents

    @property
    def p(self) -> Array:
        """The distribution, an axis a variable."""
        return self.source.p.reshape((*self.batch, *self.sizes))

    def sums(self, *names: str) -> list[Array]:
        """Entropies of two variables X and Y, and what they tell about each other, in nats."""
        if self.source.numpy:
            return self._by_kernel(self.source.probabilities, self.sizes[-1], *names)
        each: dict[str, Callable[[], Array]] = {
            "x": lambda: self.entropy(-2),
            "y": lambda: self.entropy(-1),
            "xy": lambda: self.entropy(-2, -1),
            "x|y": lambda: self.conditional(-1),
            "y|x": lambda: self.conditional(-2),
            "information": self.information,
        }
        return [each[name]() for name in names]

    def _by_kernel(self, rows: Numbers, columns: int, *names: str) -> list[Array]:
        out = np.empty((rows.shape[0], len(SUM_NAMES)))
        places = [SUM_NAMES.index(name) for name in names]
        wanted = sum([1 << place for place in places])
        over_rows(joint_kernels().joint_rows, (rows,), (columns, wanted), (out,))
        return [out[:, place].reshape(self.batch) for place in places]

    def marginal(self, *variables: int) -> Array:
        """Distribution of the variables at these places, the others summed out with length 1."""
        summed = self.p
        for place in self.keep:
            if place not in variables:
                summed = summed.sum(place, keepdims=True)
        return summed

    def rows(self, values: Array) -> Rows:
        """Read a distribution over the same axes as rows of outcomes."""
        flat = values.reshape((*values.shape[: values.ndim - self.count], -1))
        return Rows("joint", flat, -1, None, self.source.library, True)

    def entropy(self, *variables: int) -> Array:
        """Entropy of the variables at these places."""
        return entropy_nats(self.rows(self.marginal(*variables)))

    def conditional(self, *given: int) -> Array:
        """Entropy of the other variables given those at these places."""
        if self.source.numpy and self.count == 2:
            return self.sums("x|y" if given == (-1,) else "y|x")[0]
        if self.source.numpy:  # what is known in the columns
            last = tuple(range(-len(given), 0))
            p = self.p if given == last else np.moveaxis(self.p, given, last)
            columns = math.prod(p.shape[-len(given) :])
            return self._by_kernel(flat_rows(p.reshape((*self.batch, -1))), columns, "x|y")[0]
        xp = self.source.library.xp
        known = self.marginal(*given)
        some = self.p > 0
        ratio = xp.where(some, self.p, 1.0) / xp.where(some, known, 1.0)
        terms = self.p * xp.log(ratio)
        return 0.0 - terms.reshape((*self.source.p.shape[:-1], -1)).sum(-1)

    def information(self) -> Array:
        """I(X; Y) as D(joint‖product)."""
        whole = self.rows(self.p)
        whole.model = False
        product = self.marginal(-2) * self.marginal(-1)
        return kl_nats(whole, self.rows(self.above_zero(product)))

    def above_zero(self, model: Array) -> Array:
        """Replace products that underflowed to 0 by p: such outcomes are too rare to matter."""
        xp = self.source.library.xp
        return xp.where((self.p > 0) & (model == 0), self.p, model)

    def ratio(self, part: Array, whole: Array) -> Array:
        """Part / whole, 0 where the whole is 0."""
        if self.source.numpy:
            return np.divide(part, whole, out=np.zeros(self.batch), where=whole > 0)
        xp = self.source.library.xp
        return xp.where(whole > 0, part / xp.where(whole > 0, whole, 1.0), 0.0)

    def result(self, nats: Array, base: float, keepdims: bool) -> Any:
        """Convert to the caller's unit and axes."""
        return result(nats, base, keepdims, self.source)


class SparseJoint(Joint):
    """A joint distribution of two variables as a sparse matrix: its cells above 0."""

    def __init__(self, joint: Input, axis: Axis, where: ArrayLike | None) -> None:
        joint = apply_where("joint", joint, where)
        part = RowMatrix("joint", joint, axis)
        if len(part.axes) != 2:
            raise _check.invalid("axis", "name 2 axes, one a variable", repr(axis))
        cells = untyped(joint).tocoo()
        values = np.asarray(cells.data, dtype=np.float64)
        some = values > 0
        codes = [np.asarray(cells.coords[a])[some].astype(np.int64) for a in part.axes]
        # A coordinate matrix may list a cell more than once.
        columns = cells.shape[part.axes[1]]
        keys, place = np.unique(codes[0] * columns + codes[1], return_inverse=True)
        cells_of = np.bincount(place, values[some]).astype(np.float64)
        self.codes = np.divmod(keys, columns)
        self.cells = cells_of / cells_of.max()
        self.total = math.fsum(self.cells)
        self.count = 2
        self.source: Any = SimpleNamespace(
            axes=part.axes, ndim=2, library=NUMPY, numpy=False, valid=None
        )

    def _of(self, place: int) -> Numbers:
        """Distribution of one variable."""
        return np.bincount(self.codes[place], self.cells).astype(np.float64, copy=False)

    def entropy(self, *variables: int) -> Array:
        """Entropy of the variables at these places."""
        values = self.cells if len(variables) == 2 else self._of(variables[0])
        return np.asarray(entropy_of_counts(values))

    def conditional(self, *given: int) -> Array:
        """Entropy of the other variables given those at these places."""
        known = self._of(given[0])[self.codes[given[0]]]
        return np.asarray(0.0 - math.fsum(self.cells * np.log(self.cells / known)) / self.total)

    def information(self) -> Array:
        """I(X; Y) as D(joint‖product): the product's mass outside the cells is one more outcome."""
        both = [self._of(place)[self.codes[place]] / self.total for place in (0, 1)]
        product = both[0] * both[1]
        rest = max(0.0, math.fsum([1.0, *-product]))
        p = np.append(self.cells / self.total, 0.0)
        return kl_nats(*paired(p, np.append(product, rest), -1))


def joint_of(
    joint: Input, axis: Axis, where: ArrayLike | None, min_axes: int = 2, max_axes: int = 2
) -> Joint:
    """Return a joint distribution, dense or sparse."""
    joint, where = in_order("joint", joint, axis, where, pairs=True)
    if is_sparse(joint):
        return SparseJoint(joint, axis, where)
    return Joint(joint, axis, where, min_axes, max_axes)


@takes_joint
def conditional_entropy(
    joint: Input,
    *,
    given: int | tuple[int, ...],
    axis: tuple[int, ...] = (-2, -1),
    base: float = math.e,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How many nats the other variables still take once the given ones are known.

    H(X|Y) = H(X, Y) - H(Y)

    Parameters
    ----------
    joint : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., X, Y)
        Joint distribution; a plain array is probabilities that sum to 1 over all of ``axis``.
    given : int or tuple of int
        The axes, among ``axis``, of what is known: ``given=-1`` is H(X|Y).
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
        From 0 (the given ones determine the others) to the entropy of the others.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    There is no default for ``given``: libraries disagree about the order, and it matters.

    Examples
    --------
    >>> conditional_entropy([[0.25, 0.25], [0.5, 0.0]], given=-2, base=2)
    0.5

    References
    ----------
    Cover, T. M. and Thomas, J. A. (2006). Elements of Information Theory, 2nd ed., section 2.2.
    """
    table = joint_of(joint, axis, where, 2, 64)
    places = {a: i - table.count for i, a in enumerate(table.source.axes)}
    known = outcome_axes("joint", given, table.source.ndim, "given")
    if not set(known) < set(places):
        raise _check.invalid("given", f"be some, not all, of the axes {axis}", repr(given))
    return table.result(table.conditional(*(places[a] for a in known)), base, keepdims)


@takes_joint
def mutual_information(
    joint: Input,
    *,
    axis: tuple[int, ...] = (-2, -1),
    base: float = math.e,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How many nats knowing one variable saves, on average, in telling the other.

    I(X; Y) = D(p(x, y)‖p(x) p(y)) = H(X) + H(Y) - H(X, Y)

    Parameters
    ----------
    joint : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., X, Y)
        Joint distribution of two variables; a plain array is probabilities that sum to 1 over
        both axes.
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
        From 0 (independent) to the smaller of the two entropies; never negative.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Notes
    -----
    Of a table of counts this is the plug-in estimate, which is biased upwards.

    Examples
    --------
    >>> round(mutual_information([[0.5, 0.0], [0.0, 0.5]], base=2), 12)
    1.0

    References
    ----------
    Cover, T. M. and Thomas, J. A. (2006). Elements of Information Theory, 2nd ed., section 2.3.
    """
    table = joint_of(joint, axis, where)
    return table.result(table.sums("information")[0], base, keepdims)


@takes_joint
def variation_of_information(
    joint: Input,
    *,
    axis: tuple[int, ...] = (-2, -1),
    base: float = math.e,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any:
    """How many nats it takes to tell each variable once the other is known.

    VI(X, Y) = H(X|Y) + H(Y|X) = H(X, Y) - I(X; Y)

    Parameters
    ----------
    joint : array_like, scipy.sparse, Counts, Logits or LogProbs, shape (..., X, Y)
        Joint distribution of two variables; a plain array is probabilities that sum to 1 over
        both axes.
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
        From 0 (each determines the other) to H(X, Y); a metric between partitions.

    Raises
    ------
    ValueError, TypeError
        If an input is not made of distributions, or an option is not one.

    Examples
    --------
    >>> variation_of_information([[0.25, 0.25], [0.25, 0.25]], base=2)
    2.0

    References
    ----------
    Meilă, M. (2007). Comparing clusterings: an information based distance. Journal of Multivariate
    Analysis 98.
    """
    table = joint_of(joint, axis, where)
    one, other = table.sums("x|y", "y|x")
    return table.result(one + other, base, keepdims)
