"""Sums in whole numbers: exact, and so the same in whatever order rows, blocks and shards come.

A number below 2^10 is cut into whole numbers of 2^-20, 2^-64 and 2^-108 (where there is one sum
for all, of 2^-152 and 2^-196 too), and each is added to an int64 that has room for many of them.
What is left after these, of tiny numbers, and numbers from 2^10 on, are handed back: the caller
adds them in whole numbers of any length.

Reference: Demmel and Nguyen (2015), Parallel reproducible summation, IEEE Trans. Computers 64.
"""

import numpy as np

from xent._compile.decorator import inner, outer
from xent._math.double_double import two_product
from xent._math.llvm import prefer_512
from xent._math.vector import (
    FLOAT64_LANES,
    bits64,
    load,
    lower_half,
    reduce_or,
    select,
    store,
    upper_half,
    zeros,
)

U = np.uint64
LANES = FLOAT64_LANES
LIMBS, MORE_LIMBS = 3, 5
LIMB_BITS, FIRST_LIMB = 44, 20  # bits from one limb to the next, and below 1 of the first
LIMIT = 1024.0  # above all that are cut
CHUNK = 64  # numbers that are cut at once, in the nearest cache
ROOM = 1 << 18  # numbers that may be added before what is above a limb's bits is carried

_POWERS = (32, -12, -56, -100, -144)
_CUT1, _CUT2, _CUT3, _CUT4, _CUT5 = (1.5 * 2.0**e for e in _POWERS)
_BITS1, _BITS2, _BITS3, _BITS4, _BITS5 = (
    np.int64((1023 + e << 52) + (1 << 51)) for e in _POWERS
)  # of these
_SIGN = np.int64(0x7FFFFFFFFFFFFFFF)


@inner()
def cut(value):
    """Return the three whole numbers of a value below `LIMIT`, and what is left."""
    high = value + _CUT1
    rest = value - (high - _CUT1)
    middle = rest + _CUT2
    rest = rest - (middle - _CUT2)
    low = rest + _CUT3
    left = rest - (low - _CUT3)
    return bits64(high) - _BITS1, bits64(middle) - _BITS2, bits64(low) - _BITS3, left


@inner()
def cut_more(value):
    """Cut what `cut` leaves, into two whole numbers more."""
    high = value + _CUT4
    rest = value - (high - _CUT4)
    low = rest + _CUT5
    return bits64(high) - _BITS4, bits64(low) - _BITS5, rest - (low - _CUT5)


@inner()
def sign_free(bits):
    """Return the bits of a float64 without its sign: -0 is nothing."""
    return bits & _SIGN


@inner()
def add_one(value, limbs):
    """Add a finite number to five limbs, and return what is left."""
    inside = abs(value) < LIMIT
    u, v, w, rest = cut(value if inside else 0.0)
    x, y, rest = cut_more(rest)
    limbs[0] += u
    limbs[1] += v
    limbs[2] += w
    limbs[3] += x
    limbs[4] += y
    return rest if inside else value


@outer()
def add_all(values, rows, limbs, left):
    """Add the first of ``values``, finite, to five ``limbs``; write what is left of each.

    Both have `SPARE` entries more than ``rows``. Return whether anything is left.
    """
    prefer_512()
    a = b = c = d = e = any_left = bits64(zeros())
    whole = rows // LANES * LANES
    for i in range(0, whole, LANES):
        value = load(values, U(i))
        inside = abs(value) < LIMIT
        u, v, w, rest = cut(select(inside, value, zeros()))
        x, y, rest = cut_more(rest)
        rest = select(inside, rest, value)
        a, b, c, d, e, any_left = a + u, b + v, c + w, d + x, e + y, any_left | bits64(rest)
        store(left, U(i), rest)
    found = sign_free(reduce_or(any_left))
    for i in range(whole, rows):
        left[i] = add_one(values[i], limbs)
        found |= sign_free(bits64(left[i]))
    limbs[0] += sum_lanes(a)
    limbs[1] += sum_lanes(b)
    limbs[2] += sum_lanes(c)
    limbs[3] += sum_lanes(d)
    limbs[4] += sum_lanes(e)
    return found != 0


@inner()
def sum_lanes(vector):
    """Sum the integers of a vector."""
    four = lower_half(vector) + upper_half(vector)
    two = lower_half(four) + upper_half(four)
    return lower_half(two) + upper_half(two)


@inner()
def _cut_some(values, at, count, x, y, z, left):
    """Cut so many values from ``at`` on, whole vectors, and return the bits of all that is left."""
    found = bits64(zeros())
    for i in range(0, count, LANES):
        value = load(values, U(at + i))
        inside = abs(value) < LIMIT
        a, b, c, rest = cut(select(inside, value, zeros()))
        rest = select(inside, rest, value)
        store(x, U(i), a)
        store(y, U(i), b)
        store(z, U(i), c)
        store(left, U(at + i), rest)
        found = found | bits64(rest)
    return sign_free(reduce_or(found))


@outer()
def scatter(slots, values, rows, limbs, room, left):
    """Add each of ``values``, finite, to its slot of ``limbs`` (S, 3).

    Write what is left of each; return whether anything is. Values and left have `SPARE` entries
    more than ``rows``, finite ones.
    """
    prefer_512()
    x, y, z = room[0], room[1], room[2]
    found = np.int64(0)
    for at in range(0, rows, CHUNK):
        count = min(CHUNK, rows - at)
        found |= _cut_some(values, at, count, x, y, z, left)
        for i in range(U(count)):
            s = U(slots[U(at) + i])
            limbs[s, 0] += x[i]
            limbs[s, 1] += y[i]
            limbs[s, 2] += z[i]
    return found != 0


@outer()
def count(slots, rows, counts):
    """Count how often each slot comes."""
    for i in range(U(rows)):
        counts[U(slots[i])] += 1


@outer()
def left_of(values, rows, limbs, left):
    """Write what is left of each number where so many limbs, 3 or 5, were taken of it."""
    for i in range(U(rows)):
        left[i] = values[i]
        if abs(values[i]) < LIMIT:
            _, _, _, rest = cut(values[i])
            if limbs == MORE_LIMBS:
                _, _, rest = cut_more(rest)
            left[i] = rest


@outer()
def multiply(x, y, rows, high, low):
    """Write the products of x and y exactly, as two numbers each; arrays as in `scatter`."""
    prefer_512()
    for i in range(0, rows, LANES):
        a, b = two_product(load(x, U(i)), load(y, U(i)))
        store(high, U(i), a)
        store(low, U(i), b)


@outer()
def carry(limbs):
    """Move what is above a limb's bits into the next higher limb of each slot."""
    for s in range(U(limbs.shape[0])):
        for k in range(U(limbs.shape[1] - 1), U(0), -1):
            over = limbs[s, k] >> LIMB_BITS
            limbs[s, k] -= over << LIMB_BITS
            limbs[s, k - U(1)] += over
