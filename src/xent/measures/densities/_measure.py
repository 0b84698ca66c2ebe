"""Entropy and divergences of distributions that are objects: of scipy.stats, torch.distributions.

The closed form where one is known; else an integral or a sum, with its error; else, in more than
one dimension, the mean over draws with its standard error. The result says which it is.
"""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from xent import _check
from xent.measures.densities._closed_forms import DIVERGENCE, ENTROPIES, coin_kl
from xent.measures.densities._density import Density, log_sum
from xent.measures.densities._empirical import by_grid, differential_entropy, in_steps, masses
from xent.measures.densities._measurement import Measurement
from xent.measures.densities._multivariate import jointly_normal
from xent.measures.densities._quadrature import add_up, integrate
from xent.measures.densities._read import density_of, log_densities, seen
from xent.measures.rows._alignment import align
from xent.measures.rows._protocols import Booleans, Numbers
from xent.measures.rows._rng import generator
from xent.measures.rows._sums import entropy_of_counts, js_of_counts, kl_of_counts
from xent.measures.rows._typed_arrays import Input, is_distribution, only_arrays

DRAWS = 100_000
WELL_CONDITIONED = 1e4
FADED = -500.0  # a log density from which an underflow may follow
SEARCHED = 20  # gaps of a density whose edges are looked at
KNOWN = frozenset((*ENTROPIES, "finite", "histogram"))  # families whose entropy has a formula
DRAWS_AT_ONCE = 1 << 13  # draws whose densities are computed at a time
BY_ACCURACY = ("closed form", "sum", "quadrature", "monte carlo")
RngAndDraws = tuple[np.random.Generator | int | None, int | None]
Result = tuple[float, float, str]
Draws = tuple[np.random.Generator | None, int]
LogAndFactor = tuple[Numbers, Numbers]  # logarithms and factors at some points: (n,) each
Integrand = Callable[[Sequence[Density], Numbers, float], LogAndFactor]


def entropy_of(p: Input, base: float, draws: RngAndDraws) -> Measurement:
    """H(P), differential for a density."""
    return _in_unit(_entropy(density_of("p", p), _draws(draws)), base)


def cross_entropy_of(p: Input, q: Input, base: float, draws: RngAndDraws) -> Measurement:
    """H(P, Q), also of a sample or of counts from a distribution."""
    if not is_distribution(p):
        return _in_unit(_cost_of_sample(p, q, draws), base)
    truth, model = _same_outcomes([p, q])
    return _in_unit(_cross_entropy(truth, model, _draws(draws)), base)


def kl_of(p: Input, q: Input, base: float, draws: RngAndDraws) -> Measurement:
    """D(P‖Q), also of a sample or of counts from a discrete distribution."""
    if not is_distribution(p):
        return _in_unit(_kl_of_sample(p, q, draws), base)
    truth, model = _same_outcomes([p, q])
    return _in_unit(_kl(truth, model, _draws(draws)), base)


def js_of(
    many: Sequence[Input], weights: list[float] | None, base: float, draws: RngAndDraws
) -> Measurement:
    """JS of any number of them, also of counts beside a discrete one."""
    if not all(is_distribution(one) for one in many):
        return _in_unit(_js_of_samples(many, weights, draws), base)
    densities = _same_outcomes(many)
    weights = weights if weights is not None else [1 / len(densities)] * len(densities)
    return _in_unit(_js(densities, weights, _draws(draws)), base)


def _cost_of_sample(p: Input, q: Input, draws: RngAndDraws) -> Result:
    only_arrays(*draws)
    model = density_of("q", q)
    sample = seen("p", p, model)
    terms = -log_densities("p", sample, model)
    if (terms == math.inf).any():
        return math.inf, 0.0, "sum"
    value = math.fsum(sample.shares * terms)
    return value, sample.error(terms, value), "sample mean" if sample.count else "sum"


