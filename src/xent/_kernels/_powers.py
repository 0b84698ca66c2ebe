"""Sums of powers of shares whose logarithms are known: Rényi, Tsallis, and f-divergences."""

import math

from xent._kernels._bits import added
from xent._kernels._jit import kernel


@kernel()
def entropy_powers(p, logs, allowed, order, tsallis, out):
    """Write the Rényi or Tsallis entropy of each row, of an order other than 1."""
    for i in range(p.shape[0]):
        count, top = 0, -math.inf
        for j in range(p.shape[1]):
            if allowed[i, j]:
                count += 1
                top = max(top, logs[i, j] if order == math.inf else order * logs[i, j])
        total, error = 0.0, 0.0
        if order == 0.0:
            out[i] = count - 1.0 if tsallis else math.log(count)
        elif order == math.inf:
            out[i] = -top
        elif tsallis or abs(order - 1.0) < 0.5:
            for j in range(p.shape[1]):
                x = p[i, j] * math.expm1((order - 1.0) * logs[i, j])
                total, error = added(total, error, x)
            total += error
            out[i] = (total if tsallis else math.log1p(total)) / (1.0 - order)
        else:
            for j in range(p.shape[1]):
                if allowed[i, j]:
                    total, error = added(total, error, math.exp(order * logs[i, j] - top))
            out[i] = (top + math.log(total + error)) / (1.0 - order)
    return -1


@kernel()
def divergence_powers(p, log_p, ok_p, q, log_q, ok_q, order, above, out):
    """Write the Rényi divergence of each pair of rows; ``above`` is the order less 1."""
    for i in range(p.shape[0]):
        lost, common, top, kept = False, False, -math.inf, 0.0
        for j in range(p.shape[1]):
            if ok_p[i, j]:
                kept += q[i, j]
            if ok_p[i, j] and ok_q[i, j]:
                common = True
                ratio = log_p[i, j] - log_q[i, j]
                top = max(top, ratio if order == math.inf else log_p[i, j] + above * ratio)
            elif p[i, j] > 0.0:
                lost = True
        if order == 0.0:
            out[i] = -math.log(kept) + 0.0 if kept > 0.0 else math.inf
            continue
        if (lost if above >= 0.0 else not common) or not common:
            out[i] = math.inf
            continue
        nats = top
        if order != math.inf:
            total, error, less, less_error = 0.0, 0.0, 0.0, 0.0
            close = abs(above) <= 0.5  # the sum of powers is near 1: take the 1 out
            for j in range(p.shape[1]):
                both = ok_p[i, j] and ok_q[i, j]
                ratio = log_p[i, j] - log_q[i, j] if both else 0.0
                if both:
                    x = math.exp(log_p[i, j] + above * ratio - top)
                    total, error = added(total, error, x)
                if close:
                    x = p[i, j] * math.expm1(above * ratio) if both else -p[i, j]
                    less, less_error = added(less, less_error, x)
            total += error
            less += less_error
            nats = (top + math.log(total if total > 0.0 else 1.0)) / above
            if close and abs(less) < 0.5:
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
            total, error = added(total, error, term)
        out[i] = total + error
    return -1


__all__ = ["divergence_powers", "entropy_powers", "f_rows"]
