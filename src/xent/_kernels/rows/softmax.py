"""Softmax cross-entropy of rows of logits, and the gradient, in one pass over the memory.

`class_rows` and `soft_rows` are called from Python. Each row goes through `score_row`: its largest
logit (`argmax`), its exponentials (`exponentials`), what they sum up to (`sums`), the loss of that
(`formula`), and the factors of its gradient (`gradient`), which is written beside the next row.
"""

import numpy as np

from xent._compile.decorator import inner, outer
from xent._kernels.rows.argmax import row_argmax
from xent._kernels.rows.exponentials import exponentials_of_row
from xent._kernels.rows.formula import row_loss
from xent._kernels.rows.gradient import (
    coefficients_of,
    nothing_pending,
    pending_gradient,
    write_row,
)
from xent._kernels.rows.records import Row, Softmax, Target, scratch_of
from xent._kernels.rows.sizes import ACCUMULATORS, NONE, ZERO
from xent._kernels.rows.sums import (
    entropy_of_row,
    soft_margin_of,
    sum_of_margins,
    sum_of_probabilities,
)
from xent._kernels.rows.targets import is_distribution
from xent._math.element import to_float64
from xent._math.exp import tanh
from xent._math.llvm import store_fence
from xent._math.log import log_ratio

U = np.uint64


@inner()
def score_row(row, target, row_weight, stat_grads, constants, scratch, out, pending):
    """Return the loss of a row and what is pending of its gradient; write its statistics.

    Return also the sum of its target probabilities, something negative where one has a sign, and
    the argmax of the next row or -1. On the way the gradient is written that was ``pending``
    before. ``row_weight`` multiplies loss and gradient; ``stat_grads`` are the gradients that reach
    lse, log-probability and entropy, which are added.
    """
    x, r, accumulators = row.x, row.r, scratch.accumulators
    inverse, z_loss = constants.inverse_temperature, constants.z_loss
    others, scale, signs, next_argmax = exponentials_of_row(row, constants, scratch, out, pending)
    total = scale + others
    log_sum = log_ratio(x, total, others, scale)
    softmax = Softmax(scale, others, total, log_sum)
    lse = row.max * inverse + log_sum
    margin = soft_margin = entropy = 0.0
    target_mass = target.uniform * x.shape[1]
    if row.probabilities.shape[0]:
        soft_margin, target_mass = soft_margin_of(row, inverse, accumulators[ACCUMULATORS:])
    elif target.uniform != 0.0:
        soft_margin = sum_of_margins(row, inverse, accumulators) * target.uniform
    if target.label >= 0 and target.label != row.argmax:
        margin = (row.max - to_float64(x[r, target.label])) * inverse
    if out.stats.shape[0] or stat_grads.shape[0]:
        entropy = entropy_of_row(row, softmax, inverse, scratch.terms, accumulators)
    if out.stats.shape[0]:
        out.stats[r, 0], out.stats[r, 2], out.stats[r, 3] = lse, entropy, row.argmax
        loss = margin + log_sum if target.label >= 0 else soft_margin + target_mass * log_sum
        out.stats[r, 1] = -loss
    value = row_loss(target.weight, margin, soft_margin, target_mass, log_sum, lse, z_loss)
    pending = nothing_pending(row.exponentials, row.probabilities)
    if out.grad.shape[0]:
        upstream = constants.upstream * row_weight
        coefficients = coefficients_of(upstream, target, target_mass, lse, z_loss, stat_grads, r)
        pending = pending_gradient(row, target, softmax, coefficients, margin, entropy, inverse)
    return row_weight * value, pending, target_mass, signs, next_argmax


