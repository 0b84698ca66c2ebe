"""log and log1p, of scalars and vectors alike, and the series around them.

The full-length logarithms are fdlibm's (Sun Microsystems, 1993) without a branch. `fast_` gives up
digits, and says how many.
"""

import math

import numpy as np

from xent._compile.decorator import inner, kernel
from xent._math.vector import (
    bits64,
    exponent,
    fma,
    from_bits64,
    mantissa,
    multiply_add,
    select,
    table_of,
)

_LN2 = 0.6931471805599453
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_SQRT_HALF = 0.7071067811865476
_MAGIC = 6755399441055744.0  # 1.5 * 2**52
_MAGIC_BITS = np.int64((1023 + 52 << 52) + (1 << 51))  # its bits
_ONE_BITS, _HALF_A_POWER = np.int64(1023 << 52), np.int64(1 << 51)
_WHOLE_POWERS = np.int64(-(1 << 52))
_MANTISSA = np.int64(0x000FFFFFFFFFFFFF)

# log(1 + r) = r + r² C(r) for |r| < 0.0304 to 4e-17 (fit in Chebyshev's nodes), and the table that
# leaves no more: LLVM makes no vectors of a look-up by itself.
_C0, _C1, _C2 = -0.5, 0.33333333334276144, -0.2500000000084855
_C3, _C4, _C5 = 0.1999999178866068, -0.1666665927629409, 0.14303589967612346
_C6 = -0.1251608839370872
_SIXTEEN = [1.0 / (1.0 + (k + 0.5) / 16) for k in range(16)]
_inverse, _log_of_inverse = table_of(_SIXTEEN), table_of([-math.log(c) for c in _SIXTEEN])
_TABLE_SHIFT = np.int64(48)

_CENTRES = 1.0 + (np.arange(128) + 0.5) / 128
_INVERSE = 1.0 / _CENTRES
_LOG = np.array([-math.log(c) for c in _INVERSE])
# Chebyshev's fit of `log1p_series32`
_L0, _L1 = np.float32(0.333332359790802), np.float32(-0.24996760487556458)
_L2, _L3 = np.float32(0.19956707954406738), np.float32(-0.16365152597427368)
_L4, _L5 = np.float32(0.13033364713191986), np.float32(-0.09139414131641388)
_L6, _L7 = np.float32(0.049309972673654556), np.float32(-0.017184266820549965)
_L8 = np.float32(0.0028016420546919107)


@kernel(fastmath={"contract"}, forceinline=True)
def log(x, exponent):
    """log(x / 2^exponent) of a scalar: with the power a subnormal can be made normal first.

    Valid for positive normal x; error 1 ULP. Of 0, subnormals, negative numbers, inf and NaN it is
    a finite number that means nothing.
    """
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
    """log(x) of a scalar from a table of 128 reciprocals: no division.

    Valid for positive normal x; error 1.5 ULP of the larger of |log x| and log 2, so not of itself
    near 1: for sums of half a nat and more. Others as `log`.
    """
    word = bits64(x)
    gap = word - 0x3FF0000000000000
    k = np.uint64((gap >> 45) & 127)
    m = from_bits64((word & _MANTISSA) | 0x3FF0000000000000)
    r = fma(m, _INVERSE[k], -1.0)
    w = r * r
    series = (-0.5 + r * (1.0 / 3.0)) + w * ((-0.25 + r * 0.2) - w * (1.0 / 6.0))
    return fma(np.float64(gap >> 52), _LN2, _LOG[k]) + fma(w, series, r)


@inner()
def _log_of_mantissa(x, place):
    r = fma(x, _inverse(place), -1.0)
    # In pairs: few vectors wait at a time, so the longest chain counts as much as the work.
    square = r * r
    series = multiply_add(_C6, square, multiply_add(_C5, r, _C4))
    series = multiply_add(series, square, multiply_add(_C3, r, _C2))
    series = multiply_add(series, square, multiply_add(_C1, r, _C0))
    return _log_of_inverse(place) + multiply_add(series, square, r)


@inner()
def fast_log_mantissa(x):
    """log(x) of a vector of float64 from 1 to 2 from a table of 16 reciprocals, as `fast_log8`."""
    return _log_of_mantissa(x, bits64(x) >> _TABLE_SHIFT)


@inner()
def fast_log8(x):
    """log(x) of a vector of float64 from a table of 16 reciprocals, one instruction with AVX-512.

    Valid for positive normal x; error 1.75 ULP of the larger of |log x| and log 2, 1.25 where there
    is an FMA; inf gives inf; of others it means nothing.
    """
    part = _log_of_mantissa(mantissa(x), bits64(x) >> _TABLE_SHIFT)
    return multiply_add(exponent(x), _LN2, part)


@inner()
def atanh_series(z):
    """(atanh(√z) / √z - 1) / z on [0, 1/9], to 2.5 ULP (Chebyshev fit of degree 9, 5e-17)."""
    w = z * z
    a = multiply_add(z, 0.20000000000007292, 0.3333333333333333)
    b = multiply_add(z, 0.11111111358713932, 0.1428571428355438)
    c = multiply_add(z, 0.07692785032479312, 0.09090894718066429)
    d = multiply_add(z, 0.06000536404795356, 0.06657072104827468)
    e = multiply_add(z, 0.08082022805971766, 0.04400369243072337)
    rest = multiply_add(w, multiply_add(w, e, d), c)
    return multiply_add(w, multiply_add(w, rest, b), a)


@inner()
def whole_float64(n):
    """Return whole numbers within 2^51 as float64; int64 to float64 is a loop without AVX-512."""
    return from_bits64(n + _MAGIC_BITS) - _MAGIC


@inner()
def log1p(u):
    """log(1 + u): fdlibm's way, without a branch.

    Valid for u >= 0; error 1 ULP; ±0 give 0, subnormals come back, inf gives inf, NaN gives NaN.
    """
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
    k = whole_float64(n)
    tail = multiply_add(s, multiply_add(p, z, half), multiply_add(k, _LN2_LOW, lost))
    value = multiply_add(k, _LN2_HIGH, f - (half - tail))
    return select(u < np.inf, value, u)


@inner()
def fast_log_ratio(total, others, scale):
    """log(total / scale), total = scale + others, to 33 bits: with one division.

    Valid for others >= 0 and a positive normal scale, both below 2^1000; error 2^-33 of the value;
    others of 0 give 0, NaN gives NaN.

    With L the scale, O the others and n such that total / L is about 2^n,
    log1p(O / L) = n log 2 + 2 atanh((O - (2^n - 1) L) / (total + 2^n L)).
    """
    # The difference of two numbers' bits is that of their logarithms to base 2, to .09.
    bits = (bits64(total) - bits64(scale) + _HALF_A_POWER) & _WHOLE_POWERS
    down = from_bits64(_ONE_BITS - bits)
    n = whole_float64(bits >> np.int64(52))
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


@inner()
def log1p_series32(u):
    """((log(1 + u) / u - 1) / u + 1/2) / u in float32 for 0 <= u <= 1.

    Error 40 ULP near 0, where it hardly counts: log(1 + u) comes out to 27 bits. 0 gives 1/3.
    """
    q = multiply_add(_L8, u, _L7)
    q = multiply_add(q, u, _L6)
    q = multiply_add(q, u, _L5)
    q = multiply_add(q, u, _L4)
    q = multiply_add(q, u, _L3)
    q = multiply_add(q, u, _L2)
    q = multiply_add(q, u, _L1)
    return multiply_add(q, u, _L0)
