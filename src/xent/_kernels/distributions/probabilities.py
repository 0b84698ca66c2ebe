"""Probabilities and their logarithms, of rows of probabilities, counts and logits.

Rows are checked in the pass that reads them. Also the divergences of probabilities whose logarithms
are known, for rows of logits, and for more than two distributions.
"""

import math

from xent._compile.decorator import kernel
from xent._kernels.distributions.entropy import (
    LOG_SCALE,
    LOOSE,
    SCALE_EXPONENT,
    argmax,
    rest_of,
    smallest,
)
from xent._math.double_double import dd_add_double
from xent._math.exp import EXP_SCALE, scaled_exp
from xent._math.log import atanh_series, log
from xent._math.vector import bits64

SUM_BLOCK = 128  # entries that are added plainly
MIN_TOTAL, MAX_TOTAL = 2.0**-100, 2.0**100  # totals between which no row has to be scaled


@kernel(inside=True, fastmath=LOOSE)
def _block(row):
    total = 0.0
    sign = 0
    for j in range(row.shape[0]):
        total += row[j]
        sign |= bits64(row[j])
    return total, sign


@kernel(inside=True)
def sum_of_row(row):
    """Sum of a row as a double-double, and a negative number where an entry has a minus sign."""
    total, error = 0.0, 0.0
    sign = 0
    for at in range(0, row.shape[0], SUM_BLOCK):
        a, b = _block(row[at : at + SUM_BLOCK])
        total, error = dd_add_double(total, error, a)
        sign |= b
    return total, error, sign


