"""Sums and products without loss: a number as the unevaluated sum of two, high and low.

Knuth's TwoSum, Dekker's Fast2Sum, and TwoProduct by a fused multiply-add; scalars and vectors
alike, of one precision. Exact for finite numbers as long as nothing overflows (and, of products,
as long as what is lost is no smaller than the smallest subnormal); where the result is ±inf or NaN
the low part is NaN. ±0 are as in plain arithmetic.

References: Knuth, The Art of Computer Programming 2, 4.2.2; Dekker, Numer. Math. 18 (1971).
"""

from xent._compile.decorator import kernel
from xent._math.vector import fma, lower_half, upper_half


@kernel(forceinline=True)
def two_sum(x, y):
    """Return the rounded x + y and what rounding lost: exactly the sum, together."""
    high = x + y
    back = high - x
    return high, (x - (high - back)) + (y - back)


@kernel(forceinline=True)
def fast_two_sum(x, y):
    """Do as `two_sum` where |x| >= |y| or x is 0."""
    high = x + y
    return high, y - (high - x)


@kernel(forceinline=True)
def two_product(x, y):
    """Return the rounded x y and what rounding lost: exactly the product, together."""
    high = x * y
    return high, fma(x, y, -high)


@kernel(forceinline=True)
def dd_add_double(high, low, x):
    """Add x to high + low: exact but for the rounding of low, and not normalised."""
    total, lost = two_sum(high, x)
    return total, low + lost


@kernel(forceinline=True)
def dd_div(x, x_low, y, y_low):
    """Divide x + x_low by y + y_low, to 2^-104 or so of the quotient."""
    high = x / y
    rest = fma(-high, y, x) + (x_low - high * y_low)
    return high, rest / y


@kernel(inside=True)
def dd_sum(x):
    """Sum an array; high is the sum rounded, low the rest."""
    total, lost = 0.0, 0.0
    for i in range(x.shape[0]):
        total, lost = dd_add_double(total, lost, x[i])
    return fast_two_sum(total, lost)


@kernel(forceinline=True)
def _halved(high, low):
    total, lost = two_sum(lower_half(high), upper_half(high))
    return total, (lower_half(low) + upper_half(low)) + lost


@kernel(forceinline=True)
def dd_reduce(high, low):
    """Sum the 8 elements of high + low, half on half."""
    of_four = _halved(high, low)
    of_two = _halved(of_four[0], of_four[1])
    return _halved(of_two[0], of_two[1])
