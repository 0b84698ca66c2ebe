"""The four sums that every measure is made of: entropy, cross-entropy, KL and JS, in nats.

NumPy rows go to the kernels, which check what they read. Tensors take the plain formulas below:
they are differentiable twice, and finite wherever the truth is. Both write a divergence as a sum of
terms p log(p/q) - p + q, none negative.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from xent._array import Library
from xent.measures.rows._dispatch import kernels, over_rows
from xent.measures.rows._input import SLACK, Array, Rows
from xent.measures.rows._typed_arrays import Counts

SERIES = (  # (artanh(√z) / √z - 1) / z on [0, 1/9] to 5e-17, as in the kernels
    0.3333333333333333, 0.20000000000007292, 0.1428571428355438, 0.11111111358713932,
    0.09090894718066429, 0.07692785032479312, 0.06657072104827468, 0.06000536404795356,
    0.04400369243072337, 0.08082022805971766,
)  # fmt: skip


def entropy_nats(p: Rows) -> Any:
    """H(p)."""
    if not p.numpy:
        return -(p.p * p.log).sum(-1) + 0.0
    if p.kind in (None, Counts):
        rows = p.flat if p.plain else p.shares
        return by_kernel(kernels("entropy").entropy_rows, (p,), [(rows,)], SLACK)
    return by_kernel(kernels("probabilities").cross_of_shares, (p,), [p.parts])


def cross_entropy_nats(p: Rows, q: Rows) -> Any:
    """H(p, q)."""
    if not p.numpy:
        cost = -(p.p * q.log).sum(-1)
        return p.library.xp.where(_excluded(p, q), math.inf, cost + 0.0)
    if _linear(p, q):
        rows = [(r.flat if r.plain else r.shares,) for r in (p, q)]
        return by_kernel(kernels("entropy").cross_entropy_rows, (p, q), rows, SLACK)
    return by_kernel(kernels("probabilities").cross_of_shares, (p, q), [(p.shares,), q.parts[1:]])


def kl_nats(p: Rows, q: Rows) -> Any:
    """D(p‖q)."""
    if not p.numpy:
        terms = kl_terms(p.library, p.p, p.log, q.p, q.log)
        return p.library.xp.where(_excluded(p, q), math.inf, terms.sum(-1))
    if _linear(p, q):
        return _apart(p, q, symmetric=False)
    return by_kernel(kernels("probabilities").kl_of_shares, (p, q), [p.parts[:2], q.parts])


def js_nats(parts: list[Rows], weights: list[float] | None) -> Any:
    """JS of any number of distributions, weighted."""
    first = parts[0]
    if len(parts) == 2 and weights is None and first.numpy and _linear(*parts):
        return _apart(*parts, symmetric=True)
    share = weights if weights is not None else [1 / len(parts)] * len(parts)
    if first.numpy and len(parts) == 2:
        kernel, arrays = kernels("probabilities").js_of_shares, [part.parts[:2] for part in parts]
        return by_kernel(kernel, parts, arrays, *share)
    if first.numpy:
        return _from_middle(parts, share)
    middle = sum(w * part.p for w, part in zip(share, parts, strict=True))
    xp = first.library.xp
    log = xp.log(xp.where(middle > 0, middle, 1.0))
    return sum(
        w * kl_terms(first.library, part.p, part.log, middle, log).sum(-1)
        for w, part in zip(share, parts, strict=True)
    )


def _from_middle(parts: list[Rows], weights: list[float]) -> Array:
    """Σ w D(p‖m) over NumPy rows of any kind."""
    arrays, shape = _alike(parts, [part.parts[:2] for part in parts])
    middle = weights[0] * arrays[0][0]
    for w, (p, _) in zip(weights[1:], arrays[1:], strict=True):
        middle += w * p
    out = np.zeros(middle.shape[0])
    for w, pair in zip(weights, arrays, strict=True):
        over_rows(kernels("probabilities").add_distance, (*pair, middle), (w,), (out,))
    return out.reshape(shape[:-1])


def _linear(*sources: Rows) -> bool:
    """Whether no logarithms were given, which only their own kernels take."""
    return all([source.kind in (None, Counts) for source in sources])


def _apart(p: Rows, q: Rows, *, symmetric: bool) -> Array:
    """KL or JS; of counts by the careful row, which needs no sums of 1."""
    if p.kind is not None or q.kind is not None:
        careful = kernels("divergence").careful_rows
        return by_kernel(careful, (p, q), [(p.scaled,), (q.scaled,)], symmetric)
    kernel = kernels("divergence").js_rows if symmetric else kernels("divergence").kl_rows
    rows = [(r.flat if r.plain else r.shares,) for r in (p, q)]
    return by_kernel(kernel, (p, q), rows, SLACK)


def kl_terms(library: Library, p: Any, log_p: Any, q: Any, log_q: Any) -> Any:
    """Sum to D(p‖q): p log(p/q) - p + q; a series where p and q are within a factor of two."""
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


def log_terms(p: Rows, q: Rows) -> Any:
    """log(p/q) where both allow the outcome, 0 elsewhere."""
    both = p.allowed & q.allowed
    return p.library.xp.where(both, p.log - q.log, 0.0)


def _excluded(p: Rows, q: Rows) -> Any:
    return ((p.p > 0) & ~q.allowed).any(-1)


def by_kernel(
    kernel: Any, sources: Sequence[Rows], arrays: list[tuple[Any, ...]], *scalars: Any
) -> Array:
    """One number for each row, from some arrays of each source; explain the first row refused."""
    arrays, shape = _alike(sources, arrays)
    rows = [array for some in arrays for array in some]
    out = np.empty(rows[0].shape[0])
    bad = over_rows(kernel, rows, scalars, (out,))
    if bad >= 0:
        for source in sources:
            source.check()
        raise sources[0].refused(bad)
    return out.reshape(shape[:-1])


def _alike(
    sources: Sequence[Rows], arrays: list[tuple[Any, ...]]
) -> tuple[list[tuple[Any, ...]], tuple[int, ...]]:
    """Repeat the rows of some sources so that all have as many; return the shape before that."""
    shape: tuple[int, ...] = sources[0].moved.shape
    if all([source.moved.shape == shape for source in sources[1:]]):
        return arrays, shape
    shape = np.broadcast_shapes(*(source.moved.shape for source in sources))
    return [
        tuple(
            np.ascontiguousarray(np.broadcast_to(a.reshape(source.moved.shape), shape)).reshape(
                -1, shape[-1]
            )
            for a in some
        )
        for source, some in zip(sources, arrays, strict=True)
    ], shape
