"""KL and JS divergence of rows of probabilities as sums of terms that are never negative.

    D(p‖q) = Σ t(p, q) / P - φ(δ),    t(p, q) = p log(p/q) - p + q,    φ(δ) = δ - log(1 + δ)

for rows that sum to P and Q, δ = (Q - P) / P. With e the whole powers of two between p and q,
w = q·2^e and s = (p - w) / (p + w), |s| < 1/3, p - w is exact and

    t = s (p - w) + 2 p s·s² R(s²) + p e log 2 + (q - w)
    log((1 + s) / (1 - s)) = 2 s (1 + s² R(s²))

so that near-equal p and q lose nothing, and far ones neither: one formula, no branch. Where the
rows' sums differ by as much as the rows do, the careful row scales q by P / Q in double-double,
from the differences q - p and their sum, of which no bit is lost however small they are.

Where there are lanes, far rows are tried first by the plain formula, whose roundings are then far
below the sum: KL from `FAR`, JS from `FAR_JS`. After a row that was near the next is not tried.
"""

import math

import numpy as np

from xent._compile.decorator import kernel
from xent._kernels.distributions.entropy import AHEAD, BLOCK, LOOSE, TINY, largest, least, must_look
from xent._math.double_double import dd_add_double
from xent._math.lanes import LANES, SCRATCH, WIDTH, js_lanes, kl_lanes, lane_sums
from xent._math.llvm import prefer_512, prefetch
from xent._math.vector import bits64, fma, from_bits64

LN2, LN2_LOW = 0.6931471805599453, 2.3190468138462996e-17
FRACTION = 0x000FFFFFFFFFFFFF
NOTHING = 2.0**-100  # of p: less than what double-double can tell
FINE = 16
HALF = BLOCK // 2  # alike terms round alike, so KL's sums are short
FEW = 32  # outcomes up to which the careful row is quick enough
FAR, FAR_JS = 0.5, 0.125  # nats
UP = 2.0**100  # lifts a subnormal into the normal range, exactly


@kernel(fastmath={"contract"}, forceinline=True)
def _series(z):
    """R(z) = (artanh(√z) / √z - 1) / z on [0, 1/9], to 5e-17 (Chebyshev fit of degree 9)."""
    w = z * z
    a = 0.3333333333333333 + z * 0.20000000000007292
    b = 0.1428571428355438 + z * 0.11111111358713932
    c = 0.09090894718066429 + z * 0.07692785032479312
    d = 0.06657072104827468 + z * 0.06000536404795356
    e = 0.04400369243072337 + z * 0.08082022805971766
    return a + w * (b + w * (c + w * (d + w * e)))


@kernel(forceinline=True)
def _minus(x, y):
    """X - y that a loose sum around it may not take apart."""
    return x - y


@kernel(forceinline=True)
def _powers(p, q):
    """How many whole powers of two lie between p and q, towards zero, in the exponent's place."""
    gap = bits64(p) - bits64(q)
    return (gap + ((gap >> 63) & FRACTION)) & ~FRACTION


@kernel(fastmath={"contract"}, forceinline=True)
def _term(p, q):
    """t(p, q) for positive normal p and q."""
    e = _powers(p, q)
    w = from_bits64(bits64(q) + e)
    u = p - w
    s = u / (p + w)
    z = s * s
    curve = fma(2.0 * p * s, z * _series(z), s * u)
    return fma(p, np.float64(e >> 52) * LN2, q - w) + curve


@kernel(fastmath=LOOSE)
def _kl_block(p, q):
    prefer_512()
    terms = 0.0
    total = 0.0
    gap = 0.0
    sign = 0
    peak = 0
    for j in range(p.shape[0]):
        x = p[j]
        y = q[j]
        # A q below the normal range sets the sign bit too: zero or subnormal, somebody must look.
        sign |= bits64(x) | bits64(y) | (bits64(y) - TINY)
        y_safe = y if y > 0.0 else 1.0
        x_safe = x if x > 0.0 else y_safe
        t = _term(x_safe, y_safe) + (0.0 if x > 0.0 else y)
        terms += t
        peak = max(peak, bits64(t))  # positive doubles are ordered as their bits are
        total += x
        gap += _minus(y, x)
    return terms, total, gap, sign, peak


