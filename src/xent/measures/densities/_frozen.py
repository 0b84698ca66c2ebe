"""Distributions of scipy.stats with their parameters, as `scipy.stats.norm(0, 1)` gives them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xent import _check
from xent.measures.densities._density import Density, add_origin, ends_of, silently, site_of
from xent.measures.densities._special._studentized_range import studentized_range
from xent.measures.rows._protocols import ArrayLike, Numbers
from xent.measures.rows._typed_arrays import Counts, Logits

MANY_DF = 1e5  # degrees of freedom from which scipy takes a range to be that of normals

# How scipy's shapes, place and scale become those of `_closed_forms`.
SCIPY: dict[str, Callable[..., tuple[Any, ...]]] = {
    "norm": lambda a, s: ("normal", a, s),
    "lognorm": lambda a, s, k: ("lognormal", a, math.log(s), k),
    "halfnorm": lambda a, s: ("halfnormal", a, s),
    "uniform": lambda a, s: ("uniform", a, s),
    "expon": lambda a, s: ("exponential", a, s),
    "laplace": lambda a, s: ("laplace", a, s),
    "logistic": lambda a, s: ("logistic", a, s),
    "cauchy": lambda a, s: ("cauchy", a, s),
    "gumbel_r": lambda a, s: ("gumbel", a, s),
    "genextreme": lambda a, s, c: ("extreme value", a, s, c),
    "genpareto": lambda a, s, c: ("tail", a, s, c),
    "t": lambda a, s, df: ("student", a, s, df),
    "gamma": lambda a, s, k: ("gamma", a, s, k),
    "erlang": lambda a, s, k: ("gamma", a, s, k),
    "chi2": lambda a, s, df: ("gamma", a, 2 * s, df / 2),
    "invgamma": lambda a, s, k: ("inverse gamma", a, s, k),
    "weibull_min": lambda a, s, k: ("weibull", a, s, k),
    "rayleigh": lambda a, s: ("weibull", a, s * math.sqrt(2), 2.0),
    "pareto": lambda a, s, k: ("pareto", a, s, k),
    "beta": lambda a, s, b, c: ("beta", a, s, b, c),
    "bernoulli": lambda a, _s, p: ("finite", (a + 1, a), Counts([p, 1 - p]), "coin"),
    "geom": lambda a, _s, p: ("geometric", a, p, Counts([p, 1 - p])),
    "poisson": lambda a, _s, k: ("poisson", a, k),
    "binom": lambda a, _s, n, p: ("binomial", a, n, p, Counts([p, 1 - p])),
    "nbinom": lambda a, _s, n, p: ("negative binomial", a, n, p, Counts([p, 1 - p])),
}


def frozen(argument: str, dist: Any, shapes: Any, loc: ArrayLike, scale: ArrayLike) -> Density:
    """Density of a classical distribution of scipy with its parameters."""
    from scipy import stats

    *shapes, loc, scale = _single_numbers(argument, (*shapes, loc, scale))
    name = dist.name or type(dist).__name__
    if type(dist) is type(stats.arcsine):  # a beta, which is exact at both edges
        dist, name, shapes = stats.beta, "beta", [0.5, 0.5]
    # A user's distribution may have the name of one of scipy's.
    scipys = type(dist).__module__.startswith("scipy.") and not hasattr(dist, "xk")
    fine = bool(np.all(dist._argcheck(*shapes))) and scale > 0
    if not fine or not math.isfinite(loc) or scale == math.inf:
        got = ", ".join(f"{v:.6g}" for v in (*shapes, loc, scale))
        raise _check.invalid(argument, f"have parameters that {name} allows", got)
    known = SCIPY.get(name) if scipys else None
    family, *parameters = known(loc, scale, *shapes) if known else ("",)

    def draw(rng: np.random.Generator, count: int) -> Numbers:
        return np.asarray(dist.rvs(*shapes, **place, size=count, random_state=rng))

    if hasattr(dist, "pmf"):
        place = {"loc": loc}
        family, *parameters = _finite(dist, loc) or (family, *parameters)

        def log_density(offset: Numbers, origin: float) -> Numbers:
            if known and name == "poisson":
                return _poisson(offset + (origin - loc), shapes[0])
            return np.asarray(silently(dist.logpmf, offset + origin, *shapes, loc=loc))

    else:
        place = {"loc": loc, "scale": scale}
        ranges = scipys and name == "studentized_range" and shapes[1] <= MANY_DF
        fast = studentized_range(*shapes) if ranges else None

        def log_density(offset: Numbers, origin: float) -> Numbers:
            # Near 1 a beta is exact as the mirrored one near 0.
            if fast is not None:
                return fast((np.asarray(offset) + (origin - loc)) / scale) - math.log(scale)
            if origin == high and known and name == "beta":
                return np.asarray(silently(dist.logpdf, -offset, *shapes[::-1], scale=scale))
            if origin in (low, high) and origin != loc:  # the edge is not where scipy's 0 is
                x = add_origin(offset, origin, low, high)
                found = np.asarray(silently(dist.logpdf, x, *shapes, **place))
            else:
                x = offset + origin
                found = silently(dist.logpdf, offset, *shapes, loc=loc - origin, scale=scale)
            if scipys and name == "vonmises":  # scipy's goes round and round
                return np.where(np.abs(x) <= math.pi, found, -np.inf)
            return np.asarray(found)

    low, high = (float(v) for v in dist.support(*shapes, **place))
    if hasattr(dist, "_hbins"):
        family, parameters = "histogram", _histogram(dist, loc, scale)
    if scipys and name == "zipf":  # scipy adds up to its quartiles, which may take for ever
        quartiles = [low, low, low + 1]
    else:
        quartiles = [float(v) for v in silently(dist.ppf, [0.25, 0.5, 0.75], *shapes, **place)]
    if scipys and name == "vonmises":
        if scale != 1:
            raise _check.invalid(argument, "have a scale of 1 where it is on a circle", scale)
        family, parameters, low, high = "von mises", [loc, shapes[0]], -math.pi, math.pi
        quartiles = [m - loc + math.remainder(loc, 2 * math.pi) for m in quartiles]
    return Density(
        log_density,
        draw,
        discrete=hasattr(dist, "pmf"),
        family=family,
        parameters=tuple(parameters),
        low=low,
        high=high,
        sites=_jumps(dist, loc, scale) or site_of(quartiles, low, high),
        ends=ends_of(low, high),
    )


def by_logit(density: Density, n: float, logit: float) -> Density:
    """Return a geometric or a (negative) binomial whose probability of success is a logit's.

    A logit past 36 has a probability that no float tells from 1, and its complement has all digits.
    """
    from scipy import stats

    log_p, log_q = -np.logaddexp(0.0, -logit), -np.logaddexp(0.0, logit)
    p, q = math.exp(log_p), math.exp(log_q)

    def log_density(offset: Numbers, origin: float) -> Numbers:
        k = np.asarray(offset + origin)
        if density.family == "geometric":
            found = np.where(k == 0, 0.0, k * log_q) + log_p
        elif density.family == "binomial":
            found = stats.binom.logpmf(n - k, n, q) if p > 0.5 else stats.binom.logpmf(k, n, p)
        else:
            ways = stats.nbinom.logpmf(k, n, 0.5) + (n + k) * math.log(2)
            found = ways + n * log_p + np.where(k == 0, 0.0, k * log_q)
        return np.where((k >= 0) & (k == np.rint(k)), found, -np.inf)

    coin = Logits([logit, 0.0])
    return replace(density, log_density=log_density, parameters=(*density.parameters[:-1], coin))


def _single_numbers(argument: str, parameters: Sequence[ArrayLike]) -> list[float]:
    given = [np.asarray(v, dtype=np.float64) for v in parameters]
    if any(v.size != 1 for v in given):
        got = f"a batch of {max(v.size for v in given)}"
        raise _check.invalid(argument, "be one distribution", got, "Take them one by one.")
    return [float(v.reshape(-1)[0]) for v in given]


def _histogram(dist: Any, loc: float, scale: float) -> list[Numbers]:
    """Edges and heights of scipy's rv_histogram."""
    edges = loc + scale * np.asarray(dist._hbins, dtype=np.float64)
    return [edges, np.asarray(dist._hpdf, dtype=np.float64)[1:-1] / scale]


