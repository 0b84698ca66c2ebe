"""Stupid back-off: relative frequencies, and a fixed penalty for every word of history given up."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from xent import _check
from xent.language._counting.levels import totals
from xent.language.smoothing._smoothing import Evidence, Smoothed, Smoothing


@dataclass(frozen=True)
class StupidBackoff(Smoothing):
    """Scores that rank like probabilities on very large text, and are none.

    S(w | h) = c(h, w) / c(h) if (h, w) was seen, else alpha S(w | h')

    The scores after a history do not sum to 1, so a "perplexity" made of them compares with
    nothing: reports say so, and an ARPA file cannot hold them. The penalty is paid for every word
    of history given up, seen or not.

    Parameters
    ----------
    alpha : float
        Between 0 and 1; the paper's is 0.4.

    Raises
    ------
    ValueError, TypeError
        If ``alpha`` is no number between 0 and 1.

    Examples
    --------
    >>> from xent.language import NGramModel
    >>> divisors = [" ".join(str(d) for d in range(1, n + 1) if n % d == 0) for n in range(1, 200)]
    >>> [(word, p)] = NGramModel(2, StupidBackoff()).fit(divisors).next("1", top_k=1)
    >>> word, round(p, 4)
    ('2', 0.4975)

    References
    ----------
    T. Brants, A. C. Popat, P. Xu, F. J. Och and J. Dean (2007). Large Language Models in Machine
    Translation. EMNLP-CoNLL, equation 5.
    """

    alpha: float = 0.4
    is_distribution = False

    def __post_init__(self) -> None:
        _check.share("alpha", self.alpha)

    def estimates(self, evidence: Evidence) -> Iterator[Smoothed]:
        """Yield relative frequencies; the penalty is paid by length, when scoring."""
        histories = 1
        for order, level in enumerate(evidence.levels, 1):
            count = evidence.of_events(order, level.count)
            total = totals(level, count, histories)
            shown = evidence.shown(order)
            p = count / np.maximum(total, 1)[level.prefix]
            if histories == 1:
                shown = np.ones(len(level), np.bool_)
            yield Smoothed(p, np.ones(histories), shown)
            histories = len(level)
