"""The arithmetic of the kernels: plain sums and products of float32, right wherever they run.

A processor's own exponential is off by what 80 times log2(e) is rounded to, 40 units in the last
place. Here a difference keeps what its rounding lost, and the exponential is reduced with both, so
that Triton's interpreter, which has no fused products, shows the digits that a GPU has too.
"""

import triton
import triton.language as tl

TWO_32 = tl.constexpr(
    4294967296.0
)  # 2^32: by it exponentials are larger, so that none is subnormal
LOG2E = tl.constexpr(1.4426950408889634)
LOG_2_HIGH, LOG_2_LOW = tl.constexpr(0.693115234375), tl.constexpr(3.194618494528623e-05)
_ROUNDS = tl.constexpr(12582912.0)  # 1.5 2^23, added and taken away: a whole number
_EXPONENT = tl.constexpr(23)
_BIAS = tl.constexpr((127 + 32) << 23)
_LEAST = tl.constexpr(-150.0)  # no sum of 2^18 such powers of 2 is a normal number

# exp(r) = 1 + r + r² E(r) for |r| <= log(2) / 2 to 2^-28 (Chebyshev fit)
_E0, _E1 = tl.constexpr(0.4999999403953552), tl.constexpr(0.166665181517601)
_E2, _E3 = tl.constexpr(0.04166841506958008), tl.constexpr(0.008368992246687412)
_E4 = tl.constexpr(0.001381402718834579)

# log(1 + f) = f - f² (1/2 - f L(f)) for -1/4 <= f <= 1/2 to 2^-27 (Chebyshev fit)
_LN2, _LN2_LOST = tl.constexpr(0.6931471824645996), tl.constexpr(-1.904654299957768e-09)
_L0, _L1 = tl.constexpr(0.3333340883255005), tl.constexpr(-0.2499975562095642)
_L2, _L3 = tl.constexpr(0.1999167799949646), tl.constexpr(-0.1665945202112198)
_L4, _L5 = tl.constexpr(0.1449316143989563), tl.constexpr(-0.13066424429416656)
_L6, _L7 = tl.constexpr(0.10180817544460297), tl.constexpr(-0.04288731515407562)


@triton.jit
def exact(number):
    """Return a number of the call, which is of float32 there, in float64."""
    return tl.full((), number, tl.float32).to(tl.float64)


@triton.jit
def difference(a, b):
    """Return a - b and what its rounding lost (Knuth's TwoSum)."""
    found = a - b
    back = found - a
    return found, (a - (found - back)) - (b + back)


@triton.jit
def scaled_exp(d, lost, log2e, ln2_high, ln2_low, inverse, CAREFUL: tl.constexpr):
    """Return 2^32 exp((d + lost) / T) for d <= 0, to 0.9 units in the last place.

    ``CAREFUL`` takes some sums more and leaves 0.6, for T = 1 alone.

    With ``log2e`` = log2(e) / T, ``ln2_high + ln2_low`` = T log(2), of which the first has 12 bits,
    and ``inverse`` = 1 / T. -inf gives 0, NaN gives NaN.
    """
    rounded = d * log2e + _ROUNDS
    n = rounded - _ROUNDS
    high, low = d - n * ln2_high, lost - n * ln2_low
    r = inverse * (high + low)
    series = _E0 + r * (_E1 + r * (_E2 + r * (_E3 + r * _E4)))
    power = (rounded.to(tl.int32, bitcast=True) << _EXPONENT) + _BIAS
    value = r * r * series
    if CAREFUL:
        value += low - (r - high)
        near = 1.0 + r
        value = near + (value + (r - (near - 1.0)))
    else:
        value = 1.0 + (r + value)
    value = value * power.to(tl.float32, bitcast=True)
    return tl.where(n < _LEAST, 0.0, value)


@triton.jit
def log1p_series(u):
    """Return log(1 + u) in float32 for 0 <= u <= 1, to 1 unit in the last place."""
    large = u > 0.5
    f = tl.where(large, (u - 1.0) * 0.5, u)  # 1 + u, or half of it, less 1: without rounding
    series = _L3 + f * (_L4 + f * (_L5 + f * (_L6 + f * _L7)))
    series = _L0 + f * (_L1 + f * (_L2 + f * series))
    low = tl.where(large, _LN2_LOST, 0.0) - f * f * (0.5 - f * series)
    return tl.where(large, _LN2, 0.0) + (f + low)


@triton.jit
def log1p_exact(u):
    """Return log(1 + u) of a float64 u >= 0 (Kahan's quotient)."""
    y = 1.0 + u
    return tl.where(y == 1.0, u, tl.log(y) * (u / tl.where(y == 1.0, 1.0, y - 1.0)))


@triton.jit
def softcapped(x, cap):
    """Return cap tanh(x / cap) in float64, and its slope."""
    u = x.to(tl.float64) / cap
    t = tl.exp(-2.0 * tl.abs(u))
    bent = cap * (1.0 - t) / (1.0 + t)
    return tl.where(u < 0.0, -bent, bent), 4.0 * t / ((1.0 + t) * (1.0 + t))


@triton.jit
def add(total, lost, term):
    """Add a term to a compensated sum, total - lost (Kahan); an infinite one stays infinite."""
    y = term - lost
    more = total + y
    left = (more - total) - y
    return more, tl.where(left == left, left, 0.0)


@triton.jit
def folded(total, lost):
    """Return in float64 what lanes of compensated sums add up to."""
    return tl.sum(total.to(tl.float64), 0) - tl.sum(lost.to(tl.float64), 0)
