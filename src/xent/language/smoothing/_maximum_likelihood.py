"""No smoothing at all: what was not seen cannot happen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent.language.smoothing._smoothing import F64, Discounting, Evidence


@dataclass(frozen=True)
class MaximumLikelihood(Discounting):
    """Relative frequencies: p(w | h) = c(h, w) / c(h).

    A word not seen after a history has probability 0, and a text that holds one has perplexity inf.
    A history that was never seen itself says nothing and is shortened until it was. The model's
    cross-entropy on its own training text is the conditional entropy of the counts.

    Examples
    --------
    >>> from xent.language import NGramModel
    >>> divisors = [" ".join(str(d) for d in range(1, n + 1) if n % d == 0) for n in range(1, 200)]
    >>> [(word, p)] = NGramModel(2, MaximumLikelihood()).fit(divisors).next("1", top_k=1)
    >>> word, round(p, 4)
    ('2', 0.4975)

    References
    ----------
    D. Jurafsky and J. H. Martin. Speech and Language Processing, 3rd ed. draft, section 3.1.
    """

    interpolated = False

    def discounted(
        self, evidence: Evidence, order: int, counts: NDArray[np.uint32], total: F64
    ) -> F64:
        """Return the counts."""
        return counts.astype(np.float64)
