"""Good-Turing: things seen r times are worth what things seen r + 1 times weigh together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language.smoothing._smoothing import F64, Evidence, Flat, counts_of_counts, leave_mass


@dataclass(frozen=True)
class GoodTuring(Flat):
    """Good-Turing counts r* = (r + 1) n_{r+1} / n_r, the rest spread evenly over words not seen.

    n_r is the number of n-grams of the model's order seen r times. As n_r itself is noise where it
    is small, the simple Good-Turing method reads it from a straight line through log n_r over
    log r, as soon as the two estimates no longer differ. p(w | h) = r* / c(h) for words seen, never
    more than r / c(h). `Katz` gives the rest to the shorter history, which is better.

    Parameters
    ----------
    cutoff : int, optional
        Discount as Katz does instead: counts up to ``cutoff`` by the plain formula, rescaled so
        that those above it can be believed.

    Raises
    ------
    ValueError, TypeError
        If ``cutoff`` is no integer of at least 1.

    Warns
    -----
    UserWarning
        Where the counts of counts allow no estimate; the counts are then kept whole, and a history
        that leaves nothing is divided by one more.

    Examples
    --------
    >>> from xent.language import NGramModel
    >>> divisors = [" ".join(str(d) for d in range(1, n + 1) if n % d == 0) for n in range(1, 200)]
    >>> [(word, p)] = NGramModel(2, GoodTuring()).fit(divisors).next("1", top_k=1)
    >>> word, round(p, 4)
    ('2', 0.4776)

    References
    ----------
    W. A. Gale and G. Sampson (1995). Good-Turing frequency estimation without tears. Journal of
    Quantitative Linguistics 2(3).
    """

    cutoff: int | None = None

    def __post_init__(self) -> None:
        if self.cutoff is not None:
            _check.integer("cutoff", self.cutoff, least=1)

    def discounted(self, evidence: Evidence, counts: NDArray[np.uint32]) -> F64:
        """Return r* for counts r."""
        top = evidence.levels[-1].count
        if self.cutoff is not None:
            return good_turing_counts(counts, top, self.cutoff, "GoodTuring")
        kinds, numbers = np.unique(top[top > 0], return_counts=True)
        stars = simple_good_turing(kinds, numbers)
        if stars is None:
            _doubt("GoodTuring", "fewer than two different counts, or no n-gram was seen once")
            return counts.astype(np.float64)
        # Shorter n-grams at the beginning of a sentence may have counts that no long one has.
        by_count = np.interp(counts, kinds, stars / kinds) * counts
        return np.minimum(by_count, counts)

    def enlarge(self, evidence: Evidence, order: int, discounted: F64, total: F64) -> None:
        """Make room where nothing is left."""
        leave_mass(evidence, order, discounted, total)


def simple_good_turing(kinds: NDArray[np.integer], numbers: NDArray[np.integer]) -> F64 | None:
    """Return r* for each count r, scaled so that n_1 / N is left for what was not seen.

    Parameters
    ----------
    kinds : (m,) int
        The counts r that occur, ascending.
    numbers : (m,) int
        How often each occurs.
    """
    if len(kinds) < 2 or kinds[0] != 1:
        return None
    r, n = kinds.astype(np.float64), numbers.astype(np.float64)
    below = np.concatenate([[0.0], r[:-1]])
    above = np.concatenate([r[1:], [2 * r[-1] - r[-2]]])
    z = 2 * n / (above - below)
    slope, start = np.polyfit(np.log(r), np.log(z), 1)
    if slope >= -1:
        _doubt("GoodTuring", f"log n_r falls over log r with slope {slope:.2f}, not below -1")
    smooth = (r + 1) * np.exp(start + slope * np.log(r + 1)) / np.exp(start + slope * np.log(r))
    where = dict(zip(r, n, strict=True))
    stars = smooth.copy()
    for i in range(len(r)):
        following = where.get(r[i] + 1)
        if following is None:
            break
        plain = (r[i] + 1) * following / n[i]
        deviation = (r[i] + 1) * np.sqrt(following / n[i] ** 2 * (1 + following / n[i]))
        if abs(plain - smooth[i]) <= 1.96 * deviation:
            break
        stars[i] = plain
    total = float(r @ n)
    return np.asarray(stars * (total - n[0]) / float(stars @ n))


def good_turing_counts(
    counts: NDArray[np.uint32], seen: NDArray[np.uint32], k: int, who: str
) -> F64:
    """Discount counts up to ``k`` as Katz does, given all counts of their order.

    d_r = (r*/r - A) / (1 - A) with A = (k + 1) n_{k+1} / n_1: then the mass taken is n_1 / N.
    A coefficient outside (0, 1] is replaced by 1, as SRILM does.
    """
    n = counts_of_counts(seen, k + 1).astype(np.float64)
    ratio = np.ones(k + 1)
    bad = []
    common = (k + 1) * n[k + 1] / n[1] if n[1] > 0 else np.inf
    for r in range(1, k + 1):
        star = (r + 1) * n[r + 1] / (r * n[r]) if n[r] > 0 else np.inf
        found = (star - common) / (1 - common) if star <= 1 and common < 1 else np.inf
        if 1e-6 < found <= 1:
            ratio[r] = found
        else:
            bad.append(r)
    if bad:
        _doubt(who, f"its coefficients for counts {', '.join(map(str, bad))} are out of range")
    values = counts.astype(np.float64)
    low = counts <= k
    values[low] *= ratio[counts[low]]
    return values


def _doubt(who: str, because: str) -> None:
    _check.warn(
        f"{who} cannot estimate its discounts: {because}. Those counts are kept whole. The corpus "
        "is small or deduplicated; WittenBell() needs no counts of counts.",
    )
