"""exp, expm1 and tanh as polynomials that LLVM turns into SIMD, of scalars and vectors alike.

The exponentials carry a factor `EXP_SCALE`, 2^64, so that float32 holds those that only matter
times a big weight. Those of float32 and bfloat16 logits are float32 powers of 2 whose exponents are
kept to 48 bits (`scaled_power`), or float64 to 30 bits where the largest logit is huge
(`fast_scaled_exp`); float64 takes the long polynomial and the rounding error of x - m with it
(`scaled_exp`). The element's type chooses, when the kernel is compiled.

`math.exp` is a scalar call of the C library: 11 to 14 times slower. Nothing here may be compiled
with fastmath: the multiply-adds are written out, so that a loop gives the same bits whether LLVM
vectorised it or not. `fma` stands only where a second rounding would cost digits.
"""

import numpy as np
from numba import types
from numba.extending import overload

from xent._compile.decorator import inner
from xent._compile.numba_private import INSIDE
from xent._math.double_double import two_product, two_sum
from xent._math.element import to_float32, to_float64
from xent._math.vector import (
    bits32,
    bits64,
    fma,
    from_bits32,
    from_bits64,
    multiply_add,
    rint,
    select,
)

EXP_SCALE = 2.0**64
# Between these a float64 splits into two float32 that say nearly all of it.
SPLIT_MIN, SPLIT_MAX = 2.0**-100, 2.0**100

_MAGIC = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to an integer, kept in the low bits
_LOG2E, _LN2 = 1.4426950408889634, 0.6931471805599453
_LN2_HIGH, _LN2_LOW = 0.6931471804855391, 7.440617110012397e-11  # n * _LN2_HIGH is exact
_LOWEST = -752.0  # 2**64 exp(-752) is still a normal number; below, exp is 0 in float64

_MAGIC32 = np.float32(12582912.0)  # 1.5 * 2**23
_ZERO32, _ONE32, _NO_ZERO32 = np.float32(0.0), np.float32(1.0), np.float32(-0.0)
# (2**r - 1) / r for |r| <= 1/2, to 28 bits of 2**r (weighted least squares, reweighted to minimax)
_Q1, _Q2 = np.float32(0.6931471824645996), np.float32(0.24022647738456726)
_Q3, _Q4 = np.float32(0.05550359562039375), np.float32(0.009618500247597694)
_Q5, _Q6 = np.float32(0.0013390976237133145), np.float32(0.00015328821609728038)
_SMALLEST_POWER, _IN_RANGE = 130.0, 2.0**15

# exp(-|x|) in float32: 2**23 * 1.5, with 2**64's exponent and its own bias as float32 keeps them
_MAGIC_BELOW32 = np.float32(12582912.0 + 127 + 64)
_LOG2E32, _LOWEST32 = np.float32(1.4426950408889634), np.float32(-131.0)
_LN2_HIGH32, _LN2_LOW32 = np.float32(0.693359375), np.float32(-2.1219444005469057e-4)
# (e**r - 1 - r) / r**2 for |r| <= log(2) / 2, to 28 bits of e**r
_P2, _P3 = np.float32(0.4999999340283261), np.float32(0.1666651996734012)
_P4, _P5 = np.float32(0.04166839591251857), np.float32(0.008368797253210492)
_P6 = np.float32(0.001381442765400898)


@inner()
def _two_to(n_magic):
    """2**(n + 64) from n + _MAGIC."""
    return from_bits64((bits64(n_magic) + np.int64(1023 + 64)) << np.int64(52))


@inner()
def fast_scaled_exp(d):
    """2^64 exp(d), to 30 bits.

    Valid for d <= 665; error 2^-30 of the value; ±0 and subnormals give 2^64, -inf and all below
    -752 give 0, NaN gives NaN.
    """
    inside = select(d < _LOWEST, _LOWEST, d)
    n_magic = multiply_add(inside, _LOG2E, _MAGIC)
    r = multiply_add(n_magic - _MAGIC, -_LN2, inside)
    p = multiply_add(0.00019890990824673654, r, 0.0013933649996309251)
    p = multiply_add(p, r, 0.0083333109254809)
    p = multiply_add(p, r, 0.041666464925285904)
    p = multiply_add(p, r, 0.16666666681623232)
    p = multiply_add(p, r, 0.500000001346581)
    p = multiply_add(p * r, r, r) + 1.0
    return select(d < _LOWEST, 0.0, p * _two_to(n_magic))


