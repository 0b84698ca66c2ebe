"""Absolute discounting: a count on the next text is the count on this one less a constant."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language.smoothing._kneser_ney import one_discount
from xent.language.smoothing._smoothing import (
    CUT_MASS,
    F64,
    Discounting,
    Evidence,
    counts_of_counts,
)


@dataclass(frozen=True)
class AbsoluteDiscounting(Discounting):
    """One constant off every count, and the shorter history gets what that frees.

    p(w | h) = max(0, c(h, w) - D) / c(h) + left(h) p(w | h')

    Kneser-Ney is this with better lower orders. D is estimated for each order as n1 / (n1 + 2 n2),
    where n1 and n2 n-grams were seen once and twice.

    Parameters
    ----------
    discount : float, optional
        D, above 0 and at most 1, for every order instead of an estimated one.
    interpolated : bool
        False gives the back-off form.
    cut_mass : str
        Who gets the mass of n-grams left out by ``min_count``, if interpolated. ``"kept"``: all
        words after the history, as in KenLM's lmplz. ``"backoff"``: only words without an n-gram
        there, as in SRILM. The back-off form always gives it to these.

    Raises
    ------
    ValueError, TypeError
        If ``discount`` is no number above 0 and at most 1, or ``cut_mass`` is neither.

    Warns
    -----
    UserWarning
        Where D cannot be estimated for an order; it is 0.75 there.

    Examples
    --------
    >>> from xent.language import NGramModel
    >>> divisors = [" ".join(str(d) for d in range(1, n + 1) if n % d == 0) for n in range(1, 200)]
    >>> [(word, p)] = NGramModel(2, AbsoluteDiscounting()).fit(divisors).next("1", top_k=1)
    >>> word, round(p, 4)
    ('2', 0.5082)

    References
    ----------
    H. Ney, U. Essen and R. Kneser (1994). On structuring probabilistic dependences in stochastic
    language modelling. Computer Speech and Language 8(1).
    """

    discount: float | None = None
    interpolated: bool = True
    cut_mass: str = "kept"

    def __post_init__(self) -> None:
        _check.flag("interpolated", self.interpolated)
        _check.option("cut_mass", self.cut_mass, CUT_MASS)
        if self.discount is not None and _check.positive("discount", self.discount) > 1:
            must = "be above 0 and at most 1"
            raise _check.invalid("discount", must, self.discount, "Counts are whole numbers.")

    def discounted(
        self, evidence: Evidence, order: int, counts: NDArray[np.uint32], total: F64
    ) -> F64:
        """Return the counts less the discount."""
        d = self.discount
        if d is None:
            d = one_discount(counts_of_counts(counts, 2), f"AbsoluteDiscounting, {order}-grams")
        return np.asarray(np.maximum(counts - float(d), 0.0))
