"""Slow, obvious versions of what xent computes: double loops, mpmath, fractions. Never our code."""

from fractions import Fraction

import mpmath as mp

mp.mp.dps = 60


def entropy(p):
    total = mp.fsum(mp.mpf(float(x)) for x in p)
    shares = [mp.mpf(float(x)) / total for x in p]
    return -mp.fsum(x * mp.log(x) for x in shares if x > 0)


def cross_entropy(p, q):
    p_total = mp.fsum(mp.mpf(float(x)) for x in p)
    q_total = mp.fsum(mp.mpf(float(x)) for x in q)
    cost = mp.mpf(0)
    for x, y in zip(p, q, strict=True):
        if x > 0 and y == 0:
            return mp.inf
        if x > 0:
            cost -= mp.mpf(float(x)) / p_total * mp.log(mp.mpf(float(y)) / q_total)
    return cost


def kl_divergence(p, q):
    return cross_entropy(p, q) - entropy(p)


def log_softmax(logits):
    """One row of logits, any spread, -inf for a class that cannot be."""
    finite = [mp.mpf(float(z)) for z in logits if z != -mp.inf]
    log_sum = mp.log(mp.fsum(mp.exp(z - max(finite)) for z in finite)) + max(finite)
    return [mp.mpf(float(z)) - log_sum if z != -mp.inf else -mp.inf for z in logits]


def mean_cost(log_probs, target):
    """Mean nats of the true classes: rows of mpmath log-probabilities, class numbers."""
    return -mp.fsum(row[t] for row, t in zip(log_probs, target, strict=True)) / len(target)


def brier(probs, target):
    total = Fraction(0)
    for row, t in zip(probs, target, strict=True):
        for c, p in enumerate(row):
            total += (Fraction(float(p)) - (c == t)) ** 2
    return total / len(target)
