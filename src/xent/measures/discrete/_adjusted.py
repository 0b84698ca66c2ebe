"""Mutual information of two labelings less what chance gives, where the counts of both are kept."""

import math
from typing import Any

import numpy as np

from xent import _check
from xent.measures.discrete._joint import joint_of
from xent.measures.rows._decorators import in_order, takes_joint
from xent.measures.rows._protocols import Numbers
from xent.measures.rows._typed_arrays import Counts, untyped

CELLS_AT_ONCE = 1 << 20  # numbers looked at together
DEVIATIONS = 50  # deviations from the mean beyond which a count has no probability that matters


@takes_joint
def adjusted_mutual_information(joint: Counts, *, average: str = "arithmetic") -> float:
    """How much two labelings agree beyond what chance gives, 0 for chance and 1 for the same.

    (I - E) / (mean(H(X), H(Y)) - E), E the mean of I over all tables with the same margins

    Parameters
    ----------
    joint : Counts of shape (X, Y)
        How often each pair of labels was seen: ``Counts.from_samples(x, given=y)``; dense or
        scipy.sparse. A Counter of pairs is taken, too.
    average : str
        Mean of the two entropies: "arithmetic", "geometric", "min" or "max".

    Returns
    -------
    float
        1 at most; about 0, also below, where the labelings are independent. Two labelings of one
        cluster are the same: 1. 0 where chance alone gives all that the mean allows.

    Raises
    ------
    ValueError, TypeError
        If the counts are not whole, are no table of two variables, or an option is not one.

    Notes
    -----
    Without a correction, labelings with many clusters agree by accident:
    `normalized_mutual_information` of two columns of unique ids is 1.

    Examples
    --------
    >>> from xent.measures import Counts
    >>> x, y = [0, 0, 1, 1, 2, 2], [0, 0, 0, 1, 1, 1]
    >>> round(adjusted_mutual_information(Counts.from_samples(x, given=y)), 4)
    0.2988

    References
    ----------
    Vinh, N. X., Epps, J. and Bailey, J. (2010). Information theoretic measures for clusterings
    comparison. Journal of Machine Learning Research 11.
    """
    _check.option("average", average, ("arithmetic", "geometric", "min", "max"))
    joint = in_order("joint", joint, (-2, -1), None, pairs=True)[0]
    x, y = _margins(joint)
    sums = joint_of(joint, (-2, -1), None).sums("information", "x", "y")
    told, one, other = (float(value) for value in sums)
    chance = expected_information(x, y)
    whole = {
        "arithmetic": 0.5 * (one + other),
        "geometric": math.sqrt(one * other),
        "min": min(one, other),
        "max": max(one, other),
    }[average]
    rounding = 1e-12 * max(1.0, whole)
    if abs(whole - chance) <= rounding:
        return float(max(one, other) - told <= rounding)
    return (told - chance) / (whole - chance)


def expected_information(x: Numbers, y: Numbers) -> float:
    """Mean of the mutual information over all tables with these margins, in nats.

    Σ over cells and counts n of n/N log(N n / (a b)) · P(n), P hypergeometric.
    """
    total = float(x.sum())
    sizes, times = np.unique(x, return_counts=True)
    others, repeats = np.unique(y, return_counts=True)
    value = 0.0
    for a, many in zip(sizes.tolist(), times.tolist(), strict=True):
        mean = a * others / total
        deviation = np.sqrt(mean * (1 - a / total) * (total - others) / max(1.0, total - 1))
        least = np.maximum(
            np.maximum(0.0, a + others - total), np.floor(mean - DEVIATIONS * deviation)
        )
        most = np.minimum(np.minimum(a, others), np.ceil(mean + DEVIATIONS * (deviation + 1)))
        width = int((most - least).max()) + 1
        rows = max(1, CELLS_AT_ONCE // width)
        for start in range(0, others.size, rows):
            part = slice(start, start + rows)
            n = least[part, None] + np.arange(width)
            terms = _terms(n, most[part, None], a, others[part, None], total)
            value += many * float((repeats[part] * terms).sum())
    return max(0.0, value)


def _terms(n: Numbers, most: Numbers, a: float, b: Numbers, total: float) -> Numbers:
    """Mean of n/N log(N n / (a b)) for each b, over the counts n of a row up to the most."""
    inside = n <= most
    before, after = n[:, :-1], inside[:, 1:]
    # P(n + 1) / P(n) is simple, and all of P sums to 1.
    up = np.where(after, (a - before) * (b - before), 1.0)
    down = np.where(after, (before + 1) * (total - a - b + before + 1), 1.0)
    log_p = np.zeros(n.shape)
    log_p[:, 1:] = np.cumsum(np.log(up) - np.log(down), axis=1)
    log_p = np.where(inside, log_p, -np.inf)
    p = np.exp(log_p - log_p.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    some = inside & (n > 0)
    gain = np.log(np.where(some, n, 1.0)) + math.log(total) - math.log(a) - np.log(b)
    return np.asarray(np.where(some, p * n / total * gain, 0.0).sum(1))


def _margins(joint: Counts) -> tuple[Numbers, Numbers]:
    """Check that these are whole counts of pairs; return those of each variable, above 0."""
    if not isinstance(joint, Counts):
        advice = "Pass Counts.from_samples(x, given=y), or Counts around a table of counts."
        raise _check.wrong_kind("joint", "be Counts", _check.a(joint), advice)
    values: Any = untyped(joint)
    sparse = hasattr(values, "tocoo")
    table: Any = values if sparse else np.asarray(values)
    if table.ndim != 2:
        raise _check.invalid("joint", "have two axes", f"shape {table.shape}")
    entries = np.asarray(table.tocoo().data if sparse else table, dtype=np.float64).ravel()
    if not np.array_equal(entries, np.rint(entries)):
        place = entries[entries != np.rint(entries)][0]
        advice = "What chance gives depends on how many rows there are."
        raise _check.invalid("joint", "hold whole numbers", f"{place:g}", advice)
    margins = (np.asarray(table.sum(axis), dtype=np.float64).ravel() for axis in (1, 0))
    x, y = (margin[margin > 0] for margin in margins)
    return x, y