@kernel()
def _fine_terms(p, q):
    """Σ t(p, q) in blocks so short that rounding the sum does not matter."""
    terms, error = 0.0, 0.0
    for start in range(0, p.shape[0], FINE):
        found = _kl_block(p[start : start + FINE], q[start : start + FINE])
        terms, error = dd_add_double(terms, error, found[0])
    return terms + error


@kernel()
def _total(p):
    """Sum of a row as a double-double."""
    total, error = 0.0, 0.0
    for j in range(p.shape[0]):
        total, error = dd_add_double(total, error, p[j])
    high = total + error
    return high, error - (high - total)


@kernel(forceinline=True)
def _quotient(a, a_low, b, b_low):
    """Divide a + a_low by b + b_low as double-doubles."""
    high = a / b
    rest = fma(-high, b, a) + (a_low - high * b_low)
    return high, rest / b


@kernel(forceinline=True)
def _twice(x, y):
    """Multiply x by y into a double-double."""
    high = x * y
    return high, fma(x, y, -high)


@kernel()
def _scales(p, q):
    """P, a power of two f by which Q is near it, P / (f Q) and (f Q - P) / P as double-doubles.

    The last from the differences of the entries: as exact as they are, however small.
    """
    big_p, low_p = _total(p)
    big_q, low_q = _total(q)
    lift = math.ldexp(0.5, math.frexp(big_p / big_q / 0.75)[1])  # 1 where the sums are near
    c, c_low = _quotient(big_p, low_p, big_q * lift, low_q * lift)
    gap, error = 0.0, 0.0
    for j in range(p.shape[0]):
        d, d_low = dd_add_double(q[j] * UP * lift, 0.0, -p[j] * UP)
        gap, error = dd_add_double(gap, error + d_low, d)
    high = gap + error
    r, r_low = _quotient(high, error - (high - gap), big_p * UP, low_p * UP)
    return big_p, UP * lift, c, c_low, r, r_low


@kernel(forceinline=True)
def _apart(p, q, c, c_low, r, r_low):
    """Return q P / Q - p as (q - p - p (Q - P) / P) P / Q, or 0 where nothing is known of it."""
    d, d_low = dd_add_double(q, 0.0, -p)
    b, b_low = _twice(p, r)
    u, u_low = dd_add_double(d, d_low - (b_low + p * r_low), -b)
    high, low = _twice(u, c)
    u, u_low = dd_add_double(high, 0.0, low + (u_low * c + u * c_low))
    return (u, u_low) if abs(u) > p * NOTHING else (0.0, 0.0)


@kernel()
def _with_curve(sums, p, w, u, u_low):
    """Add t(p, w) where the difference u + u_low = p - w is known better than p and w are."""
    v = p + w
    v_low = (p - v) + w if p > w else (w - v) + p
    s = u / v
    s_low = (fma(-s, v, u) + (u_low - s * v_low)) / v
    z = s * s
    high, low = _twice(s, u)
    total, error = dd_add_double(sums[0], sums[1], high)
    low += s_low * u + s * u_low
    return dd_add_double(total, error, fma(2.0 * p * s, z * _series(z), low))


@kernel()
def _with_term(sums, p, q, q_low):
    """Add t(p, q + q_low) for p > 0, everything that matters in double-double."""
    e = _powers(p, q)
    w = from_bits64(bits64(q) + e)
    w_low = math.ldexp(q_low, e >> 52)
    u, u_low = dd_add_double(p - w, 0.0, -w_low)
    if abs(u) <= p * NOTHING:
        u, u_low = 0.0, 0.0
    if e != 0:
        power = np.float64(e >> 52)
        log, log_low = _twice(power, LN2)
        high, low = _twice(p, log)
        low += p * (log_low + power * LN2_LOW)
        sums = dd_add_double(sums[0], sums[1], high)
        sums = dd_add_double(sums[0], sums[1], low)
        sums = dd_add_double(sums[0], sums[1], q)
        sums = dd_add_double(sums[0], sums[1], -w)
        sums = dd_add_double(sums[0], sums[1], q_low - w_low)
    return _with_curve(sums, p, w, u, u_low)


