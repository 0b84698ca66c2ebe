"""What a distribution of scipy or PyTorch is, in one form: its density, its family, its places.

Numbers are float64 whatever the precision of the parameters. A density is asked for at an origin
plus an offset, so that a peak of width 1e-12 at a million is seen as well as one at zero.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.measures.rows._typed_arrays import is_distribution

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Law:
    """One distribution.

    ``sites`` are the places (centre, width) that an integral must look at; ``ends`` the edges of
    the support, where a density may jump or be infinite. ``parts`` are the components of a mixture
    or, for the family "product", the independent coordinates. ``tight`` says that the density
    reaches from ``low`` to ``high``.
    """

    log_density: Callable[[Any, float], Numbers]
    draw: Callable[[np.random.Generator, int], Any]
    discrete: bool = False
    shape: tuple[int, ...] = ()
    family: str = ""
    parameters: tuple[Any, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    sites: tuple[tuple[float, float], ...] = ()
    parts: tuple["Law", ...] = ()
    weights: tuple[float, ...] = ()
    ends: tuple[float, ...] = ()
    tight: bool = True

    def inside(self, offset: Numbers, origin: float) -> NDArray[np.bool_]:
        """Tell which points the support holds."""
        if self.parts and self.family != "product":
            parts = [part.inside(offset, origin) for part in self.parts]
            return np.asarray(np.logical_or.reduce(parts))
        return np.asarray((offset >= self.low - origin) & (offset <= self.high - origin))


def law(argument: str, value: Any) -> Law:
    """Read a distribution, or refuse what is none or more than one."""
    if isinstance(value, type):
        advice = f"Write {value.__name__}(...), with its parameters."
        got = f"the class {value.__name__}"
        raise _check.wrong_kind(argument, "be a distribution", got, advice)
    torch = sys.modules.get("torch.distributions")
    if torch is not None and isinstance(value, torch.Distribution):
        batch = tuple(value.batch_shape)
        if batch:
            advice = "Take them one by one, or as one joint distribution by Independent."
            got = f"a batch of shape {batch}"
            raise _check.invalid(argument, "be one distribution", got, advice)
        from xent.measures.densities._torch import from_torch

        return from_torch(argument, value, ())
    if not is_distribution(value):
        got = _check.a(value)
        must = "be a distribution of scipy.stats or torch.distributions, as the other is"
        raise _check.wrong_kind(argument, must, got)
    from xent.measures.densities._scipy import from_scipy

    return from_scipy(argument, value)


# ------------------------------------------------------------------ several numbers


def multinormal(argument: str, mean: Any, cov: Any) -> Law:
    mean = np.atleast_1d(np.asarray(mean, dtype=np.float64))
    cov = np.atleast_2d(np.asarray(cov, dtype=np.float64))
    try:
        root = np.linalg.cholesky(cov)
    except np.linalg.LinAlgError:
        must = "have a covariance of full rank: without it there is no density"
        raise _check.invalid(argument, must, "a singular one") from None
    if mean.size == 1:
        from scipy import stats

        from xent.measures.densities._scipy import frozen

        return frozen(argument, stats.norm, (), mean[0], math.sqrt(float(cov[0, 0])))
    size = mean.size
    flat = -0.5 * size * math.log(2 * math.pi) - float(np.log(np.diag(root)).sum())

    def log_density(points: Any, _origin: float) -> Numbers:
        z = np.linalg.solve(root, (points - mean).T)
        return np.asarray(flat - 0.5 * (z * z).sum(0))

    return Law(
        log_density,
        lambda rng, count: mean + rng.standard_normal((count, size)) @ root.T,
        shape=(size,),
        family="multinormal",
        parameters=(mean, cov),
    )


def jointly_normal(argument: str, one: Law) -> Law:
    """Return independent normals as one normal of several numbers; others as they are."""
    if one.family != "product" or any(part.family != "normal" for part in one.parts):
        return one
    mean, scale = np.array([part.parameters for part in one.parts]).T
    return multinormal(argument, mean, np.diag(scale * scale))


def multistudent(loc: Any, shape: Any, df: float) -> Law:
    from scipy import stats

    loc = np.atleast_1d(np.asarray(loc, dtype=np.float64))
    shape = np.atleast_2d(np.asarray(shape, dtype=np.float64))
    dist = stats.multivariate_t(loc, shape, df)
    return Law(
        lambda points, _origin: np.asarray(dist.logpdf(points)).reshape(len(points)),
        lambda rng, count: dist.rvs(count, random_state=rng).reshape(count, loc.size),
        shape=(loc.size,),
        family="multistudent" if math.isfinite(df) else "",
        parameters=(loc, shape, float(df)),
    )


def dirichlet(alpha: Any) -> Law:
    from scipy.special import gammaln

    alpha = np.asarray(alpha, dtype=np.float64)
    flat = float(gammaln(alpha.sum()) - gammaln(alpha).sum())

    def log_density(points: Any, _origin: float) -> Numbers:
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(alpha == 1, 0.0, (alpha - 1) * np.log(points))
        return np.asarray(flat + terms.sum(-1))

    return Law(
        log_density,
        lambda rng, count: rng.dirichlet(alpha, count),
        shape=(alpha.size,),
        family="dirichlet",
        parameters=(alpha,),
    )


def mixture(parts: list[Law], weights: Any) -> Law:
    """Law of a draw from one of several, by the shares of each."""
    pairs = [(float(w), part) for w, part in zip(weights, parts, strict=True) if w > 0]
    total = math.fsum(w for w, _ in pairs)
    share, parts = [w / total for w, _ in pairs], [part for _, part in pairs]
    logs = np.log(share)

    def log_density(points: Any, origin: float) -> Numbers:
        each = [part.log_density(points, origin) + w for w, part in zip(logs, parts, strict=True)]
        return log_sum(np.stack(each, -1))

    def draw(rng: np.random.Generator, count: int) -> Any:
        which = rng.multinomial(count, share)
        drawn = [part.draw(rng, int(n)) for n, part in zip(which, parts, strict=True) if n]
        return np.concatenate(drawn)

    return Law(
        log_density,
        draw,
        discrete=parts[0].discrete,
        shape=parts[0].shape,
        low=min(part.low for part in parts),
        high=max(part.high for part in parts),
        sites=tuple(dict.fromkeys(site for part in parts for site in part.sites)),
        ends=tuple(dict.fromkeys(end for part in parts for end in part.ends)),
        parts=tuple(parts),
        weights=tuple(share),
        tight=all(part.tight for part in parts),
    )


def categorical(p: tuple[float, ...]) -> Law:
    table = np.log(np.maximum(p, 5e-324))
    table[np.array(p) == 0] = -np.inf

    def log_density(offset: Any, origin: float) -> Numbers:
        k = np.asarray(offset + origin).astype(np.int64)
        fine = (k >= 0) & (k < len(p))
        return np.where(fine, table[np.where(fine, k, 0)], -np.inf)

    return Law(
        log_density,
        lambda rng, count: rng.choice(len(p), count, p=p).astype(np.float64),
        discrete=True,
        family="finite",
        parameters=(tuple(map(float, range(len(p)))), p),
        low=0.0,
        high=len(p) - 1.0,
        sites=((0.0, float(len(p))),),
    )


def product(parts: list[Law]) -> Law:
    """Law of several independent numbers."""

    def log_density(points: Any, origin: float) -> Numbers:
        columns = [part.log_density(points[:, i], origin) for i, part in enumerate(parts)]
        return np.asarray(np.sum(columns, axis=0))

    return Law(
        log_density,
        lambda rng, count: np.column_stack([part.draw(rng, count) for part in parts]),
        discrete=parts[0].discrete,
        shape=(len(parts),),
        family="product",
        parts=tuple(parts),
    )


# ------------------------------------------------------------------ small things


def log_sum(terms: Numbers) -> Numbers:
    """Log of the sum of exponentials along the last axis."""
    top = terms.max(-1)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(np.log(np.exp(terms - safe[..., None]).sum(-1)) + safe)


def quiet(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    import warnings

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **named)


def placed(offset: Any, origin: float, low: float, high: float) -> Numbers:
    """Add offset and origin; what is inside an edge by less than rounding stays so, and outside."""
    found = np.asarray(offset + origin, dtype=np.float64)
    for edge, inwards in ((low, 1.0), (high, -1.0)):
        if math.isfinite(edge):
            step = inwards * 4 * np.spacing(abs(edge))  # some densities round once more
            beyond = inwards * (offset - (edge - origin)) < 0
            near = inwards * (found - edge) < inwards * step
            found = np.where(near & ~beyond, edge + step, found)
            found = np.where(beyond & (found == edge), edge - step, found)
    return found


def site(marks: list[float], low: float, high: float) -> tuple[tuple[float, float], ...]:
    """Centre and width of a distribution from its quartiles."""
    first, middle, third = marks
    width = third - first
    if not width > 0:  # the mass is at one edge, or nearer than numbers go
        width = (high - low) / 4 if math.isfinite(high - low) else max(abs(middle), 1e-300)
    return ((middle, width),)


def ends_of(low: float, high: float) -> tuple[float, ...]:
    return tuple(end for end in (low, high) if math.isfinite(end))