@outer()
def class_rows(x, target, weight, row_weights, stat_grads, constants, out, buffers, start, stop):
    """Score rows start to stop, whose target is one class.

    Reads logits x (n, C), target (n,), weight (C,), row_weights (n,) and stat_grads (n, 3), of
    which the last three may be empty; writes ``out`` (see `Outputs`) and the ``buffers``.
    """
    smoothing = constants.label_smoothing
    scratch, exponentials, previous, beside = scratch_of(x, buffers, out, constants)
    probabilities, uniform = buffers.target_probabilities, smoothing / x.shape[1]
    if probabilities.shape[0]:
        for i in range(U(x.shape[1])):
            probabilities[i] = weight[i] * uniform
        uniform = 0.0
    pending, argmax = nothing_pending(previous, probabilities), NONE
    for r in range(start, stop):
        y = target[r]
        row_weight = row_weights[r] if row_weights.shape[0] else 1.0
        if y == constants.ignore_index:
            y, row_weight = NONE, 0.0
        target_weight = 1.0 - smoothing
        if weight.shape[0] and y >= 0:
            target_weight *= weight[y]
        if smoothing == 0.0 and target_weight == 0.0:
            row_weight = 0.0
        if row_weight == 0.0 and out.stats.shape[0] == 0 and stat_grads.shape[0] == 0:
            _skip_row(out, r)
            argmax = NONE
            continue
        row = _row_of(x, r, argmax, exponentials, probabilities)
        value, pending, _, _, argmax = score_row(
            row, Target(y, target_weight, uniform), row_weight, stat_grads,
            constants, scratch, out, pending,
        )  # fmt: skip
        if beside:
            exponentials, previous = previous, exponentials
        else:
            write_row(pending, out, scratch, constants)
            pending = nothing_pending(previous, probabilities)
        out.values[r] = value if row_weight != 0.0 else 0.0
        if y < 0 and out.stats.shape[0]:
            out.stats[r, 1] = 0.0
    write_row(pending, out, scratch, constants)
    store_fence()


@outer()
def soft_rows(x, target, weight, row_weights, stat_grads, constants, out, buffers, start, stop):
    """Score rows start to stop, whose target (n, C) is a distribution; else as `class_rows`.

    Return the first row that weighs something and whose target is no distribution, or -1.
    """
    n, smoothing = x.shape[1], constants.label_smoothing
    scratch, exponentials, previous, beside = scratch_of(x, buffers, out, constants)
    probabilities = buffers.target_probabilities
    changed = smoothing != 0.0 or weight.shape[0] > 0
    turn, argmax, bad = ZERO, NONE, NONE
    pending = nothing_pending(previous, probabilities[0])
    for r in range(start, stop):
        row_weight = row_weights[r] if row_weights.shape[0] else 1.0
        skip = row_weight == 0.0 and out.stats.shape[0] == 0 and stat_grads.shape[0] == 0
        mass, signs = 1.0, np.int32(0)
        if changed and row_weight != 0.0:
            mass, signs = sum_of_probabilities(target[r], scratch.accumulators)
        if skip:
            _skip_row(out, r)
            argmax = NONE
        else:
            # Two rows in turns: the one before may still be pending.
            turn = 1 - turn if changed else r
            for i in range(U(n if changed else 0)):
                t = to_float64(target[U(r), i]) * (1.0 - smoothing) + smoothing / n
                probabilities[turn, i] = t * weight[i] if weight.shape[0] else t
            row = _row_of(x, r, argmax, exponentials, probabilities[turn])
            value, pending, found_mass, found_signs, argmax = score_row(
                row, Target(NONE, 0.0, 0.0), row_weight, stat_grads,
                constants, scratch, out, pending,
            )  # fmt: skip
            if not changed:
                mass, signs = found_mass, found_signs
            if beside:
                exponentials, previous = previous, exponentials
            else:
                write_row(pending, out, scratch, constants)
                pending = nothing_pending(previous, probabilities[turn])
            out.values[r] = value if row_weight != 0.0 else 0.0
        if bad < 0 and row_weight != 0.0:
            bad = NONE if is_distribution(target, r, mass, signs, constants.tolerance) else r
    write_row(pending, out, scratch, constants)
    store_fence()
    return bad


@inner()
def _row_of(x, r, argmax, exponentials, probabilities):
    """Return the record of row r, with its argmax where that is not known yet."""
    if argmax < 0:
        argmax = row_argmax(x, r)
    return Row(x, r, argmax, to_float64(x[r, argmax]), exponentials, probabilities)


@inner()
def _skip_row(out, r):
    """Write what a row gives that counts for nothing."""
    out.values[r] = 0.0
    for i in range(U(out.grad.shape[1] if out.grad.shape[0] else 0)):
        out.grad[U(r), i] = 0


@outer()
def softcap_rows(x, softcap, z, slope):
    """Write the capped logits of x (n, C), softcap tanh(x / softcap), and their slopes."""
    for r in range(x.shape[0]):
        for i in range(U(x.shape[1])):
            bent, inclined = tanh(to_float64(x[U(r), i]) / softcap)
            z[U(r), i] = softcap * bent
            slope[U(r), i] = inclined
