"""Katz: Good-Turing discounts, and what they free goes to the shorter history's unseen words."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language.smoothing._good_turing import good_turing_counts
from xent.language.smoothing._smoothing import F64, Discounting, Evidence, leave_mass


@dataclass(frozen=True)
class Katz(Discounting):
    """Katz back-off with Good-Turing discounts, by the conventions of SRILM.

    p(w | h) = d_r c(h, w) / c(h) if (h, w) was seen r times, else backoff(h) p(w | h')

    Counts up to ``k`` are discounted by d_r (see `GoodTuring`), larger ones believed, unigrams not
    discounted. Without ``min_count`` n-grams of order 3 and more must be seen twice to stand in the
    model. A history that leaves nothing is divided by one more.

    Parameters
    ----------
    k : int
        The largest count that is discounted.

    Raises
    ------
    ValueError, TypeError
        If ``k`` is no integer of at least 1.

    Warns
    -----
    UserWarning
        Where a coefficient is outside (0, 1]; it is 1 then, as in SRILM.

    Examples
    --------
    >>> from xent.language import NGramModel
    >>> divisors = [" ".join(str(d) for d in range(1, n + 1) if n % d == 0) for n in range(1, 200)]
    >>> [(word, p)] = NGramModel(2, Katz(k=5)).fit(divisors).next("1", top_k=1)
    >>> word, round(p, 4)
    ('2', 0.4975)

    References
    ----------
    S. M. Katz (1987). Estimation of probabilities from sparse data for the language model component
    of a speech recognizer. IEEE Transactions on ASSP 35(3).
    """

    k: int = 7
    interpolated = False

    def __post_init__(self) -> None:
        _check.integer("k", self.k, least=1)

    def default_least(self, order: int) -> list[int]:
        """Return SRILM's cut-offs: 1, 1, 2, 2, ..."""
        return [1, 1, *[2] * order][:order]

    def discounted(
        self, evidence: Evidence, order: int, counts: NDArray[np.uint32], total: F64
    ) -> F64:
        """Return the discounted counts."""
        if order == 1:
            discounted = counts.astype(np.float64)
        else:
            discounted = good_turing_counts(counts, counts, self.k, f"Katz, {order}-grams,")
        leave_mass(evidence, order, discounted, total)
        return discounted
