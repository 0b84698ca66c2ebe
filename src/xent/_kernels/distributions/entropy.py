"""Entropy and cross-entropy of rows of probabilities, checked in the pass that reads them.

Two speeds, one formula. The fast row sums p log p in blocks and adds the blocks in double-double.
Where less than half a nat is left (one outcome has most of the mass) the careful row takes that
outcome out and writes its share as log1p(rest / most): the sum then has terms of one sign only.
The careful logarithm is fdlibm's (Sun Microsystems, 1993) without its branches.
"""

import math

import numpy as np

from xent._compile.decorator import kernel
from xent._math.double_double import dd_add_double
from xent._math.lanes import LANES, SCRATCH, WIDTH, cross_lanes, entropy_lanes, lane_sums
from xent._math.llvm import prefer_512, prefetch
from xent._math.vector import bits64, fma, from_bits64

LOOSE = {"reassoc", "contract", "nsz"}
BLOCK = 128
AHEAD = 1024
TINY = 0x0010000000000000  # the bits of the smallest normal double
UP = 2.0**128  # lifts a subnormal into the normal range, exactly
LIFT = 128


@kernel(fastmath={"contract"}, forceinline=True)
def log(x, lift):
    """Natural logarithm of x / 2**lift for a positive normal x; finite nonsense for others."""
    word = bits64(x)
    exponent = (word - 0x3FE6A09E667F3BCD) >> 52  # leaves a mantissa between √½ and √2
    f = from_bits64(word - (exponent << 52)) - 1.0
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
    k = np.float64(exponent - lift)
    low = k * 1.90821492927058770002e-10
    return k * 6.93147180369123816490e-01 - ((half - (s * (half + (even + odd)) + low)) - f)


_MID = 1.0 + (np.arange(128) + 0.5) / 128
INVERSE = 1.0 / _MID
LOG_INVERSE = np.array([-math.log(c) for c in INVERSE])


