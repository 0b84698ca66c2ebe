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
    arrive,
    bend,
    exp_below,
    fma32,
    inner,
    key,
    log1p,
    narrow,
    outer,
    prefetch,
    single_exp,
    stream,
    wide,
)

U = np.uint64
PAGE = 4 * LANES
PAD = 64  # rooms of a row are that much longer at most: up to the next whole vector
SMALLEST, LARGEST = 2.0**-100, 2.0**100


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
    found = np.int32(512)
    for i in range(np.uint32(min(512, n - block))):
        here = np.int32(i) if key(x[U(r), U(block) + U(i)]) == best else np.int32(512)
        found = min(found, here)
    return block + np.int64(found)


@inner()
def fold(lanes, n):
    """Sum of ``lanes[:n]`` as a tree; the lanes are used up.

    Loops of fixed lengths leave no remainder that SIMD could not take.
    """
    if n > 16:
        for i in range(U(n), U(64 if n <= 64 else 128 if n <= 128 else LANES)):
            lanes[i] = 0.0
        if n > 128:
            for i in range(U(128)):
                lanes[i] += lanes[i + U(128)]
        if n > 64:
            for i in range(U(64)):
                lanes[i] += lanes[i + U(64)]
        for i in range(U(32)):
            lanes[i] += lanes[i + U(32)]
        for i in range(U(16)):
            lanes[i] += lanes[i + U(16)]
    else:
        for i in range(U(n), U(16)):
            lanes[i] = 0.0
    for i in range(U(8)):
        lanes[i] += lanes[i + U(8)]
    for i in range(U(4)):
        lanes[i] += lanes[i + U(4)]
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3])