@inner()
def exp_series(t):
    """(exp(t) - 1 - t) / t^2 for |t| <= log(2) / 2, to 3 ULP; ±0 and subnormals give 1/2."""
    p = multiply_add(2.510038549551032e-08, t, 2.7620088445409746e-07)
    p = multiply_add(p, t, 2.7557268459997064e-06)
    p = multiply_add(p, t, 2.4801521295954376e-05)
    p = multiply_add(p, t, 0.00019841269863053618)
    p = multiply_add(p, t, 0.0013888888917213717)
    p = multiply_add(p, t, 0.008333333333330062)
    p = multiply_add(p, t, 0.04166666666662413)
    p = multiply_add(p, t, 0.16666666666666669)
    return multiply_add(p, t, 0.5000000000000001)


@inner()
def scaled_exp(d, rest):
    """2^64 exp(d + rest), where rest is what rounding d has lost.

    Valid for d <= 665; error 1 ULP; ±0 and subnormals give 2^64, -inf and all below -752 give 0,
    NaN gives NaN.
    """
    inside = select(d < _LOWEST, _LOWEST, d)
    n_magic = multiply_add(inside, _LOG2E, _MAGIC)
    n = n_magic - _MAGIC
    r = multiply_add(n, -_LN2_HIGH, inside)
    low = multiply_add(n, -_LN2_LOW, rest)
    t = r + low
    low = low - (t - r)
    q = multiply_add(exp_series(t) * t, t, low)
    return select(d < _LOWEST, 0.0, (1.0 + (t + q)) * _two_to(n_magic))


@inner()
def expm1(x):
    """exp(x) - 1 of a scalar.

    Valid for x <= 665; error 4 ULP for |x| < 0.4, 3 beyond; ±0 and subnormals come back, -inf gives
    -1, NaN gives NaN.
    """
    near = abs(x) < 0.34
    t = x if near else 0.0
    return multiply_add(exp_series(t) * t, t, t) if near else scaled_exp(x, 0.0) / EXP_SCALE - 1.0


