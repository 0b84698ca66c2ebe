"""Entropy and divergences of distributions that are objects: of scipy.stats, torch.distributions.

The exact formula where one is known; else an integral or a sum, which carries its error; else, in
more than one dimension, the mean over draws with its standard error. The result says which it is.
"""

# Annotations stay text: np.random is loaded by whoever draws, not by the import.
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xent import _check
from xent.measures.densities._closed_forms import DIVERGENCE, ENTROPY
from xent.measures.densities._distributions import Law, Numbers, jointly_normal, law, log_sum
from xent.measures.densities._measurement import Measurement
from xent.measures.densities._quadrature import add_up, integrate
from xent.measures.discrete._divergence import kl_divergence
from xent.measures.discrete._entropy import entropy
from xent.measures.rows._typed_arrays import Counts
from xent.measures.samples._estimate import generator

DRAWS = 100_000
ROWS = 1 << 13  # draws whose densities are computed at a time
METHODS = ("closed form", "sum", "quadrature", "monte carlo")
Asked = tuple[np.random.Generator | int | None, int | None]
Found = tuple[float, float, str]
Chance = tuple[np.random.Generator | None, int]


def entropy_of(p: Any, base: float, chance: Asked) -> Measurement:
    """H(P), differential for a density."""
    return _measured(_entropy(law("p", p), _checked(chance)), base)


def cross_entropy_of(p: Any, q: Any, base: float, chance: Asked) -> Measurement:
    """H(P, Q)."""
    truth, model = _alike([p, q])
    return _measured(_cross_entropy(truth, model, _checked(chance)), base)


def kl_of(p: Any, q: Any, base: float, chance: Asked) -> Measurement:
    """D(P‖Q)."""
    truth, model = _alike([p, q])
    return _measured(_kl(truth, model, _checked(chance)), base)


def js_of(many: Sequence[Any], weights: list[float] | None, base: float, chance: Asked) -> Any:
    """JS of any number of them."""
    laws = _alike(many)
    share = weights if weights is not None else [1 / len(laws)] * len(laws)
    return _measured(_js(laws, share, _checked(chance)), base)


def _checked(chance: Asked) -> Chance:
    rng, draws = chance
    if rng is None and draws is not None:
        raise _check.invalid(
            "draws", "be left out without " + _check.setting("rng"), draws, "Nothing is drawn then."
        )
    many = DRAWS if draws is None else _check.integer("draws", draws, least=2)
    return None if rng is None else generator(rng, "draws"), many


def _measured(found: Found, base: float) -> Measurement:
    scale = _check.log_of_base(base)
    value, error, method = found
    return Measurement(value / scale + 0.0, error / abs(scale), method)


def _alike(values: Sequence[Any]) -> list[Law]:
    """Read distributions over the same kind of outcome."""
    names = ["p", "q", *(f"#{i + 1}" for i in range(2, len(values)))]
    laws = [law(name, value) for name, value in zip(names, values, strict=True)]
    single = [
        one.parts[0] if one.family == "product" and one.shape == (1,) else one for one in laws
    ]
    if all(one.shape == () for one in single):  # a vector of one number is that number
        laws = single
    if any(one.family == "multinormal" for one in laws):
        laws = [jointly_normal(name, one) for name, one in zip(names, laws, strict=True)]
    kinds = ["discrete" if one.discrete else "continuous" for one in laws]
    for name, one, kind in zip(names[1:], laws[1:], kinds[1:], strict=True):
        if kind != kinds[0]:
            raise _check.invalid(name, f"be {kinds[0]}, as `p` is", f"a {kind} distribution")
        if one.shape != laws[0].shape:
            must = f"have outcomes of shape {laws[0].shape}, as `p` has"
            raise _check.invalid(name, must, one.shape)
    return laws


# ------------------------------------------------------------------ which way


def _entropy(p: Law, chance: Chance) -> Found:
    if p.family == "product":
        return _together(_entropy(part, chance) for part in p.parts)
    if p.family == "finite":
        return float(entropy(Counts(p.parameters[1]))), 0.0, "sum"
    if p.family in ENTROPY:
        return ENTROPY[p.family](*p.parameters), 0.0, "closed form"
    return _line([p], _entropy_terms) or _drawn([p], [1.0], lambda _, log: -log[0], chance)


