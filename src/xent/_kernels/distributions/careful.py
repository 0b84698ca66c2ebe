"""KL and JS of one pair of rows in double-double: where q is scaled by P / Q, or near subnormal.

The terms are those of `divergence`. What differs is that p - q P / Q is formed from the differences
q - p and their sum, of which no bit is lost however small they are.
"""

import math

import numpy as np

from xent._compile.decorator import inner, kernel
from xent._kernels.distributions.entropy import argmax
from xent._math.double_double import (
    dd_add_double,
    dd_div,
    dd_sum,
    fast_two_sum,
    two_product,
    two_sum,
)
from xent._math.log import atanh_series, whole_float64
from xent._math.vector import bits64, fma, from_bits64

LN2, LN2_LOW = 0.6931471805599453, 2.3190468138462996e-17
FRACTION, WHOLE_POWER = np.int64(0x000FFFFFFFFFFFFF), np.int64(-(1 << 52))
TO_SIGN, TO_EXPONENT = np.int64(63), np.int64(52)
NEGLIGIBLE = 2.0**-100  # of p: less than what double-double can tell
SCALE = 2.0**100  # takes a subnormal into the normal range, exactly


@inner()
def powers_between(p, q):
    """How many whole powers of two lie between p and q, towards zero, in the exponent's place."""
    gap = bits64(p) - bits64(q)
    return (gap + ((gap >> TO_SIGN) & FRACTION)) & WHOLE_POWER


@kernel(inside=True)
def _scales(p, q):
    """P, a power of two f by which Q is near it, P / (f Q) and (f Q - P) / P as double-doubles.

    The last from the differences of the entries: as exact as they are, however small.
    """
    big_p, low_p = dd_sum(p)
    big_q, low_q = dd_sum(q)
    power = math.ldexp(0.5, math.frexp(big_p / big_q / 0.75)[1])  # 1 where the sums are near
    c, c_low = dd_div(big_p, low_p, big_q * power, low_q * power)
    gap, error = 0.0, 0.0
    for j in range(p.shape[0]):
        d, d_low = two_sum(q[j] * SCALE * power, -p[j] * SCALE)
        gap, error = dd_add_double(gap, error + d_low, d)
    high, low = fast_two_sum(gap, error)
    r, r_low = dd_div(high, low, big_p * SCALE, low_p * SCALE)
    return big_p, SCALE * power, c, c_low, r, r_low


@kernel(forceinline=True)
def _apart(p, q, c, c_low, r, r_low):
    """Return q P / Q - p as (q - p - p (Q - P) / P) P / Q, or 0 where nothing is known of it."""
    d, d_low = two_sum(q, -p)
    b, b_low = two_product(p, r)
    u, u_low = dd_add_double(d, d_low - (b_low + p * r_low), -b)
    high, low = two_product(u, c)
    u, u_low = dd_add_double(high, 0.0, low + (u_low * c + u * c_low))
    return (u, u_low) if abs(u) > p * NEGLIGIBLE else (0.0, 0.0)


@kernel(inside=True)
def _with_curve(sums, p, w, u, u_low):
    """Add t(p, w) where the difference u + u_low = p - w is known better than p and w are."""
    v = p + w
    v_low = (p - v) + w if p > w else (w - v) + p
    s = u / v
    s_low = (fma(-s, v, u) + (u_low - s * v_low)) / v
    z = s * s
    high, low = two_product(s, u)
    total, error = dd_add_double(sums[0], sums[1], high)
    low += s_low * u + s * u_low
    return dd_add_double(total, error, fma(2.0 * p * s, z * atanh_series(z), low))


@kernel(inside=True)
def _with_term(sums, p, q, q_low):
    """Add t(p, q + q_low) for p > 0, everything that matters in double-double."""
    e = powers_between(p, q)
    w = from_bits64(bits64(q) + e)
    w_low = math.ldexp(q_low, e >> 52)
    u, u_low = dd_add_double(p - w, 0.0, -w_low)
    if abs(u) <= p * NEGLIGIBLE:
        u, u_low = 0.0, 0.0
    if e != 0:
        power = whole_float64(e >> TO_EXPONENT)
        log, log_low = two_product(power, LN2)
        high, low = two_product(p, log)
        low += p * (log_low + power * LN2_LOW)
        sums = dd_add_double(sums[0], sums[1], high)
        sums = dd_add_double(sums[0], sums[1], low)
        sums = dd_add_double(sums[0], sums[1], q)
        sums = dd_add_double(sums[0], sums[1], -w)
        sums = dd_add_double(sums[0], sums[1], q_low - w_low)
    return _with_curve(sums, p, w, u, u_low)


@kernel(inside=True)
def careful_kl(p, q):
    """D(p/P‖q/Q) of one pair of rows with any positive sums within 2**±400.

    The difference of the most likely outcome is minus the sum of all others': where they are
    below 1e-30 of it, no double-double holds it otherwise.
    """
    big_p, up_q, c, c_low, r, r_low = _scales(p, q)
    most = argmax(p)
    sums, gap = (0.0, 0.0), (0.0, 0.0)
    for j in range(p.shape[0]):
        x = p[j] * SCALE
        y = q[j] * up_q
        if x > 0.0 and y == 0.0:
            return math.inf
        high, low = two_product(y, c)
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
    x = p[most] * SCALE
    high, low = two_product(q[most] * up_q, c)
    low += q[most] * up_q * c_low
    if 0.5 * x < high < 2.0 * x:
        sums = _with_curve(sums, x, high, gap[0], gap[1])
    else:
        sums = _with_term(sums, x, high, low)
    return max(0.0, (sums[0] + sums[1]) / (big_p * SCALE))


@kernel(inside=True)
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


@kernel(inside=True)
def careful_js(p, q):
    """JS(p/P, q/Q) of one pair of rows with any positive sums within 2**±400."""
    big_p, up_q, c, c_low, r, r_low = _scales(p, q)
    most = argmax(p)
    sums, gap = (0.0, 0.0), (0.0, 0.0)
    for j in range(p.shape[0]):
        if j == most:
            continue
        x, y = p[j] * SCALE, q[j] * up_q
        high, low = two_product(y, c)
        low += y * c_low
        u, u_low = _apart(x, y, c, c_low, r, r_low)
        gap = dd_add_double(gap[0], gap[1], 0.5 * u)
        gap = dd_add_double(gap[0], gap[1], 0.5 * u_low)
        sums = _with_js_term(sums, x, high, low, -0.5 * u, -0.5 * u_low)
    x = p[most] * SCALE
    high, low = two_product(q[most] * up_q, c)
    low += q[most] * up_q * c_low
    sums = _with_js_term(sums, x, high, low, gap[0], gap[1])
    return max(0.0, 0.5 * (sums[0] + sums[1]) / (big_p * SCALE))
