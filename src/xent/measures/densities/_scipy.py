"""Distributions of scipy.stats, classical and new, as laws."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from xent import _check
from xent.measures.densities._distributions import (
    Law,
    Numbers,
    dirichlet,
    ends_of,
    log_sum,
    mixture,
    multinormal,
    multistudent,
    placed,
    quiet,
    site,
)

# How scipy's shapes, place and scale become those of `_closed`.
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
    "t": lambda a, s, df: ("student", a, s, df),
    "gamma": lambda a, s, k: ("gamma", a, s, k),
    "erlang": lambda a, s, k: ("gamma", a, s, k),
    "chi2": lambda a, s, df: ("gamma", a, 2 * s, df / 2),
    "invgamma": lambda a, s, k: ("inverse gamma", a, s, k),
    "weibull_min": lambda a, s, k: ("weibull", a, s, k),
    "rayleigh": lambda a, s: ("weibull", a, s * math.sqrt(2), 2.0),
    "pareto": lambda a, s, k: ("pareto", a, s, k),
    "beta": lambda a, s, b, c: ("beta", a, s, b, c),
    "bernoulli": lambda a, _s, p: ("finite", (a, a + 1), (1 - p, p)),
    "geom": lambda a, _s, p: ("geometric", a, p),
    "poisson": lambda a, _s, k: ("poisson", a, k),
    "binom": lambda a, _s, n, p: ("binomial", a, n, p),
    "nbinom": lambda a, _s, n, p: ("negative binomial", a, n, p),
}

# What those of several numbers are made of.
SEVERAL = {
    "multivariate_normal": "mean=..., cov=...",
    "multivariate_t": "loc=..., shape=..., df=...",
    "dirichlet": "alpha=...",
}


def from_scipy(argument: str, value: Any) -> Law:
    from scipy import stats

    if isinstance(value, stats._distn_infrastructure.rv_frozen):
        if value.dist.name == "poisson_binom":
            must = "be a distribution of few parameters"
            raise _check.wrong_kind(argument, must, "a poisson_binom")
        shapes, loc, scale = value.dist._parse_args(*value.args, **value.kwds)
        return frozen(argument, value.dist, shapes, loc, scale)
    multi = {
        "multivariate_normal_frozen": lambda: multinormal(argument, value.mean, value.cov),
        "multivariate_t_frozen": lambda: multistudent(value.loc, value.shape, value.df),
        "dirichlet_frozen": lambda: dirichlet(value.alpha),
    }
    name = type(value).__name__
    if name in multi:
        return multi[name]()
    if isinstance(value, stats.gaussian_kde):
        return _kernel_density(argument, value)
    if hasattr(stats, "Mixture") and isinstance(value, stats.Mixture):
        return mixture([from_scipy(argument, c) for c in value.components], value.weights)
    if hasattr(value, "logpdf") and hasattr(value, "icdf"):
        return _of_the_new_kind(argument, value)
    if isinstance(value, stats.rv_continuous | stats.rv_discrete):
        raise _without_parameters(argument, value, stats)
    if name.removesuffix("_gen") in SEVERAL:
        whole = f"scipy.stats.{name.removesuffix('_gen')}"
        advice = f"Write {whole}({SEVERAL[name.removesuffix('_gen')]})."
        got = f"{whole} without them"
        raise _check.wrong_kind(argument, "have its parameters", got, advice)
    must = "be a distribution of one number, or a normal, t or Dirichlet of several"
    raise _check.wrong_kind(argument, must, f"a {name}")


def _without_parameters(argument: str, value: Any, stats: Any) -> TypeError:
    """Say how a distribution that waits for its parameters is given them."""
    known = getattr(stats, value.name or "", None) is value
    name = f"scipy.stats.{value.name}" if known else _check.a(value)
    needed = [part.strip() for part in (value.shapes or "").split(",") if part.strip()]
    if not needed and not known:
        advice = f"Call it: {argument}() is one."
    else:
        settings = ", ".join(f"{part}=..." for part in needed) or "loc=0, scale=1"
        advice = f"Write {name if known else argument}({settings})."
    return _check.wrong_kind(argument, "have its parameters", f"{name} without them", advice)


def frozen(argument: str, dist: Any, shapes: Any, loc: Any, scale: Any) -> Law:
    """Law of a classical distribution of scipy with its parameters."""
    from scipy import stats

    given = [np.asarray(v, dtype=np.float64) for v in (*shapes, loc, scale)]
    if any(v.size != 1 for v in given):
        got = f"a batch of {max(v.size for v in given)}"
        raise _check.invalid(argument, "be one distribution", got, "Take them one by one.")
    *shapes, loc, scale = (float(v.reshape(-1)[0]) for v in given)
    name = dist.name or type(dist).__name__
    if type(dist) is type(stats.arcsine):  # a beta, which is exact at both edges
        dist, name, shapes = stats.beta, "beta", [0.5, 0.5]
    # Whoever writes a distribution may name it as scipy does one of its own.
    scipys = type(dist).__module__.startswith("scipy.") and not hasattr(dist, "xk")
    fine = bool(np.all(dist._argcheck(*shapes))) and scale > 0
    if not fine or not math.isfinite(loc) or scale == math.inf:
        got = ", ".join(f"{v:.6g}" for v in (*shapes, loc, scale))
        raise _check.invalid(argument, f"have parameters that {name} allows", got)
    known = SCIPY.get(name) if scipys else None
    family, *parameters = known(loc, scale, *shapes) if known else ("",)

    def draw(rng: np.random.Generator, count: int) -> Any:
        return dist.rvs(*shapes, **place, size=count, random_state=rng)

    if hasattr(dist, "pmf"):
        place = {"loc": loc}
        family, *parameters = _finite(dist, loc) or (family, *parameters)

        def log_density(offset: Any, origin: float) -> Numbers:
            if known and name == "poisson":
                return _poisson(offset + (origin - loc), shapes[0])
            return np.asarray(quiet(dist.logpmf, offset + origin, *shapes, loc=loc))

    else:
        place = {"loc": loc, "scale": scale}

        def log_density(offset: Any, origin: float) -> Numbers:
            if (
                origin == high and known and name == "beta"
            ):  # 1 - x is exact from the other side alone
                return np.asarray(quiet(dist.logpdf, -offset, *shapes[::-1], scale=scale))
            if origin in (low, high) and origin != loc:  # the edge is not where scipy's 0 is
                x = placed(offset, origin, low, high)
                found = np.asarray(quiet(dist.logpdf, x, *shapes, **place))
            else:
                x = offset + origin
                found = quiet(dist.logpdf, offset, *shapes, loc=loc - origin, scale=scale)
            if scipys and name == "vonmises":  # scipy's goes round and round
                return np.where(np.abs(x) <= math.pi, found, -np.inf)
            return np.asarray(found)

    low, high = (float(v) for v in dist.support(*shapes, **place))
    if scipys and name == "zipf":  # scipy counts up to its quartiles, which may take for ever
        marks = [low, low, low + 1]
    else:
        marks = [float(v) for v in quiet(dist.ppf, [0.25, 0.5, 0.75], *shapes, **place)]
    if scipys and name == "vonmises":
        if scale != 1:
            raise _check.invalid(argument, "have a scale of 1 where it is on a circle", scale)
        family, parameters, low, high = "von mises", [loc, shapes[0]], -math.pi, math.pi
        marks = [m - loc + math.remainder(loc, 2 * math.pi) for m in marks]
    return Law(
        log_density,
        draw,
        discrete=hasattr(dist, "pmf"),
        family=family,
        parameters=tuple(parameters),
        low=low,
        high=high,
        sites=_jumps(dist, loc, scale) or site(marks, low, high),
        ends=ends_of(low, high),
    )


def _jumps(dist: Any, loc: float, scale: float) -> tuple[tuple[float, float], ...]:
    """Return the edges of a histogram, where its density jumps."""
    edges = getattr(dist, "_hbins", None)
    if edges is None:
        return ()
    places = loc + scale * np.asarray(edges, dtype=np.float64)
    least = float(np.diff(places).min())
    return tuple((float(place), least) for place in places)


def _finite(dist: Any, loc: float) -> tuple[Any, ...] | None:
    """Probabilities of a distribution on a few given numbers, at whatever places they are."""
    if not hasattr(dist, "xk"):
        return None
    return "finite", tuple(float(x) + loc for x in dist.xk), tuple(float(p) for p in dist.pk)


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


def _of_the_new_kind(argument: str, value: Any) -> Law:
    """Law of scipy's distributions of 2025: Normal, Uniform, and those of make_distribution."""
    from scipy import stats

    name = type(value).__name__
    if name in ("Normal", "StandardNormal"):
        return frozen(argument, stats.norm, (), value.mean(), value.standard_deviation())
    discrete = isinstance(value, stats._distribution_infrastructure.DiscreteDistribution)
    measure = value.logpmf if discrete else value.logpdf
    marks = np.asarray(quiet(value.icdf, np.array([0.25, 0.5, 0.75])))
    if marks.shape != (3,):
        raise _check.invalid(argument, "be one distribution", "a batch", "Take them one by one.")
    low, high = (float(v) for v in value.support())
    return Law(
        lambda offset, origin: quiet(measure, placed(offset, origin, low, high)),
        lambda rng, count: value.sample(count, rng=rng),
        discrete=discrete,
        low=low,
        high=high,
        sites=site([float(m) for m in marks], low, high),
        ends=ends_of(low, high),
    )


def _kernel_density(argument: str, value: Any) -> Law:
    """Law of scipy's gaussian_kde: a mixture with a normal at every point."""
    points: Numbers = np.asarray(value.dataset, dtype=np.float64)
    if points.shape[0] == 1:
        width = math.sqrt(float(value.covariance[0, 0]))
        marks = np.unique(np.quantile(points[0], np.linspace(0, 1, 33)))
        log_weight, centres = np.log(value.weights), points[0]

        def log_density(offset: Any, origin: float) -> Numbers:
            flat = np.ravel(offset)
            found = np.empty(flat.size)
            for i in range(0, flat.size, 1024):  # a table of points and centres at a time
                z = (flat[i : i + 1024, None] - (centres - origin)) / width
                found[i : i + 1024] = log_sum(log_weight - 0.5 * z * z)
            found -= 0.5 * math.log(2 * math.pi) + math.log(width)
            return found.reshape(np.shape(offset))

        return Law(
            log_density,
            lambda rng, count: value.resample(count, seed=rng)[0],
            sites=tuple((float(m), width) for m in marks),
        )
    parts = [multinormal(argument, point, value.covariance) for point in points.T]
    return mixture(parts, value.weights)
