"""Distributions of several numbers, from the normal to those of spheres and matrices."""

import math

import numpy as np

from xent import _check
from xent.measures.densities._density import Density, log_sum
from xent.measures.densities._frozen import frozen
from xent.measures.rows._protocols import ArrayLike, Numbers
from xent.measures.rows._typed_arrays import Counts, Logits


def multinormal(argument: str, mean: ArrayLike, cov: ArrayLike) -> Density:
    mean = np.atleast_1d(np.asarray(mean, dtype=np.float64))
    cov = np.atleast_2d(np.asarray(cov, dtype=np.float64))
    try:
        root = np.linalg.cholesky(cov)
    except np.linalg.LinAlgError:
        must = "have a covariance of full rank: without it there is no density"
        raise _check.invalid(argument, must, "a singular one") from None
    if mean.size == 1:
        from scipy import stats

        return frozen(argument, stats.norm, (), mean[0], math.sqrt(float(cov[0, 0])))
    size = mean.size
    flat = -0.5 * size * math.log(2 * math.pi) - float(np.log(np.diag(root)).sum())

    def log_density(points: Numbers, _origin: float) -> Numbers:
        z = np.linalg.solve(root, (points - mean).T)
        return np.asarray(flat - 0.5 * (z * z).sum(0))

    return Density(
        log_density,
        lambda rng, count: mean + rng.standard_normal((count, size)) @ root.T,
        shape=(size,),
        family="multinormal",
        parameters=(mean, cov),
    )


def jointly_normal(argument: str, one: Density) -> Density:
    """Return independent normals as one normal of several numbers; others as they are."""
    if one.family != "product" or any(part.family != "normal" for part in one.parts):
        return one
    mean, scale = np.array([part.parameters for part in one.parts]).T
    return multinormal(argument, mean, np.diag(scale * scale))


def multistudent(argument: str, loc: ArrayLike, shape: ArrayLike, df: float) -> Density:
    from scipy import stats

    loc = np.atleast_1d(np.asarray(loc, dtype=np.float64))
    shape = np.atleast_2d(np.asarray(shape, dtype=np.float64))
    if math.isinf(df):
        return multinormal(argument, loc, shape)
    dist = stats.multivariate_t(loc, shape, df)
    return Density(
        lambda points, _origin: np.asarray(dist.logpdf(points)).reshape(len(points)),
        lambda rng, count: dist.rvs(count, random_state=rng).reshape(count, loc.size),
        shape=(loc.size,),
        family="multistudent",
        parameters=(loc, shape, float(df)),
    )


def dirichlet(alpha: ArrayLike) -> Density:
    from scipy.special import gammaln

    alpha = np.asarray(alpha, dtype=np.float64)
    flat = float(gammaln(alpha.sum()) - gammaln(alpha).sum())

    def log_density(points: Numbers, _origin: float) -> Numbers:
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(alpha == 1, 0.0, (alpha - 1) * np.log(points))
        return np.asarray(flat + terms.sum(-1))

    return Density(
        log_density,
        lambda rng, count: rng.dirichlet(alpha, count),
        shape=(alpha.size,),
        family="dirichlet",
        surface="shares that sum to 1",
        parameters=(alpha,),
    )


def sphere(mean: ArrayLike, kappa: float) -> Density:
    """Density of von Mises and Fisher, on the sphere."""
    from scipy import stats

    mean = np.asarray(mean, dtype=np.float64)
    dist = stats.vonmises_fisher(mean, kappa)
    return Density(
        lambda points, _origin: np.asarray(dist.logpdf(points)).reshape(len(points)),
        lambda rng, count: dist.rvs(count, random_state=rng).reshape(count, mean.size),
        shape=(mean.size,),
        family="von mises-fisher",
        parameters=(mean, float(kappa)),
        surface=f"the sphere in {mean.size} dimensions",
    )


def wishart(df: float, scale: ArrayLike) -> Density:
    from scipy import stats

    scale = np.atleast_2d(np.asarray(scale, dtype=np.float64))
    size = len(scale)
    dist = stats.wishart(df, scale)

    def log_density(points: Numbers, _origin: float) -> Numbers:
        return np.asarray(dist.logpdf(np.moveaxis(points, 0, -1))).reshape(len(points))

    return Density(
        log_density,
        lambda rng, count: dist.rvs(count, random_state=rng).reshape(count, size, size),
        shape=(size, size),
        family="wishart",
        parameters=(float(df), scale),
        surface="symmetric matrices",
    )


def multinomial(n: float, shares: Counts | Logits) -> Density:
    from scipy.special import gammaln

    values = np.asarray(shares.values, dtype=np.float64)
    if isinstance(shares, Logits):
        log = values - log_sum(values)
    else:
        with np.errstate(divide="ignore"):
            log = np.log(values / values.sum())

    def log_density(points: Numbers, _origin: float) -> Numbers:
        with np.errstate(invalid="ignore"):
            terms = np.where(points == 0, 0.0, points * log) - gammaln(points + 1)
        return np.asarray(np.where(points.sum(-1) == n, gammaln(n + 1) + terms.sum(-1), -np.inf))

    return Density(
        log_density,
        lambda rng, count: rng.multinomial(int(n), np.exp(log) / np.exp(log).sum(), count).astype(
            np.float64
        ),
        discrete=True,
        shape=(values.size,),
        family="multinomial",
        parameters=(float(n), shares),
    )
