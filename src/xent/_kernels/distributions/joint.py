"""Joint distributions, a row each, their variables in the order of the cells: one read for all.

What is asked for of two variables X and Y, in this order: H(X), H(Y), H(X, Y), H(X|Y), H(Y|X) and
I(X; Y), which is summed as a divergence from the product of the marginals.
"""

import numpy as np

from xent._compile.decorator import kernel
from xent._kernels.distributions.divergence import kl_row
from xent._kernels.distributions.entropy import LOG_SCALE, LOOSE, SCALE_EXPONENT, entropy_row
from xent._kernels.distributions.probabilities import sum_of_row
from xent._math.double_double import dd_add_double
from xent._math.llvm import prefer_512
from xent._math.log import log

SLACK = 1e-6
SUM_COUNT, INFORMATION_BIT = 6, 32


@kernel(inside=True, fastmath=LOOSE)
def _given_columns(cells, known):
    nats = 0.0
    for j in range(cells.shape[0]):
        some = cells[j] > 0.0
        share = cells[j] / known[j] if some else 1.0
        nats += cells[j] * log(share * LOG_SCALE, SCALE_EXPONENT)
    return nats


@kernel(inside=True, fastmath=LOOSE)
def _given_row(cells, known):
    nats = 0.0
    for j in range(cells.shape[0]):
        some = cells[j] > 0.0
        share = cells[j] / known if some else 1.0
        nats += cells[j] * log(share * LOG_SCALE, SCALE_EXPONENT)
    return nats


@kernel(inside=True)
def _add_columns(cells, totals, errors):
    for j in range(cells.shape[0]):
        totals[j], errors[j] = dd_add_double(totals[j], errors[j], cells[j])


@kernel(inside=True)
def _divergence(p, model):
    """D(p‖model), where a product that vanished is an outcome too rare to count."""
    for j in range(model.shape[0]):
        if model[j] == 0.0 and p[j] > 0.0:
            model[j] = p[j]
    return kl_row(p, model, 0, p.shape[0], SLACK, True)


@kernel(inside=True)
def _write_margins(p, x, y, errors):
    """Write the sums over the columns and over the rows of a table."""
    columns = y.shape[0]
    for b in range(columns):
        y[b] = errors[b] = 0.0
    for a in range(x.shape[0]):
        cells = p[a * columns : (a + 1) * columns]
        total, error, _ = sum_of_row(cells)
        x[a] = total + error
        _add_columns(cells, y, errors)
    for b in range(columns):
        y[b] += errors[b]


def joint_rows(joints, columns, asked, out):
    """Write the sums asked for, bit k of ``asked`` for number k, into the columns of ``out``."""
    if asked & INFORMATION_BIT:
        _information_rows(joints, columns, out)
    if asked & (INFORMATION_BIT - 1):  # the entropies alone are quicker to compile
        _entropy_rows(joints, columns, asked, out)
    return -1


@kernel()
def _information_rows(joints, columns, out):
    prefer_512()
    rows = joints.shape[1] // columns
    x, y, errors = np.empty(rows), np.empty(columns), np.empty(columns)
    model = np.empty(joints.shape[1])
    for i in range(joints.shape[0]):
        p = joints[i]
        _write_margins(p, x, y, errors)
        for a in range(rows):
            for b in range(columns):
                model[a * columns + b] = x[a] * y[b]
        out[i, 5] = _divergence(p, model)


@kernel()
def _entropy_rows(joints, columns, asked, out):
    prefer_512()
    rows = joints.shape[1] // columns
    x, y, errors = np.empty(rows), np.empty(columns), np.empty(columns)
    for i in range(joints.shape[0]):
        p = joints[i]
        _write_margins(p, x, y, errors)
        for number, row in enumerate((x, y, p)):
            if asked >> number & 1:
                out[i, number] = entropy_row(row, 0, row.shape[0], SLACK)
        if asked & 8:
            nats, error = 0.0, 0.0
            for a in range(rows):
                cells = p[a * columns : (a + 1) * columns]
                nats, error = dd_add_double(nats, error, _given_columns(cells, y))
            out[i, 3] = max(0.0, -(nats + error))
        if asked & 16:
            nats, error = 0.0, 0.0
            for a in range(rows):
                cells = p[a * columns : (a + 1) * columns]
                nats, error = dd_add_double(nats, error, _given_row(cells, x[a]))
            out[i, 4] = max(0.0, -(nats + error))


@kernel()
def given_third(joints, middle, last, out):
    """Write I(X; Y|Z) of each joint distribution of X, Y and Z, the last two of these lengths."""
    prefer_512()
    width = middle * last
    first = joints.shape[1] // width
    of_xz, of_yz, of_z = np.empty(first * last), np.empty(width), np.empty(last)
    rest_xz, rest_yz, rest_z = np.empty(first * last), np.empty(width), np.empty(last)
    model = np.empty(joints.shape[1])
    for i in range(joints.shape[0]):
        p = joints[i]
        for totals in (of_xz, of_yz, of_z, rest_xz, rest_yz, rest_z):
            for j in range(totals.shape[0]):
                totals[j] = 0.0
        for a in range(first):
            _add_columns(p[a * width : (a + 1) * width], of_yz, rest_yz)
            xz = of_xz[a * last : (a + 1) * last]
            for b in range(middle):
                at = a * width + b * last
                _add_columns(p[at : at + last], xz, rest_xz[a * last : (a + 1) * last])
                _add_columns(p[at : at + last], of_z, rest_z)
        for totals, rest in ((of_xz, rest_xz), (of_yz, rest_yz), (of_z, rest_z)):
            for j in range(totals.shape[0]):
                totals[j] += rest[j]
        for a in range(first):
            for b in range(middle):
                for c in range(last):
                    known = of_z[c] if of_z[c] > 0.0 else 1.0
                    share = of_yz[b * last + c] / known
                    model[a * width + b * last + c] = of_xz[a * last + c] * share
        out[i] = _divergence(p, model)
    return -1


__all__ = ["SUM_COUNT", "given_third", "joint_rows"]
