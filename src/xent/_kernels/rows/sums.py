"""What one row of logits is read for: its largest element, and sums over all others.

Sums run over `ACCUMULATORS` sums that are folded as a tree: an order that depends on the number
of classes alone.
"""

import numpy as np

from xent._compile.decorator import inner, step
from xent._kernels.rows.column_block import add_page, suits
from xent._kernels.rows.gradient import write_some
from xent._kernels.rows.sizes import ACCUMULATORS, COLUMN_BLOCK, PAD
from xent._math.double_double import dd_add_double
from xent._math.element import order_key, sign_bits, to_float64
from xent._math.exp import EXP_SCALE, power_constants, scaled_exp_below, scaled_power
from xent._math.llvm import CACHE_LINE, address, prefetch_l2
from xent._math.vector import fma

U = np.uint64


@inner()
def top_of(x, r, a, b):
    """Return the key of the largest of ``x[r, a:b]``."""
    top = order_key(x[r, a])
    for i in range(U(a), U(b)):
        top = max(top, order_key(x[U(r), i]))
    return top


@inner()
def place_of(x, r, a, b, top):
    """Index of the first of ``x[r, a:b]`` that has this key."""
    size = np.int32(b - a)
    found = size
    for i in range(np.uint32(size)):
        here = np.int32(i) if order_key(x[U(r), U(a) + U(i)]) == top else size
        found = min(found, here)
    return a + np.int64(found)


@inner()
def peak(x, r):
    """Index of the first largest element (of a NaN, where there is one)."""
    n = x.shape[1]
    best = order_key(x[r, 0])
    block = 0
    for a in range(0, n, 512):
        top = top_of(x, r, a, min(a + 512, n))
        if top > best:
            best = top
            block = a
    return place_of(x, r, block, min(block + 512, n), best)


@step()
def fold(lanes, n):
    """Sum of ``lanes[:n]`` as a tree; the lanes are used up.

    Loops of fixed lengths leave no remainder that SIMD could not take.
    """
    if n > 16:
        for i in range(U(n), U(64 if n <= 64 else 128 if n <= 128 else ACCUMULATORS)):
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
    start, lane = U(a), U(ACCUMULATORS)
    if b - a == COLUMN_BLOCK:
        for j in range(lane):
            k = start + j
            first = to_float64(values[k]) + to_float64(values[k + lane])
            last = to_float64(values[k + U(2) * lane]) + to_float64(values[k + U(3) * lane])
            lanes[j] += first + last
    else:
        for c in range(a, b, ACCUMULATORS):
            begin = U(c)
            for i in range(begin, U(min(c + ACCUMULATORS, b))):
                lanes[i - begin] += to_float64(values[i])


@inner()
def add_exactly(block, n, lanes, lost):
    """Add a block to the lanes and keep apart what float64 rounds away."""
    for i in range(n):
        lanes[i], lost[i] = dd_add_double(lanes[i], lost[i], block[i])


@inner()
def powers(x, r, e, a, b, shift, floor, high, low):
    """Write `lifted_power` of classes a to b to e."""
    # What is left of whole vectors is filled up to one.
    whole = b - (b - a) % PAD
    for i in range(U(a), U(whole)):
        e[i] = scaled_power(np.float32(to_float64(x[U(r), i])), shift, floor, high, low)
    if whole < b:
        for i in range(U(whole), U(b)):
            e[i] = to_float64(x[U(r), i])
        for i in range(U(b), U(whole + PAD)):
            e[i] = -np.inf
        rest = e[whole : whole + PAD]
        for i in range(U(PAD)):
            rest[i] = scaled_power(np.float32(rest[i]), shift, floor, high, low)