@inner()
def tanh(x):
    """Return tanh(x) of a scalar, and its slope 1 - tanh(x)^2 without cancellation.

    Valid everywhere; error 2 ULP, of the slope 4; ±0 and subnormals come back, with slope 1; ±inf
    give ±1 and 0; NaN gives NaN.
    """
    size = abs(x)
    u = scaled_exp(-2.0 * size, 0.0) / EXP_SCALE
    z = x * x
    p = (-9.64399179425052238628e-1 * z - 9.92877231001918586564e1) * z - 1.61468768441708447952e3
    q = (
        (z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3
    ) * z + 4.84406305325125486048e3
    near = x + x * z * (p / q)
    far = (1.0 - u) / (1.0 + u)
    value = near if size < 0.625 else (far if x > 0.0 else -far)
    return value, 4.0 * u / ((1.0 + u) * (1.0 + u))


@inner()
def top_constants(top, inverse):
    """Return of the constants what depends on ``top``, in float64: see `power_constants`."""
    fits = abs(top * inverse) < (_IN_RANGE if SPLIT_MIN < inverse < SPLIT_MAX else 0.0)
    exponent = select(fits, top * inverse * _LOG2E, 0.0)
    whole = rint(exponent)
    t = (exponent - whole) * _LN2
    scale = multiply_add(multiply_add(exp_series(t) * t, t, t), EXP_SCALE, EXP_SCALE)
    return fits, scale, -whole + (_MAGIC32 + 191.0), top - _SMALLEST_POWER / inverse


@inner()
def slope_constants(inverse):
    """Return of the constants what is the same for all tops: see `power_constants`."""
    high = np.float32(_LOG2E * inverse)
    return high, np.float32(_LOG2E * inverse - np.float64(high))


@inner()
def power_constants(top, inverse):
    """Return the constants of `scaled_power` for logits up to ``top``, and whether it is for them.

    They are ``scale``, the value that belongs to top, between 2^63.5 and 2^64.5; ``shift``, which
    is 2^23 * 1.5 and the whole part of top's exponent; ``floor``, below which the power is 0; and
    ``high`` and ``low``, the logarithm of e / T to base 2.
    """
    fits, scale, shift, floor = top_constants(top, inverse)
    high, low = slope_constants(inverse)
    return fits, scale, np.float32(shift), np.float32(floor), high, low


@inner()
def scaled_power(value, shift, floor, high, low):
    """Scale exp((value - top) / T) in float32 arithmetic.

    Valid where `power_constants` says so, for value <= top; error 1 ULP; 0 below exp(-130) and of
    -inf; NaN gives NaN.

    No difference from top is formed, so none has to be kept exact: ``scale`` and the sum of these
    have a factor in common, 2 to the fraction of top's exponent.
    """
    inside = select(value < floor, floor, value)
    n_magic = multiply_add(inside, high, shift)
    n = n_magic - shift
    r = multiply_add(inside, low, fma(inside, high, -n))
    p = multiply_add(_Q6, r, _Q5)
    p = multiply_add(p, r, _Q4)
    p = multiply_add(p, r, _Q3)
    p = multiply_add(p, r, _Q2)
    p = multiply_add(p, r, _Q1)
    p = fma(p, r, _ONE32)
    two_to = from_bits32(bits32(n_magic) << np.int32(23))
    return select(value < floor, _ZERO32, p * two_to)


@inner()
def scaled_exp32(minus):
    """2^64 exp(minus) in float32, of a scalar.

    Valid for minus <= 0; error 1 ULP; ±0 and subnormals give 2^64, all below -131 what -131 gives,
    which is 0 in float32 without the scale; NaN gives NaN.
    """
    inside = select(minus < _LOWEST32, _LOWEST32, minus)
    n_magic = multiply_add(inside, _LOG2E32, _MAGIC_BELOW32)
    k = n_magic - _MAGIC_BELOW32
    r = multiply_add(k, -_LN2_LOW32, multiply_add(k, -_LN2_HIGH32, inside))
    z = r * r
    p = multiply_add(z, _P6, multiply_add(_P5, r, _P4))
    p = multiply_add(p, z, multiply_add(_P3, r, _P2))
    p = multiply_add(p, z, r) + _ONE32
    return p * from_bits32(np.int32(bits32(n_magic) << np.int32(23)))


def scaled_exp_below(value, top, inverse):
    """2^64 exp((value - top) * inverse), as good as the element's type.

    Valid for value <= top; error 1 ULP of float64, 2^-30 of the value of float32 and bfloat16; the
    rest as `scaled_exp`.
    """


@overload(scaled_exp_below, jit_options=INSIDE)
def _scaled_exp_below(value, top, inverse):
    if getattr(value, "dtype", value) == types.float64:

        def exact(value, top, inverse):
            d, rest = two_sum(value, -top)
            if inverse == 1.0:
                return scaled_exp(d, rest)
            scaled, lost = two_product(d, inverse)
            return scaled_exp(scaled, multiply_add(rest, inverse, lost))

        return exact

    def fast(value, top, inverse):
        return fast_scaled_exp((to_float64(value) - top) * inverse)

    return fast


@inner()
def times_split(x, c1, c0, more):
    """X (c1 + c0) + more in float32, the product exact but for its last rounding."""
    x = to_float32(x)
    return fma(x, c1, multiply_add(x, c0, more))


@inner()
def splits(value):
    """Say whether a float64 can be split into two float32."""
    return value == 0.0 or SPLIT_MIN < abs(value) < SPLIT_MAX
