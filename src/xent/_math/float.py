"""exp, log1p and rounding as polynomials that LLVM turns into SIMD; the alphabet of the loss rows.

Sums are float64. The exponentials of float32 and bfloat16 logits are float32 powers of 2 whose
exponents are kept to 48 bits ("lifted_power"), or float64 to 30 bits where the largest logit is
huge ("quick"); float64 takes the long polynomials and carries the rounding error of x - m into them
("exact"; Knuth's TwoSum). The element's type chooses, when the kernel is compiled. bfloat16
travels as uint16, for NumPy has no such type.

`math.exp` is a scalar call of the C library: 11 to 14 times slower. Nothing here may be compiled
with fastmath: the multiply-adds are written out (`fma`), so that a loop gives the same bits whether
LLVM vectorised it or not.
"""

from functools import partial
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from xent._compile.decorator import kernel
from xent._compile.numba_private import INSIDE
from xent._math.vector import (
    bits32,
    bits64,
    choose,
    float_of_bits32,
    float_of_bits64,
    fma,
    fma32,
    rint,
    size,
)

# Exponentials carry a factor 2**64, so float32 holds those that only matter times a big weight.
LIFT = 2.0**64
LANES = 256
PAGE = 4 * LANES
PAD = 64  # rooms of a row are that much longer at most: up to the next whole vector

# Between these a float64 splits into two float32 that say nearly all of it.
SMALLEST, LARGEST = 2.0**-100, 2.0**100

_MAGIC = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to an integer, kept in the low bits
_LOG2E, _LN2 = 1.4426950408889634, 0.6931471805599453
_LN2_HIGH, _LN2_LOW = 0.6931471804855391, 7.440617110012397e-11
_LOWEST = -752.0  # 2**64 exp(-752) is still a normal number; below, exp is 0 in float64
_SQRT_HALF = 0.7071067811865476

_MAGIC32 = np.float32(12582912.0)  # 1.5 * 2**23
_ZERO32, _ONE32 = np.float32(0.0), np.float32(1.0)
# (2**r - 1) / r for |r| <= 1/2, to 28 bits of 2**r (weighted least squares, reweighted to minimax)
_Q1, _Q2 = np.float32(0.6931471824645996), np.float32(0.24022647738456726)
_Q3, _Q4 = np.float32(0.05550359562039375), np.float32(0.009618500247597694)
_Q5, _Q6 = np.float32(0.0013390976237133145), np.float32(0.00015328821609728038)
_SMALLEST_POWER, _TAME = 130.0, 2.0**15
_FLIP32, _FLIP64 = np.int32(0x7FFFFFFF), np.int64(0x7FFFFFFFFFFFFFFF)
_ONE_BITS, _HALF_A_POWER = np.int64(1023 << 52), np.int64(1 << 51)
_WHOLE_POWERS, _MAGIC_BITS = np.int64(-(1 << 52)), np.int64((1023 + 52 << 52) + (1 << 51))


# Rows allocate nothing, so Numba need not count references: every slice and every array handed to a
# function would cost an atomic operation, and of small rows those were two thirds of the time.
outer: Any = partial(kernel, _nrt=False)
inner: Any = partial(kernel, _nrt=False, forceinline=True)
step: Any = partial(kernel, _nrt=False, inside=True)  # called, for it is long or seldom runs


@inner()
def _wide_half(value):
    return np.float64(float_of_bits32(np.int32(np.uint32(value) << np.uint32(16))))


@inner()
def _narrow_half(value):
    single = np.float32(value)
    bits = np.uint32(bits32(single))
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    kept = rounded if single == single else bits | np.uint32(0x400000)
    return np.uint16(kept >> np.uint32(16))


def wide(value):
    """Return an element as float64."""


@overload(wide, jit_options=INSIDE)
def _wide(value):
    if value == types.uint16:
        return lambda value: _wide_half(value)
    return lambda value: np.float64(value)


def single(value):
    """Return an element as float32; through `wide` LLVM would compare it as float64."""


@overload(single, jit_options=INSIDE)
def _single(value):
    if value == types.uint16:
        return lambda value: float_of_bits32(np.int32(np.uint32(value) << np.uint32(16)))
    if value == types.float32:
        return lambda value: value
    return lambda value: np.float32(value)


def narrow(value, like):
    """Return a float64 in the type of the element ``like``."""


@overload(narrow, jit_options=INSIDE)
def _narrow(value, like):
    if like == types.uint16:
        return lambda value, like: _narrow_half(value)
    if like == types.float32:
        return lambda value, like: np.float32(value)
    return lambda value, like: value


def key(value):
    """Return an integer that orders as the element does (NaN on top): its maximum vectorises.

    Both zeros are one.
    """


