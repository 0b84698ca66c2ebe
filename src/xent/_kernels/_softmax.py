"""One row of logits: the cross-entropy of its softmax, and the gradient, in one pass.

The largest logit stays out of the sum: with S the sum of exp(z_c - z_k) over the *other* classes,

    log sum_c exp z_c = z_k + log1p(S),    p_k = 1 / (1 + S),    p_k - 1 = -S / (1 + S)

so a confident row keeps every digit of its loss and of its gradient. Sums run over `LANES`
accumulators that are folded as a tree: an order that depends on the number of classes alone.
An argument that is absent comes as an array of length 0.
"""

import numpy as np

from xent._kernels._float import LANES, LIFT, bend, exp_below, key, log1p, narrow, prefetch, wide
from xent._kernels._jit import kernel


@kernel()
def peak(x):
    """Index of the first largest element (of a NaN, where there is one)."""
    n = x.shape[0]
    best = key(x[0])
    block = 0
    for a in range(0, n, 512):
        part = x[a : min(a + 512, n)]
        top = key(part[0])
        for i in range(part.shape[0]):
            top = max(top, key(part[i]))
        if top > best:
            best = top
            block = a
    for i in range(block, min(block + 512, n)):
        if key(x[i]) == best:
            return i
    return 0


@kernel()
def fold(lanes, n):
    """Sum of ``lanes[:n]`` as a tree; the lanes are used up."""
    half = LANES // 2
    while half >= 1:
        if n > half:
            low, high = lanes[:half], lanes[half:n]
            for i in range(high.shape[0]):
                low[i] += high[i]
            n = half
        half //= 2
    return lanes[0]


@kernel()
def add_exactly(block, lanes, lost):
    """Add a block to the lanes and keep apart what float64 rounds away."""
    for i in range(block.shape[0]):
        a, b = lanes[i], block[i]
        s = a + b
        t = s - a
        lost[i] += (a - (s - t)) + (b - t)
        lanes[i] = s


@kernel()
def sum_of_others(x, k, inverse, e, room, next_x, next_o):
    """Write 2**64 exp((x_c - x_k) / T) to e; return the sum over c other than k, so lifted too.

    ``room`` is (block, lanes, lost); lost is empty where float64 is far more than the logits need.
    """
    block, lanes, lost = room
    n = x.shape[0]
    top = wide(x[k])
    used = min(n, LANES)
    lanes[:used] = 0.0
    lost[:used] = 0.0
    line = 64 // next_x.itemsize
    for a in range(0, n, LANES):
        z = x[a : min(a + LANES, n)]
        o = e[a : a + z.shape[0]]
        if n > LANES:
            for j in range(a, a + z.shape[0], line):
                prefetch(next_x, j)
                prefetch(next_o, j)
        here = a <= k < a + LANES
        if not here and lost.shape[0] == 0:
            for i in range(z.shape[0]):
                v = exp_below(z[i], top, inverse)
                lanes[i] += v
                o[i] = v
            continue
        part = block[: z.shape[0]]
        for i in range(z.shape[0]):
            v = exp_below(z[i], top, inverse)
            part[i] = v
            o[i] = v
        if here:
            part[k - a] = 0.0
            o[k - a] = LIFT
        if lost.shape[0]:
            add_exactly(part, lanes, lost)
        else:
            for i in range(part.shape[0]):
                lanes[i] += part[i]
    for i in range(min(used, lost.shape[0])):
        lanes[i] += lost[i]
    # Only -inf, or a NaN: there is no distribution, even of one class.
    return fold(lanes, used) if top > -np.inf else np.nan


@kernel()
def sum_of_gaps(x, k, inverse, share, flat, room):
    """Sum over c of a_c (x_k - x_c) / T and of a_c: a = ``share``, or ``flat`` where that is empty."""
    block, lanes, _ = room
    n = x.shape[0]
    top = wide(x[k])
    used = min(n, LANES)
    lanes[:used] = 0.0
    block[:used] = 0.0
    for a in range(0, n, LANES):
        z = x[a : min(a + LANES, n)]
        here = a <= k < a + LANES
        if here:
            before = lanes[k - a]
        if share.shape[0]:
            part = share[a : a + z.shape[0]]
            for i in range(z.shape[0]):
                t = part[i]
                gap = t * ((top - wide(z[i])) * inverse)
                lanes[i] += gap if t != 0.0 else 0.0
                block[i] += t
        else:
            for i in range(z.shape[0]):
                lanes[i] += (top - wide(z[i])) * inverse
        if here:
            lanes[k - a] = before
    gaps = fold(lanes, used)
    if share.shape[0]:
        return gaps, fold(block, used)
    return gaps * flat, flat * n