def _kl_of_sample(p: Input, q: Input, draws: RngAndDraws) -> Result:
    only_arrays(*draws)
    model = density_of("q", q)
    if not model.discrete:
        because = "a sample has no density"
        advice = "Use cross_entropy(p, q), less estimate_entropy(p) for an estimate."
        raise _check.cannot("The divergence of a sample from a density", because, advice)
    sample = seen("p", p, model)
    terms = np.log(sample.shares) - log_densities("p", sample, model)
    if (terms == math.inf).any():
        return math.inf, 0.0, "sum"
    value = max(0.0, math.fsum(sample.shares * terms))
    return value, sample.error(terms, value), "sample mean" if sample.count else "sum"


def _js_of_samples(
    many: Sequence[Input], weights: list[float] | None, draws: RngAndDraws
) -> Result:
    """Over the numbers that were seen, and all others as one outcome of the distribution."""
    only_arrays(*draws)
    names = ["p", "q", *(f"#{i + 1}" for i in range(2, len(many)))]
    (at, name, given), *others = [
        (i, name, one)
        for i, (name, one) in enumerate(zip(names, many, strict=True))
        if is_distribution(one)
    ]
    model = density_of(name, given)
    if others or not model.discrete or model.shape:
        must = "be discrete and the only distribution object beside a sample"
        raise _check.invalid(name, must, f"{1 + len(others)} of them, or a density")
    samples = {i: seen(names[i], one, model) for i, one in enumerate(many) if i != at}
    points = np.unique(np.concatenate([sample.points for sample in samples.values()]))
    with np.errstate(under="ignore"):
        q = np.exp(model.log_density(points, 0.0))
    shares = {at: np.append(q, max(0.0, 1 - math.fsum(q)))}
    for i, sample in samples.items():
        shares[i] = np.zeros(points.size + 1)
        shares[i][np.searchsorted(points, sample.points)] = sample.shares
    weights = weights if weights is not None else [1 / len(many)] * len(many)
    return js_of_counts([shares[i] for i in range(len(many))], weights), 0.0, "sum"


def _draws(given: RngAndDraws) -> Draws:
    rng, draws = given
    if rng is None and draws is not None:
        raise _check.invalid(
            "draws", "be left out without " + _check.setting("rng"), draws, "Nothing is drawn then."
        )
    many = DRAWS if draws is None else _check.integer("draws", draws, least=2)
    return None if rng is None else generator(rng, "draws"), many


def _in_unit(found: Result, base: float) -> Measurement:
    scale = _check.log_of_base(base)
    value, error, method = found
    return Measurement(value / scale + 0.0, error / abs(scale), method)


def _same_outcomes(values: Sequence[Input]) -> list[Density]:
    """Read distributions over the same kind of outcome."""
    names = ["p", "q", *(f"#{i + 1}" for i in range(2, len(values)))]
    densities = [density_of(name, value) for name, value in zip(names, values, strict=True)]
    single = [
        one.parts[0] if one.family == "product" and one.shape == (1,) else one for one in densities
    ]
    if all(one.shape == () for one in single):  # a vector of one number is that number
        densities = single
    if any(one.family == "multinormal" for one in densities):
        densities = [jointly_normal(name, one) for name, one in zip(names, densities, strict=True)]
    kinds = ["discrete" if one.discrete else "continuous" for one in densities]
    for name, one, kind in zip(names[1:], densities[1:], kinds[1:], strict=True):
        if kind != kinds[0]:
            raise _check.invalid(name, f"be {kinds[0]}, as `p` is", f"a {kind} distribution")
        if one.surface != densities[0].surface and not one.discrete:
            must = f"be a density on {densities[0].surface or 'all numbers'}, as `p` is"
            raise _check.invalid(name, must, f"one on {one.surface or 'all numbers'}")
        if one.shape != densities[0].shape:
            must = f"have outcomes of shape {densities[0].shape}, as `p` has"
            raise _check.invalid(name, must, one.shape)
    return densities


