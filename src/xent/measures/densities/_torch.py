"""Distributions of torch.distributions.

Those with a family go through scipy's in float64: PyTorch's own log_prob is as coarse as its
parameters. Others keep their log_prob, in a copy with float64 parameters.
"""

import copy
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from xent import _check
from xent._optional import need
from xent.measures.densities._density import (
    Density,
    add_origin,
    coin,
    ends_of,
    finite,
    mixture,
    product,
    site_of,
)
from xent.measures.densities._frozen import by_logit, frozen
from xent.measures.densities._multivariate import dirichlet, multinomial, multinormal, wishart
from xent.measures.rows._protocols import Numbers
from xent.measures.rows._typed_arrays import Counts, Logits

# Our name of a family, scipy's distribution and how it takes PyTorch's parameters: shapes, then
# place and scale.
TORCH_DISTRIBUTIONS: dict[str, tuple[str, str, Callable[..., tuple[Any, ...]]]] = {
    "Normal": ("norm", "loc scale", lambda a, s: (a, s)),
    "LogNormal": ("lognorm", "loc scale", lambda a, s: (s, 0.0, math.exp(a))),
    "HalfNormal": ("halfnorm", "scale", lambda s: (0.0, s)),
    "Exponential": ("expon", "rate", lambda r: (0.0, 1 / r)),
    "Gamma": ("gamma", "concentration rate", lambda k, r: (k, 0.0, 1 / r)),
    "Chi2": ("gamma", "concentration rate", lambda k, r: (k, 0.0, 1 / r)),
    "InverseGamma": ("invgamma", "concentration rate", lambda k, r: (k, 0.0, r)),
    "Beta": ("beta", "concentration1 concentration0", lambda a, b: (a, b, 0.0, 1.0)),
    "Uniform": ("uniform", "low high", lambda a, b: (a, b - a)),
    "Laplace": ("laplace", "loc scale", lambda a, s: (a, s)),
    "Weibull": ("weibull_min", "scale concentration", lambda s, k: (k, 0.0, s)),
    "Pareto": ("pareto", "scale alpha", lambda s, k: (k, 0.0, s)),
    "StudentT": ("t", "df loc scale", lambda df, a, s: (df, a, s)),
    "Cauchy": ("cauchy", "loc scale", lambda a, s: (a, s)),
    "HalfCauchy": ("halfcauchy", "scale", lambda s: (0.0, s)),
    "Gumbel": ("gumbel_r", "loc scale", lambda a, s: (a, s)),
    "FisherSnedecor": ("f", "df1 df2", lambda a, b: (a, b, 0.0, 1.0)),
    "VonMises": ("vonmises", "loc concentration", lambda a, k: (k, a, 1.0)),
    "Poisson": ("poisson", "rate", lambda r: (r, 0.0, 1.0)),
    "Geometric": ("geom", "probs", lambda p: (p, -1.0, 1.0)),
    "Bernoulli": ("bernoulli", "probs", lambda p: (p, 0.0, 1.0)),
    "Binomial": ("binom", "total_count probs", lambda n, p: (n, p, 0.0, 1.0)),
    "NegativeBinomial": ("nbinom", "total_count probs", lambda n, p: (n, 1 - p, 0.0, 1.0)),
}


BY_LOGITS = ("Bernoulli", "Geometric", "Binomial", "NegativeBinomial")


