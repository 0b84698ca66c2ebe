"""log and log1p, of scalars and vectors alike, and the series around them.

The full-length logarithms are fdlibm's (Sun Microsystems, 1993) without a branch. `fast_` gives up
digits, and says how many.
"""

import math

import numpy as np

from xent._compile.decorator import inner, kernel
from xent._math.vector import bits64, fma, from_bits64, multiply_add, select

_LN2 = 0.6931471805599453
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_SQRT_HALF = 0.7071067811865476
_MAGIC = 6755399441055744.0  # 1.5 * 2**52
_MAGIC_BITS = np.int64((1023 + 52 << 52) + (1 << 51))  # its bits
_ONE_BITS, _HALF_A_POWER = np.int64(1023 << 52), np.int64(1 << 51)
_WHOLE_POWERS = np.int64(-(1 << 52))
_MANTISSA = 0x000FFFFFFFFFFFFF
_CENTRES = 1.0 + (np.arange(128) + 0.5) / 128
_INVERSE = 1.0 / _CENTRES
_LOG = np.array([-math.log(c) for c in _INVERSE])


@kernel(fastmath={"contract"}, forceinline=True)
def log(x, exponent):
    """log(x / 2^exponent) for a positive normal x; finite nonsense for others."""
    word = bits64(x)
    power = (word - 0x3FE6A09E667F3BCD) >> 52  # leaves a mantissa between √½ and √2
    f = from_bits64(word - (power << 52)) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (
        3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01)
    )
    odd = z * (
        6.666666666666735130e-01
        + w
        * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    half = 0.5 * f * f
    k = np.float64(power - exponent)
    low = k * _LN2_LOW
    return k * _LN2_HIGH - ((half - (s * (half + (even + odd)) + low)) - f)


@kernel(fastmath={"contract"}, forceinline=True)
def fast_log(x):
    """log(x) of a positive normal x from a table of 128 reciprocals: no division.

    Right to an ULP of its largest part, not of itself near 1: for sums of half a nat and more.
    """
    word = bits64(x)
    gap = word - 0x3FF0000000000000
    k = np.uint64((gap >> 45) & 127)
    m = from_bits64((word & _MANTISSA) | 0x3FF0000000000000)
    r = fma(m, _INVERSE[k], -1.0)
    w = r * r
    series = (-0.5 + r * (1.0 / 3.0)) + w * ((-0.25 + r * 0.2) - w * (1.0 / 6.0))
    return fma(np.float64(gap >> 52), _LN2, _LOG[k]) + fma(w, series, r)


@kernel(fastmath={"contract"}, forceinline=True)
def atanh_series(z):
    """(atanh(√z) / √z - 1) / z on [0, 1/9], to 5e-17 (Chebyshev fit of degree 9)."""
    w = z * z
    a = 0.3333333333333333 + z * 0.20000000000007292
    b = 0.1428571428355438 + z * 0.11111111358713932
    c = 0.09090894718066429 + z * 0.07692785032479312
    d = 0.06657072104827468 + z * 0.06000536404795356
    e = 0.04400369243072337 + z * 0.08082022805971766
    return a + w * (b + w * (c + w * (d + w * e)))


@inner()
def log1p(u):
    """log(1 + u) for u >= 0: fdlibm's way, without a branch."""
    y = 1.0 + u
    lost = (u - (y - 1.0)) / y
    bits = bits64(y)
    # Take the exponent out such that the rest lies in [sqrt(1/2), sqrt(2)).
    shifted = bits - bits64(_SQRT_HALF)
    n = shifted >> np.int64(52)
    f = from_bits64(bits - (n << np.int64(52))) - 1.0
    s = f / (2.0 + f)
    z = s * s
    p = multiply_add(0.13086626147840102, z, 0.13268773138656886)
    p = multiply_add(p, z, 0.15386239702814658)
    p = multiply_add(p, z, 0.18181795640132906)
    p = multiply_add(p, z, 0.22222222391713917)
    p = multiply_add(p, z, 0.28571428570803614)
    p = multiply_add(p, z, 0.4000000000000088)
    p = multiply_add(p, z, 0.6666666666666666)
    half = 0.5 * f * f
    k = from_bits64(n + _MAGIC_BITS) - _MAGIC
    tail = multiply_add(s, multiply_add(p, z, half), multiply_add(k, _LN2_LOW, lost))
    value = multiply_add(k, _LN2_HIGH, f - (half - tail))
    return select(u < np.inf, value, u)


@inner()
def fast_log_ratio(total, others, scale):
    """log(total / scale), total = scale + others, to 33 bits: with one division.

    With L the scale, O the others and n such that total / L is about 2^n,
    log1p(O / L) = n log 2 + 2 atanh((O - (2^n - 1) L) / (total + 2^n L)).
    """
    # The difference of two numbers' bits is that of their logarithms to base 2, to .09.
    bits = (bits64(total) - bits64(scale) + _HALF_A_POWER) & _WHOLE_POWERS
    down = from_bits64(_ONE_BITS - bits)
    n = from_bits64((bits >> np.int64(52)) + _MAGIC_BITS) - _MAGIC
    s = multiply_add(others, down, (down - 1.0) * scale) / multiply_add(total, down, scale)
    z = s * s
    p = multiply_add(z, 0.2376734026945869, 0.28531740480157536)
    p = multiply_add(p, z, 0.40000323346158834)
    p = multiply_add(p, z, 0.6666666625699221)
    return multiply_add(n, _LN2, multiply_add(p * z, s, s + s))


@inner()
def log_ratio(x, total, others, scale):
    """log(total / scale), total = scale + others, as good as the type of the elements of x."""
    if x.itemsize == 8:
        return log1p(others / scale)
    return fast_log_ratio(total, others, scale)


@inner()
def quotient(x, value, total):
    """Value / total, as good as the type of the elements of x."""
    if x.itemsize == 8:
        return value / total
    return value * (1.0 / total)
