"""Witten-Bell: a history after which many different words came will be followed by new ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language._kernels import smooth as kernels
from xent.language.smoothing._smoothing import CUT_MASS, F64, Discounting, Evidence


@dataclass(frozen=True)
class WittenBell(Discounting):
    """Witten-Bell smoothing: as many new words are expected as different words were seen.

    p(w | h) = (c(h, w) + T(h) p(w | h')) / (c(h) + T(h))

    T(h) is the number of different words seen after h. It needs no counts of counts and so suits
    small, closed and character data, where Kneser-Ney cannot estimate its discounts.

    Parameters
    ----------
    interpolated : bool
        False gives the back-off form: c / (c + T) for words seen, the rest shared among the others.
    cut_mass : str
        Who gets the mass of n-grams left out by ``min_count``, if interpolated. ``"kept"``: all
        words after the history, as in KenLM's lmplz. ``"backoff"``: only words without an n-gram
        there, as in SRILM. The back-off form always gives it to these.

    Raises
    ------
    ValueError
        If ``cut_mass`` is neither.

    Examples
    --------
    >>> from xent.language import NGramModel
    >>> divisors = [" ".join(str(d) for d in range(1, n + 1) if n % d == 0) for n in range(1, 200)]
    >>> [(word, p)] = NGramModel(2, WittenBell()).fit(divisors).next("1", top_k=1)
    >>> word, round(p, 4)
    ('2', 0.4153)

    References
    ----------
    I. H. Witten and T. C. Bell (1991). The zero-frequency problem. IEEE Transactions on Information
    Theory 37(4), method C.
    """

    interpolated: bool = True
    cut_mass: str = "kept"

    def __post_init__(self) -> None:
        _check.flag("interpolated", self.interpolated)
        _check.option("cut_mass", self.cut_mass, CUT_MASS)

    def discounted(
        self, evidence: Evidence, order: int, counts: NDArray[np.uint32], total: F64
    ) -> F64:
        """Return the counts; the total grows by the number of different words."""
        kinds = np.zeros(len(total), np.int64)
        seen = evidence.of_events(order, counts) > 0
        kernels.count_by_prefix(evidence.levels[order - 1].prefix[seen], kinds)
        total += kinds
        return counts.astype(np.float64)