@kernel()
def careful_kl(p, q):
    """D(p/P‖q/Q) of one pair of rows with any positive sums within 2**±400.

    The difference of the most likely outcome is minus the sum of all others': where they are
    below 1e-30 of it, no double-double holds it otherwise.
    """
    big_p, up_q, c, c_low, r, r_low = _scales(p, q)
    most = largest(p)
    sums, gap = (0.0, 0.0), (0.0, 0.0)
    for j in range(p.shape[0]):
        x = p[j] * UP
        y = q[j] * up_q
        if x > 0.0 and y == 0.0:
            return math.inf
        high, low = _twice(y, c)
        low += y * c_low
        if j == most:
            continue
        u, u_low = _apart(x, y, c, c_low, r, r_low)
        gap = dd_add_double(gap[0], gap[1], u)
        gap = dd_add_double(gap[0], gap[1], u_low)
        if 0.5 * x < high < 2.0 * x:
            sums = _with_curve(sums, x, high, -u, -u_low)
        else:
            sums = (
                _with_term(sums, x, high, low) if x > 0.0 else dd_add_double(sums[0], sums[1], high)
            )
    x = p[most] * UP
    high, low = _twice(q[most] * up_q, c)
    low += q[most] * up_q * c_low
    if 0.5 * x < high < 2.0 * x:
        sums = _with_curve(sums, x, high, gap[0], gap[1])
    else:
        sums = _with_term(sums, x, high, low)
    return max(0.0, (sums[0] + sums[1]) / (big_p * UP))


if LANES:

    @kernel(fastmath={"contract"})
    def _far_kl(ps, qs, start, stop, slack, scratch):
        """D(p‖q) where it is far from 0 and nothing has to be looked at; -1 otherwise."""
        prefer_512()
        steps = (stop - start) // WIDTH
        sign = kl_lanes(ps, qs, scratch, start, steps)
        nats, error = lane_sums(scratch, 0)
        total_p, error_p = lane_sums(scratch, 1)
        total_q, error_q = lane_sums(scratch, 2)
        for j in range(start + steps * WIDTH, stop):
            x, y = ps[j], qs[j]
            sign |= bits64(x) | bits64(y)
            nats, error = dd_add_double(nats, error, x * math.log(x / y) if x > 0.0 else 0.0)
            total_p, error_p = dd_add_double(total_p, error_p, x)
            total_q, error_q = dd_add_double(total_q, error_q, y)
        off_p = (total_p - 1.0) + error_p
        off_q = (total_q - 1.0) + error_q
        if sign < 0 or not (abs(off_p) <= slack and abs(off_q) <= slack):
            return -1.0
        found = (nats + error) / (total_p + error_p) - (math.log1p(off_p) - math.log1p(off_q))
        return found if FAR <= found < 1e300 else -1.0

    @kernel(fastmath={"contract"})
    def _far_js(ps, qs, start, stop, slack, scratch):
        """JS(p, q) where it is far from 0 and nothing has to be looked at; -1 otherwise."""
        prefer_512()
        steps = (stop - start) // WIDTH
        sign = js_lanes(ps, qs, scratch, start, steps)
        one, one_error = lane_sums(scratch, 0)
        other, other_error = lane_sums(scratch, 1)
        total, error = lane_sums(scratch, 2)
        gap, gap_error = lane_sums(scratch, 3)
        for j in range(start + steps * WIDTH, stop):
            x, y = ps[j], qs[j]
            sign |= bits64(x) | bits64(y)
            share = 2.0 * min(x, y) / (x + y)
            up, down = math.log(2.0 - share), math.log(share)
            one, one_error = dd_add_double(
                one, one_error, x * (up if x > y else down) if x else 0.0
            )
            other, other_error = dd_add_double(
                other, other_error, y * (down if x > y else up) if y else 0.0
            )
            total, error = dd_add_double(total, error, x)
            gap, gap_error = dd_add_double(gap, gap_error, y - x)
        off = (total - 1.0) + error
        gap += gap_error
        if sign < 0 or not (abs(off) <= slack and abs(gap) <= 2.0**-48):
            return -1.0
        one += one_error
        other += other_error
        # Scale q to the sum of p, to first order.
        found = 0.5 * ((one + other) - gap * other) / (total + error)
        return found if found >= FAR_JS else -1.0