def _cross_entropy(p: Law, q: Law, chance: Chance) -> Found:
    if p.family == q.family == "product":
        return _together(
            _cross_entropy(a, b, chance) for a, b in zip(p.parts, q.parts, strict=True)
        )
    apart = _known_kl(p, q)
    if apart is not None and apart[0] == math.inf:
        return apart
    if apart is not None and (p.family == "finite" or p.family in ENTROPY):
        return _together([apart, _entropy(p, chance)])
    found = _reaching_out(p, q) or _line([p, q], _cost_terms)
    return found or _drawn([p, q], [1.0, 0.0], lambda _, log: -log[1], chance)


def _kl(p: Law, q: Law, chance: Chance) -> Found:
    if p.family == q.family == "product":
        return _together(_kl(a, b, chance) for a, b in zip(p.parts, q.parts, strict=True))
    known = _known_kl(p, q)
    found = known or _reaching_out(p, q) or _line([p, q], _kl_terms, model=True)
    found = found or _drawn([p, q], [1.0, 0.0], lambda _, log: log[0] - log[1], chance)
    return max(0.0, found[0]), *found[1:]


def _js(laws: list[Law], share: list[float], chance: Chance) -> Found:
    used = [(w, one) for w, one in zip(share, laws, strict=True) if w > 0]
    share, laws = [w for w, _ in used], [one for _, one in used]
    found = _line(laws, lambda *ones: _js_terms(ones, share)) or _drawn(
        laws, share, _js_told(share), chance
    )
    most = -math.fsum(w * math.log(w) for w in share)
    return min(max(0.0, found[0]), most), *found[1:]


def _known_kl(p: Law, q: Law) -> Found | None:
    if p.family == q.family == "finite":
        table = dict(zip(*q.parameters, strict=True))
        places = dict.fromkeys([*p.parameters[0], *table])
        truth = dict(zip(*p.parameters, strict=True))
        left, right = ([one.get(x, 0.0) for x in places] for one in (truth, table))
        return float(kl_divergence(Counts(left), Counts(right))), 0.0, "sum"
    if p.family != q.family or p.family not in DIVERGENCE:
        return None
    value = DIVERGENCE[p.family](*p.parameters, *q.parameters)
    return None if value is None else (value, 0.0, "closed form")


def _reaching_out(p: Law, q: Law) -> Found | None:
    """Infinite where the truth goes on after the model's end, however little of it is there."""
    out = p.tight and (p.low < q.low or p.high > q.high)
    return (math.inf, 0.0, "closed form") if out else None


def _together(parts: Any) -> Found:
    values, errors, methods = zip(*parts, strict=True)
    return math.fsum(values), math.fsum(errors), max(methods, key=METHODS.index)


# ------------------------------------------------------------------ what is integrated


Chart = Callable[[Numbers, float], tuple[Numbers, Numbers]]  # of one integrand: (n,) each


def _line(laws: list[Law], chart: Callable[..., Chart], model: bool = False) -> Found | None:
    """Integrate or sum, where the outcomes are numbers and every density is seen whole."""
    if laws[0].shape:
        return None
    laws = [_asked_once(one) for one in laws]
    terms = chart(*laws)

    def all_terms(x: Numbers, origin: float) -> tuple[Numbers, Numbers]:
        log, factor = terms(x, origin)
        masses = [one.log_density(x, origin) for one in laws]
        return np.stack([log, *masses]), np.stack([factor, *(np.ones_like(log) for _ in laws)])

    if laws[0].discrete:
        whole, method = add_up(all_terms, laws, model), "sum"
    else:
        whole, method = integrate(all_terms, laws), "quadrature"
    value, error = float(whole.value[0]), float(whole.error[0])
    off = float(np.abs(whole.value[1:] - 1).max())
    allowed = 1e-5 if method == "sum" else 1e-7  # every number is met, but its log may be coarse
    if not off <= allowed + float(whole.error[1:].max()) or math.isnan(value):
        return None
    if math.isinf(value):
        return value, 0.0, method
    # Mass that is not met costs its logarithm, which is below 40 wherever it can be missed.
    error += (off if off > 1e-13 else 0.0) * (40 + abs(value))
    return value, error + (0.0 if all(one.tight for one in laws) else 1e-15), method


