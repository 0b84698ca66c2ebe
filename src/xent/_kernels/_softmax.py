"""One row of logits: the cross-entropy of its softmax, and the gradient, in one pass.

The largest logit stays out of the sum: with S the sum of exp(z_c - z_k) over the *other* classes,

    log sum_c exp z_c = z_k + log1p(S),    p_k = 1 / (1 + S),    p_k - 1 = -S / (1 + S)

so a confident row keeps every digit of its loss and of its gradient. Sums run over `LANES`
accumulators that are folded as a tree: an order that depends on the number of classes alone.
An argument that is absent comes as an array of length 0.

Rows are addressed as x[r, i] with unsigned indices: a signed index costs its check for negative
values, and that the SIMD.
"""

import numpy as np

from xent._kernels._float import (
    LANES,
    LIFT,
    bend,
    exp_below,
    inner,
    key,
    log1p,
    narrow,
    outer,
    prefetch,
    single_exp,
    wide,
)

U = np.uint64


@inner()
def peak(x, r):
    """Index of the first largest element (of a NaN, where there is one)."""
    n = x.shape[1]
    best = key(x[r, 0])
    block = 0
    for a in range(0, n, 512):
        top = key(x[r, a])
        for i in range(U(a), U(min(a + 512, n))):
            top = max(top, key(x[U(r), i]))
        if top > best:
            best = top
            block = a
    for i in range(block, min(block + 512, n)):
        if key(x[r, i]) == best:
            return i
    return 0


@inner()
def fold(lanes, n):
    """Sum of ``lanes[:n]`` as a tree; the lanes are used up."""
    half = LANES // 2
    while half >= 1:
        if n > half:
            for i in range(U(n - half)):
                lanes[i] += lanes[i + U(half)]
            n = half
        half //= 2
    return lanes[0]


@inner()
def add_exactly(block, n, lanes, lost):
    """Add a block to the lanes and keep apart what float64 rounds away."""
    for i in range(n):
        a, b = lanes[i], block[i]
        s = a + b
        t = s - a
        lost[i] += (a - (s - t)) + (b - t)
        lanes[i] = s