@kernel(fastmath={"contract"}, forceinline=True)
def quick_log(x):
    """Logarithm from a table of 128 reciprocals: no division, half an ULP more than `log`.

    Right to an ULP of its largest part, not of itself near 1: for sums of half a nat and more.
    """
    word = bits64(x)
    gap = word - 0x3FF0000000000000
    k = np.uint64((gap >> 45) & 127)
    m = from_bits64((word & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000)
    r = fma(m, INVERSE[k], -1.0)
    w = r * r
    curve = (-0.5 + r * (1.0 / 3.0)) + w * ((-0.25 + r * 0.2) - w * (1.0 / 6.0))
    return fma(np.float64(gap >> 52), 0.6931471805599453, LOG_INVERSE[k]) + fma(w, curve, r)


@kernel(fastmath=LOOSE)
def _entropy_block(p):
    prefer_512()
    nats = 0.0
    total = 0.0
    sign = 0
    for j in range(p.shape[0]):
        x = p[j]
        sign |= bits64(x)
        nats += x * quick_log(x)
        total += x
    return nats, total, sign


@kernel()
def largest(p):
    best = 0
    for j in range(p.shape[0]):
        if p[j] > p[best]:
            best = j
    return best


@kernel()
def least(p):
    """Smallest entry. NumPy's own would load scipy.linalg with the machine code."""
    found = math.inf
    for j in range(p.shape[0]):
        found = p[j] if p[j] < found else found
    return found


@kernel(forceinline=True)
def _rest(p, most):
    """Sum of all but one, times 2**128."""
    total, error = 0.0, 0.0
    for j in range(p.shape[0]):
        if j != most:
            total, error = dd_add_double(total, error, p[j] * UP)
    return total + error


@kernel(forceinline=True)
def _share(rest, most):
    """Most * log1p(rest / most), with rest and the result times 2**128."""
    y = rest / UP / most
    return rest if y < 2.0**-60 else most * math.log1p(y) * UP


@kernel()
def _careful(p, q):
    """Cross-entropy where one q has most of the mass; p is q for the entropy."""
    most = largest(q)
    rest = _rest(q, most)
    shift = math.log1p((q[most] - 1.0) + rest / UP)
    nats, error = 0.0, 0.0
    weight = 0.0
    total = 0.0
    for j in range(p.shape[0]):
        if j == most or p[j] == 0.0:
            continue
        if q[j] == 0.0:
            return math.inf
        total += p[j] * UP
        nats, error = dd_add_double(nats, error, -(p[j] * UP) * log(q[j] * UP, LIFT))
    weight = p[most]
    nats, error = dd_add_double(nats, error, total * shift)
    nats, error = dd_add_double(nats, error, weight * (_share(rest, q[most]) / q[most]))
    return (nats + error) / UP / (weight + total / UP)


if LANES:

    @kernel(fastmath={"contract"})
    def _entropy_sums(flat, start, stop, scratch):
        """Σ p log p and Σ p of a row as double-doubles, and the bits of its entries."""
        prefer_512()
        steps = (stop - start) // WIDTH
        sign = entropy_lanes(flat, scratch, start, steps)
        nats, nats_error = lane_sums(scratch, 0)
        total, error = lane_sums(scratch, 1)
        if start + steps * WIDTH < stop:
            a, b, c = _entropy_block(flat[start + steps * WIDTH : stop])
            nats, nats_error = dd_add_double(nats, nats_error, a)
            total, error = dd_add_double(total, error, b)
            sign |= c
        return nats, nats_error, total, error, sign

else:

    @kernel(fastmath={"contract"})
    def _entropy_sums(flat, start, stop, _scratch):
        """Σ p log p and Σ p of a row as double-doubles, and the bits of its entries."""
        prefer_512()
        nats, nats_error, total, error = 0.0, 0.0, 0.0, 0.0
        sign = 0
        for at in range(start, stop, BLOCK):
            end = min(at + BLOCK, stop)
            for j in range(at + AHEAD, end + AHEAD, 8):
                prefetch(flat, j)
            a, b, c = _entropy_block(flat[at:end])
            nats, nats_error = dd_add_double(nats, nats_error, a)
            total, error = dd_add_double(total, error, b)
            sign |= c
        return nats, nats_error, total, error, sign


@kernel(fastmath={"contract"})
def entropy_rows(rows, slack, out):
    """Write the entropy of each row in nats; return the first bad row, or -1."""
    prefer_512()
    count, size = rows.shape
    flat = rows.reshape(count * size)
    scratch = np.empty(SCRATCH)
    for i in range(count):
        nats, nats_error, total, error, sign = _entropy_sums(
            flat, i * size, (i + 1) * size, scratch
        )
        off = (total - 1.0) + error
        if not abs(off) <= slack:
            return i
        if sign < 0 and least(rows[i]) < 0.0:
            return i
        found = math.log1p(off) - (nats + nats_error) / (total + error)
        out[i] = found if found >= 0.5 else _careful(rows[i], rows[i])
    return -1


@kernel(fastmath=LOOSE)
def _cross_block(p, q):
    prefer_512()
    nats = 0.0
    total_p = 0.0
    total_q = 0.0
    sign = 0
    for j in range(p.shape[0]):
        x = p[j]
        y = q[j]
        # A q below the normal range sets the sign bit too: zero or subnormal, somebody must look.
        sign |= bits64(x) | bits64(y) | (bits64(y) - TINY)
        nats += x * quick_log(y)
        total_p += x
        total_q += y
    return nats, total_p, total_q, sign


if LANES:

    @kernel(fastmath={"contract"})
    def _cross_sums(ps, qs, start, stop, scratch):
        """Σ p log q, Σ p and Σ q of a row as double-doubles, and the bits of its entries."""
        prefer_512()
        steps = (stop - start) // WIDTH
        sign = cross_lanes(ps, qs, scratch, start, steps)
        nats, nats_error = lane_sums(scratch, 0)
        total_p, error_p = lane_sums(scratch, 1)
        total_q, error_q = lane_sums(scratch, 2)
        at = start + steps * WIDTH
        if at < stop:
            a, b, c, d = _cross_block(ps[at:stop], qs[at:stop])
            nats, nats_error = dd_add_double(nats, nats_error, a)
            total_p, error_p = dd_add_double(total_p, error_p, b)
            total_q, error_q = dd_add_double(total_q, error_q, c)
            sign |= d
        return nats, nats_error, total_p, error_p, total_q, error_q, sign

else:

    @kernel(fastmath={"contract"})
    def _cross_sums(ps, qs, start, stop, _scratch):
        """Σ p log q, Σ p and Σ q of a row as double-doubles, and the bits of its entries."""
        prefer_512()
        nats, nats_error, total_p, error_p, total_q, error_q = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        sign = 0
        for at in range(start, stop, BLOCK):
            end = min(at + BLOCK, stop)
            for j in range(at + AHEAD, end + AHEAD, 8):
                prefetch(ps, j)
                prefetch(qs, j)
            a, b, c, d = _cross_block(ps[at:end], qs[at:end])
            nats, nats_error = dd_add_double(nats, nats_error, a)
            total_p, error_p = dd_add_double(total_p, error_p, b)
            total_q, error_q = dd_add_double(total_q, error_q, c)
            sign |= d
        return nats, nats_error, total_p, error_p, total_q, error_q, sign


@kernel(fastmath={"contract"})
def cross_entropy_rows(left, right, slack, out):
    """Write the cross-entropy of each pair of rows; return the first bad row, or -1."""
    prefer_512()
    count, size = left.shape
    ps = left.reshape(count * size)
    qs = right.reshape(count * size)
    scratch = np.empty(SCRATCH)
    for i in range(count):
        nats, nats_error, total_p, error_p, total_q, error_q, sign = _cross_sums(
            ps, qs, i * size, (i + 1) * size, scratch
        )
        off_p = (total_p - 1.0) + error_p
        off_q = (total_q - 1.0) + error_q
        if not (abs(off_p) <= slack and abs(off_q) <= slack):
            return i
        look = False
        if sign < 0:
            if least(left[i]) < 0.0 or least(right[i]) < 0.0:
                return i
            look = must_look(left[i], right[i])
        found = math.log1p(off_q) - (nats + nats_error) / (total_p + error_p)
        out[i] = _careful(left[i], right[i]) if look or found < 0.5 else found
    return -1


@kernel()
def must_look(p, q):
    """Tell whether an outcome that p allows has a q of zero or one below the normal range."""
    for j in range(p.shape[0]):  # noqa: SIM110 - Numba knows no any()
        if p[j] > 0.0 and q[j] < 2.0**-1022:
            return True
    return False


__all__ = [
    "AHEAD",
    "BLOCK",
    "LOOSE",
    "TINY",
    "cross_entropy_rows",
    "entropy_rows",
    "largest",
    "least",
    "must_look",
]
