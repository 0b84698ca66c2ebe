"""What numbers mean before they are a distribution: counts, logits, logarithms of probabilities.

A plain array is probabilities. Anything else says so by its type, and nothing is guessed from the
values: that is the whole reason for these three classes.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Counts:
    """How often each outcome was seen; its distribution is the share of each.

    p_k = n_k / Σ n

    Parameters
    ----------
    values : array_like
        Counts or weights, non-negative with a positive total in each row. Integers up to 2^64 are
        taken; above 2^53 they are rounded to float64.

    Examples
    --------
    >>> from xent.measures import entropy
    >>> entropy(Counts([2, 1, 1]), base=2)
    1.5
    """

    values: Any


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