@overload(key, jit_options=INSIDE)
def _key(value):
    if value == types.float64:

        def key64(value):
            bits = bits64(value + 0.0)
            return bits ^ ((bits >> np.int64(63)) & _FLIP64)

        return key64
    if value == types.uint16:

        def key16(value):
            bits = np.int16(value)
            bits = np.int16(bits ^ np.int16((bits >> np.int16(15)) & np.int16(0x7FFF)))
            return bits if bits != np.int16(-1) else np.int16(0)

        return key16

    def key32(value):
        bits = bits32(value + _ZERO32)
        return bits ^ ((bits >> np.int32(31)) & _FLIP32)

    return key32


@inner()
def ranks(value):
    """Return the `key` of each float32 of a vector."""
    bits = bits32(value + _ZERO32)
    return bits ^ ((bits >> np.int32(31)) & _FLIP32)


def sign(value):
    """Return 32 bits, negative where the element's sign is: of many, or'ed, where any sign is."""


@overload(sign, jit_options=INSIDE)
def _sign(value):
    if value == types.float64:
        return lambda value: np.int32(bits64(value) >> np.int64(32))
    if value == types.uint16:
        return lambda value: np.int32(np.int16(value))
    return lambda value: bits32(value)


@inner()
def _two_to(n_magic):
    """2**(n + 64) from n + _MAGIC."""
    return float_of_bits64((bits64(n_magic) + np.int64(1023 + 64)) << np.int64(52))


@inner()
def quick_exp(d):
    """2**64 exp(d) for d <= 700, to 30 bits."""
    inside = _LOWEST if d < _LOWEST else d
    n_magic = fma(inside, _LOG2E, _MAGIC)
    r = fma(n_magic - _MAGIC, -_LN2, inside)
    p = fma(0.00019890990824673654, r, 0.0013933649996309251)
    p = fma(p, r, 0.0083333109254809)
    p = fma(p, r, 0.041666464925285904)
    p = fma(p, r, 0.16666666681623232)
    p = fma(p, r, 0.500000001346581)
    p = fma(p * r, r, r) + 1.0
    value = p * _two_to(n_magic)
    return 0.0 if d < _LOWEST else value


@inner()
def _curve(t):
    """Return (exp(t) - 1 - t) / t**2 for |t| <= log(2) / 2."""
    p = fma(2.510038549551032e-08, t, 2.7620088445409746e-07)
    p = fma(p, t, 2.7557268459997064e-06)
    p = fma(p, t, 2.4801521295954376e-05)
    p = fma(p, t, 0.00019841269863053618)
    p = fma(p, t, 0.0013888888917213717)
    p = fma(p, t, 0.008333333333330062)
    p = fma(p, t, 0.04166666666662413)
    p = fma(p, t, 0.16666666666666669)
    return fma(p, t, 0.5000000000000001)


@inner()
def exact_exp(d, rest):
    """2**64 exp(d + rest) for d <= 700 and a tiny rest, to the last bit or so."""
    inside = choose(d < _LOWEST, _LOWEST, d)
    n_magic = fma(inside, _LOG2E, _MAGIC)
    n = n_magic - _MAGIC
    r = fma(n, -_LN2_HIGH, inside)
    low = fma(n, -_LN2_LOW, rest)
    t = r + low
    low = low - (t - r)
    q = fma(_curve(t) * t, t, low)
    value = (1.0 + (t + q)) * _two_to(n_magic)
    return choose(d < _LOWEST, 0.0, value)


@inner()
def powers_of(top, inverse):
    """Return the constants of `lifted_power` for logits up to ``top``, and whether it is for them.

    They are ``lift``, the value that belongs to top, between 2**63.5 and 2**64.5; ``shift``, which
    is 2**23 * 1.5 and the whole part of top's exponent; ``floor``, below which the power is 0; and
    ``high`` and ``low``, the logarithm of e / T to base 2.
    """
    tame, lift, shift, floor = lifts_of(top, inverse)
    high, low = slopes_of(inverse)
    return tame, lift, np.float32(shift), np.float32(floor), high, low


@inner()
def lifts_of(top, inverse):
    """Return of the constants what depends on ``top``, in float64."""
    tame = size(top * inverse) < (_TAME if SMALLEST < inverse < LARGEST else 0.0)
    exponent = choose(tame, top * inverse * _LOG2E, 0.0)
    whole = rint(exponent)
    t = (exponent - whole) * _LN2
    lift = fma(_curve(t) * t, t, t) * LIFT + LIFT
    return tame, lift, -whole + (_MAGIC32 + 191.0), top - _SMALLEST_POWER / inverse


@inner()
def slopes_of(inverse):
    """Return of the constants what is the same for all tops."""
    high = np.float32(_LOG2E * inverse)
    return high, np.float32(_LOG2E * inverse - np.float64(high))


