"""One row of logits: the cross-entropy of its softmax, and the gradient, in one pass.

The largest logit stays out of the sum: with S the sum of exp(z_c - z_k) over the *other* classes,

    log sum_c exp z_c = z_k + log1p(S),    p_k = 1 / (1 + S),    p_k - 1 = -S / (1 + S)

so a confident row keeps every digit of its loss and of its gradient. An argument that is absent
comes as an array of length 0.

Rows are addressed as x[r, i] with unsigned indices: a signed index costs its check for negative
values, and that the SIMD.
"""

import numpy as np

from xent._compile.decorator import inner, outer
from xent._kernels.rows.gradient import gradient_of_row, nothing_to_do, write_some
from xent._kernels.rows.sizes import ACCUMULATORS, COLUMN_BLOCK, PAD
from xent._kernels.rows.sums import (
    cache_line_start,
    entropy_of_row,
    even_gaps,
    peak,
    rooms,
    shared_gaps,
    sum_of_others,
    sum_of_shares,
)
from xent._math.double_double import dd_add_double
from xent._math.element import to_float64
from xent._math.exp import tanh
from xent._math.llvm import store_fence
from xent._math.log import log_ratio

U = np.uint64


@inner()
def one_row(
    x, r, k, y, hit, share, flat, f, g, zeta, inverse, pull, stats, grad, slope, e,
    block, lanes, lost, page, past, todo, before, share_before,
):  # fmt: skip
    """Return the loss of row r of x and what is to do for its gradient; write its statistics.

    Return also the sum of ``share``, something negative where a sign there is, and the peak of the
    next row or -1, as which k may come. On the way the gradient is written that was ``todo``
    before.

    The target spreads ``share`` (or ``flat``) over the classes and puts ``hit`` on class y (-1 for
    none). f scales the loss, g f its gradient; ``pull`` are the weights of the
    gradients of lse, of the log-probability and of the entropy, which are added.
    """
    if k < 0:
        k = peak(x, r)
    top = to_float64(x[r, k])
    others, lift, signs, after = sum_of_others(
        x, r, k, inverse, share, e, block, lanes, lost, todo, before, share_before, page, slope,
        grad, past,
    )  # fmt: skip
    total = lift + others
    log = log_ratio(x, total, others, lift)
    lse = top * inverse + log
    gaps = gap = entropy = h = 0.0
    mass = flat * x.shape[1]
    if share.shape[0]:
        gaps, mass = shared_gaps(x, r, top, inverse, share, lanes[ACCUMULATORS:])
    elif flat != 0.0:
        gaps = even_gaps(x, r, k, inverse, lanes) * flat
    if y >= 0 and y != k:
        gap = (top - to_float64(x[r, y])) * inverse
    if stats.shape[0] or pull.shape[0]:
        entropy = entropy_of_row(x, r, k, inverse, e, total, log, block, lanes)
    value = gaps + mass * log
    if hit != 0.0:
        value += hit * (gap + log)
    # A row counts as much for the z-loss as its target does for the loss.
    weight = hit + mass
    if zeta != 0.0:
        value += zeta * weight * lse * lse
    if stats.shape[0]:
        stats[r, 0], stats[r, 2], stats[r, 3] = lse, entropy, k
        stats[r, 1] = -(gap + log) if y >= 0 else -(gaps + mass * log)
    if grad.shape[0]:
        push = g * f
        p = push * (weight + 2.0 * zeta * weight * lse) if zeta != 0.0 else push * weight
        at_y, spread = push * hit, push
        if pull.shape[0]:
            p += pull[r, 0] - (pull[r, 1] if y >= 0 else pull[r, 1] * mass)
            h = pull[r, 2]
            if y >= 0:
                at_y -= pull[r, 1]
            else:
                spread -= pull[r, 1]
        todo = gradient_of_row(
            x, r, y, k, others, lift, gap, log - entropy, inverse, p, at_y, spread, share, flat, h,
            e,
        )  # fmt: skip
    else:
        todo = nothing_to_do()
    return f * value, todo, mass, signs, after


@outer()
def bend_rows(x, cap, z, slope):
    """Write the capped logits and their slopes."""
    for r in range(x.shape[0]):
        for i in range(U(x.shape[1])):
            bent, inclined = tanh(to_float64(x[U(r), i]) / cap)
            z[U(r), i] = cap * bent
            slope[U(r), i] = inclined


@inner()
def skip_row(values, grad, r):
    """Write what a row gives that counts for nothing."""
    values[r] = 0.0
    for i in range(U(grad.shape[1] if grad.shape[0] else 0)):
        grad[U(r), i] = 0


@inner()
def halves(array, n, two):
    """Return room for this row and for the row before, which is the same where not ``two``."""
    first = n if two else 0
    return array[:n], array[first : first + n]


@inner()
def write_row(todo, e, share, page, slope, grad, past):
    """Write what is to do of a row, where anything is."""
    if todo.row >= 0:
        for a in range(0, grad.shape[1], ACCUMULATORS):
            write_some(
                todo, e, share, page, slope, grad, past, a, min(a + ACCUMULATORS, grad.shape[1])
            )