@inner()
def gather(values, a, b, lanes):
    """Add ``values[a:b]``, at most a page, to the lanes: of a whole page four to each at once."""
    start, lane = U(a), U(LANES)
    if b - a == PAGE:
        for j in range(lane):
            k = start + j
            first = wide(values[k]) + wide(values[k + lane])
            last = wide(values[k + U(2) * lane]) + wide(values[k + U(3) * lane])
            lanes[j] += first + last
    else:
        for c in range(a, b, LANES):
            begin = U(c)
            for i in range(begin, U(min(c + LANES, b))):
                lanes[i - begin] += wide(values[i])


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
def sum_of_others(x, r, k, inverse, e, block, lanes, lost, grad, past):
    """Write 2**64 exp((x_c - x_k) / T) to e; return the sum over c other than k, so lifted too.

    ``lost`` is empty where float64 is far more than the logits need. The next row of x and this
    row of the gradient are asked for ahead: computing hides the memory's wait.
    """
    n = x.shape[1]
    top = wide(x[r, k])
    used = min(n, LANES)
    few = n <= LANES and x.itemsize < 8
    for i in range(U(0 if few else used)):
        lanes[i] = 0.0
    for i in range(U(min(used, lost.shape[0]))):
        lost[i] = 0.0
    for a in range(0, n, PAGE):
        b = min(a + PAGE, n)
        if n > LANES:
            for j in range(a, b, 64 // x.itemsize):
                prefetch(x, (r + 1) * n + j)
            for j in range(a, a if past else b, 64 // x.itemsize):
                prefetch(grad, r * n + j)
        if x.itemsize < 8:
            # Two loops: beside a float64 in the same loop, LLVM takes half as many float32 at once.
            if inverse == 1.0:
                # What is left of whole vectors is filled up to one.
                whole = b - (b - a) % PAD
                for i in range(U(a), U(whole)):
                    e[i] = single_exp(np.float32(wide(x[U(r), i])), np.float32(top))
                if whole < b:
                    for i in range(U(whole), U(b)):
                        e[i] = wide(x[U(r), i])
                    for i in range(U(b), U(whole + PAD)):
                        e[i] = -np.inf
                    rest = e[whole : whole + PAD]
                    for i in range(U(PAD)):
                        rest[i] = single_exp(np.float32(rest[i]), np.float32(top))
            else:
                for i in range(U(a), U(b)):
                    e[i] = exp_below(x[U(r), i], top, inverse)
                for i in range(U(b), U(b + (a - b) % PAD)):
                    e[i] = 0.0
            if a <= k < b:
                e[k] = 0.0
            if few:
                used = n + -n % PAD
                for i in range(U(used)):
                    lanes[i] = wide(e[i])
            else:
                gather(e, a, b, lanes)
        else:
            for c in range(a, b, LANES):
                start, stop = U(c), U(min(c + LANES, b))
                for i in range(start, stop):
                    v = exp_below(x[U(r), i], top, inverse)
                    block[i - start] = v
                    e[i] = v
                if c <= k < c + LANES:
                    block[k - c] = 0.0
                add_exactly(block, stop - start, lanes, lost)
        if a <= k < b:
            e[k] = LIFT
    for i in range(min(used, lost.shape[0])):
        lanes[i] += lost[i]
    # Only -inf, or a NaN: there is no distribution, even of one class.
    return fold(lanes, used) if top > -np.inf else np.nan


@outer()
def sum_of_gaps(x, r, k, inverse, share, flat, block, lanes):
    """Sum over c of a_c (x_k - x_c) / T: a is ``share``, or ``flat`` where that is empty."""
    n = x.shape[1]
    top = wide(x[r, k])
    used = min(n, LANES)
    for i in range(used):
        lanes[i] = 0.0
    for a in range(0, n, PAGE):
        start, stop = U(a), U(min(a + PAGE, n))
        # The gap of k itself is 0, even where x_k is infinite.
        if share.shape[0]:
            for i in range(start, stop):
                v, t = wide(x[U(r), i]), wide(share[i])
                block[i - start] = t * ((top - v) * inverse) if t != 0.0 and v != top else 0.0
        else:
            for i in range(start, stop):
                v = wide(x[U(r), i])
                block[i - start] = (top - v) * inverse if v != top else 0.0
        gather(block, 0, min(a + PAGE, n) - a, lanes)
    gaps = fold(lanes, used)
    return gaps if share.shape[0] else gaps * flat


@outer()
def entropy_of_row(x, r, k, inverse, e, total, log_total, block, lanes):
    """H = log1p(S) + sum over c of p_c (x_k - x_c) / T: positive terms only."""
    n = x.shape[1]
    top = wide(x[r, k])
    used = min(n, LANES)
    for i in range(used):
        lanes[i] = 0.0
    for a in range(0, n, PAGE):
        start = U(a)
        for i in range(start, U(min(a + PAGE, n))):
            v, each = wide(x[U(r), i]), wide(e[i])
            block[i - start] = each * ((top - v) * inverse) if each != 0.0 and v != top else 0.0
        gather(block, 0, min(a + PAGE, n) - a, lanes)
    return log_total + fold(lanes, used) / total


@inner()
def one_row(
    x, r, y, hit, share, flat, mass, f, g, zeta, inverse, pull, stats, grad, slope, e,
    block, lanes, lost, page, past,
):  # fmt: skip
    """Return the loss of row r of x; write the row's statistics and gradient.

    The target spreads ``share`` (or ``flat``), ``mass`` in all, over the classes and puts ``hit``
    on class y (-1 for none). f scales the loss, g f its gradient; ``pull`` are the weights of the
    gradients of lse, of the log-probability and of the entropy, which are added.
    """
    k = peak(x, r)
    top = wide(x[r, k])
    others = sum_of_others(x, r, k, inverse, e, block, lanes, lost, grad, past)
    total = LIFT + others
    log = log1p(others / LIFT)
    lse = top * inverse + log
    gaps = gap = entropy = h = 0.0
    if share.shape[0] > 0 or flat != 0.0:
        gaps = sum_of_gaps(x, r, k, inverse, share, flat, block, lanes)
    if y >= 0 and y != k:
        gap = (top - wide(x[r, y])) * inverse
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
        write_gradient(
            x, r, y, k, others, gap, log - entropy, inverse, p, at_y, spread, share, flat, h,
            grad, slope, e, page, past,
        )  # fmt: skip
    return f * value


@inner()
def write_gradient(
    x, r, y, k, others, gap, l_less_entropy, inverse, p, at_y, spread, share, flat, h,
    grad, slope, e, page, past,
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
    # p_k - 1 = -S / (1 + S): what belongs to the largest class is never a difference.
    at_k = spread * (share[k] if share.shape[0] else flat) + (at_y if y == k else 0.0)
    one = LIFT / total
    of_top = (p - at_k) * one - at_k * (others / total)
    if h != 0.0:
        of_top += h * one * l_less_entropy
    of_y = 0.0
    if y >= 0 and y != k:
        part = e_y / total
        of_y = part * p - at_y - spread * (share[y] if share.shape[0] else flat)
        if h != 0.0 and part != 0.0:
            of_y += h * part * (gap + l_less_entropy)
    c1, c0, d1, each1 = (
        np.float32(c),
        np.float32(c - np.float32(c)),
        np.float32(d),
        np.float32(each),
    )
    single = e.itemsize == 4 and fits(c) and fits(d) and fits(each)
    for a in range(0, n, PAGE):
        b = min(a + PAGE, n)
        start, stop = U(a), U(b)
        if single:
            # In float32 too the product is exact but for its last rounding: c is c1 + c0.
            if share.shape[0]:
                for i in range(start, stop):
                    less = -np.float32(share[i]) * d1
                    page[i - start] = narrow(times(e[i], c1, c0, less), page[i - start])
            else:
                stop = U(b + (a - b) % PAD)
                for i in range(start, stop):
                    page[i - start] = narrow(times(e[i], c1, c0, -each1), page[i - start])
        elif share.shape[0]:
            for i in range(start, stop):
                page[i - start] = narrow(e[i] * c - share[i] * d, page[i - start])
        else:
            for i in range(start, stop):
                page[i - start] = narrow(e[i] * c - each, page[i - start])
        if a <= k < b:
            page[k - a] = narrow(of_top * inverse, page[k - a])
        if a <= y < b and y != k:
            page[y - a] = narrow(of_y * inverse, page[y - a])
        if slope.shape[0]:
            for i in range(start, U(b)):
                page[i - start] = narrow(wide(page[i - start]) * slope[u, i], page[i - start])
        stream(grad, r * n + a, page, b - a, past)


@inner()
def times(e, c1, c0, more):
    """Return e (c1 + c0) + more in float32."""
    e = np.float32(e)
    return fma32(e, c1, fma32(e, c0, more))


@inner()
def fits(value):
    """Say whether a float64 can be split into two float32."""
    return value == 0.0 or SMALLEST < abs(value) < LARGEST


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
    x, target, weight, scale, pull, ignore, smooth, inverse, zeta, g, e, sums, share, page,
    values, stats, grad, slope, past, start, stop,
):  # fmt: skip
    """Rows whose target is one class; e, sums, share and page are room to work in."""
    n = x.shape[1]
    block, lanes, lost = rooms(sums, x)
    flat = smooth / n
    mass = flat * n
    if share.shape[0]:
        for i in range(U(n)):
            share[i] = weight[i] * flat
        mass = sum_of_shares(share, lanes)
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
            x, r, y, hit, share, flat, mass, f, g, zeta, inverse, pull, stats, grad, slope, e,
            block, lanes, lost, page, past,
        )  # fmt: skip
        values[r] = value if f != 0.0 else 0.0
        if y < 0 and stats.shape[0]:
            stats[r, 1] = 0.0
    arrive()


@inner()
def rooms(sums, x):
    """Return a block, lanes, and lanes for what is lost: none where float64 is far more than x."""
    lost = LANES if x.itemsize == 8 else 0
    return sums[:PAGE], sums[PAGE : PAGE + LANES], sums[PAGE + LANES : PAGE + LANES + lost]


@inner()
def sum_of_shares(share, lanes):
    """Sum of a row of the target."""
    n = share.shape[0]
    for i in range(min(n, LANES)):
        lanes[i] = 0.0
    for a in range(0, n, PAGE):
        gather(share, a, min(a + PAGE, n), lanes)
    return fold(lanes, min(n, LANES))


@inner()
def read_shares(target, r, smooth, weight, share, lanes, tolerance):
    """Write w_c ((1 - smooth) t_c + smooth / C); return their sum, and if t is a distribution."""
    n = target.shape[1]
    below = np.int64(0)
    for a in range(0, n, PAGE):
        for j in range(a, min(a + PAGE, n if n > LANES else 0), 64 // target.itemsize):
            prefetch(target, (r + 1) * n + j)
        for i in range(U(a), U(min(a + PAGE, n))):
            share[i] = target[U(r), i] if target.itemsize > 2 else wide(target[U(r), i])
        negative = np.int32(0)
        for i in range(U(a), U(min(a + PAGE, n))):
            negative += np.int32(1) if share[i] < 0.0 else np.int32(0)
        below += np.int64(negative)
    mass = sum_of_shares(share, lanes)
    good = abs(mass - 1.0) <= tolerance and below == 0
    if smooth != 0.0:
        for i in range(U(n)):
            share[i] = share[i] * (1.0 - smooth) + smooth / n
    for i in range(U(weight.shape[0])):
        share[i] *= weight[i]
    if smooth != 0.0 or weight.shape[0]:
        mass = sum_of_shares(share, lanes)
    return mass, good


@outer()
def soft_rows(
    x, target, weight, scale, pull, smooth, tolerance, inverse, zeta, g, e, sums, share, page,
    values, stats, grad, slope, past, start, stop,
):  # fmt: skip
    """Rows whose target is a distribution; return the first row that is none, or -1."""
    block, lanes, lost = rooms(sums, x)
    bad = -1
    for r in range(start, stop):
        mass, good = read_shares(target, r, smooth, weight, share, lanes, tolerance)
        if not good and bad < 0:
            bad = r
        f = scale[r] if scale.shape[0] else 1.0
        if f == 0.0 and stats.shape[0] == 0 and pull.shape[0] == 0:
            skip_row(values, grad, r)
            continue
        value = one_row(
            x, r, -1, 0.0, share, 0.0, mass, f, g, zeta, inverse, pull, stats, grad, slope, e,
            block, lanes, lost, page, past,
        )  # fmt: skip
        values[r] = value if f != 0.0 else 0.0
    arrive()
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
