"""KL and JS divergence of rows of probabilities as sums of terms that are never negative.

    D(p‖q) = Σ t(p, q) / P - φ(δ),    t(p, q) = p log(p/q) - p + q,    φ(δ) = δ - log(1 + δ)

for rows that sum to P and Q, δ = (Q - P) / P. With e the whole powers of two between p and q,
w = q·2^e and s = (p - w) / (p + w), |s| < 1/3, p - w is exact and

    t = s (p - w) + 2 p s·s² R(s²) + p e log 2 + (q - w)
    log((1 + s) / (1 - s)) = 2 s (1 + s² R(s²))

so that near-equal p and q lose nothing, and far ones neither: one formula, no branch. Where the
rows' sums differ by as much as the rows do, the careful row scales q by P / Q in double-double,
from the differences q - p and their sum, of which no bit is lost however small they are.

Far rows are tried first by the plain formula, whose roundings are then far
below the sum: KL from `FAR`, JS from `FAR_JS`. After a row that was near the next is not tried.
"""

import math

from xent._compile.decorator import inner, kernel
from xent._kernels.distributions.careful import (
    LN2,
    TO_EXPONENT,
    careful_js,
    careful_kl,
    powers_between,
)
from xent._kernels.distributions.entropy import (
    LANES,
    MIN_NORMAL,
    MIN_NORMAL_BITS,
    PREFETCH_DISTANCE,
    STEP,
    needs_care,
    smallest,
)
from xent._math.double_double import (
    dd_add_double,
    dd_reduce,
)
from xent._math.llvm import prefer_512, prefetch
from xent._math.log import atanh_series, fast_log8, fast_log_mantissa, whole_float64
from xent._math.vector import bits64, fma, from_bits64, load, multiply_add, reduce_or, select, zeros

SHORT_ROW = 32  # outcomes up to which the careful row is quick enough
FAR, FAR_JS = 0.5, 0.125  # nats


@inner()
def _curve(p, w, u):
    """t(p, w) for positive normal p and w that are u apart and within a factor of two."""
    s = u / (p + w)
    z = s * s
    return multiply_add(2.0 * p * s, z * atanh_series(z), s * u)


@inner()
def _term(p, q):
    """t(p, q) for positive normal p and q."""
    e = powers_between(p, q)
    w = from_bits64(bits64(q) + e)
    far = multiply_add(p, whole_float64(e >> TO_EXPONENT) * LN2, q - w)
    return far + _curve(p, w, p - w)


@inner()
def _kl_term(p, q):
    """t(p, q), also where p or q is 0; of no use where q is 0 and p is not."""
    q_safe = select(q > 0.0, q, 1.0)
    p_safe = select(p > 0.0, p, q_safe)
    return _term(p_safe, q_safe) + select(p > 0.0, 0.0, q)


@kernel(inside=True)
def _kl_sums(p, q, start, stop):
    """Σ t(p, q), Σ p and Σ q - p as double-doubles, and the bits of all entries, or'ed.

    A q below the normal range sets the sign bit too: zero or subnormal, somebody must look.
    """
    prefer_512()
    terms = terms_low = total = total_low = gap = gap_low = zeros()
    signs = bits64(total)
    whole = stop - (stop - start) % LANES
    for first in range(start, whole, STEP):
        some = some_gap = zeros()
        for j in range(first, min(first + STEP, whole), LANES):
            prefetch(p, j + PREFETCH_DISTANCE)
            prefetch(q, j + PREFETCH_DISTANCE)
            x, y = load(p, j), load(q, j)
            signs = signs | bits64(x) | bits64(y) | (bits64(y) - MIN_NORMAL_BITS)
            terms, terms_low = dd_add_double(terms, terms_low, _kl_term(x, y))
            some = some + x
            some_gap = some_gap + (y - x)
        total, total_low = dd_add_double(total, total_low, some)
        gap, gap_low = dd_add_double(gap, gap_low, some_gap)
    of_terms, of_total, of_gap = (
        dd_reduce(terms, terms_low),
        dd_reduce(total, total_low),
        dd_reduce(gap, gap_low),
    )
    sign = reduce_or(signs)
    for j in range(whole, stop):
        x, y = p[j], q[j]
        sign |= bits64(x) | bits64(y) | (bits64(y) - MIN_NORMAL_BITS)
        of_terms = dd_add_double(of_terms[0], of_terms[1], _kl_term(x, y))
        of_total = dd_add_double(of_total[0], of_total[1], x)
        of_gap = dd_add_double(of_gap[0], of_gap[1], y - x)
    return of_terms, of_total, of_gap, sign


