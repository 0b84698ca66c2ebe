"""Add-k: every word is imagined to have been seen k more times after every history."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language.smoothing._smoothing import F64, Evidence, Flat


@dataclass(frozen=True)
class AddK(Flat):
    """Additive smoothing: p(w | h) = (c(h, w) + k) / (c(h) + k V).

    V counts everything that can follow: the words, ``</s>``, and ``<unk>`` unless the vocabulary is
    closed. k = 1 is Laplace's rule, k = 0.5 Jeffreys'. Only histories of the model's full length
    (or from ``<s>`` on) are looked at; after any other, every word has probability 1 / V. It is
    the textbook's first method and its worst; use it to see why.

    Parameters
    ----------
    k : float
        Positive.

    Raises
    ------
    ValueError, TypeError
        If ``k`` is no positive, finite number.

    Examples
    --------
    >>> from xent.language import NGramModel
    >>> divisors = [" ".join(str(d) for d in range(1, n + 1) if n % d == 0) for n in range(1, 200)]
    >>> [(word, p)] = NGramModel(2, AddK(0.1)).fit(divisors).next("1", top_k=1)
    >>> word, round(p, 4)
    ('2', 0.4523)

    References
    ----------
    D. Jurafsky and J. H. Martin. Speech and Language Processing, 3rd ed. draft, section 3.6.
    """

    k: float = 1.0

    def __post_init__(self) -> None:
        _check.positive("k", self.k)

    def discounted(self, evidence: Evidence, counts: NDArray[np.uint32]) -> F64:
        """Return the counts with k more."""
        return np.where(counts > 0, counts + float(self.k), 0.0)

    def enlarge(self, evidence: Evidence, order: int, discounted: F64, total: F64) -> None:
        """Add k for every word."""
        total[total > 0] += self.k * np.count_nonzero(evidence.uniform)