def _entropy(p: Density, draws: Draws) -> Result:
    if p.family == "product":
        return _summed(_entropy(part, draws) for part in p.parts)
    if p.family == "finite":
        return entropy_of_counts(p.parameters[1]), 0.0, "sum"
    if p.family == "histogram":
        return differential_entropy(p), 0.0, "closed form"
    if p.family == "multinomial":
        n, _ = p.parameters
        return ENTROPIES[p.family](*p.parameters), 4e-16 * (2 + n) * math.log(2 + n), "sum"
    if p.family in ENTROPIES:
        value = ENTROPIES[p.family](*p.parameters)
        return value, _rounding(value, p), "closed form"
    return _integrated([p], _entropy_terms) or _monte_carlo(
        [p], [1.0], lambda _, log: -log[0], draws
    )


def _cross_entropy(p: Density, q: Density, draws: Draws) -> Result:
    if p.family == q.family == "product":
        return _summed(_cross_entropy(a, b, draws) for a, b in zip(p.parts, q.parts, strict=True))
    kl = _closed_form_kl(p, q)
    if kl is not None and kl[0] == math.inf:
        return kl
    if kl is not None and p.family in KNOWN:
        return _summed([kl, _entropy(p, draws)])
    found = _beyond_support(p, q) or _integrated([p, q], _cross_entropy_terms)
    return found or _monte_carlo([p, q], [1.0, 0.0], lambda _, log: -log[1], draws)


def _kl(p: Density, q: Density, draws: Draws) -> Result:
    if p.family == q.family == "product":
        return _summed(_kl(a, b, draws) for a, b in zip(p.parts, q.parts, strict=True))
    known = _closed_form_kl(p, q)
    found = known or _beyond_support(p, q) or _integrated([p, q], _kl_terms, model=True)
    found = found or _monte_carlo([p, q], [1.0, 0.0], lambda _, log: log[0] - log[1], draws)
    return max(0.0, found[0]), *found[1:]


def _js(densities: list[Density], weights: list[float], draws: Draws) -> Result:
    used = [(w, one) for w, one in zip(weights, densities, strict=True) if w > 0]
    weights, densities = [w for w, _ in used], [one for _, one in used]
    if len(densities) > 1 and all(one.family == "finite" for one in densities):
        return js_of_counts(_shares(densities), weights), 0.0, "sum"
    if in_steps(densities) and len(densities) > 1:
        cells, _ = masses(densities)
        return js_of_counts(cells, weights), 0.0, "closed form"
    found = _integrated(densities, partial(_js_terms, weights)) or _monte_carlo(
        densities,
        weights,
        lambda place, logs: logs[place] - log_sum(np.stack(logs, -1) + np.log(weights)),
        draws,
    )
    weights_entropy = -math.fsum(w * math.log(w) for w in weights)
    return min(max(0.0, found[0]), weights_entropy), *found[1:]


def _closed_form_kl(p: Density, q: Density) -> Result | None:
    if p.family == q.family == "finite":
        if p.parameters[0] == q.parameters[0] and p.parameters[2:] == q.parameters[2:] == ("coin",):
            return coin_kl(p.parameters[1], q.parameters[1]), 0.0, "sum"
        return kl_of_counts(*_shares([p, q])), 0.0, "sum"
    if in_steps([p, q]):
        cells, _ = masses([p, q])
        return kl_of_counts(*cells), 0.0, "closed form"
    if p.family != q.family or p.family not in DIVERGENCE:
        return None
    value = DIVERGENCE[p.family](*p.parameters, *q.parameters)
    return None if value is None else (value, _rounding(value, p, q), "closed form")


def _rounding(value: float, *densities: Density) -> float:
    """Error of a formula with matrices that are nearly singular; 0, for rounding, with others."""
    parameters = [v for one in densities for v in one.parameters]
    matrices = [v for v in parameters if isinstance(v, np.ndarray) and v.ndim == 2]
    worst = max((float(np.linalg.cond(v)) for v in matrices), default=1.0)
    return 4e-16 * worst * (len(matrices[0]) + abs(value)) if worst > WELL_CONDITIONED else 0.0


def _shares(densities: Sequence[Density]) -> list[Any]:
    """Return the shares of distributions on a few numbers, by these numbers."""
    named = [
        (f"#{i}", type(shares)(dict(zip(values, np.asarray(shares.values).tolist(), strict=True))))
        for i, (values, shares) in enumerate(one.parameters[:2] for one in densities)
    ]
    return align(named, -1, None)[0]