@kernel(inside=True, fastmath={"contract"})
def _far_kl(p, q, start, stop, slack):
    """D(p‖q) where it is far from 0 and nothing has to be looked at; -1 otherwise."""
    prefer_512()
    (nats, low), (total_p, low_p), (total_q, low_q), signs = _far_kl_sums(p, q, start, stop)
    for j in range(stop - (stop - start) % LANES, stop):
        x, y = p[j], q[j]
        signs |= bits64(x) | bits64(y)
        nats, low = dd_add_double(nats, low, x * math.log(x / y) if x > 0.0 else 0.0)
        total_p, low_p = dd_add_double(total_p, low_p, x)
        total_q, low_q = dd_add_double(total_q, low_q, y)
    off_p = (total_p - 1.0) + low_p
    off_q = (total_q - 1.0) + low_q
    if signs < 0 or not (abs(off_p) <= slack and abs(off_q) <= slack):
        return -1.0
    found = (nats + low) / (total_p + low_p) - (math.log1p(off_p) - math.log1p(off_q))
    return found if FAR <= found < 1e300 else -1.0


@inner()
def _far_kl_step(p, q, j, signs, nats, total_p, total_q):
    """Add eight pairs of outcomes to plain sums."""
    prefetch(p, j + PREFETCH_DISTANCE)
    prefetch(q, j + PREFETCH_DISTANCE)
    x, y = load(p, j), load(q, j)
    ratio = x / y
    log = fast_log8(select(ratio > MIN_NORMAL, ratio, MIN_NORMAL))
    return signs | bits64(x) | bits64(y), fma(x, log, nats), total_p + x, total_q + y


@kernel(inside=True)
def _far_kl_sums(p, q, start, stop):
    """Σ p log(p/q), Σ p and Σ q of whole vectors as double-doubles, and the bits of all entries."""
    prefer_512()
    nats = nats_low = total_p = low_p = total_q = low_q = zeros()
    signs = bits64(nats)
    whole = stop - (stop - start) % LANES
    for first in range(start, whole, STEP):
        some_nats = some_p = some_q = zeros()
        if first + STEP <= whole:  # a number of turns that LLVM knows
            for j in range(0, STEP, LANES):
                signs, some_nats, some_p, some_q = _far_kl_step(
                    p, q, first + j, signs, some_nats, some_p, some_q
                )
        else:
            for j in range(first, whole, LANES):
                signs, some_nats, some_p, some_q = _far_kl_step(
                    p, q, j, signs, some_nats, some_p, some_q
                )
        nats, nats_low = dd_add_double(nats, nats_low, some_nats)
        total_p, low_p = dd_add_double(total_p, low_p, some_p)
        total_q, low_q = dd_add_double(total_q, low_q, some_q)
    return (
        dd_reduce(nats, nats_low),
        dd_reduce(total_p, low_p),
        dd_reduce(total_q, low_q),
        reduce_or(signs),
    )


@kernel(inside=True, fastmath={"contract"})
def _far_js(p, q, start, stop, slack):
    """JS(p, q) where it is far from 0 and nothing has to be looked at; -1 otherwise."""
    prefer_512()
    (of_p, low_p), (of_q, low_q), (total, low), (gap, gap_low), signs = _far_js_sums(
        p, q, start, stop
    )
    for j in range(stop - (stop - start) % LANES, stop):
        x, y = p[j], q[j]
        signs |= bits64(x) | bits64(y)
        part = 2.0 * min(x, y) / (x + y)
        up, down = math.log(2.0 - part), math.log(part)
        term = x * (up if x > y else down) if x else 0.0
        of_p, low_p = dd_add_double(of_p, low_p, term)
        term = y * (down if x > y else up) if y else 0.0
        of_q, low_q = dd_add_double(of_q, low_q, term)
        total, low = dd_add_double(total, low, x)
        gap, gap_low = dd_add_double(gap, gap_low, y - x)
    off = (total - 1.0) + low
    gap += gap_low
    if signs < 0 or not (abs(off) <= slack and abs(gap) <= 2.0**-48):
        return -1.0
    of_p += low_p
    of_q += low_q
    # Scale q to the sum of p, to first order.
    found = 0.5 * ((of_p + of_q) - gap * of_q) / (total + low)
    return found if found >= FAR_JS else -1.0


@inner()
def _far_js_step(p, q, j, signs, of_p, of_q, total, gap):
    """Add eight pairs of outcomes to plain sums."""
    prefetch(p, j + PREFETCH_DISTANCE)
    prefetch(q, j + PREFETCH_DISTANCE)
    x, y = load(p, j), load(q, j)
    swap = x > y
    smaller = select(swap, y, x)
    # The smaller share of the middle; a rounding of it hardly moves the sum of both terms.
    part = (smaller + smaller) / (x + y)
    # The larger one is below 2 by a bit at least, so that it is its own mantissa.
    up = fast_log_mantissa(2.0 - select(part > 2.0**-52, part, 2.0**-52))
    down = fast_log8(select(part > MIN_NORMAL, part, MIN_NORMAL))
    of_p = fma(x, select(swap, up, down), of_p)
    of_q = fma(y, select(swap, down, up), of_q)
    return signs | bits64(x) | bits64(y), of_p, of_q, total + x, gap + (y - x)


