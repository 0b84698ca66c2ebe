"""Kneser-Ney: a word is likely in a new place if it was seen in many places, often or not."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language._counting.levels import continuation_counts
from xent.language._kernels import smooth as kernels
from xent.language.smoothing._smoothing import (
    CUT_MASS,
    F64,
    Discounting,
    Evidence,
    counts_of_counts,
)

FALLBACK = (0.5, 1.0, 1.5)  # lmplz --discount_fallback
FALLBACK_ONE = 0.75

Discount = float | tuple[float, float, float] | None


@dataclass(frozen=True)
class KneserNey(Discounting):
    """Interpolated modified Kneser-Ney, the best of the classical smoothings.

    p(w | h) = (a(h, w) - D(a)) / Σ_v a(h, v) + left(h) p(w | h')

    a is the count for the longest n-grams and those that begin a sentence, and for all others the
    number of different words seen before the n-gram. D(1), D(2), D(3 and more) are estimated for
    each order from the numbers t_r of n-grams with a = r:

        Y = t_1 / (t_1 + 2 t_2),   D(r) = r - (r + 1) Y t_{r+1} / t_r

    and with ``modified=False`` one discount, D = Y.

    Parameters
    ----------
    interpolated : bool
        False gives the back-off form: the shorter history speaks only for words not seen.
    modified : bool
        Three discounts an order, or one.
    discount : float or (float, float, float), optional
        Discounts to use for every order instead of estimated ones.
    cut_mass : str
        Who gets the mass of n-grams left out by ``min_count``, if interpolated. ``"kept"``: all
        words after the history, as in KenLM's lmplz. ``"backoff"``: only words without an n-gram
        there, as in SRILM. The back-off form always gives it to these.

    Raises
    ------
    ValueError, TypeError
        If ``discount`` is not one number or three, or D(r) is not above 0 and at most r; if
        ``cut_mass`` is neither.

    Warns
    -----
    UserWarning
        Where the discounts of an order cannot be estimated (small, closed or deduplicated text):
        (0.5, 1, 1.5) or 0.75 are used for that order.

    Examples
    --------
    >>> from xent.language import NGramModel
    >>> divisors = [" ".join(str(d) for d in range(1, n + 1) if n % d == 0) for n in range(1, 200)]
    >>> [(word, p)] = NGramModel(2, KneserNey()).fit(divisors).next("1", top_k=1)
    >>> word, round(p, 4)
    ('2', 0.4915)

    References
    ----------
    S. F. Chen and J. Goodman (1998). An Empirical Study of Smoothing Techniques for Language
    Modeling. Harvard TR-10-98, sections 3 and 4.1.6.
    """

    interpolated: bool = True
    modified: bool = True
    discount: Discount = None
    cut_mass: str = "kept"

    def __post_init__(self) -> None:
        advice = "Discounts go under discount=."
        _check.flag("interpolated", self.interpolated, advice)
        _check.flag("modified", self.modified, advice)
        _check.option("cut_mass", self.cut_mass, CUT_MASS)
        if self.discount is not None:
            check_discounts(self.discount)

    def counts(self, evidence: Evidence) -> Iterator[NDArray[np.uint32]]:
        """Yield the continuation counts of each level."""
        yield from continuation_counts(evidence.levels)

    def discounted(
        self, evidence: Evidence, order: int, counts: NDArray[np.uint32], total: F64
    ) -> F64:
        """Return the counts less their discounts."""
        discounted = np.empty(len(counts))
        kernels.less_discount(counts, np.array([0.0, *self.discounts(order, counts)]), discounted)
        return discounted

    def discounts(self, order: int, counts: NDArray[np.uint32]) -> tuple[float, float, float]:
        """Return D(1), D(2) and D(3 and more) for one order."""
        if self.discount is not None:
            given = self.discount
            return given if isinstance(given, tuple) else (given, given, given)
        seen = counts_of_counts(counts, 4)
        if not self.modified:
            one = one_discount(seen, f"KneserNey, {order}-grams")
            return one, one, one
        missing = [r for r in (1, 2, 3) if seen[r] == 0]
        if missing:
            times = {1: "once", 2: "twice", 3: "three times"}[missing[0]]
            return _fall_back(order, f"no {order}-gram was seen exactly {times}")
        share = seen[1] / (seen[1] + 2.0 * seen[2])
        found = [r - (r + 1) * share * seen[r + 1] / seen[r] for r in (1, 2, 3)]
        wrong = [r for r, d in zip((1, 2, 3), found, strict=True) if not 0 <= d <= r]
        if wrong:
            d = found[wrong[0] - 1]
            because = f"the discount of {order}-grams with count {wrong[0]} would be {d:.3g}"
            return _fall_back(order, because)
        return float(found[0]), float(found[1]), float(found[2])


def _fall_back(order: int, because: str) -> tuple[float, float, float]:
    _check.warn(
        f"KneserNey cannot estimate its discounts for {order}-grams: {because}. It uses 0.5, 1 "
        "and 1.5. The corpus is small or deduplicated. KneserNey(discount=0.75) sets them instead.",
    )
    return FALLBACK


def one_discount(seen: NDArray[np.int64], who: str) -> float:
    """Return n1 / (n1 + 2 n2), or the constant where it would be 0, 1 or nothing."""
    if seen[1] > 0 and seen[2] > 0:
        return float(seen[1] / (seen[1] + 2.0 * seen[2]))
    times = "once" if seen[1] == 0 else "twice"
    _check.warn(
        f"{who}: no n-gram was seen exactly {times}, so the discount cannot be estimated. It is "
        f"{FALLBACK_ONE}; pass discount={FALLBACK_ONE} to say so outright.",
    )
    return FALLBACK_ONE


def check_discounts(discount: object) -> None:
    """Refuse discounts that are not between 0 and the counts they are taken from."""
    values = discount if isinstance(discount, tuple) else (discount,) * 3
    if len(values) != 3:
        raise _check.invalid("discount", "be one number or three", repr(discount))
    for value, highest in zip(values, (1, 1, 1) if not isinstance(discount, tuple) else (1, 2, 3),
                           strict=True):  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _check.wrong_kind("discount", "be one number or three", repr(discount))
        if not 0 < value <= highest:
            must = f"be above 0 and at most {highest}"
            raise _check.invalid("discount", must, value, "Counts are whole numbers.")