def _beyond_support(p: Density, q: Density) -> Result | None:
    """Infinite where the truth's support goes beyond the model's."""
    out = p.tight and (p.low < q.low or p.high > q.high)
    return (math.inf, 0.0, "closed form") if out else None


def _summed(parts: Iterable[Result]) -> Result:
    values, errors, methods = zip(*parts, strict=True)
    return math.fsum(values), math.fsum(errors), max(methods, key=BY_ACCURACY.index)


def _integrated(
    densities: list[Density], integrand: Integrand, model: bool = False
) -> Result | None:
    """Integrate or sum; None where outcomes are not numbers, or some mass is not found."""
    if densities[0].shape:
        return None
    densities = [_with_last(one) for one in densities]

    def terms(x: Numbers, origin: float) -> LogAndFactor:
        log, factor = integrand(densities, x, origin)
        masses = [one.log_density(x, origin) for one in densities]
        return np.stack([log, *masses]), np.stack([factor, *(np.ones_like(log) for _ in densities)])

    if densities[0].discrete:
        whole, method = add_up(terms, densities, model), "sum"
    else:
        whole, method = by_grid(terms, densities) or integrate(terms, densities), "quadrature"
    value, error = float(whole.value[0]), float(whole.error[0])
    off = float(np.abs(whole.value[1:] - 1).max())
    allowed = (
        1e-5 if method == "sum" else 1e-7
    )  # a sum skips no number, but its logarithms are less exact
    if not off <= allowed + float(whole.error[1:].max()) or math.isnan(value):
        return None
    if math.isinf(value):
        return value, 0.0, method
    # The terms of the mass that was missed: its logarithm is at most 40 where it can be missed.
    error += (off if off > 1e-13 else 0.0) * (40 + abs(value))
    return value, error + (0.0 if all(one.tight for one in densities) else 1e-15), method


def _with_last(one: Density) -> Density:
    """Keep the last densities: the integrand and the mass ask for the same points."""
    last: list[Any] = [None, 0.0, None]

    def log_density(x: Numbers, origin: float) -> Numbers:
        if x is not last[0] or origin != last[1]:
            last[:] = x, origin, one.log_density(x, origin)
        found: Numbers = last[2]
        return found

    return replace(one, log_density=log_density)


def _entropy_terms(densities: Sequence[Density], x: Numbers, origin: float) -> LogAndFactor:
    log = densities[0].log_density(x, origin)
    return log, np.where(log > -math.inf, -log, 0.0)


def _cross_entropy_terms(densities: Sequence[Density], x: Numbers, origin: float) -> LogAndFactor:
    log = densities[0].log_density(x, origin)
    return log, np.where(log > -math.inf, -_model(densities[1], x, origin, log), 0.0)


def _kl_terms(densities: Sequence[Density], x: Numbers, origin: float) -> LogAndFactor:
    truth = densities[0].log_density(x, origin)
    model = _model(densities[1], x, origin, truth)
    none = (truth == -math.inf) & ~(model > -math.inf)
    log = np.fmax(truth, model)
    return np.where(none, -math.inf, log), np.where(none, 0.0, _relative_term(truth, model))


def _js_terms(
    weights: list[float], densities: Sequence[Density], x: Numbers, origin: float
) -> LogAndFactor:
    each = np.stack([one.log_density(x, origin) for one in densities], -1)
    mixture = log_sum(each + np.log(weights))
    some = mixture > -math.inf
    safe = np.where(some, mixture, 0.0)[:, None]
    in_units_of_mixture = np.exp(np.maximum(each - safe, 0.0))
    terms = _relative_term(each, safe) * in_units_of_mixture
    return mixture, np.where(some, (terms * weights).sum(-1), 0.0)