@kernel(inside=True)
def _far_js_sums(p, q, start, stop):
    """Σ p log(2p / (p + q)), Σ q log(2q / (p + q)), Σ p, Σ q - p, and the bits of all entries."""
    prefer_512()
    of_p = low_p = of_q = low_q = total = low = gap = gap_low = zeros()
    signs = bits64(total)
    whole = stop - (stop - start) % LANES
    for first in range(start, whole, STEP):
        some_p = some_q = some = some_gap = zeros()
        if first + STEP <= whole:  # a number of turns that LLVM knows
            for j in range(0, STEP, LANES):
                signs, some_p, some_q, some, some_gap = _far_js_step(
                    p, q, first + j, signs, some_p, some_q, some, some_gap
                )
        else:
            for j in range(first, whole, LANES):
                signs, some_p, some_q, some, some_gap = _far_js_step(
                    p, q, j, signs, some_p, some_q, some, some_gap
                )
        of_p, low_p = dd_add_double(of_p, low_p, some_p)
        of_q, low_q = dd_add_double(of_q, low_q, some_q)
        total, low = dd_add_double(total, low, some)
        gap, gap_low = dd_add_double(gap, gap_low, some_gap)
    return (
        dd_reduce(of_p, low_p),
        dd_reduce(of_q, low_q),
        dd_reduce(total, low),
        dd_reduce(gap, gap_low),
        reduce_or(signs),
    )


@kernel(inside=True, fastmath={"contract"})
def kl_row(p, q, start, stop, slack, far):
    """D(p‖q) of a pair of rows; -1 where one is no distribution. ``far``: it may be far from 0."""
    prefer_512()
    size = stop - start
    few = size <= SHORT_ROW
    if far and not few:
        found = _far_kl(p, q, start, stop, slack)
        if found >= 0.0:
            return found
    terms, total, gaps, sign = _kl_sums(p, q, start, stop)
    off = (total[0] - 1.0) + total[1]
    gap = gaps[0] + gaps[1]
    if not (abs(off) <= slack and abs(off + gap) <= slack):
        return -1.0
    left, right = p[start:stop], q[start:stop]
    care = few
    if sign < 0:
        if smallest(left) < 0.0 or smallest(right) < 0.0:
            return -1.0
        care = care or needs_care(left, right)
    nats = terms[0] + terms[1]
    delta = gap / (total[0] + total[1])
    excess = delta * delta * (0.5 - delta * (1.0 / 3.0 - 0.25 * delta))  # φ(δ), tiny δ
    found = nats / (total[0] + total[1]) - excess
    same = nats == 0.0 and gap == 0.0
    care = care or not (same or (excess * 64.0 <= found and found > 1e-280))
    return careful_kl(left, right) if care else found


@kernel()
def kl_rows(left, right, slack, out):
    """Write D(p‖q) of each pair of rows in nats; return the first bad row, or -1."""
    prefer_512()
    count, size = left.shape
    p, q = left.reshape(count * size), right.reshape(count * size)
    far = True
    for i in range(count):
        found = kl_row(p, q, i * size, (i + 1) * size, slack, far)
        if found == -1.0:
            return i
        out[i] = found
        far = found >= FAR
    return -1


@inner()
def _js_terms(p, q):
    """t(max, m) and t(min, m) for m in the middle of p and q, whichever is the larger one."""
    swap = p > q
    more, less = select(swap, p, q), select(swap, q, p)
    half = 0.5 * (more - less)
    more_safe = select(more > 0.0, more, 1.0)
    less_safe = select(less > 0.0, less, more_safe)
    # The larger one lies between the middle and twice the middle: no power of two between.
    s = half / (more_safe + (more_safe - half))
    z = s * s
    upper = multiply_add(2.0 * more * s, z * atanh_series(z), s * half)
    middle = more_safe - half
    e = powers_between(less_safe, middle)
    w = from_bits64(bits64(middle) + e)
    u = (middle - w) - half  # less - w, and -half to its last bit where w is the middle
    s = u / (less_safe + w)
    z = s * s
    curve = multiply_add(2.0 * less * s, z * atanh_series(z), s * u)
    far = multiply_add(less, whole_float64(e >> TO_EXPONENT) * LN2, middle - w) + curve
    return upper, select(less > 0.0, far, half)