@outer()
def class_rows(
    x, target, weight, scale, pull, ignore, smooth, inverse, zeta, g, e, sums, share, page,
    values, stats, grad, slope, past, start, stop,
):  # fmt: skip
    """Rows whose target is one class; e, sums, share and page are room to work in."""
    n = x.shape[1]
    block, lanes, lost = rooms(sums, x)
    width = n + -n % PAD
    e, page = (
        e[cache_line_start(e, width) :],
        page[cache_line_start(page, min(width, COLUMN_BLOCK)) :],
    )
    ahead = past and slope.shape[0] == 0 and e.shape[0] >= 2 * width
    mine, before = halves(e, width, ahead)
    todo, k = nothing_to_do(), -1
    flat = smooth / n
    if share.shape[0]:
        for i in range(U(n)):
            share[i] = weight[i] * flat
        flat = 0.0
    for r in range(start, stop + 1):
        if r == stop or (todo.row >= 0 and not ahead):
            write_row(todo, before, share, page, slope, grad, past)
            todo = nothing_to_do()
        if r == stop:
            break
        y = target[r]
        f = scale[r] if scale.shape[0] else 1.0
        if y == ignore:
            y, f = -1, 0.0
        hit = 1.0 - smooth
        if weight.shape[0] and y >= 0:
            hit *= weight[y]
        if smooth == 0.0 and hit == 0.0:
            f = 0.0
        if f == 0.0 and stats.shape[0] == 0 and pull.shape[0] == 0:
            skip_row(values, grad, r)
            k = -1
            continue
        value, todo, _, _, k = one_row(
            x, r, k, y, hit, share, flat, f, g, zeta, inverse, pull, stats, grad, slope, mine,
            block, lanes, lost, page, past, todo, before, share,
        )  # fmt: skip
        if ahead:
            mine, before = before, mine
        values[r] = value if f != 0.0 else 0.0
        if y < 0 and stats.shape[0]:
            stats[r, 1] = 0.0
    store_fence()


@inner()
def is_distribution(target, r, mass, signs, tolerance):
    """Say whether row r, of which this is known, is one."""
    if signs < 0:  # or a zero has a sign
        for i in range(U(target.shape[1])):
            if to_float64(target[U(r), i]) < 0.0:
                return False
    return abs(mass - 1.0) <= tolerance


@outer()
def soft_rows(
    x, target, weight, scale, pull, smooth, tolerance, inverse, zeta, g, e, sums, share, page,
    values, stats, grad, slope, past, start, stop,
):  # fmt: skip
    """Rows whose target is a distribution; return the first row that is none, or -1.

    ``share`` is the target itself where nothing changes that, else room for two of its rows.
    """
    n = x.shape[1]
    block, lanes, lost = rooms(sums, x)
    width = n + -n % PAD
    e, page = (
        e[cache_line_start(e, width) :],
        page[cache_line_start(page, min(width, COLUMN_BLOCK)) :],
    )
    changed = smooth != 0.0 or weight.shape[0] > 0
    ahead = past and slope.shape[0] == 0 and e.shape[0] >= 2 * width
    mine, before = halves(e, width, ahead)
    own, last = 0, 0
    todo, k = nothing_to_do(), -1
    bad = -1
    for r in range(start, stop + 1):
        if r == stop or (todo.row >= 0 and not ahead):
            write_row(todo, before, share[last], page, slope, grad, past)
            todo = nothing_to_do()
        if r == stop:
            break
        f = scale[r] if scale.shape[0] else 1.0
        skip = f == 0.0 and stats.shape[0] == 0 and pull.shape[0] == 0
        mass, signs = 1.0, np.int32(0)
        if skip or changed:
            mass, signs = sum_of_shares(target[r], lanes)
        if skip:
            skip_row(values, grad, r)
            k = -1
        else:
            own = 1 - last if changed else r
            for i in range(U(n if changed else 0)):
                t = to_float64(target[U(r), i]) * (1.0 - smooth) + smooth / n
                share[own, i] = t * weight[i] if weight.shape[0] else t
            value, todo, whole, every, k = one_row(
                x, r, k, -1, 0.0, share[own], 0.0, f, g, zeta, inverse, pull, stats, grad, slope,
                mine, block, lanes, lost, page, past, todo, before, share[last],
            )  # fmt: skip
            if not changed:
                mass, signs = whole, every
            if ahead:
                mine, before = before, mine
            last = own
            values[r] = value if f != 0.0 else 0.0
        if bad < 0 and not is_distribution(target, r, mass, signs, tolerance):
            bad = r
    store_fence()
    return bad


@outer()
def look_at_targets(target, weight, scale, ignore, classes):
    """Return the first target that is no class (or -1), and what the rows weigh together."""
    total, counted, wrong = 0.0, np.int64(0), np.int64(0)
    for r in range(U(target.shape[0])):
        y = target[r]
        kept = y != ignore
        counted += np.int64(1) if kept else np.int64(0)
        wrong += np.int64(1) if kept and U(y) >= U(classes) else np.int64(0)
    if wrong > 0:
        for r in range(target.shape[0]):
            y = target[r]
            if y != ignore and (y < 0 or y >= classes):
                return r, total
    if weight.shape[0] == 0 and scale.shape[0] == 0:
        return -1, np.float64(counted)
    for r in range(target.shape[0]):
        y = target[r]
        if y != ignore:
            total += (weight[y] if weight.shape[0] else 1.0) * (scale[r] if scale.shape[0] else 1.0)
    return -1, total


@outer()
def add_up(values):
    """Sum of all values, always in the same order, rounding kept apart."""
    total, lost = 0.0, 0.0
    for i in range(values.shape[0]):
        total, lost = dd_add_double(total, lost, values[i])
    return total + lost if lost == lost else total