def from_torch(argument: str, value: Any, at: tuple[int, ...]) -> Density:
    """Density of one member ``at`` of a batch."""
    from scipy import stats

    torch = need("torch", extra="torch", by="xent.measures")

    name = type(value).__name__
    ours = type(value).__module__.startswith("torch.distributions")

    def number(field: str) -> Any:
        tensor = _probs(value) if field == "probs" else torch.as_tensor(getattr(value, field))
        batch = tuple(value.batch_shape)
        event = tensor.shape[len(batch) :] if tensor.shape[: len(batch)] == batch else tensor.shape
        whole = torch.broadcast_to(tensor.detach().cpu().double(), (*batch, *event))
        return whole[at].numpy()

    by_logits = ours and name in BY_LOGITS and "probs" not in vars(value)
    if by_logits and name == "Bernoulli":
        return coin(Logits([float(number("logits")), 0.0]))
    if ours and name in TORCH_DISTRIBUTIONS:
        scipy_name, fields, order = TORCH_DISTRIBUTIONS[name]
        given = [float(number(f)) for f in fields.split()]
        try:
            *shapes, loc, scale = order(*given)
            if by_logits and name == "NegativeBinomial":
                shapes[1] = 1 / (1 + math.exp(float(number("logits"))))
        except (OverflowError, ZeroDivisionError):
            got = ", ".join(f"{v:.6g}" for v in given)
            must = f"be a {name} whose scale a float holds"
            raise _check.invalid(argument, must, got) from None
        found = frozen(argument, getattr(stats, scipy_name), tuple(shapes), loc, scale)
        if not by_logits:
            return found
        logit = float(number("logits"))
        return by_logit(found, shapes[0], -logit if name == "NegativeBinomial" else logit)
    if ours and name in ("MultivariateNormal", "LowRankMultivariateNormal"):
        return multinormal(argument, number("loc"), number("covariance_matrix"))
    if ours and name == "Dirichlet":
        return dirichlet(number("concentration"))
    if ours and name in ("Categorical", "OneHotCategorical"):
        inner = getattr(value, "_categorical", value)
        return finite(_shares(inner, value, at))
    if ours and name == "Multinomial":
        return multinomial(float(value.total_count), _shares(value._categorical, value, at))
    if ours and name == "Wishart":
        return wishart(float(number("df")), number("covariance_matrix"))
    if ours and name == "Independent":
        count = value.reinterpreted_batch_ndims
        shape = tuple(value.base_dist.batch_shape)[len(value.batch_shape) :]
        if count == len(shape) and not value.base_dist.event_shape:
            places = list(np.ndindex(*shape))
            return product([from_torch(argument, value.base_dist, (*at, *i)) for i in places])
    if ours and name == "MixtureSameFamily":
        weights = _probs(value.mixture_distribution).detach().cpu()
        weights = torch.broadcast_to(weights, (*value.batch_shape, weights.shape[-1]))[at]
        parts = [
            from_torch(argument, value.component_distribution, (*at, i))
            for i in range(weights.shape[-1])
        ]
        return mixture(parts, weights.tolist())
    if at or value.batch_shape:
        must = "be made of distributions that xent knows by name"
        raise _check.wrong_kind(argument, must, f"a batch of {name}")
    return _unknown(_doubled(value, torch), torch)


def _shares(inner: Any, value: Any, at: tuple[int, ...]) -> Counts | Logits:
    """Shares of a categorical distribution in float64, as probabilities or logits as given."""
    torch = need("torch", extra="torch", by="xent.measures")

    logits = "probs" not in vars(inner)
    shares = inner.logits.detach().cpu().double() if logits else _probs(inner).detach().cpu()
    found = torch.broadcast_to(shares, (*value.batch_shape, inner._num_events))[at].numpy()
    return Logits(found) if logits else Counts(found)


def _probs(value: Any) -> Any:
    """Probabilities in float64: from logits where those were given."""
    torch = need("torch", extra="torch", by="xent.measures")

    if "probs" in vars(value):  # PyTorch clips the logits that it makes of them
        p = value.probs.double()
        return p / p.sum(-1, keepdim=True) if hasattr(value, "_num_events") else p
    logits = value.logits.double()
    return torch.softmax(logits, -1) if hasattr(value, "_num_events") else torch.sigmoid(logits)


def _doubled(value: Any, torch: ModuleType) -> Any:
    """Copy a distribution with every tensor in float64 and its own checks off."""
    value = copy.deepcopy(value)
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, torch.distributions.Distribution):
            item._validate_args = False
        for name, inner in list(getattr(item, "__dict__", {}).items()):
            if isinstance(inner, torch.Tensor):
                if inner.is_floating_point():
                    item.__dict__[name] = inner.detach().cpu().double()
            elif isinstance(inner, list | tuple):
                waiting.extend(i for i in inner if hasattr(i, "__dict__"))
            elif type(inner).__module__.startswith("torch.distributions"):
                waiting.append(inner)
    return value


def _unknown(value: Any, torch: ModuleType) -> Density:
    """Density of a distribution known by its log_prob and sample alone."""
    shape = tuple(value.event_shape)
    support = value.support
    low, high = (float(getattr(support, side, end)) for side, end in _SIDES)
    discrete = bool(getattr(support, "is_discrete", False))

    def log_density(offset: Numbers, origin: float) -> Numbers:
        with torch.no_grad():
            points = torch.as_tensor(add_origin(offset, origin, low, high))
            found = value.log_prob(points).double()
            fine = support.check(points)
            return np.asarray(torch.where(fine, found, -math.inf).numpy())

    def draw(rng: np.random.Generator, count: int) -> Numbers:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(int(rng.integers(2**63)))
            return np.asarray(value.sample((count,)).double().numpy())

    if shape:
        return Density(log_density, draw, discrete=discrete, shape=shape)
    # A rough place to begin an integral; that all of the mass is found is checked.
    quartiles = np.quantile(draw(np.random.default_rng(0), 4001), [0.25, 0.5, 0.75])
    return Density(
        log_density,
        draw,
        discrete=discrete,
        low=low,
        high=high,
        sites=site_of([float(m) for m in quartiles], low, high),
        ends=ends_of(low, high),
        tight=False,  # an affine change of a uniform says that it has all numbers
    )


_SIDES = (("lower_bound", -math.inf), ("upper_bound", math.inf))