@kernel()
def entropy_of_row(x, k, inverse, e, total, log_total, room):
    """H = log1p(S) + sum over c of p_c (x_k - x_c) / T: positive terms only."""
    _, lanes, _ = room
    n = x.shape[0]
    top = wide(x[k])
    used = min(n, LANES)
    lanes[:used] = 0.0
    for a in range(0, n, LANES):
        z = x[a : min(a + LANES, n)]
        o = e[a : a + z.shape[0]]
        for i in range(z.shape[0]):
            lanes[i] += o[i] * ((top - wide(z[i])) * inverse) if o[i] != 0.0 else 0.0
        if a <= k < a + LANES and top == np.inf:
            lanes[k - a] = 0.0
    return log_total + fold(lanes, used) / total


@kernel()
def one_row(x, y, hit, share, flat, f, g, zeta, inverse, pull, stats, o, slope, e, room, near):
    """Return the row's loss; write its statistics and its gradient.

    The target spreads ``share`` (or ``flat``) over the classes and puts ``hit`` on class y (-1 for
    none). f scales the loss, g f its gradient; ``pull`` are the weights of the gradients of lse,
    of the log-probability of y and of the entropy, which are added.
    """
    k = peak(x)
    top = wide(x[k])
    others = sum_of_others(x, k, inverse, e, room, near[0], near[1])
    total = LIFT + others
    l = log1p(others / LIFT)
    lse = top * inverse + l
    spread = share.shape[0] > 0 or flat != 0.0
    gaps, mass = sum_of_gaps(x, k, inverse, share, flat, room) if spread else (0.0, 0.0)
    gap = (top - wide(x[y])) * inverse if y >= 0 and y != k else 0.0
    entropy = 0.0
    wants_entropy = stats.shape[0] > 0 or (pull.shape[0] > 0 and pull[2] != 0.0)
    if wants_entropy:
        entropy = entropy_of_row(x, k, inverse, e, total, l, room)
    value = gaps + mass * l
    if hit != 0.0:
        value += hit * (gap + l)
    # One row counts as much for the z-loss as its target does for the loss.
    weight = hit + mass
    if zeta != 0.0:
        value += zeta * weight * lse * lse
    if stats.shape[0]:
        stats[0], stats[2], stats[3] = lse, entropy, k
        stats[1] = -(gap + l) if y >= 0 else 0.0
    if o.shape[0]:
        push = g * f
        p = push * (weight + 2.0 * zeta * weight * lse) if zeta != 0.0 else push * weight
        at_y, h = push * hit, 0.0
        if pull.shape[0]:
            p += pull[0] - pull[1]
            at_y -= pull[1]
            h = pull[2]
        write_gradient(x, y, k, others, l - entropy, inverse, p, at_y, push, share, flat, h, o, slope, e)
    return f * value


@kernel()
def write_gradient(
    x, y, k, others, l_less_entropy, inverse, p, at_y, push, share, flat, h, o, slope, e
):
    """o_c = [p p_c - push a_c - (at_y where c = y) + h p_c (gap_c + l - H)] / T, times the slope."""
    n = x.shape[0]
    total = LIFT + others
    top = wide(x[k])
    each = push * flat
    e_y = wide(e[y]) if y >= 0 else 0.0
    at_k = push * share[k] if share.shape[0] else each
    spread_y = at_k
    if y >= 0 and y != k:
        spread_y = push * share[y] if share.shape[0] else each
    gap_y = (top - wide(x[y])) * inverse if y >= 0 and y != k else 0.0
    c = p * inverse / total
    if share.shape[0] == 0 and each == 0.0 and h == 0.0:
        for i in range(n):
            o[i] = narrow(e[i] * c, o[i])
    elif h == 0.0 and share.shape[0] == 0:
        d = each * inverse
        for i in range(n):
            o[i] = narrow(e[i] * c - d, o[i])
    elif h == 0.0:
        d = push * inverse
        for i in range(n):
            o[i] = narrow(e[i] * c - share[i] * d, o[i])
    else:
        for i in range(n):
            q = e[i] / total
            gap = (top - wide(x[i])) * inverse
            value = q * (p + h * (gap + l_less_entropy)) if q != 0.0 else 0.0
            value -= push * share[i] if share.shape[0] else each
            e[i] = value * inverse
        for i in range(n):
            o[i] = narrow(wide(e[i]), o[i])
    # p_k - 1 = -S / (1 + S): what belongs to the largest class is never a difference.
    if y == k:
        at_k += at_y
    at = (p - at_k) * (LIFT / total) - at_k * (others / total) + h * l_less_entropy * (LIFT / total)
    o[k] = narrow(at * inverse, o[k])
    if y >= 0 and y != k:
        q = e_y / total
        at = q * p - at_y - spread_y
        if h != 0.0 and q != 0.0:
            at += h * q * (gap_y + l_less_entropy)
        o[y] = narrow(at * inverse, o[y])
    for i in range(slope.shape[0]):
        o[i] = narrow(wide(o[i]) * slope[i], o[i])