@inner()
def sum_of_others(
    x, r, k, inverse, own, e, block, lanes, lost, todo, before, share, page, slope, grad, past
):
    """Write lift exp((x_c - x_k) / T) to e; return the sum over c other than k, and lift.

    Return then something negative where a share has a sign: where the row has shares of its
    ``own``, they are summed in the lanes that follow. And last the peak of the next row, or -1
    where that was not looked for.

    ``lost`` is empty where float64 is far more than the logits need. Computing hides the memory's
    wait: the next row of x and this row of the gradient are asked for ahead, and what is ``todo``
    of the gradient of the row before, whose exponentials are ``before``, is written on the way.
    """
    n = x.shape[1]
    top = to_float64(x[r, k])
    tame, lift, shift, floor, high, low = power_constants(top, inverse)
    if x.itemsize == 8:
        lift = EXP_SCALE
    used = min(n, ACCUMULATORS)
    few = n <= ACCUMULATORS and x.itemsize < 8
    for i in range(U(0 if few else used)):
        lanes[i] = 0.0
    for i in range(U(min(used, lost.shape[0]))):
        lost[i] = 0.0
    spread = lanes[ACCUMULATORS:]
    signs = np.int32(0)
    for i in range(U(used if own.shape[0] else 0)):
        spread[i] = spread[U(ACCUMULATORS) + i] = 0.0
    vectors = tame and suits(x, own)
    # While a row is fetched into the cache, it is no work to find its largest logit.
    looks = vectors and n > COLUMN_BLOCK and x.itemsize == 4 and r + 1 < x.shape[0]
    coming, best, where = r + 1 if looks else r, np.int64(-(2**31)), 0
    # Vectors go past the caches in whole lines only.
    lined = past and grad.itemsize == 4 and address(grad) % 64 == 0 and n % (64 // 4) == 0
    lined = lined and todo.row >= 0 and todo.single
    for a in range(0, n, COLUMN_BLOCK):
        b = min(a + COLUMN_BLOCK, n)
        if vectors and b - a == COLUMN_BLOCK and not a <= k < b:
            writes = lined and not (a <= todo.k < b or a <= todo.y < b)
            behind = todo, before, share, grad, writes
            for j in range(a, a if past else b, 64 // x.itemsize):
                prefetch_l2(grad, r * n + j)
            constants = shift, floor, high, low
            found, high_next = add_page(
                x, r, coming, own, e, a, top, constants, lanes, spread, behind
            )
            signs = np.int32(signs | found)
            if high_next > best:
                best, where = np.int64(high_next), a
            if todo.row >= 0 and not writes:
                write_some(todo, before, share, page, slope, grad, past, a, b)
            continue
        if looks:
            first = np.int64(top_of(x, coming, a, b))
            if first > best:
                best, where = first, a
        for c in range(a, b, ACCUMULATORS):
            d = min(c + ACCUMULATORS, b)
            if n > ACCUMULATORS:
                for j in range(c, d, 64 // x.itemsize):
                    prefetch_l2(x, (r + 1) * n + j + (COLUMN_BLOCK if looks else 0))
                for j in range(c, d if own.shape[0] else c, 64 // own.itemsize):
                    prefetch_l2(own, n + j)
                for j in range(c, c if past else d, 64 // x.itemsize):
                    prefetch_l2(grad, r * n + j)
            # Two loops, one that sums: beside a float64 in the same loop, LLVM takes half as many
            # float32 at once.
            if x.itemsize < 8:
                if tame:
                    powers(x, r, e, c, d, shift, floor, high, low)
                else:
                    for i in range(U(c), U(d)):
                        e[i] = scaled_exp_below(x[U(r), i], top, inverse)
                    for i in range(U(d), U(d + (c - d) % PAD)):
                        e[i] = 0.0
            else:
                start, stop = U(c), U(d)
                for i in range(start, stop):
                    v = scaled_exp_below(x[U(r), i], top, inverse)
                    block[i - start] = v
                    e[i] = v
                if c <= k < c + ACCUMULATORS:
                    block[k - c] = 0.0
                add_exactly(block, stop - start, lanes, lost)
            if todo.row >= 0:
                write_some(todo, before, share, page, slope, grad, past, c, d)
        if x.itemsize < 8:
            if a <= k < b:
                e[k] = 0.0
            if few:
                used = n + -n % PAD
                for i in range(U(used)):
                    lanes[i] = to_float64(e[i])
            else:
                gather(e, a, b, lanes)
        if a <= k < b:
            e[k] = lift
        if own.shape[0]:
            signs = np.int32(signs | add_shares(x, r, own, a, b, top, spread))
    for i in range(min(used, lost.shape[0])):
        lanes[i] += lost[i]
    # Only -inf, or a NaN: there is no distribution, even of one class.
    others = fold(lanes, used) if top > -np.inf else np.nan
    top_after = np.int32(best)
    after = place_of(x, coming, where, min(where + COLUMN_BLOCK, n), top_after) if looks else -1
    return others, lift, signs, after


@inner()
def gap(x, u, i, top):
    """Return how far x_c lies below the largest: 0 for that itself, even where it is infinite."""
    v = to_float64(x[u, i])
    return top - v if v != top else 0.0


@step()
def even_gaps(x, r, k, inverse, lanes):
    """Sum over c of (x_k - x_c) / T."""
    n = x.shape[1]
    u, top = U(r), to_float64(x[r, k])
    used = min(n, ACCUMULATORS)
    one, two, three = U(ACCUMULATORS), U(2 * ACCUMULATORS), U(3 * ACCUMULATORS)
    for j in range(U(used)):
        lanes[j] = 0.0
    # The sums of `gather`, made on the way.
    for a in range(0, n - COLUMN_BLOCK + 1, COLUMN_BLOCK):
        begin = U(a)
        for j in range(U(ACCUMULATORS)):
            i = begin + j
            first = gap(x, u, i, top) + gap(x, u, i + one, top)
            lanes[j] += first + (gap(x, u, i + two, top) + gap(x, u, i + three, top))
    for c in range(n - n % COLUMN_BLOCK, n, ACCUMULATORS):
        start = U(c)
        for j in range(U(min(ACCUMULATORS, n - c))):
            lanes[j] += gap(x, u, start + j, top)
    return fold(lanes, used) * inverse


@inner()
def add_shares(x, r, share, a, b, top, lanes):
    """Add shares times gaps of classes a to b, at most a page, to lanes; shares to those after.

    Return something negative where the sign of a share is.
    """
    u, start, mass = U(r), U(a), U(ACCUMULATORS)
    signs = np.int32(0)
    for c in range(start, U(b)):
        signs = np.int32(signs | sign_bits(share[c]))
    one, two, three = U(ACCUMULATORS), U(2 * ACCUMULATORS), U(3 * ACCUMULATORS)
    if b - a == COLUMN_BLOCK:
        for j in range(U(ACCUMULATORS)):
            i = start + j
            t0, t1 = to_float64(share[i]), to_float64(share[i + one])
            t2, t3 = to_float64(share[i + two]), to_float64(share[i + three])
            g0, g1 = top - to_float64(x[u, i]), top - to_float64(x[u, i + one])
            g2, g3 = top - to_float64(x[u, i + two]), top - to_float64(x[u, i + three])
            lanes[mass + j] += (t0 + t1) + (t2 + t3)
            lanes[j] = fma(t3, g3, fma(t2, g2, fma(t1, g1, fma(t0, g0, lanes[j]))))
    else:
        for d in range(a, b, ACCUMULATORS):
            begin = U(d)
            for j in range(U(min(ACCUMULATORS, b - d))):
                t = to_float64(share[begin + j])
                lanes[mass + j] += t
                lanes[j] = fma(t, top - to_float64(x[u, begin + j]), lanes[j])
    return signs


@inner()
def shared_gaps(x, r, top, inverse, share, lanes):
    """Sum over c of a_c (x_k - x_c) / T, and of the shares a_c, from the lanes of `add_shares`."""
    n = x.shape[1]
    used = min(n, ACCUMULATORS)
    gaps, mass = fold(lanes, used), fold(lanes[ACCUMULATORS:], used)
    if not gaps < np.inf:
        # Infinite gaps count for nothing under a share of zero, nor does the largest's own.
        u = U(r)
        for i in range(U(used)):
            lanes[i] = 0.0
        for c in range(0, n, ACCUMULATORS):
            start = U(c)
            for j in range(U(min(ACCUMULATORS, n - c))):
                v, t = to_float64(x[u, start + j]), to_float64(share[start + j])
                lanes[j] += t * (top - v) if t != 0.0 and v != top else 0.0
        gaps = fold(lanes, used)
    return gaps * inverse, mass


@step()
def entropy_of_row(x, r, k, inverse, e, total, log_total, block, lanes):
    """H = log1p(S) + sum over c of p_c (x_k - x_c) / T: positive terms only."""
    n = x.shape[1]
    top = to_float64(x[r, k])
    used = min(n, ACCUMULATORS)
    for i in range(used):
        lanes[i] = 0.0
    for a in range(0, n, COLUMN_BLOCK):
        start = U(a)
        for i in range(start, U(min(a + COLUMN_BLOCK, n))):
            v, each = to_float64(x[U(r), i]), to_float64(e[i])
            block[i - start] = each * ((top - v) * inverse) if each != 0.0 and v != top else 0.0
        gather(block, 0, min(a + COLUMN_BLOCK, n) - a, lanes)
    return log_total + fold(lanes, used) / total


@inner()
def cache_line_start(array, count):
    """Return where the array's first cache line begins, or 0 where less than ``count`` are left.

    A vector of 64 bytes that lies across two lines is read and written twice.
    """
    first = (-address(array) % CACHE_LINE) // array.itemsize
    return first if array.shape[0] - first >= count else 0


@inner()
def rooms(sums, x):
    """Return a block, three times the lanes, and some for what is lost: none where that is nothing.

    Nothing is lost where float64 is far more than x.
    """
    sums = sums[cache_line_start(sums, COLUMN_BLOCK + 4 * ACCUMULATORS) :]
    lost = ACCUMULATORS if x.itemsize == 8 else 0
    first = COLUMN_BLOCK + 3 * ACCUMULATORS
    return sums[:COLUMN_BLOCK], sums[COLUMN_BLOCK:first], sums[first : first + lost]


@inner()
def sum_of_shares(share, lanes):
    """Sum of a row of the target, and something negative where the sign of a share is.

    The row after it in memory is asked for ahead.
    """
    n = share.shape[0]
    signs = np.int32(0)
    for i in range(min(n, ACCUMULATORS)):
        lanes[i] = 0.0
    for a in range(0, n, COLUMN_BLOCK):
        b = min(a + COLUMN_BLOCK, n)
        for j in range(a, b if n > ACCUMULATORS else a, 64 // share.itemsize):
            prefetch_l2(share, n + j)
        for i in range(U(a), U(b)):
            signs = np.int32(signs | sign_bits(share[i]))
        gather(share, a, b, lanes)
    return fold(lanes, min(n, ACCUMULATORS)), signs
