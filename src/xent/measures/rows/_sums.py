"""The four sums that every measure is made of: entropy, cross-entropy, KL and JS, in nats.

NumPy rows go to the kernels, which check what they read. Tensors take the formulas below, which are
differentiable twice and finite wherever the result is. Both write a divergence as a sum of terms
p log(p/q) - p + q, none of them negative.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._array import Library
from xent.measures.rows._dispatch import (
    Kernel,
    divergence_kernels,
    entropy_kernels,
    over_rows,
    probability_kernels,
)
from xent.measures.rows._input import TOLERANCE, Rows, paired, rows, several
from xent.measures.rows._protocols import Array, Booleans
from xent.measures.rows._typed_arrays import TYPED, Counts, Input

ArrayGroups = Sequence[tuple[NDArray[Any], ...]]
FAINT = 1e-290  # a JS below which floats have fewer digits, or are 0
SERIES = (  # (artanh(√z) / √z - 1) / z on [0, 1/9] to 5e-17, as in the kernels
    0.3333333333333333, 0.20000000000007292, 0.1428571428355438, 0.11111111358713932,
    0.09090894718066429, 0.07692785032479312, 0.06657072104827468, 0.06000536404795356,
    0.04400369243072337, 0.08082022805971766,
)  # fmt: skip


def entropy_nats(p: Rows) -> Array:
    """H(p)."""
    if not p.numpy:
        return -(p.p * p.log).sum(-1) + 0.0
    if p.kind in (None, Counts):
        rows = p.flat if p.plain else p.probabilities
        return by_kernel(entropy_kernels().entropy_rows, (p,), [(rows,)], TOLERANCE)
    return by_kernel(probability_kernels().cross_of_probabilities, (p,), [p.with_logs])


def cross_entropy_nats(p: Rows, q: Rows) -> Array:
    """H(p, q)."""
    if not p.numpy:
        cost = -(p.p * q.log).sum(-1)
        return p.library.xp.where(_excluded(p, q), math.inf, cost + 0.0)
    if _without_logs(p, q):
        rows = [(r.flat if r.plain else r.probabilities,) for r in (p, q)]
        return by_kernel(entropy_kernels().cross_entropy_rows, (p, q), rows, TOLERANCE)
    return by_kernel(
        probability_kernels().cross_of_probabilities, (p, q), [(p.probabilities,), q.with_logs[1:]]
    )


def kl_nats(p: Rows, q: Rows) -> Array:
    """D(p‖q)."""
    if not p.numpy:
        terms = kl_terms(p.library, p.p, p.log, q.p, q.log)
        return p.library.xp.where(_excluded(p, q), math.inf, terms.sum(-1))
    if _without_logs(p, q):
        return _divergence_nats(p, q, symmetric=False)
    return by_kernel(
        probability_kernels().kl_of_probabilities, (p, q), [p.with_logs[:2], q.with_logs]
    )


def js_nats(parts: list[Rows], weights: list[float] | None) -> Array:
    """JS of any number of distributions, weighted."""
    first = parts[0]
    if len(parts) == 2 and weights is None and first.numpy and _without_logs(*parts):
        return _divergence_nats(*parts, symmetric=True)
    weights = weights if weights is not None else [1 / len(parts)] * len(parts)
    if first.numpy and len(parts) == 2:
        kernel, arrays = (
            probability_kernels().js_of_probabilities,
            [part.with_logs[:2] for part in parts],
        )
        return by_kernel(kernel, parts, arrays, *weights)
    if first.numpy:
        return _from_mixture(parts, weights)
    mixture: Any = sum(w * part.p for w, part in zip(weights, parts, strict=True))
    xp = first.library.xp
    log = xp.log(xp.where(mixture > 0, mixture, 1.0))
    return sum(
        w * kl_terms(first.library, part.p, part.log, mixture, log).sum(-1)
        for w, part in zip(weights, parts, strict=True)
    )


def js_root_nats(parts: list[Rows], weights: list[float] | None) -> Array:
    """√JS, also where JS is below the least float."""
    first = parts[0]
    xp = first.library.xp
    nats = js_nats(parts, weights) if first.numpy else None
    if nats is not None and not (nats < FAINT).any():
        return np.sqrt(nats)
    weights = weights if weights is not None else [1 / len(parts)] * len(parts)
    used = [(w, part.p) for w, part in zip(weights, parts, strict=True) if w > 0]
    # JS times a power of two, whose square is a float: it is of first degree in the probabilities.
    power = int(0.23 * math.log2(float(xp.finfo(used[0][1].dtype).max)))
    scaled = [(w, p * 4.0**power) for w, p in used]
    mixture: Any = sum(w * p for w, p in scaled)
    some = xp.where(mixture > 0, mixture, 1.0)
    total: Any = 0.0
    for w, p in scaled:
        ratio = xp.where(p > 0, p / some, 1.0)
        total = total + w * kl_terms(first.library, p, xp.log(ratio), mixture, 0.0 * p).sum(-1)
    root: Array = xp.where(total > 0, xp.sqrt(xp.where(total > 0, total, 1.0)), 0.0) / 2.0**power
    return root if nats is None else np.where(nats < FAINT, root, np.sqrt(nats))


def _from_mixture(parts: list[Rows], weights: list[float]) -> Array:
    """Σ w D(p‖m) over NumPy rows of any kind."""
    arrays, shape = _broadcast(parts, [part.with_logs[:2] for part in parts])
    mixture = weights[0] * arrays[0][0]
    for w, (p, _) in zip(weights[1:], arrays[1:], strict=True):
        mixture += w * p
    out = np.zeros(mixture.shape[0])
    for w, pair in zip(weights, arrays, strict=True):
        over_rows(probability_kernels().add_distance, (*pair, mixture), (w,), (out,))
    return out.reshape(shape[:-1])


def _without_logs(*sources: Rows) -> bool:
    """Tell whether all are probabilities or counts: logarithms have kernels of their own."""
    return all([source.kind in (None, Counts) for source in sources])


def _divergence_nats(p: Rows, q: Rows, *, symmetric: bool) -> Array:
    """KL or JS; of counts by a kernel that does not need sums of 1."""
    if p.kind is not None or q.kind is not None:
        careful = divergence_kernels().careful_rows
        return by_kernel(careful, (p, q), [(p.scaled,), (q.scaled,)], symmetric)
    kernel = divergence_kernels().js_rows if symmetric else divergence_kernels().kl_rows
    rows = [(r.flat if r.plain else r.probabilities,) for r in (p, q)]
    return by_kernel(kernel, (p, q), rows, TOLERANCE)


def entropy_of_counts(shares: Input) -> float:
    """H(p) of one distribution; plain numbers are counts."""
    return float(entropy_nats(rows("p", _as_counts(shares), -1)))


def kl_of_counts(p: Input, q: Input) -> float:
    """D(p‖q) of two distributions; plain numbers are counts."""
    return float(kl_nats(*paired(_as_counts(p), _as_counts(q), -1)))


def js_of_counts(many: Sequence[Input], weights: list[float]) -> float:
    """JS of distributions; plain numbers are counts."""
    return float(js_nats(several(tuple(map(_as_counts, many)), -1), weights))


def _as_counts(shares: Input) -> Input:
    return shares if isinstance(shares, TYPED) else Counts(shares)


def kl_terms(library: Library, p: Array, log_p: Array, q: Array, log_q: Array) -> Array:
    """Return p log(p/q) - p + q, whose sum is D(p‖q); by a series within a factor of two."""
    xp = library.xp
    near = (p > 0.5 * q) & (q > 0.5 * p)
    a, b = xp.where(near, p, 1.0), xp.where(near, q, 1.0)
    s = (a - b) / (a + b)
    z = s * s
    curve = 0.0 * z
    for c in reversed(SERIES):
        curve = curve * z + c
    close = s * (a - b) + 2.0 * a * s * z * curve
    return xp.where(near, close, p * (log_p - log_q) - p + q)


def log_terms(p: Rows, q: Rows) -> Array:
    """log(p/q) where both allow the outcome, 0 elsewhere."""
    both = p.allowed & q.allowed
    return p.library.xp.where(both, p.log - q.log, 0.0)


def _excluded(p: Rows, q: Rows) -> Booleans | np.bool_:
    return ((p.p > 0) & ~q.allowed).any(-1)


def by_kernel(
    kernel: Kernel, sources: Sequence[Rows], arrays: ArrayGroups, *scalars: float
) -> Array:
    """One number a row, from some arrays of each source; raise for the first bad row."""
    arrays, shape = _broadcast(sources, arrays)
    rows = [array for some in arrays for array in some]
    out = np.empty(rows[0].shape[0])
    bad = over_rows(kernel, rows, scalars, (out,))
    if bad >= 0:
        for source in sources:
            source.check()
        raise sources[0].refused(bad)
    return out.reshape(shape[:-1])


def _broadcast(sources: Sequence[Rows], arrays: ArrayGroups) -> tuple[ArrayGroups, tuple[int, ...]]:
    """Broadcast the rows of all sources; return them with the shape of the arrays."""
    shape: tuple[int, ...] = sources[0].array.shape
    if all([source.array.shape == shape for source in sources[1:]]):
        return arrays, shape
    shape = np.broadcast_shapes(*(source.array.shape for source in sources))
    return [
        tuple(
            np.ascontiguousarray(np.broadcast_to(a.reshape(source.array.shape), shape)).reshape(
                -1, shape[-1]
            )
            for a in some
        )
        for source, some in zip(sources, arrays, strict=True)
    ], shape