else:

    @kernel()
    def _far_kl(_ps, _qs, _start, _stop, _slack, _scratch):
        return -1.0

    @kernel()
    def _far_js(_ps, _qs, _start, _stop, _slack, _scratch):
        return -1.0


@kernel(fastmath={"contract"})
def kl_rows(left, right, slack, out):
    """Write D(p‖q) of each pair of rows in nats; return the first bad row, or -1."""
    prefer_512()
    count, size = left.shape
    ps = left.reshape(count * size)
    qs = right.reshape(count * size)
    scratch = np.empty(SCRATCH)
    far = size > FEW
    for i in range(count):
        if far:
            found = _far_kl(ps, qs, i * size, (i + 1) * size, slack, scratch)
            if found >= 0.0:
                out[i] = found
                continue
        terms, terms_error, total, total_error, gap, gap_error = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        sign, peak = 0, 0
        for start in range(i * size, (i + 1) * size, HALF):
            stop = min(start + HALF, (i + 1) * size)
            for j in range(start + AHEAD, stop + AHEAD, 8):
                prefetch(ps, j)
                prefetch(qs, j)
            a, b, c, d, e = _kl_block(ps[start:stop], qs[start:stop])
            terms, terms_error = dd_add_double(terms, terms_error, a)
            total, total_error = dd_add_double(total, total_error, b)
            gap, gap_error = dd_add_double(gap, gap_error, c)
            sign |= d
            peak = max(peak, e)
        off = (total - 1.0) + total_error
        gap += gap_error
        if not (abs(off) <= slack and abs(off + gap) <= slack):
            return i
        look = size <= FEW
        if sign < 0:
            if least(left[i]) < 0.0 or least(right[i]) < 0.0:
                return i
            look = look or must_look(left[i], right[i])
        terms += terms_error
        if from_bits64(peak) > 0.25 * terms:  # few terms, so their roundings do not average out
            terms = _fine_terms(left[i], right[i])
        total += total_error
        delta = gap / total
        excess = delta * delta * (0.5 - delta * (1.0 / 3.0 - 0.25 * delta))  # φ(δ), tiny δ
        found = terms / total - excess
        same = terms == 0.0 and gap == 0.0
        look = look or not (same or (excess * 64.0 <= found and found > 1e-280))
        out[i] = careful_kl(left[i], right[i]) if look else found
        far = size > FEW and out[i] >= FAR
    return -1


@kernel(fastmath=LOOSE)
def _js_block(p, q):
    prefer_512()
    terms = 0.0
    lean = 0.0
    total = 0.0
    gap = 0.0
    sign = 0
    for j in range(p.shape[0]):
        x = p[j]
        y = q[j]
        sign |= bits64(x) | bits64(y)
        more = x if x > y else y
        less = y if x > y else x
        half = 0.5 * (more - less)
        more_safe = more if more > 0.0 else 1.0
        less_safe = less if less > 0.0 else more_safe
        # The larger one lies between the middle and twice the middle: no power of two between.
        s = half / (more_safe + (more_safe - half))
        z = s * s
        upper = fma(2.0 * more * s, z * _series(z), s * half)
        middle = more_safe - half
        e = _powers(less_safe, middle)
        w = from_bits64(bits64(middle) + e)
        u = (middle - w) - half  # less - w, and -half to its last bit where w is the middle
        s = u / (less_safe + w)
        z = s * s
        curve = fma(2.0 * less * s, z * _series(z), s * u)
        far = fma(less, np.float64(e >> 52) * LN2, middle - w) + curve
        lower = far if less > 0.0 else half
        terms += upper + lower
        lean += upper - lower if x > y else lower - upper
        total += x
        gap += _minus(y, x)
    return terms, total, gap, sign, lean