def _model(q: Density, x: Numbers, origin: float, truth: Numbers) -> Numbers:
    """Log density of the model; NaN where it is below what floats hold."""
    log = q.log_density(x, origin)
    none = log == -math.inf
    if not none.any():
        return log
    lost = none & q.inside(x, origin)
    if q.discrete:  # its support may have gaps
        lost &= truth < -500
    elif lost.any() and q.family != "histogram" and _has_gaps(q, x, origin, log, lost):
        return log
    known = log[log > -math.inf]
    # No float has a logarithm below -1e4: a density that gives one does not underflow.
    if lost.any() and not (known.size and known.min() < -1e4):
        log = np.where(lost, math.nan, log)
    return log


def _has_gaps(q: Density, x: Numbers, origin: float, log: Numbers, lost: Booleans) -> bool:
    """Tell whether a density that is 0 here and there jumps to 0, or fades, where it underflows."""
    spots = [c - origin + step * w for c, w in q.sites for step in (-1, -0.5, 0, 0.5, 1)]
    around = np.array(spots)
    points = np.concatenate([x[~lost], around])
    logs = np.concatenate([log[~lost], q.log_density(around, origin)])
    points, logs = points[logs > -math.inf], logs[logs > -math.inf]
    if not points.size:
        return False
    order = np.argsort(x)
    starts = np.flatnonzero(np.diff(np.concatenate([[0], lost[order].view(np.int8)])) == 1)
    return all(
        _edge(q, origin, float(x[order[start]]), points, logs) > FADED
        for start in starts[:SEARCHED]
    )


def _edge(q: Density, origin: float, out: float, points: Numbers, logs: Numbers) -> float:
    """Log density at the last point above 0 on the way from the nearest one to a 0."""
    nearest = int(np.argmin(np.abs(points - out)))
    inside, last = float(points[nearest]), float(logs[nearest])
    for _ in range(200):
        middle = 0.5 * (out + inside)
        if middle in (out, inside):
            break
        found = float(q.log_density(np.array([middle]), origin)[0])
        if found > -math.inf:
            inside, last = middle, found
        else:
            out = middle
    return last


def _relative_term(truth: Numbers, model: Numbers) -> Numbers:
    """(p log(p/q) - p + q) / max(p, q), from the logarithms: between 0 and infinity."""
    with np.errstate(invalid="ignore", over="ignore"):
        d = truth - model
        near = np.abs(d) < 0.05
        e = np.where(near, d, 0.0)
        series = np.zeros_like(e)
        for k in range(12, 1, -1):
            series = series + (-1) ** k * e**k / math.factorial(k)
        above = np.where(near, series, d + np.expm1(-d))
        below = np.where(near, np.exp(e) * series, 1 + np.exp(d) * (d - 1))
        found = np.where(d >= 0, above, np.where(d == -math.inf, 1.0, below))
        return np.where(np.isnan(d), math.nan, found)


def _monte_carlo(
    densities: list[Density],
    weights: list[float],
    terms: Callable[[int, list[Numbers]], Numbers],
    draws: Draws,
) -> Result:
    """Mean of the terms at draws from each density, weighted, and its standard error."""
    source, count = draws
    if source is None:
        why = "there is no formula, and no integral that holds all of the density"
        raise _check.cannot(
            "Without chance this cannot be measured",
            why,
            "Pass " + _check.setting("rng", 0) + ", say.",
        )
    value = square = 0.0
    for place, (weight, one) in enumerate(zip(weights, densities, strict=True)):
        if not weight:
            continue
        found = []
        for start in range(0, count, DRAWS_AT_ONCE):
            points = np.asarray(one.draw(source, min(DRAWS_AT_ONCE, count - start)))
            logs = [other.log_density(points, 0.0) for other in densities]
            with np.errstate(invalid="ignore"):
                found.append(terms(place, logs))
        values = np.concatenate(found)
        if np.isnan(values).any():
            raise _check.cannot("The mean over draws", "a log density is not a number")
        if (values == math.inf).any():
            return math.inf, 0.0, "monte carlo"
        value += weight * float(values.mean())
        square += weight * weight * float(values.var()) / count
    # What has less than a mass of 3 / draws is as a rule not met.
    return value, math.hypot(math.sqrt(square), 3 / count), "monte carlo"
