"""Entropy of symbols from a sample of them: the plug-in value and its corrections.

A sample shows fewer symbols than there are, so the plug-in entropy is too low, and mutual
information too high. Each estimator here is one function of the counts, in nats.
"""

import math
from collections.abc import Callable

import numpy as np

from xent import _check
from xent.measures.rows._protocols import Numbers
from xent.measures.rows._sums import entropy_of_counts


def plugin(n: Numbers) -> float:
    """Entropy of the observed frequencies."""
    return entropy_of_counts(n)


def miller_madow(n: Numbers) -> float:
    """Plug-in plus (K - 1) / 2N, the first term of its bias. Miller (1955)."""
    return plugin(n) + (n.size - 1) / (2 * float(n.sum()))


def jackknife(n: Numbers) -> float:
    """N H - (N - 1) times the mean entropy with one row left out. Zahl (1977)."""
    total = float(n.sum())
    if total < 2:
        return 0.0
    # With one row of a symbol left out only its own term and the total change.
    terms = float((n * np.log(n)).sum())
    less = n - 1
    log = np.log(np.where(less > 0, less, 1.0))
    left = math.log(total - 1) - (terms - n * np.log(n) + less * log) / (total - 1)
    return total * plugin(n) - (total - 1) / total * float((n * left).sum())


def grassberger(n: Numbers) -> float:
    """Log N - Σ n G(n) / N, with his G of 2003."""
    from scipy.special import digamma

    sign = np.where(n % 2 == 0, 1.0, -1.0)
    g = digamma(n) + 0.5 * sign * (digamma((n + 1) / 2) - digamma(n / 2))
    total = float(n.sum())
    return math.log(total) - float((n * g).sum()) / total


def chao_shen(n: Numbers) -> float:
    """Frequencies times the sample's coverage; terms over the probability to be seen. (2003)."""
    total = float(n.sum())
    once = float((n == 1).sum())
    coverage = 1 - min(once, total - 1) / total
    p = coverage * n / total
    p = p[p > 0]
    return float(-(p * np.log(p) / -np.expm1(total * np.log1p(-np.minimum(p, 1 - 1e-16)))).sum())


def chao_wang_jost(n: Numbers) -> float:
    """Entropy by the slope of the accumulation curve of symbols. (2013)."""
    from scipy.special import digamma

    total = float(n.sum())
    seen = float((n / total * (digamma(total) - digamma(n))).sum())
    once, twice = float((n == 1).sum()), float((n == 2).sum())
    if once == 0:
        return seen
    if twice > 0:
        a = 2 * twice / ((total - 1) * once + 2 * twice)
    else:
        a = 2 / ((total - 1) * (once - 1) + 2)
    if a >= 1:
        return seen
    r = np.arange(1, int(total))
    rest = -math.log(a) - float(((1 - a) ** r / r).sum())
    return seen + once / total * math.exp((1 - total) * math.log1p(-a)) * max(0.0, rest)


def shrinkage(n: Numbers) -> float:
    """Frequencies shrunk towards equal ones, by James and Stein. Hausser and Strimmer (2009)."""
    total = float(n.sum())
    p = n / total
    target = 1 / n.size
    spread = (total - 1) * float(((target - p) ** 2).sum())
    weight = 1.0 if spread == 0 else min(1.0, max(0.0, (1 - float((p * p).sum())) / spread))
    return entropy_of_counts(weight * target + (1 - weight) * p)


METHODS: dict[str, Callable[[Numbers], float]] = {
    "plugin": plugin,
    "miller_madow": miller_madow,
    "jackknife": jackknife,
    "grassberger": grassberger,
    "chao_shen": chao_shen,
    "chao_wang_jost": chao_wang_jost,
    "shrinkage": shrinkage,
}


