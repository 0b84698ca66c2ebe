"""Distributions of scipy.stats, with the classical interface and the new one."""

from types import ModuleType
from typing import Any

import numpy as np

from xent import _check
from xent.measures.densities._density import (
    Density,
    add_origin,
    ends_of,
    mixture,
    silently,
    site_of,
)
from xent.measures.densities._empirical import kernel_density
from xent.measures.densities._frozen import frozen
from xent.measures.densities._multivariate import (
    dirichlet,
    multinomial,
    multinormal,
    multistudent,
    sphere,
    wishart,
)
from xent.measures.rows._protocols import Numbers
from xent.measures.rows._typed_arrays import Counts

# The parameters of those of several numbers.
SEVERAL = {
    "multivariate_normal": "mean=..., cov=...",
    "multivariate_t": "loc=..., shape=..., df=...",
    "dirichlet": "alpha=...",
    "vonmises_fisher": "mu=..., kappa=...",
    "wishart": "df=..., scale=...",
    "multinomial": "n=..., p=...",
}


def from_scipy(argument: str, value: Any) -> Density:
    from scipy import stats

    if isinstance(value, stats._distn_infrastructure.rv_frozen):
        if value.dist.name == "poisson_binom":
            must = "be a distribution of few parameters"
            raise _check.wrong_kind(argument, must, "a poisson_binom")
        shapes, loc, scale = value.dist._parse_args(*value.args, **value.kwds)
        return frozen(argument, value.dist, shapes, loc, scale)
    multi = {
        "multivariate_normal_frozen": lambda: multinormal(argument, value.mean, value.cov),
        "multivariate_t_frozen": lambda: multistudent(argument, value.loc, value.shape, value.df),
        "dirichlet_frozen": lambda: dirichlet(value.alpha),
        "vonmises_fisher_frozen": lambda: sphere(value.mu, value.kappa),
        "wishart_frozen": lambda: wishart(value.df, value.scale),
        "multinomial_frozen": lambda: _multinomial(argument, value.n, value.p),
    }
    name = type(value).__name__
    if name in multi:
        return multi[name]()
    if isinstance(value, stats.gaussian_kde):
        return _by_kernels(argument, value)
    if hasattr(stats, "Mixture") and isinstance(value, stats.Mixture):
        return mixture([from_scipy(argument, c) for c in value.components], value.weights)
    if hasattr(value, "logpdf") and hasattr(value, "icdf"):
        return _of_the_new_kind(argument, value)
    if hasattr(value, "_hbins") or hasattr(value, "xk"):  # it has all of its parameters
        return from_scipy(argument, value())
    if isinstance(value, stats.rv_continuous | stats.rv_discrete):
        raise _without_parameters(argument, value, stats)
    if name.removesuffix("_gen") in SEVERAL:
        whole = f"scipy.stats.{name.removesuffix('_gen')}"
        advice = f"Write {whole}({SEVERAL[name.removesuffix('_gen')]})."
        got = f"{whole} without them"
        raise _check.wrong_kind(argument, "have its parameters", got, advice)
    must = "be a distribution of one number, or one of several that has a formula here"
    raise _check.wrong_kind(argument, must, f"a {name}")


def _multinomial(argument: str, n: Any, p: Any) -> Density:
    count, shares = np.asarray(n), np.asarray(p, dtype=np.float64)
    if count.size != 1 or shares.ndim != 1:
        raise _check.invalid(argument, "be one distribution", "a batch", "Take them one by one.")
    return multinomial(float(count.reshape(-1)[0]), Counts(shares))


def _without_parameters(argument: str, value: Any, stats: ModuleType) -> TypeError:
    """Make the error for a distribution without its parameters."""
    known = getattr(stats, value.name or "", None) is value
    name = f"scipy.stats.{value.name}" if known else _check.a(value)
    needed = [part.strip() for part in (value.shapes or "").split(",") if part.strip()]
    if not needed and not known:
        advice = f"Call it: {argument}() is one."
    else:
        settings = ", ".join(f"{part}=..." for part in needed) or "loc=0, scale=1"
        advice = f"Write {name if known else argument}({settings})."
    return _check.wrong_kind(argument, "have its parameters", f"{name} without them", advice)


def _of_the_new_kind(argument: str, value: Any) -> Density:
    """Density of scipy's distributions of 2025: Normal, Uniform, and those of make_distribution."""
    from scipy import stats

    name = type(value).__name__
    if name in ("Normal", "StandardNormal"):
        return frozen(argument, stats.norm, (), value.mean(), value.standard_deviation())
    # SciPy 1.15 has continuous ones alone.
    kinds = getattr(stats._distribution_infrastructure, "DiscreteDistribution", ())
    discrete = isinstance(value, kinds)
    measure = value.logpmf if discrete else value.logpdf
    quartiles = np.asarray(silently(value.icdf, np.array([0.25, 0.5, 0.75])))
    if quartiles.shape != (3,):
        raise _check.invalid(argument, "be one distribution", "a batch", "Take them one by one.")
    low, high = (float(v) for v in value.support())
    return Density(
        lambda offset, origin: silently(measure, add_origin(offset, origin, low, high)),
        lambda rng, count: value.sample(count, rng=rng),
        discrete=discrete,
        low=low,
        high=high,
        sites=site_of([float(m) for m in quartiles], low, high),
        ends=ends_of(low, high),
    )


def _by_kernels(argument: str, value: Any) -> Density:
    """Density of scipy's gaussian_kde: a mixture with a normal at every point."""
    points: Numbers = np.asarray(value.dataset, dtype=np.float64)
    if points.shape[0] == 1:
        return kernel_density(value)
    parts = [multinormal(argument, point, value.covariance) for point in points.T]
    return mixture(parts, value.weights)