def _asked_once(one: Law) -> Law:
    """Remember the last densities: the integrand and the mass need the same ones."""
    last: list[Any] = [None, 0.0, None]

    def log_density(x: Numbers, origin: float) -> Numbers:
        if x is not last[0] or origin != last[1]:
            last[:] = x, origin, one.log_density(x, origin)
        found: Numbers = last[2]
        return found

    return replace(one, log_density=log_density)


def _entropy_terms(p: Law) -> Chart:
    def terms(x: Numbers, origin: float) -> tuple[Numbers, Numbers]:
        log = p.log_density(x, origin)
        return log, np.where(log > -math.inf, -log, 0.0)

    return terms


def _cost_terms(p: Law, q: Law) -> Chart:
    def terms(x: Numbers, origin: float) -> tuple[Numbers, Numbers]:
        log = p.log_density(x, origin)
        return log, np.where(log > -math.inf, -_model(q, x, origin, log), 0.0)

    return terms


def _kl_terms(p: Law, q: Law) -> Chart:
    def terms(x: Numbers, origin: float) -> tuple[Numbers, Numbers]:
        truth = p.log_density(x, origin)
        model = _model(q, x, origin, truth)
        none = (truth == -math.inf) & ~(model > -math.inf)
        log = np.fmax(truth, model)
        return np.where(none, -math.inf, log), np.where(none, 0.0, _gap(truth, model))

    return terms


def _js_terms(laws: Sequence[Law], share: list[float]) -> Chart:
    def terms(x: Numbers, origin: float) -> tuple[Numbers, Numbers]:
        each = np.stack([one.log_density(x, origin) for one in laws], -1)
        middle = log_sum(each + np.log(share))
        some = middle > -math.inf
        safe = np.where(some, middle, 0.0)[:, None]
        gaps = _gap(each, safe) * np.exp(np.maximum(each - safe, 0.0))  # in units of the middle
        return middle, np.where(some, (gaps * share).sum(-1), 0.0)

    return terms


def _model(q: Law, x: Numbers, origin: float, truth: Numbers) -> Numbers:
    """Log density of a model; not a number where it is lost to the range of floats."""
    log = q.log_density(x, origin)
    none = log == -math.inf
    if not none.any():
        return log
    lost = none & q.inside(x, origin)
    if q.discrete:  # between numbers that it allows there may be some that it does not
        lost &= truth < -500
    known = log[log > -math.inf]
    # A logarithm that has been below -1e4 was not taken of a number: it is beyond the floats.
    if lost.any() and not (known.size and known.min() < -1e4):
        log = np.where(lost, math.nan, log)
    return log


def _gap(truth: Numbers, model: Numbers) -> Numbers:
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


# ------------------------------------------------------------------ draws


def _js_told(share: list[float]) -> Callable[[int, list[Numbers]], Numbers]:
    def told(place: int, logs: list[Numbers]) -> Numbers:
        return logs[place] - log_sum(np.stack(logs, -1) + np.log(share))

    return told


def _drawn(
    laws: list[Law],
    share: list[float],
    told: Callable[[int, list[Numbers]], Numbers],
    chance: Chance,
) -> Found:
    """Mean of what draws of each law tell, weighted, and its standard error."""
    source, count = chance
    if source is None:
        why = "there is no formula, and no integral that holds all of the density"
        raise _check.cannot(
            "Without chance this cannot be measured",
            why,
            "Pass " + _check.setting("rng", 0) + ", say.",
        )
    value = square = 0.0
    for place, (weight, one) in enumerate(zip(share, laws, strict=True)):
        if not weight:
            continue
        seen = []
        for start in range(0, count, ROWS):
            points = np.asarray(one.draw(source, min(ROWS, count - start)))
            logs = [other.log_density(points, 0.0) for other in laws]
            with np.errstate(invalid="ignore"):
                seen.append(told(place, logs))
        cost = np.concatenate(seen)
        if np.isnan(cost).any():
            raise _check.cannot("The mean over draws", "a log density is not a number")
        if (cost == math.inf).any():
            return math.inf, 0.0, "monte carlo"
        value += weight * float(cost.mean())
        square += weight * weight * float(cost.var()) / count
    return value, math.sqrt(square), "monte carlo"
