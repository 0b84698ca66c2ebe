"""Arrays that say what their numbers are: counts, logits, logarithms of probabilities.

A plain array is probabilities. Anything else says so by its type; nothing is guessed from values.
"""

import sys
from dataclasses import dataclass
from typing import Any, Self, TypeGuard

import numpy as np

from xent import _check
from xent.measures.rows._protocols import ArrayLike, Distribution, Samples, SparseArray


@dataclass(frozen=True, eq=False)
class Counts:
    """How often each outcome was seen; its distribution is the share of each.

    p_k = n_k / Σ n

    Parameters
    ----------
    values : array_like or scipy.sparse array
        Counts or weights, non-negative with a positive total in each row. Integers up to 2^64 are
        taken; above 2^53 they are rounded to float64.
    symbols : tuple of tuples
        What each axis counts, as `from_samples` makes them; then ``a + b`` adds, and every measure
        of two compares, by symbol.

    Examples
    --------
    >>> from xent.measures import entropy
    >>> entropy(Counts([2, 1, 1]), base=2)
    1.5
    """

    values: Any
    symbols: tuple[tuple[Any, ...], ...] = ()

    @classmethod
    def from_samples(
        cls,
        x: Samples,
        *,
        given: Samples | None = None,
        weights: ArrayLike | None = None,
        missing: str = "refuse",
    ) -> Self:
        """Count a column of symbols, or two columns into a table of their pairs.

        Parameters
        ----------
        x : column
            One hashable symbol a row: a list, NumPy, Arrow, pandas or polars.
        given : column, optional
            The second axis of the table.
        weights : array_like, optional
            What each row counts for, instead of 1.
        missing : str
            None and NaN: "refuse" them, "drop" their rows, or take them for a "symbol", None.

        Returns
        -------
        Counts
            Only symbols that occur; ``a + b`` is the count of both samples together. A table of
            more than four million cells is a scipy.sparse array of the pairs that occur.

        Examples
        --------
        >>> a, b = Counts.from_samples("banana"), Counts.from_samples("bread")
        >>> (a + b).symbols[0], (a + b).values.tolist()
        (('a', 'b', 'd', 'e', 'n', 'r'), [4, 2, 1, 1, 2, 1])
        """
        from xent.measures.rows._symbols import table_of

        named = {"x": x} if given is None else {"x": x, "given": given}
        return cls(*table_of(named, missing, weights))

    def __add__(self, other: object) -> Self:
        from xent.measures.rows._symbols import merged

        if not isinstance(other, Counts):
            return NotImplemented
        if not self.symbols or len(self.symbols) != len(other.symbols):
            must = "both be made by Counts.from_samples, with as many columns"
            raise _check.invalid("counts", must, "others", "Add the arrays themselves.")
        pair = [v if hasattr(v, "tocoo") else np.asarray(v) for v in (self.values, other.values)]
        return type(self)(*merged(pair[0], self.symbols, pair[1], other.symbols))


@dataclass(frozen=True, eq=False)
class Logits:
    """Scores before a softmax; minus infinity masks an outcome.

    p_k = exp(z_k) / Σ exp(z)

    Parameters
    ----------
    values : array_like
        Real numbers or minus infinity; at least one outcome of each row must be finite.

    Examples
    --------
    >>> import math
    >>> from xent.measures import entropy
    >>> entropy(Logits([0.0, 0.0, -math.inf]), base=2)
    1.0
    """

    values: Any


@dataclass(frozen=True, eq=False)
class LogProbs:
    """Natural logarithms of probabilities; checked to be those of distributions.

    p_k = exp(l_k)

    Parameters
    ----------
    values : array_like
        Real numbers or minus infinity whose exponentials sum to 1.

    Examples
    --------
    >>> import math
    >>> from xent.measures import entropy
    >>> round(entropy(LogProbs([math.log(0.5), math.log(0.5)]), base=2), 12)
    1.0
    """

    values: Any


TYPED = (Counts, Logits, LogProbs)
# Types that are neither a sparse matrix nor name their outcomes.
UNNAMED = frozenset((np.ndarray, list, tuple, float, int, bool, str, type(None)))
Input = ArrayLike | SparseArray | Counts | Logits | LogProbs | Distribution


def untyped(value: object) -> Any:
    """Return the values of a typed array, and anything else as it is."""
    return value.values if isinstance(value, TYPED) else value


def is_distribution(value: object) -> TypeGuard[Distribution]:
    """Tell whether this is a distribution object; loads no library to find out."""
    if type(value) in (np.ndarray, list, tuple):
        return False
    kind = value if isinstance(value, type) else type(value)  # a class is refused with advice
    stats = sys.modules.get("scipy.stats")
    if stats is not None and (
        kind.__module__.startswith("scipy.stats")
        or issubclass(kind, (stats.rv_continuous, stats.rv_discrete))  # a user's own
    ):
        return True
    torch = sys.modules.get("torch.distributions")
    return torch is not None and issubclass(kind, torch.Distribution)


def only_arrays(rng: object, draws: object) -> None:
    """Refuse the options of Monte Carlo for arrays."""
    if rng is not None or draws is not None:
        argument = "rng" if rng is not None else "draws"
        raise _check.invalid(argument, "be left out for arrays", "one", "Nothing is drawn here.")


def only_densities(axis: object, keepdims: object, where: object) -> None:
    """Refuse the options of arrays for a distribution object, which has no axes."""
    for argument, value in (("axis", axis != -1), ("keepdims", keepdims), ("where", where)):
        if value is not None and value is not False:
            got = "one with a distribution object"
            raise _check.invalid(argument, "be left out where there are no axes", got)