@kernel(inside=True)
def _scaled(row, counted, slack, out):
    """Write a row times a power of two, and return its sum; 0 where it is no distribution."""
    total, error, sign = sum_of_row(row)
    if sign < 0 and smallest(row) < 0.0:
        return 0.0
    for j in range(out.shape[0]):  # assigning a slice would compile the text of its errors
        out[j] = row[j]
    if not counted:
        return total + error if abs((total - 1.0) + error) <= slack else 0.0
    if MIN_TOTAL < total < MAX_TOTAL:
        return total + error
    top = row[argmax(row)]
    if not 0.0 < top < math.inf or total != total:
        return 0.0
    power = -math.frexp(top)[1]
    half = math.ldexp(1.0, power // 2)
    rest = math.ldexp(1.0, power - power // 2)
    for j in range(out.shape[0]):
        out[j] = row[j] * half * rest
    total, error, sign = sum_of_row(out)
    return total + error


@kernel()
def scale_rows(rows, counted, slack, scaled):
    """Write rows of any positive sums within 2**±200; return the first bad row, or -1."""
    for i in range(rows.shape[0]):
        if not _scaled(rows[i], counted, slack, scaled[i]) > 0.0:
            return i
    return -1


@kernel()
def probability_rows(rows, counted, slack, probabilities):
    """Write each row over its sum; return the first bad row, or -1."""
    for i in range(rows.shape[0]):
        row = probabilities[i]
        total = _scaled(rows[i], counted, slack, row)
        if not total > 0.0:
            return i
        for j in range(row.shape[0]):
            row[j] = row[j] / total
    return -1


@kernel(inside=True, fastmath={"contract"})
def _write_logs(row, total, logs, allowed):
    less = math.log(total)
    for j in range(row.shape[0]):
        x = row[j]
        found = log((x if x > 0.0 else 1.0) * LOG_SCALE, SCALE_EXPONENT) - less
        logs[j] = found if x > 0.0 else 0.0
        allowed[j] = x > 0.0


@kernel()
def log_rows(rows, counted, slack, probabilities, logs, allowed):
    """Write the probabilities of each row, their logarithms (0 of 0), and whether they are above 0.

    The logarithm of a probability above 1/2 is that of the rest, to the last bits. Return
    the first bad row, or -1.
    """
    for i in range(rows.shape[0]):
        row = probabilities[i]
        total = _scaled(rows[i], counted, slack, row)
        if not total > 0.0:
            return i
        _write_logs(row, total, logs[i], allowed[i])
        most = -1
        for j in range(row.shape[0]):
            if row[j] > 0.5 * total:
                most = j
        if most >= 0:
            logs[i, most] = -math.log1p(rest_of(row, most) / LOG_SCALE / row[most])
        for j in range(row.shape[0]):
            row[j] = row[j] / total
    return -1


@kernel(inside=True)
def _write_powers(row, top, probabilities, logs):
    for j in range(row.shape[0]):
        logs[j] = row[j] - top
        probabilities[j] = scaled_exp(logs[j], 0.0)


@kernel()
def softmax_rows(rows, normalised, slack, probabilities, logs):
    """Write the softmax of each row of finite logits, and its logarithm.

    Return the first row that has to be looked at, or -1: entries that are not finite, or too far
    apart, or, where ``normalised``, logarithms of what does not sum to 1.
    """
    for i in range(rows.shape[0]):
        top = rows[i][argmax(rows[i])]
        if not top - smallest(rows[i]) < 1e300:
            return i
        _write_powers(rows[i], top, probabilities[i], logs[i])
        total, error, _ = sum_of_row(probabilities[i])
        total = (total + error) / EXP_SCALE
        if not total < math.inf or (normalised and not abs(math.exp(top) * total - 1.0) <= slack):
            return i
        less = math.log(total)
        for j in range(rows.shape[1]):
            logs[i, j] -= less
            probabilities[i, j] = probabilities[i, j] / EXP_SCALE / total
    return -1


@kernel(forceinline=True)
def _near(p, q):
    return p > 0.5 * q and q > 0.5 * p


@kernel(forceinline=True)
def _near_term(p, q):
    """Return p log(p/q) - p + q where p and q are within a factor of two."""
    s = (p - q) / (p + q)
    z = s * s
    return s * (p - q) + 2.0 * p * s * z * atanh_series(z)


@kernel()
def kl_of_probabilities(p, log_p, q, log_q, allowed, out):
    """Write D(p‖q) from logarithms, too; infinite where p is above 0 and q is not allowed."""
    for i in range(p.shape[0]):
        terms, error = 0.0, 0.0
        for j in range(p.shape[1]):
            x, y = p[i, j], q[i, j]
            if x > 0.0 and not allowed[i, j]:
                terms, error = math.inf, 0.0
                break
            near = _near(x, y)
            t = _near_term(x, y) if near else x * (log_p[i, j] - log_q[i, j]) - x + y
            terms, error = dd_add_double(terms, error, t)
        out[i] = terms + error
    return -1


@kernel()
def cross_of_probabilities(p, log_q, allowed, out):
    """Write -Σ p log q; infinite where p is above 0 and q not allowed."""
    for i in range(p.shape[0]):
        nats, error = 0.0, 0.0
        for j in range(p.shape[1]):
            if p[i, j] > 0.0:
                if not allowed[i, j]:
                    nats, error = math.inf, 0.0
                    break
                nats, error = dd_add_double(nats, error, -p[i, j] * log_q[i, j])
        out[i] = nats + error
    return -1


@kernel(inside=True)
def _from_middle(p, log_p, middle):
    """Return t(p, middle); a middle is 0 only where p weighs nothing."""
    if middle == 0.0:
        return 0.0
    if _near(p, middle):
        return _near_term(p, middle)
    return p * (log_p - math.log(middle)) - p + middle if p > 0.0 else middle


@kernel()
def js_of_probabilities(p, log_p, q, log_q, weight, other, out):
    """Write the JS divergence of two rows of these weights."""
    for i in range(p.shape[0]):
        terms, error = 0.0, 0.0
        for j in range(p.shape[1]):
            x, y = p[i, j], q[i, j]
            middle = weight * x + other * y
            t = weight * _from_middle(x, log_p[i, j], middle)
            terms, error = dd_add_double(
                terms, error, t + other * _from_middle(y, log_q[i, j], middle)
            )
        out[i] = terms + error
    return -1


@kernel()
def add_distance(p, log_p, middle, weight, out):
    """Add a weight times D(p‖middle), for more rows than two."""
    for i in range(p.shape[0]):
        terms, error = 0.0, 0.0
        for j in range(p.shape[1]):
            t = _from_middle(p[i, j], log_p[i, j], middle[i, j])
            terms, error = dd_add_double(terms, error, t)
        out[i] += weight * (terms + error)
    return -1


__all__ = [
    "add_distance",
    "cross_of_probabilities",
    "js_of_probabilities",
    "kl_of_probabilities",
    "log_rows",
    "probability_rows",
    "scale_rows",
    "softmax_rows",
    "sum_of_row",
]