@inner()
def _js_step(p, q, j, signs, terms, terms_low, lean, total, gap):
    """Add eight pairs of outcomes: their terms to a double-double, the rest to plain sums."""
    prefetch(p, j + PREFETCH_DISTANCE)
    prefetch(q, j + PREFETCH_DISTANCE)
    x, y = load(p, j), load(q, j)
    upper, lower = _js_terms(x, y)
    terms, terms_low = dd_add_double(terms, terms_low, upper + lower)
    lean = lean + select(x > y, upper - lower, lower - upper)
    signs = signs | bits64(x) | bits64(y)
    return signs, terms, terms_low, lean, total + x, gap + (y - x)


@kernel(inside=True)
def _js_sums(p, q, start, stop):
    """Σ t(p, m) + t(q, m), Σ p, Σ q - p as double-doubles, Σ t(p, m) - t(q, m), all bits or'ed."""
    prefer_512()
    terms = terms_low = total = total_low = gap = gap_low = lean = zeros()
    signs = bits64(total)
    whole = stop - (stop - start) % LANES
    for first in range(start, whole, STEP):
        some = some_gap = zeros()
        if first + STEP <= whole:  # a number of turns that LLVM knows
            for j in range(0, STEP, LANES):
                signs, terms, terms_low, lean, some, some_gap = _js_step(
                    p, q, first + j, signs, terms, terms_low, lean, some, some_gap
                )
        else:
            for j in range(first, whole, LANES):
                signs, terms, terms_low, lean, some, some_gap = _js_step(
                    p, q, j, signs, terms, terms_low, lean, some, some_gap
                )
        total, total_low = dd_add_double(total, total_low, some)
        gap, gap_low = dd_add_double(gap, gap_low, some_gap)
    of_terms, of_total, of_gap, of_lean = (
        dd_reduce(terms, terms_low),
        dd_reduce(total, total_low),
        dd_reduce(gap, gap_low),
        dd_reduce(lean, zeros())[0],
    )
    sign = reduce_or(signs)
    for j in range(whole, stop):
        x, y = p[j], q[j]
        sign |= bits64(x) | bits64(y)
        upper, lower = _js_terms(x, y)
        of_terms = dd_add_double(of_terms[0], of_terms[1], upper + lower)
        of_lean += select(x > y, upper - lower, lower - upper)
        of_total = dd_add_double(of_total[0], of_total[1], x)
        of_gap = dd_add_double(of_gap[0], of_gap[1], y - x)
    return of_terms, of_total, of_gap, of_lean, sign


@kernel(inside=True, fastmath={"contract"})
def _js_row(p, q, start, stop, slack, far):
    """JS(p, q) of one pair of rows; -1 where one is no distribution. ``far``: it may be far."""
    prefer_512()
    few = stop - start <= SHORT_ROW
    if far and not few:
        found = _far_js(p, q, start, stop, slack)
        if found >= 0.0:
            return found
    terms, total, gaps, lean, sign = _js_sums(p, q, start, stop)
    off = (total[0] - 1.0) + total[1]
    gap = gaps[0] + gaps[1]
    if not (abs(off) <= slack and abs(off + gap) <= slack):
        return -1.0
    left, right = p[start:stop], q[start:stop]
    if sign < 0 and (smallest(left) < 0.0 or smallest(right) < 0.0):
        return -1.0
    nats = terms[0] + terms[1]
    # The derivative of the sum by the scale of q is half of D(q‖m): scale q back to the sum of
    # p, to second order.
    excess = gap / (total[0] + total[1])
    scaled = 0.5 * (nats - 0.5 * excess * (nats - lean))
    found = scaled / (total[0] + total[1]) - excess * excess / 8.0
    close = abs(gap) <= 2.0**-48 and gap * gap <= found * 2.0**-14 and found > 1e-280
    same = nats == 0.0 and gap == 0.0
    return found if same or (close and not few) else careful_js(left, right)


@kernel()
def js_rows(left, right, slack, out):
    """Write JS(p, q) of each pair of rows in nats; return the first bad row, or -1."""
    prefer_512()
    count, size = left.shape
    p, q = left.reshape(count * size), right.reshape(count * size)
    far = True
    for i in range(count):
        found = _js_row(p, q, i * size, (i + 1) * size, slack, far)
        if found == -1.0:
            return i
        out[i] = found
        far = found >= FAR_JS
    return -1


@kernel()
def careful_rows(left, right, symmetric, out):
    """KL or, where symmetric, JS of rows that need not be normalised: counts."""
    for i in range(left.shape[0]):
        if symmetric:
            out[i] = careful_js(left[i], right[i])
        else:
            out[i] = careful_kl(left[i], right[i])
    return -1
