"""The gradient of a row of logits: its factors, and the loop over the classes.

The loop is run in pieces, so that it may be run beside the exponentials of the next row: stores
that go past the caches then have time to reach the memory.
"""

from typing import Any, NamedTuple

import numpy as np

from xent._compile.decorator import inner, step
from xent._kernels.rows.formula import argmax_gradient, class_gradient, lse_gradient
from xent._kernels.rows.sizes import ACCUMULATORS, NONE, PAD, ZERO
from xent._math.element import from_float64, to_float32, to_float64
from xent._math.exp import splits, times_split
from xent._math.llvm import stream_copy
from xent._math.log import quotient

U = np.uint64


class Coefficients(NamedTuple):
    """The gradient of a row, by what its loss depends on.

    [lse p_c - soft_target a_c - (target where c = y) + entropy p_c (margin_c + log_sum - H)] / T
    """

    lse: float
    target: float
    soft_target: float
    entropy: float


class PendingGradient(NamedTuple):
    """What is to write of row ``row``, -1 for none: e_c ``exponential`` - a_c ``soft_target``.

    Where no probabilities a_c are given, less ``uniform`` instead. Class ``argmax`` and, unless
    that is -1, class ``target`` have values of their own. All in float32 where ``in_float32``.
    """

    row: Any
    argmax: Any
    target: Any
    exponential: float
    soft_target: float
    uniform: float
    at_argmax: float
    at_target: float
    in_float32: bool
    exponentials: Any
    probabilities: Any


@inner()
def nothing_pending(exponentials, probabilities):
    """Return the record of no row."""
    return PendingGradient(
        NONE, NONE, NONE, 0.0, 0.0, 0.0, 0.0, 0.0, False,
        exponentials, probabilities,
    )  # fmt: skip


@inner()
def coefficients_of(upstream, target, target_mass, lse, z_loss, stat_grads, r):
    """Return the coefficients of a row: those of its loss, and of its statistics' gradients."""
    lse_grad = lse_gradient(upstream, target.weight + target_mass, lse, z_loss)
    target_grad, soft_grad, entropy_grad = upstream * target.weight, upstream, 0.0
    if stat_grads.shape[0]:
        log_prob_grad, entropy_grad = stat_grads[r, 1], stat_grads[r, 2]
        if target.label >= 0:
            lse_grad += stat_grads[r, 0] - log_prob_grad
            target_grad -= log_prob_grad
        else:
            lse_grad += stat_grads[r, 0] - log_prob_grad * target_mass
            soft_grad -= log_prob_grad
    return Coefficients(lse_grad, target_grad, soft_grad, entropy_grad)


@inner()
def pending_gradient(row, target, softmax, coefficients, margin, entropy, inverse_temperature):
    """Return what is to write of the gradient of a row.

    Where the entropy has a gradient, the row's exponentials become what is to be multiplied.
    """
    x, e, y, probabilities = row.x, row.exponentials, target.label, row.probabilities
    lse_grad, target_grad, soft_grad, entropy_grad = coefficients
    scale, others, total = softmax.scale, softmax.others, softmax.total
    surprise = softmax.log_sum - entropy
    factor = quotient(x, lse_grad * inverse_temperature, total)
    e_y = to_float64(e[y]) if y >= 0 else 0.0
    if entropy_grad != 0.0:
        for i in range(U(x.shape[1])):
            # x may be the gradient too, so all of x is read before any of it is written
            around = (row.max - to_float64(x[U(row.r), i])) * inverse_temperature + surprise
            each = factor + entropy_grad * inverse_temperature / total * around
            e[i] = e[i] * each if e[i] != 0.0 else 0.0
        factor = 1.0
    soft = probabilities.shape[0] > 0
    at = soft_grad * (to_float64(probabilities[row.argmax]) if soft else target.uniform)
    at += target_grad if y == row.argmax else 0.0
    p = quotient(x, scale, total)
    at_argmax = argmax_gradient(lse_grad, at, p, quotient(x, others, total))
    if entropy_grad != 0.0:
        at_argmax += entropy_grad * p * surprise
    at_target = 0.0
    if y >= 0 and y != row.argmax:
        p = quotient(x, e_y, total)
        at_target = class_gradient(lse_grad, target_grad, p)
        at_target -= soft_grad * (to_float64(probabilities[y]) if soft else target.uniform)
        if entropy_grad != 0.0 and p != 0.0:
            at_target += entropy_grad * p * (margin + surprise)
    soft_factor = soft_grad * inverse_temperature
    uniform = soft_grad * target.uniform * inverse_temperature
    return PendingGradient(
        row.r, row.argmax, NONE if y == row.argmax else y, factor, soft_factor, uniform,
        at_argmax * inverse_temperature, at_target * inverse_temperature,
        e.itemsize == 4 and splits(factor) and splits(soft_factor) and splits(uniform),
        e, probabilities,
    )  # fmt: skip


@inner()
def write_gradient(pending, out, scratch, constants, start, stop):
    """Write what is pending of classes start to stop, where anything is."""
    if pending.row >= 0:
        block = scratch.gradient_block
        _write_piece(
            pending, out.grad, out.softcap_slope, block, constants.nontemporal, start, stop
        )


@inner()
def write_row(pending, out, scratch, constants):
    """Write all that is pending."""
    if pending.row >= 0:
        n = out.grad.shape[1]
        for a in range(ZERO, n, ACCUMULATORS):
            write_gradient(pending, out, scratch, constants, a, min(a + ACCUMULATORS, n))


@step()
def _write_piece(pending, grad, softcap_slope, block, nontemporal, start, stop):
    """Write the gradient of classes start to stop, times their slopes where there are any."""
    e, probabilities = pending.exponentials, pending.probabilities
    first, last = U(start), U(stop)
    if pending.in_float32:
        # In float32 too the product is exact but for its last rounding: the factor is c1 + c0.
        c1 = np.float32(pending.exponential)
        c0 = np.float32(pending.exponential - np.float64(c1))
        if probabilities.shape[0]:
            soft = np.float32(pending.soft_target)
            for i in range(first, last):
                less = -to_float32(probabilities[i]) * soft
                block[i - first] = from_float64(times_split(e[i], c1, c0, less), block[i - first])
        else:
            less = -np.float32(pending.uniform)
            for i in range(first, U(stop + (start - stop) % PAD)):
                block[i - first] = from_float64(times_split(e[i], c1, c0, less), block[i - first])
    elif probabilities.shape[0]:
        for i in range(first, last):
            less = to_float64(probabilities[i]) * pending.soft_target
            block[i - first] = from_float64(e[i] * pending.exponential - less, block[i - first])
    else:
        for i in range(first, last):
            value = e[i] * pending.exponential - pending.uniform
            block[i - first] = from_float64(value, block[i - first])
    if start <= pending.argmax < stop:
        block[pending.argmax - start] = from_float64(pending.at_argmax, block[0])
    if start <= pending.target < stop:
        block[pending.target - start] = from_float64(pending.at_target, block[0])
    if softcap_slope.shape[0]:
        for i in range(first, last):
            slope = softcap_slope[U(pending.row), i]
            block[i - first] = from_float64(to_float64(block[i - first]) * slope, block[i - first])
    stream_copy(grad, pending.row * grad.shape[1] + start, block, stop - start, nontemporal)