@inner()
def sum_of_others(x, r, k, inverse, e, block, lanes, lost, grad):
    """Write 2**64 exp((x_c - x_k) / T) to e; return the sum over c other than k, so lifted too.

    ``lost`` is empty where float64 is far more than the logits need. The next row of x and this
    row of the gradient are asked for ahead: computing hides the memory's wait.
    """
    n = x.shape[1]
    top = wide(x[r, k])
    used = min(n, LANES)
    for i in range(used):
        lanes[i] = 0.0
    for i in range(min(used, lost.shape[0])):
        lost[i] = 0.0
    for a in range(0, n, LANES):
        b = min(a + LANES, n)
        start = U(a)
        if n > LANES:
            for j in range(a, b, 64 // x.itemsize):
                prefetch(x, (r + 1) * n + j)
                prefetch(grad, r * n + j)
        if x.itemsize < 8:
            # Two loops: beside a float64 in the same loop, LLVM takes half as many float32 at once.
            if inverse == 1.0:
                for i in range(U(a), U(b)):
                    e[i] = single_exp(np.float32(wide(x[U(r), i])), np.float32(top))
            else:
                for i in range(U(a), U(b)):
                    e[i] = exp_below(x[U(r), i], top, inverse)
            if a <= k < b:
                e[k] = 0.0
            for i in range(U(a), U(b)):
                lanes[i - start] += e[i]
        else:
            for i in range(U(a), U(b)):
                v = exp_below(x[U(r), i], top, inverse)
                block[i - start] = v
                e[i] = v
            if a <= k < b:
                block[k - a] = 0.0
            add_exactly(block, b - a, lanes, lost)
        if a <= k < b:
            e[k] = LIFT
    for i in range(min(used, lost.shape[0])):
        lanes[i] += lost[i]
    # Only -inf, or a NaN: there is no distribution, even of one class.
    return fold(lanes, used) if top > -np.inf else np.nan


@outer()
def sum_of_gaps(x, r, k, inverse, share, flat, block, lanes):
    """Sum over c of a_c (x_k - x_c) / T, and of a_c: ``share``, or ``flat`` where that is empty."""
    n = x.shape[1]
    top = wide(x[r, k])
    used = min(n, LANES)
    for i in range(used):
        lanes[i] = block[i] = 0.0
    for a in range(0, n, LANES):
        start, stop = U(a), U(min(a + LANES, n))
        before = lanes[k - a] if a <= k < a + LANES else 0.0
        if share.shape[0]:
            for i in range(start, stop):
                t = share[i]
                gap = t * ((top - wide(x[U(r), i])) * inverse)
                lanes[i - start] += gap if t != 0.0 else 0.0
                block[i - start] += t
        else:
            for i in range(start, stop):
                lanes[i - start] += (top - wide(x[U(r), i])) * inverse
        if a <= k < a + LANES:
            lanes[k - a] = before  # the gap of k itself is 0, even where x_k is infinite
    gaps = fold(lanes, used)
    if share.shape[0]:
        return gaps, fold(block, used)
    return gaps * flat, flat * n


@outer()
def entropy_of_row(x, r, k, inverse, e, total, log_total, lanes):
    """H = log1p(S) + sum over c of p_c (x_k - x_c) / T: positive terms only."""
    n = x.shape[1]
    top = wide(x[r, k])
    used = min(n, LANES)
    for i in range(used):
        lanes[i] = 0.0
    for a in range(0, n, LANES):
        start = U(a)
        before = lanes[k - a] if a <= k < a + LANES else 0.0
        for i in range(start, U(min(a + LANES, n))):
            gap = (top - wide(x[U(r), i])) * inverse
            lanes[i - start] += e[i] * gap if e[i] != 0.0 else 0.0
        if a <= k < a + LANES:
            lanes[k - a] = before
    return log_total + fold(lanes, used) / total


@inner()
def one_row(
    x, r, y, hit, share, flat, f, g, zeta, inverse, pull, stats, grad, slope, e,
    block, lanes, lost,
):  # fmt: skip
    """Return the loss of row r of x; write the row's statistics and gradient.

    The target spreads ``share`` (or ``flat``) over the classes and puts ``hit`` on class y (-1 for
    none). f scales the loss, g f its gradient; ``pull`` are the weights of the gradients of lse,
    of the log-probability and of the entropy, which are added.
    """
    k = peak(x, r)
    top = wide(x[r, k])
    others = sum_of_others(x, r, k, inverse, e, block, lanes, lost, grad)
    total = LIFT + others
    log = log1p(others / LIFT)
    lse = top * inverse + log
    gaps = mass = gap = entropy = h = 0.0
    if share.shape[0] > 0 or flat != 0.0:
        gaps, mass = sum_of_gaps(x, r, k, inverse, share, flat, block, lanes)
    if y >= 0 and y != k:
        gap = (top - wide(x[r, y])) * inverse
    if stats.shape[0] or pull.shape[0]:
        entropy = entropy_of_row(x, r, k, inverse, e, total, log, lanes)
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
        write_gradient(
            x, r, y, k, others, gap, log - entropy, inverse, p, at_y, spread, share, flat, h,
            grad, slope, e,
        )  # fmt: skip
    return f * value


@inner()
def write_gradient(
    x, r, y, k, others, gap, l_less_entropy, inverse, p, at_y, spread, share, flat, h,
    grad, slope, e,
):  # fmt: skip
    """[p p_c - spread a_c - (at_y where c = y) + h p_c (gap_c + l - H)] / T, times the slope."""
    n = x.shape[1]
    u = U(r)
    total = LIFT + others
    top = wide(x[r, k])
    c = p * inverse / total
    each = spread * flat * inverse
    d = spread * inverse
    e_y = wide(e[y]) if y >= 0 else 0.0
    if h != 0.0:
        for i in range(U(n)):
            # x may be the gradient too, so all of x is read before any of it is written
            around = (top - wide(x[u, i])) * inverse + l_less_entropy
            e[i] = e[i] * (c + h * inverse / total * around) if e[i] != 0.0 else 0.0
        c = 1.0
    if share.shape[0]:
        for i in range(U(n)):
            grad[u, i] = narrow(e[i] * c - share[i] * d, grad[u, i])
    elif each != 0.0:
        for i in range(U(n)):
            grad[u, i] = narrow(e[i] * c - each, grad[u, i])
    else:
        for i in range(U(n)):
            grad[u, i] = narrow(e[i] * c, grad[u, i])
    # p_k - 1 = -S / (1 + S): what belongs to the largest class is never a difference.
    at_k = spread * (share[k] if share.shape[0] else flat) + (at_y if y == k else 0.0)
    one = LIFT / total
    at = (p - at_k) * one - at_k * (others / total)
    if h != 0.0:
        at += h * one * l_less_entropy
    grad[r, k] = narrow(at * inverse, grad[r, k])
    if y >= 0 and y != k:
        part = e_y / total
        at = part * p - at_y - spread * (share[y] if share.shape[0] else flat)
        if h != 0.0 and part != 0.0:
            at += h * part * (gap + l_less_entropy)
        grad[r, y] = narrow(at * inverse, grad[r, y])
    if slope.shape[0]:
        for i in range(U(n)):
            grad[u, i] = narrow(wide(grad[u, i]) * slope[u, i], grad[u, i])


@outer()
def bend_rows(x, cap, z, slope):
    """Write the capped logits and their slopes."""
    for r in range(x.shape[0]):
        for i in range(U(x.shape[1])):
            bent, inclined = bend(wide(x[U(r), i]), cap)
            z[U(r), i] = cap * bent
            slope[U(r), i] = inclined


@inner()
def skip_row(values, grad, r):
    """Write what a row gives that counts for nothing."""
    values[r] = 0.0
    for i in range(U(grad.shape[1] if grad.shape[0] else 0)):
        grad[U(r), i] = 0


@outer()
def class_rows(
    x, target, weight, scale, pull, ignore, smooth, inverse, zeta, g, e, sums, share,
    values, stats, grad, slope, start, stop,
):  # fmt: skip
    """Rows whose target is one class; e, sums and share are room to work in."""
    n = x.shape[1]
    block, lanes, lost = sums[0], sums[1], sums[2, : LANES if x.itemsize == 8 else 0]
    flat = smooth / n
    if share.shape[0]:
        for i in range(U(n)):
            share[i] = weight[i] * flat
        flat = 0.0
    for r in range(start, stop):
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
            continue
        value = one_row(
            x, r, y, hit, share, flat, f, g, zeta, inverse, pull, stats, grad, slope, e,
            block, lanes, lost,
        )  # fmt: skip
        values[r] = value if f != 0.0 else 0.0
        if y < 0 and stats.shape[0]:
            stats[r, 1] = 0.0


@inner()
def read_shares(target, r, smooth, weight, share, lanes, tolerance):
    """Write w_c ((1 - smooth) t_c + smooth / C); return whether t is a distribution."""
    n = target.shape[1]
    used = min(n, LANES)
    for i in range(used):
        lanes[i] = 0.0
    least = 0.0
    for a in range(0, n, LANES):
        start = U(a)
        for i in range(start, U(min(a + LANES, n))):
            v = wide(target[U(r), i])
            lanes[i - start] += v
            share[i] = v
    for i in range(n):
        least = min(least, share[i])
    good = abs(fold(lanes, used) - 1.0) <= tolerance and least >= 0.0
    if smooth != 0.0:
        for i in range(n):
            share[i] = share[i] * (1.0 - smooth) + smooth / n
    for i in range(weight.shape[0]):
        share[i] *= weight[i]
    return good


@outer()
def soft_rows(
    x, target, weight, scale, pull, smooth, tolerance, inverse, zeta, g, e, sums, share,
    values, stats, grad, slope, start, stop,
):  # fmt: skip
    """Rows whose target is a distribution; return the first row that is none, or -1."""
    block, lanes, lost = sums[0], sums[1], sums[2, : LANES if x.itemsize == 8 else 0]
    bad = -1
    for r in range(start, stop):
        if not read_shares(target, r, smooth, weight, share, lanes, tolerance) and bad < 0:
            bad = r
        f = scale[r] if scale.shape[0] else 1.0
        if f == 0.0 and stats.shape[0] == 0 and pull.shape[0] == 0:
            skip_row(values, grad, r)
            continue
        value = one_row(
            x, r, -1, 0.0, share, 0.0, f, g, zeta, inverse, pull, stats, grad, slope, e,
            block, lanes, lost,
        )  # fmt: skip
        values[r] = value if f != 0.0 else 0.0
    return bad


@outer()
def look_at_targets(target, weight, scale, ignore, classes):
    """Return the first target that is no class (or -1), and what the rows weigh together."""
    total = 0.0
    plain = weight.shape[0] == 0 and scale.shape[0] == 0
    counted = 0
    for r in range(target.shape[0]):
        y = target[r]
        if y == ignore:
            continue
        if y < 0 or y >= classes:
            return r, total
        if plain:
            counted += 1
        else:
            total += (weight[y] if weight.shape[0] else 1.0) * (scale[r] if scale.shape[0] else 1.0)
    return -1, (np.float64(counted) if plain else total)


@outer()
def add_up(values):
    """Sum of all values, always in the same order, rounding kept apart."""
    total, lost = 0.0, 0.0
    for i in range(values.shape[0]):
        v = values[i]
        s = total + v
        t = s - total
        lost += (total - (s - t)) + (v - t)
        total = s
    return total + lost if lost == lost else total