@kernel()
def work_room(x, single):
    """Space for one row at a time: exponentials, and (block, lanes, lost)."""
    lost = np.zeros(0 if single.itemsize == 4 else LANES)
    return np.empty(x.shape[1], single.dtype), (np.empty(LANES), np.empty(LANES), lost)


@kernel()
def bend_row(x, cap, z, slope):
    """Write the capped logits and the slopes."""
    for i in range(x.shape[0]):
        bent, s = bend(wide(x[i]), cap)
        z[i] = cap * bent
        slope[i] = s


@kernel()
def class_rows(
    x, target, weight, scale, pull, ignore, smooth, inverse, cap, zeta, g, single,
    values, stats, grad, start, stop,
):  # fmt: skip
    """Rows whose target is one class."""
    n = x.shape[1]
    e, room = work_room(x, single)
    z, slope = np.empty(n if cap > 0.0 else 0), np.empty(n if cap > 0.0 else 0)
    share = np.empty(0)
    flat = smooth / n
    if smooth != 0.0 and weight.shape[0]:
        share = weight * flat
        flat = 0.0
    nothing, none, nowhere = np.empty(0), np.empty(0), grad[0, :0] if grad.shape[0] else x[0, :0]
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
        o = grad[r] if grad.shape[0] else nowhere
        if f == 0.0 and stats.shape[0] == 0 and pull.shape[0] == 0:
            values[r] = 0.0
            for i in range(o.shape[0]):
                o[i] = 0
            continue
        p = pull[r] if pull.shape[0] else nothing
        out = stats[r] if stats.shape[0] else none
        near = (x[min(r + 1, stop - 1)], o if o.shape[0] else x[r])
        if cap > 0.0:
            bend_row(x[r], cap, z, slope)
            value = one_row(
                z, y, hit, share, flat, f, g, zeta, inverse, p, out, o, slope[: o.shape[0]], e,
                (room[0], room[1], room[0][:0]), near,
            )  # fmt: skip
        else:
            value = one_row(
                x[r], y, hit, share, flat, f, g, zeta, inverse, p, out, o, nothing, e, room, near
            )
        values[r] = value if f != 0.0 else 0.0


@kernel()
def soft_rows(
    x, target, weight, scale, pull, smooth, tolerance, inverse, cap, zeta, g, single,
    values, stats, grad, start, stop,
):  # fmt: skip
    """Rows whose target is a distribution; return the first row that is none, or -1."""
    n = x.shape[1]
    e, room = work_room(x, single)
    z, slope = np.empty(n if cap > 0.0 else 0), np.empty(n if cap > 0.0 else 0)
    share = np.empty(n)
    lanes = room[1]
    nothing, none, nowhere = np.empty(0), np.empty(0), grad[0, :0] if grad.shape[0] else x[0, :0]
    bad = -1
    for r in range(start, stop):
        t = target[r]
        used = min(n, LANES)
        lanes[:used] = 0.0
        least = 0.0
        for a in range(0, n, LANES):
            part = t[a : min(a + LANES, n)]
            to = share[a : a + part.shape[0]]
            for i in range(part.shape[0]):
                v = wide(part[i])
                lanes[i] += abs(v)
                to[i] = v
        mass = fold(lanes, used)
        for i in range(n):
            least = min(least, share[i])
        if not (abs(mass - 1.0) <= tolerance and least >= 0.0) and bad < 0:
            bad = r
        if smooth != 0.0:
            for i in range(n):
                share[i] = share[i] * (1.0 - smooth) + smooth / n
        for i in range(weight.shape[0]):
            share[i] *= weight[i]
        f = scale[r] if scale.shape[0] else 1.0
        o = grad[r] if grad.shape[0] else nowhere
        if f == 0.0 and stats.shape[0] == 0 and pull.shape[0] == 0:
            values[r] = 0.0
            for i in range(o.shape[0]):
                o[i] = 0
            continue
        p = pull[r] if pull.shape[0] else nothing
        out = stats[r] if stats.shape[0] else none
        near = (x[min(r + 1, stop - 1)], o if o.shape[0] else x[r])
        if cap > 0.0:
            bend_row(x[r], cap, z, slope)
            value = one_row(
                z, -1, 0.0, share, 0.0, f, g, zeta, inverse, p, out, o, slope[: o.shape[0]], e,
                (room[0], room[1], room[0][:0]), near,
            )  # fmt: skip
        else:
            value = one_row(
                x[r], -1, 0.0, share, 0.0, f, g, zeta, inverse, p, out, o, nothing, e, room, near
            )
        values[r] = value if f != 0.0 else 0.0
    return bad


@kernel()
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
            total += (weight[y] if weight.shape[0] else 1.0) * (
                scale[r] if scale.shape[0] else 1.0
            )
    return -1, (np.float64(counted) if plain else total)


@kernel()
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
