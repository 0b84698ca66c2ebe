"""The door of the room: what counts as a probability distribution, and what is refused.

A plain array is probabilities. It is checked and divided by its own sum, so that an error of
rounding in the input is not an error of the measure; a sum that is off by more than rounding is
refused, never repaired.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent import _check

Rows = NDArray[np.float64]


def probabilities(argument: str, value: ArrayLike, axis: int) -> Rows:
    """Return checked distributions as float64, the outcomes last, each row summing to one.

    Parameters
    ----------
    argument : str
        What the caller calls it.
    value : array_like
        Probabilities, outcomes along ``axis``.
    axis : int
        Where the outcomes are.

    Raises
    ------
    TypeError
        If the entries are not real numbers.
    ValueError
        If an entry is negative, NaN or infinite, if there is no outcome, or if a row's sum differs
        from 1 by more than max(1e-6, 2·eps·√K) for K outcomes of the input's dtype.
    """
    raw: NDArray[Any] = np.asarray(value)
    if raw.dtype.kind not in "fiub":
        must = "be an array of real numbers"
        raise _check.wrong_kind(argument, must, f"an array of dtype {raw.dtype}")
    if raw.ndim == 0:
        raise _check.invalid(argument, "have at least one axis", f"the single number {raw.item()}")
    if not -raw.ndim <= axis < raw.ndim:
        raise _check.invalid("axis", f"be an axis of `{argument}`, which has {raw.ndim}", axis)
    rows = np.moveaxis(raw, axis, -1).astype(np.float64)
    outcomes = rows.shape[-1]
    if outcomes == 0:
        raise _check.invalid(argument, f"have at least one outcome along axis {axis}", "none")
    if not np.isfinite(rows).all():
        first = np.argwhere(~np.isfinite(rows))[0]
        raise _check.invalid(
            argument, "be finite", f"{rows[tuple(first)]} at {_place(first, raw, axis)}"
        )
    if rows.min(initial=0.0) < 0:
        first = np.argwhere(rows < 0)[0]
        got = f"{rows[tuple(first)]:.6g} at {_place(first, raw, axis)}"
        raise _check.invalid(argument, "be non-negative", got)
    total = rows.sum(axis=-1, keepdims=True)
    eps = np.finfo(raw.dtype).eps if raw.dtype.kind == "f" else 0.0
    off = np.abs(total[..., 0] - 1.0) > max(1e-6, 2 * float(eps) * outcomes**0.5)
    if off.any():
        first = np.argwhere(off)[0]
        row = f" at row {_row(first)}" if first.size else ""
        got = f"{total[(*first, 0)]:.9g}{row}"
        raise _check.invalid(argument, f"sum to 1 along axis {axis}", got)
    return np.asarray(rows / total)


def paired(p: ArrayLike, q: ArrayLike, axis: int) -> tuple[Rows, Rows]:
    """Return two checked distributions over the same outcomes, their batches broadcast."""
    left, right = probabilities("p", p, axis), probabilities("q", q, axis)
    if left.shape[-1] != right.shape[-1]:
        must = f"have the {left.shape[-1]} outcomes of `p` along axis {axis}"
        raise _check.invalid("q", must, right.shape[-1])
    try:
        np.broadcast_shapes(left.shape, right.shape)
    except ValueError:
        must = f"have a shape that broadcasts with that of `p`, {np.shape(p)}"
        raise _check.invalid("q", must, np.shape(q)) from None
    return left, right


def result(nats: Rows, base: float) -> Any:
    """Turn nats into the unit asked for; one row gives a float, a batch an array."""
    value = nats / _check.log_of_base(base)
    return float(value) if value.ndim == 0 else value


def _place(moved: NDArray[Any], raw: NDArray[Any], axis: int) -> str:
    """Write the index of a bad entry as it stands in the caller's array."""
    index = list(moved[:-1])
    index.insert(axis % raw.ndim, moved[-1])
    return _check.at(index)


def _row(index: NDArray[Any]) -> str:
    return str(int(index[0])) if index.size == 1 else _check.at(index)