def nsb_posterior(n: Numbers, size: int) -> tuple[float, float]:
    """Posterior mean and deviation of the entropy under a prior flat in entropy.

    Dirichlet priors of concentration β over ``size`` symbols, mixed so that the prior entropy is
    nearly uniform; the mixture is summed on a grid in log β. Nemenman, Shafee and Bialek (2002);
    moments by Wolpert and Wolf (1995).
    """
    from scipy.special import gammaln, polygamma

    total = float(n.sum())
    unseen = size - n.size
    beta = np.exp(np.linspace(math.log(1e-8 / size), math.log(1e7), 1800))[:, None]
    whole = size * beta[:, 0]
    log = gammaln(whole) - gammaln(total + whole)
    log = log + (gammaln(n + beta) - gammaln(beta)).sum(1)
    slope = size * polygamma(1, whole + 1) - polygamma(1, beta[:, 0] + 1)
    log = log + np.log(np.maximum(slope, 1e-300)) + np.log(beta[:, 0])  # d ξ = slope β d log β
    weight = np.exp(log - log.max())
    weight = weight / weight.sum()
    a = np.concatenate([n + beta, beta], axis=1)  # the last column stands for every unseen symbol
    mean, square = entropy_moments(a, np.concatenate([np.ones(n.size), [unseen]]))
    value = float((weight * mean).sum())
    return value, math.sqrt(max(0.0, float((weight * square).sum()) - value * value))


def dirichlet_posterior(n: Numbers, size: int, prior: float | str | None) -> tuple[float, float]:
    """Posterior mean and deviation of the entropy under one Dirichlet prior."""
    a = np.append(n, 0.0) + concentration(prior, size, float(n.sum()))
    mean, square = entropy_moments(a, np.append(np.ones(n.size), float(size - n.size)))
    return float(mean), math.sqrt(max(0.0, float(square - mean * mean)))


PRIORS: dict[str, Callable[[int, float], float]] = {
    "jeffreys": lambda _size, _rows: 0.5,
    "uniform": lambda _size, _rows: 1.0,
    "perks": lambda size, _rows: 1 / size,
    "minimax": lambda size, rows: math.sqrt(rows) / size,
}


def concentration(prior: float | str | None, size: int, rows: float) -> float:
    """Return the concentration: the pseudo-count of each symbol."""
    prior = "perks" if prior is None else prior
    if isinstance(prior, str):
        return PRIORS[_check.option("prior", prior, PRIORS)](size, rows)
    found = _check.positive("prior", prior)
    if not 1e-100 <= found <= 1e100:  # squares of what it is divided by must be floats
        raise _check.invalid("prior", "be between 1e-100 and 1e100", repr(prior))
    return found


def number_of_symbols(size: object, seen: int) -> int:
    """Return how many symbols there are: no fewer than were seen, and a float can count them."""
    limit = _check.integer("size", size, least=max(2, seen))
    if limit > 2**53:
        raise _check.invalid("size", "be at most 2^53", limit)
    return limit


def entropy_moments(a: Numbers, repeats: Numbers) -> tuple[Numbers, Numbers]:
    """Mean of H and of H² under Dirichlet distributions, in nats.

    ``a`` holds concentrations along its last axis, ``many`` how many symbols have each. Wolpert
    and Wolf (1995), theorems 3 and 8.
    """
    from scipy.special import digamma, polygamma

    total = (repeats * a).sum(-1)
    last = total[..., None]
    mean = digamma(total + 1) - (repeats * a * digamma(a + 1)).sum(-1) / total
    gap = digamma(a + 1) - digamma(last + 2)
    tail = polygamma(1, total + 2)
    cross = (repeats * a * gap).sum(-1) ** 2 - (repeats * (a * gap) ** 2).sum(-1)
    cross = cross - tail * (total**2 - (repeats * a * a).sum(-1))
    own = (digamma(a + 2) - digamma(last + 2)) ** 2 + polygamma(1, a + 2)
    same = (repeats * a * (a + 1) * (own - tail[..., None])).sum(-1)
    return mean, (cross + same) / (total * (total + 1))