@kernel()
def _with_js_term(sums, p, q, q_low, half, half_low):
    """Add t(p, m) + t(q, m) for half + half_low = (p - q) / 2 and m in the middle."""
    if half > 0.0:
        more, less = p, q + q_low
    else:
        more, less, half, half_low = q + q_low, p, -half, -half_low
    if half == 0.0:
        return sums
    middle = more - half
    sums = _with_curve(sums, more, middle, half, half_low)
    if less == 0.0:
        return dd_add_double(sums[0], sums[1], half)
    if less > 0.5 * middle:
        return _with_curve(sums, less, middle, -half, -half_low)
    return _with_term(sums, less, middle, 0.0)


@kernel()
def careful_js(p, q):
    """JS(p/P, q/Q) of one pair of rows with any positive sums within 2**±400."""
    big_p, up_q, c, c_low, r, r_low = _scales(p, q)
    most = largest(p)
    sums, gap = (0.0, 0.0), (0.0, 0.0)
    for j in range(p.shape[0]):
        if j == most:
            continue
        x, y = p[j] * UP, q[j] * up_q
        high, low = _twice(y, c)
        low += y * c_low
        u, u_low = _apart(x, y, c, c_low, r, r_low)
        gap = dd_add_double(gap[0], gap[1], 0.5 * u)
        gap = dd_add_double(gap[0], gap[1], 0.5 * u_low)
        sums = _with_js_term(sums, x, high, low, -0.5 * u, -0.5 * u_low)
    x = p[most] * UP
    high, low = _twice(q[most] * up_q, c)
    low += q[most] * up_q * c_low
    sums = _with_js_term(sums, x, high, low, gap[0], gap[1])
    return max(0.0, 0.5 * (sums[0] + sums[1]) / (big_p * UP))


@kernel(fastmath={"contract"})
def js_rows(left, right, slack, out):
    """Write JS(p, q) of each pair of rows in nats; return the first bad row, or -1."""
    prefer_512()
    count, size = left.shape
    ps = left.reshape(count * size)
    qs = right.reshape(count * size)
    scratch = np.empty(SCRATCH)
    far = size > FEW
    for i in range(count):
        if far:
            found = _far_js(ps, qs, i * size, (i + 1) * size, slack, scratch)
            if found >= 0.0:
                out[i] = found
                continue
        terms, terms_error, total, total_error, gap, gap_error = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        sign = 0
        lean = 0.0  # Σ t(p, m) - Σ t(q, m)
        for start in range(i * size, (i + 1) * size, BLOCK):
            stop = min(start + BLOCK, (i + 1) * size)
            for j in range(start + AHEAD, stop + AHEAD, 8):
                prefetch(ps, j)
                prefetch(qs, j)
            a, b, c, d, e = _js_block(ps[start:stop], qs[start:stop])
            terms, terms_error = dd_add_double(terms, terms_error, a)
            total, total_error = dd_add_double(total, total_error, b)
            gap, gap_error = dd_add_double(gap, gap_error, c)
            sign |= d
            lean += e
        off = (total - 1.0) + total_error
        gap += gap_error
        if not (abs(off) <= slack and abs(off + gap) <= slack):
            return i
        if sign < 0 and (least(left[i]) < 0.0 or least(right[i]) < 0.0):
            return i
        terms += terms_error
        total += total_error
        # The derivative of the sum by the scale of q is half of D(q‖m): scale q back to the sum of
        # p, to second order.
        excess = gap / total
        found = 0.5 * (terms - 0.5 * excess * (terms - lean)) / total - excess * excess / 8.0
        close = abs(gap) <= 2.0**-48 and gap * gap <= found * 2.0**-14 and found > 1e-280
        same = terms == 0.0 and gap == 0.0
        few = size <= FEW
        out[i] = found if same or (close and not few) else careful_js(left[i], right[i])
        far = not few and out[i] >= FAR_JS
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
