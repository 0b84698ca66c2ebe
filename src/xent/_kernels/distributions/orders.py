"""Sums of powers of probabilities whose logarithms are known: Rényi, Tsallis, and f-divergences.

Terms go into a row of their own before they are added, so that LLVM makes vectors of the loops.
"""

import math

import numpy as np

from xent._compile.decorator import kernel
from xent._kernels.distributions.probabilities import sum_of_row
from xent._math.double_double import dd_add_double
from xent._math.exp import EXP_SCALE, expm1, scaled_exp

MAX_EXPONENT = 600.0  # up to which `scaled_exp` does not overflow


@kernel(inside=True)
def _sum(terms):
    total, error, _ = sum_of_row(terms)
    return total + error


@kernel(inside=True)
def _growth(p, logs, above, terms):
    """Σ p (p**above - 1)."""
    lowest = 0.0
    for j in range(p.shape[0]):
        lowest = min(lowest, logs[j])
        terms[j] = p[j] * expm1(min(above * logs[j], MAX_EXPONENT))
    if above * lowest > MAX_EXPONENT:
        for j in range(p.shape[0]):
            if above * logs[j] > MAX_EXPONENT:
                terms[j] = math.exp((1.0 + above) * logs[j]) - p[j]
    return _sum(terms)


@kernel(inside=True)
def _powers(logs, allowed, order, top, terms):
    """Σ p**order / exp(top)."""
    for j in range(logs.shape[0]):
        found = scaled_exp(min(0.0, order * logs[j] - top), 0.0)
        terms[j] = found if allowed[j] else 0.0
    return _sum(terms) / EXP_SCALE


@kernel()
def entropy_powers(p, logs, allowed, order, tsallis, out):
    """Write the Rényi or Tsallis entropy of each row, of an order other than 1."""
    terms = np.empty(p.shape[1])
    for i in range(p.shape[0]):
        count, top = 0, -math.inf
        for j in range(p.shape[1]):
            if allowed[i, j]:
                count += 1
                top = max(top, logs[i, j])
        if order == 0.0:
            out[i] = count - 1.0 if tsallis else math.log(count)
        elif order == math.inf:
            out[i] = -top
        elif tsallis or abs(order - 1.0) < 0.5:
            total = _growth(p[i], logs[i], order - 1.0, terms)
            out[i] = (total if tsallis else math.log1p(total)) / (1.0 - order)
        else:
            top *= order
            total = _powers(logs[i], allowed[i], order, top, terms)
            out[i] = (top + math.log(total)) / (1.0 - order)
    return -1


@kernel(inside=True)
def _write_ratios(log_p, ok_p, log_q, ok_q, ratios):
    for j in range(ratios.shape[0]):
        ratios[j] = log_p[j] - log_q[j] if ok_p[j] and ok_q[j] else math.inf


@kernel(inside=True)
def _products(log_p, ratios, above, top, terms):
    """Σ p**(1 + above) q**-above / exp(top)."""
    for j in range(ratios.shape[0]):
        both = ratios[j] < math.inf
        power = log_p[j] + above * (ratios[j] if both else 0.0)
        terms[j] = scaled_exp(min(0.0, power - top), 0.0) if both else 0.0
    return _sum(terms) / EXP_SCALE


@kernel(inside=True)
def _gap(p, ratios, above, terms):
    """Σ p**(1 + above) q**-above - 1, without cancelling."""
    for j in range(ratios.shape[0]):
        both = ratios[j] < math.inf
        y = above * (ratios[j] if both else 0.0)
        terms[j] = p[j] * (expm1(min(y, MAX_EXPONENT)) if both else -1.0)
    return _sum(terms)


@kernel()
def divergence_powers(p, log_p, ok_p, q, log_q, ok_q, order, above, out):
    """Write the Rényi divergence of each pair of rows; ``above`` is the order less 1."""
    ratios, terms = np.empty(p.shape[1]), np.empty(p.shape[1])
    for i in range(p.shape[0]):
        lost, common, top, kept = False, False, -math.inf, 0.0
        _write_ratios(log_p[i], ok_p[i], log_q[i], ok_q[i], ratios)
        for j in range(p.shape[1]):
            if ok_p[i, j]:
                kept += q[i, j]
            if ratios[j] < math.inf:
                common = True
                power = log_p[i, j] + above * ratios[j]
                top = max(top, ratios[j] if order == math.inf else power)
            elif p[i, j] > 0.0:
                lost = True
        if order == 0.0:
            out[i] = -math.log(kept) + 0.0 if kept > 0.0 else math.inf
            continue
        if (lost and above >= 0.0) or not common:
            out[i] = math.inf
            continue
        nats = top
        if order != math.inf:
            total = _products(log_p[i], ratios, above, top, terms)
            nats = (top + math.log(total if total > 0.0 else 1.0)) / above
            less = _gap(p[i], ratios, above, terms) if abs(above) <= 0.5 else 1.0
            if abs(less) < 0.5:  # the sum of powers is near 1
                nats = math.log1p(less) / above
        out[i] = nats if nats > 0.0 else 0.0
    return -1


@kernel()
def f_rows(p, q, name, out):
    """Write total variation (0), squared Hellinger (1) or chi-square (2) of each pair of rows."""
    for i in range(p.shape[0]):
        total, error = 0.0, 0.0
        for j in range(p.shape[1]):
            x, y = p[i, j], q[i, j]
            gap = x - y
            term = 0.5 * abs(gap)
            if name == 1 and gap != 0.0:
                gap /= math.sqrt(x) + math.sqrt(y)
                term = 0.5 * gap * gap
            elif name == 2:
                term = 0.0
                if y > 0.0:
                    term = gap * gap / y
                elif x > 0.0:
                    total, error = math.inf, 0.0
                    break
            total, error = dd_add_double(total, error, term)
        out[i] = total + error
    return -1


__all__ = ["divergence_powers", "entropy_powers", "f_rows"]
