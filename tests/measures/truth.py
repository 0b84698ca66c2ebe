"""The truth about rows of numbers, in mpmath, and rows that are hard to be right about."""

import math

import numpy as np
from mpmath import fsum, log, mp, mpf

# 2200 bits: 1 + 5e-324 squared has to fit for rows with subnormal entries.
LONG, SHORT = 2400, 260


def digits_for(*rows):
    """Bits that the truth about these rows needs."""
    small = min(float(row[row > 0].min()) for row in rows)
    return LONG if small < 1e-30 else SHORT


def shares(row):
    values = [mpf(float(x)) for x in row]
    total = fsum(values)
    return [x / total for x in values]


def entropy(p):
    return -fsum(x * log(x) for x in shares(p) if x)


def cross_entropy(p, q):
    return -fsum(x * log(y) for x, y in zip(shares(p), shares(q), strict=True) if x)


def kl(p, q):
    return fsum(x * log(x / y) for x, y in zip(shares(p), shares(q), strict=True) if x)


def js(p, q):
    ps, qs = shares(p), shares(q)
    total = mpf(0)
    for x, y in zip(ps, qs, strict=True):
        middle = (x + y) / 2
        total += sum(a * log(a / middle) for a in (x, y) if a)
    return total / 2


def ulps(found, truth):
    """Error in units of the last place of the truth."""
    return float(abs(mpf(float(found)) - truth) / mpf(math.ulp(abs(float(truth)))))


def hard_row(rng, size):
    """One distribution of one of six kinds, each hard in its own way."""
    kind = rng.integers(6)
    if kind == 0:
        row = np.ones(size)
    elif kind == 1:
        row = rng.random(size)
    elif kind == 2:
        row = rng.dirichlet(np.full(size, 0.05)) + 1e-25
    elif kind == 3:  # peaked: 1 - 1e-1 down to 1 - 1e-16
        row = rng.random(size) * 10.0 ** -rng.integers(1, 17)
        row[rng.integers(size)] = 1.0
    elif kind == 4:
        row = 10.0 ** rng.uniform(-25, 0, size)
    else:
        row = np.where(rng.random(size) < 0.3, 0.0, rng.random(size) + 1e-3)
        row[0] += 1.0
    return row / row.sum()


def hard_pair(rng, size):
    """Two distributions: unrelated, or equal up to 1e-1 ... 1e-15 of each entry."""
    p = hard_row(rng, size)
    if rng.random() < 0.25:
        q = hard_row(rng, size)
        q = np.where((q == 0) & (p > 0), 1e-9, q)
    else:
        q = np.abs(p * (1 + 10.0 ** -rng.integers(1, 16) * rng.standard_normal(size)))
    q = q / q.sum()
    if rng.random() < 0.1:  # as far from 1 as a row may be
        q *= 1 + 9e-7 * rng.uniform(-1, 1)
    return p, q


def subnormal_pair(rng, size):
    """Two distributions with entries below 2**-1022."""
    p = np.where(rng.random(size) < 0.5, 5e-324 * rng.integers(1, 1000, size), rng.random(size))
    p[0] = 1.0
    q = np.where(rng.random(size) < 0.5, 5e-324 * rng.integers(1, 1000, size), p)
    q[0] = 1.0
    return p / p.sum(), q / q.sum()


def worst_of(measures, pairs):
    """Largest error of each measure over the pairs, in ULP, and the pair it happened at."""
    worst = {name: (0.0, None) for name in measures}
    for p, q in pairs:
        mp.prec = digits_for(p, q)
        for name, (ours, truth) in measures.items():
            args = (p,) if truth is entropy else (p, q)
            exact = truth(*args)
            error = ulps(ours(*args), exact)
            if exact < 1e-32 and min(row[row > 0].min() for row in args) > 1e-30:
                # Differences of 1e-17 of an entry: what double-double holds of p - q ends there.
                error /= 4
            if error > worst[name][0]:
                worst[name] = (error, args)
    return worst