def _jumps(dist: Any, loc: float, scale: float) -> tuple[tuple[float, float], ...]:
    """Return the edges of a histogram, where its density jumps."""
    if not hasattr(dist, "_hbins"):
        return ()
    places, _ = _histogram(dist, loc, scale)
    least = float(np.diff(places).min())
    return tuple((float(place), least) for place in places)


def _finite(dist: Any, loc: float) -> tuple[Any, ...] | None:
    """Values and probabilities of a distribution on a few given numbers."""
    if not hasattr(dist, "xk"):
        return None
    return "finite", tuple(float(x) + loc for x in dist.xk), Counts(dist.pk)


def _poisson(k: Numbers, rate: float) -> Numbers:
    """Log of the probability of k, without the difference of large logs of factorials.

    Loader, C. (2000). Fast and accurate computation of binomial probabilities.
    """
    from scipy.special import gammaln

    n = np.maximum(k, 1.0)
    d = (rate - n) / n
    z = (d / (2 + d)) ** 2
    series = z * sum(z**i / (2 * i + 3) for i in range(12))
    # rate - n - n log(rate / n) over n; by its series where both are near
    with np.errstate(divide="ignore"):
        cost = np.where(np.abs(d) < 0.2, d / (2 + d) * (d - 2 * series), d - np.log1p(d))
    w = 1 / (n * n)
    stirling = (1 / 12 - w * (1 / 360 - w * (1 / 1260 - w / 1680))) / n
    exact = gammaln(n + 1) - n * np.log(n) + n - 0.5 * np.log(2 * math.pi * n)
    found = -n * cost - 0.5 * np.log(2 * math.pi * n) - np.where(n > 15, stirling, exact)
    whole = (k >= 0) & (k == np.rint(k))
    return np.where(whole, np.where(k == 0, -rate, found), -np.inf)