@inner()
def lifted_power(value, shift, floor, high, low):
    """Return lift exp((value - top) / T) in float32 arithmetic, within an ULP; 0 below exp(-130).

    No difference from top is formed, so none has to be kept exact: ``lift`` and the sum of these
    have a factor in common, 2 to the fraction of top's exponent.
    """
    inside = choose(value < floor, floor, value)
    n_magic = fma32(inside, high, shift)
    n = n_magic - shift
    r = fma32(inside, low, fma32(inside, high, -n))
    p = fma32(_Q6, r, _Q5)
    p = fma32(p, r, _Q4)
    p = fma32(p, r, _Q3)
    p = fma32(p, r, _Q2)
    p = fma32(p, r, _Q1)
    p = fma32(p, r, _ONE32)
    two_to = float_of_bits32(bits32(n_magic) << np.int32(23))
    return choose(value < floor, _ZERO32, p * two_to)


@inner()
def times(e, c1, c0, more):
    """Return e (c1 + c0) + more in float32."""
    e = np.float32(e)
    return fma32(e, c1, fma32(e, c0, more))


@inner()
def fits(value):
    """Say whether a float64 can be split into two float32."""
    return value == 0.0 or SMALLEST < abs(value) < LARGEST


def exp_below(value, top, inverse):
    """Return 2**64 exp((value - top) * inverse), value <= top, as good as the element's type."""


@overload(exp_below, jit_options=INSIDE)
def _exp_below(value, top, inverse):
    if getattr(value, "dtype", value) == types.float64:

        def exact(value, top, inverse):
            d = value - top
            part = d - value
            rest = (value - (d - part)) - (top + part)
            rest = choose(rest * 0.0 == 0.0, rest, 0.0)
            if inverse == 1.0:
                return exact_exp(d, rest)
            scaled = d * inverse
            return exact_exp(scaled, fma(rest, inverse, fma(d, inverse, -scaled)))

        return exact

    def quick(value, top, inverse):
        return quick_exp((wide(value) - top) * inverse)

    return quick


@inner()
def bend(x, cap):
    """tanh(x / cap), and its slope 1 - tanh**2 without cancellation."""
    t = x / cap
    size = abs(t)
    u = exact_exp(-2.0 * size, 0.0) / LIFT
    z = t * t
    p = (-9.64399179425052238628e-1 * z - 9.92877231001918586564e1) * z - 1.61468768441708447952e3
    q = (
        (z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3
    ) * z + 4.84406305325125486048e3
    near = t + t * z * (p / q)
    far = (1.0 - u) / (1.0 + u)
    bent = near if size < 0.625 else (far if t > 0.0 else -far)
    return (bent if t == t else t), 4.0 * u / ((1.0 + u) * (1.0 + u))


@inner()
def log1p(u):
    """log(1 + u) for u >= 0, within an ULP: fdlibm's way, without a branch."""
    y = 1.0 + u
    lost = (u - (y - 1.0)) / y
    bits = bits64(y)
    # Take the exponent out such that the rest lies in [sqrt(1/2), sqrt(2)).
    shifted = bits - bits64(_SQRT_HALF)
    n = shifted >> np.int64(52)
    f = float_of_bits64(bits - (n << np.int64(52))) - 1.0
    s = f / (2.0 + f)
    z = s * s
    p = fma(0.13086626147840102, z, 0.13268773138656886)
    p = fma(p, z, 0.15386239702814658)
    p = fma(p, z, 0.18181795640132906)
    p = fma(p, z, 0.22222222391713917)
    p = fma(p, z, 0.28571428570803614)
    p = fma(p, z, 0.4000000000000088)
    p = fma(p, z, 0.6666666666666666)
    half = 0.5 * f * f
    k = float_of_bits64(n + _MAGIC_BITS) - _MAGIC
    tail = fma(s, fma(p, z, half), fma(k, 1.90821492927058770002e-10, lost))
    value = fma(k, 6.93147180369123816490e-01, f - (half - tail))
    return choose(u < np.inf, value, u)


@inner()
def log_share(total, others, lift):
    """log(total / lift), total = lift + others, to 33 bits: with one division.

    With L the lift, O the others and n such that total / L is about 2**n,
    log1p(O / L) = n log 2 + 2 atanh((O - (2**n - 1) L) / (total + 2**n L)).
    """
    # The difference of two numbers' bits is that of their logarithms to base 2, to .09.
    bits = (bits64(total) - bits64(lift) + _HALF_A_POWER) & _WHOLE_POWERS
    down = float_of_bits64(_ONE_BITS - bits)
    n = (float_of_bits64((bits >> np.int64(52)) + _MAGIC_BITS)) - _MAGIC
    s = fma(others, down, (down - 1.0) * lift) / fma(total, down, lift)
    z = s * s
    p = fma(z, 0.2376734026945869, 0.28531740480157536)
    p = fma(p, z, 0.40000323346158834)
    p = fma(p, z, 0.6666666625699221)
    return fma(n, _LN2, fma(p * z, s, s + s))


@inner()
def log_of(x, total, others, lift):
    """log(total / lift), total = lift + others, as good as the element's type."""
    if x.itemsize == 8:
        return log1p(others / lift)
    return log_share(total, others, lift)


@inner()
def parts_of(x, value, total):
    """Return value / total, as good as the element's type."""
    if x.itemsize == 8:
        return value / total
    return value * (1.0 / total)
