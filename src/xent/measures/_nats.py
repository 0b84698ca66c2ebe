"""The four sums that every measure is made of: entropy, cross-entropy, KL and JS, in nats.

NumPy rows of probabilities and counts go to the kernels, which check what they read. Tensors, and
logits of any library, take the plain formulas below: they are differentiable twice, and finite
wherever the truth is. Both write a divergence as a sum of terms p log(p/q) - p + q, none negative.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._array import Library
from xent.measures._door import Rows

Array = NDArray[np.float64]
MANY = 1 << 18  # numbers from which a second thread is worth waking
SERIES = (  # (artanh(√z) / √z - 1) / z on [0, 1/9] to 5e-17, as in the kernels
    0.3333333333333333, 0.20000000000007292, 0.1428571428355438, 0.11111111358713932,
    0.09090894718066429, 0.07692785032479312, 0.06657072104827468, 0.06000536404795356,
    0.04400369243072337, 0.08082022805971766,
)  # fmt: skip


def entropy_nats(p: Rows) -> Any:
    """H(p)."""
    if p.kernel_ready:
        from xent._kernels._entropy import entropy_rows

        return _by_kernel(entropy_rows, p)
    return -(p.p * p.log).sum(-1) + 0.0


def cross_entropy_nats(p: Rows, q: Rows) -> Any:
    """H(p, q)."""
    if p.kernel_ready and q.kernel_ready:
        from xent._kernels._entropy import cross_entropy_rows

        return _by_kernel(cross_entropy_rows, p, q)
    xp = p.library.xp
    cost = -(p.p * q.log).sum(-1)
    return xp.where(_excluded(p, q), math.inf, cost + 0.0)


def kl_nats(p: Rows, q: Rows) -> Any:
    """D(p‖q)."""
    if p.kernel_ready and q.kernel_ready:
        from xent._kernels._divergence import kl_rows

        return _by_kernel(kl_rows, p, q)
    terms = kl_terms(p.library, p.p, p.log, q.p, q.log)
    return p.library.xp.where(_excluded(p, q), math.inf, terms.sum(-1))


def js_nats(parts: list[Rows], weights: list[float] | None) -> Any:
    """JS of any number of distributions, weighted."""
    first = parts[0]
    if len(parts) == 2 and weights is None and all(part.kernel_ready for part in parts):
        from xent._kernels._divergence import js_rows

        return _by_kernel(js_rows, *parts)
    share = weights if weights is not None else [1 / len(parts)] * len(parts)
    xp = first.library.xp
    middle = sum(w * part.p for w, part in zip(share, parts, strict=True))
    log = xp.log(xp.where(middle > 0, middle, 1.0))
    return sum(
        w * kl_terms(first.library, part.p, part.log, middle, log).sum(-1)
        for w, part in zip(share, parts, strict=True)
    )


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


def _by_kernel(kernel: Callable[..., int], *sources: Rows) -> Array:
    """Run a kernel over the rows, broadcast; explain the first row that it refuses."""
    counted = any(source.kind is not None for source in sources)
    if counted and kernel.__name__ in ("kl_rows", "js_rows"):
        kernel = _exactly(kernel.__name__ == "js_rows", sources)
        matrices = [source.scaled for source in sources]
    else:
        matrices = [source.matrix for source in sources]
    shape = matrices[0].shape
    if len(matrices) == 2 and matrices[1].shape != shape:
        shape = np.broadcast_shapes(shape, matrices[1].shape)
        matrices = [np.broadcast_to(matrix, shape) for matrix in matrices]
    size = shape[-1]
    flat = [np.ascontiguousarray(matrix).reshape(-1, size) for matrix in matrices]
    count = flat[0].shape[0]
    out = np.empty(count)
    slack = 1e-6
    if count * size < MANY:
        bad = kernel(*flat, slack, out)
    else:
        from xent._kernels._jit import in_blocks

        def work(start: int, stop: int) -> int:
            found = kernel(*(rows[start:stop] for rows in flat), slack, out[start:stop])
            return found if found < 0 else found + start

        found = in_blocks(work, count, least=max(1, MANY // size))
        bad = max(found)
    if bad >= 0:
        for source in sources:
            source.check()
        # Only a sum at the very edge of the tolerance is seen differently by NumPy's rounding.
        must = f"sum to 1 along axis {sources[0].axis}"
        raise _check.invalid(sources[0].argument, must, f"a row off by 1e-6 at row {bad}")
    return out.reshape(shape[:-1])


def _exactly(symmetric: bool, sources: tuple[Rows, ...]) -> Callable[..., int]:
    from xent._kernels import _divergence

    careful_rows: Callable[..., None] = _divergence.careful_rows

    def kernel(left: Array, right: Array, _slack: float, out: Array) -> int:
        careful_rows(left, right, symmetric, out)
        return -1

    return kernel
