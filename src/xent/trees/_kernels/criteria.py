"""What a split is worth: impurity, gain, gain ratio, least weights and the choice among columns.

A node's `stats` are its class weights, or of a number y (weight, sum of y, sum of y^2), of counts
(weight, sum of y, sum of y ln y). `score` turns them into the quantity that a split raises: minus
the weighted entropy (bits), Gini impurity, squared error or half the Poisson deviance, up to a
constant of the node. A gain is the score of the branches minus the score of
their union; it is always computed again from the branches' stats, in one order, so that two columns
that divide the rows alike gain alike to the last bit and the first column wins.
"""

import math
from typing import NamedTuple

import numpy as np

from xent._compile.decorator import inner, step

ENTROPY, GINI, SQUARED, POISSON = 0, 1, 2, 3
DIRECTION, FRACTIONAL, BRANCH, SURROGATE, REFUSE = 0, 1, 2, 3, 4
SUBSET, MULTIWAY, ONE_VS_REST = 0, 1, 2
NEVER = -np.inf
LEAST_SHARE = 1e-12  # of a sum of counts: less is what subtracting has left of none
MIN_CASE_GAIN = 1e-6  # C4.5: what gains less, a case, gains nothing


class SplitRules(NamedTuple):
    """What the loops must know of the estimator's options."""

    criterion: int
    ratio: bool  # choose among columns by gain ratio, as C4.5 does
    nominal: int
    missing: int
    min_leaf: float  # weight of the smallest branch
    min_split: float  # weight of a node that may be divided
    min_gain: float
    max_depth: int
    slack: float  # a gain that is not greater by this much a case is a tie
    gap: float  # a split lies between values that differ by more
    monotone: bool
    table: np.ndarray  # n log2 n, or empty where weights are not counts
    step: np.ndarray  # its differences
    enters: np.ndarray  # by column: a gain a case above this enters C4.5's mean


# ---------------------------------------------------------------- impurity, of weights


@step()
def nlogn(n, table):
    """Return n log2 n of a count; the table may end before the largest."""
    return table[n] if n < table.size else n * math.log2(n)


@step()
def xlogx(v, table):
    if table.size > 0:
        return nlogn(int(v + 0.5), table)
    return v * math.log2(v) if v > 0.0 else 0.0


@step()
def term(v, criterion, table):
    return xlogx(v, table) if criterion == ENTROPY else v * v


@step()
def of_numbers(criterion):
    """Whether what is predicted is a number, and `stats` its sums."""
    return criterion >= SQUARED


@step()
def weight_of(stats, criterion):
    if of_numbers(criterion):
        return stats[0]
    total = 0.0
    for c in range(stats.size):
        total += stats[c]
    return total


@step()
def largest(stats):
    """Return the weight of the heaviest class; `max` of an array takes long to compile."""
    heaviest = stats[0]
    for c in range(1, stats.size):
        heaviest = max(heaviest, stats[c])
    return heaviest


@step()
def add(stats, criterion, y, w):
    """Count one row."""
    if criterion == SQUARED:
        stats[0] += w
        stats[1] += w * y
        stats[2] += w * y * y
    elif criterion == POISSON:
        stats[0] += w
        stats[1] += w * y
        if y > 0.0:
            stats[2] += w * y * math.log(y)
    else:
        stats[int(y)] += w


@step()
def poisson_score(total, weight):
    """Return y ln(mean of y), summed: minus half the deviance but for terms of each case."""
    return total * math.log(total / weight) if total > 0.0 and weight > 0.0 else 0.0


@step()
def no_rate(a, b, criterion):
    """Whether one of two branches counts nothing: a mean of 0 makes any count impossible."""
    if criterion != POISSON:
        return False
    least = LEAST_SHARE * (a[1] + b[1])
    return a[1] <= least or b[1] <= least


@step()
def score(stats, criterion, table):
    if criterion == SQUARED:
        return stats[1] * stats[1] / stats[0] if stats[0] > 0.0 else 0.0
    if criterion == POISSON:
        return poisson_score(stats[1], stats[0])
    total = 0.0
    terms = 0.0
    for c in range(stats.size):
        total += stats[c]
        terms += term(stats[c], criterion, table)
    if criterion == ENTROPY:
        return terms - xlogx(total, table)
    return terms / total if total > 0.0 else 0.0


# ---------------------------------------------------------------- impurity, of counts


@inner()
def count_term(n, entropy, table):
    return nlogn(n, table) if entropy else float(n) * n


@inner()
def count_score(terms, n, entropy, table):
    """Score of a branch of n cases, from the sum of its classes' terms."""
    return terms - nlogn(n, table) if entropy else terms / n


@inner()
def moved(a, b, p, q, entropy, step):
    """Move a case from b's branch to a's: sums of terms; p and q are the counts of its class."""
    if entropy:
        return a + step[p], b - step[q - np.uint64(1)]
    return a + (2.0 * p + 1.0), b - (2.0 * q - 1.0)


@inner()
def two_class_score(p, m, n, zeros, ones, entropy, table):
    """Score of splitting n cases of two classes after m, of which p are of the second class."""
    r = np.uint64(n - m)
    l1, l0 = np.uint64(p), np.uint64(m - p)
    r1, r0 = np.uint64(ones - p), np.uint64(zeros - (m - p))
    if entropy:
        return (table[l1] + table[l0] - table[np.uint64(m)]) + (table[r1] + table[r0] - table[r])
    f1, f0, g1, g0 = float(l1), float(l0), float(r1), float(r0)
    return (f1 * f1 + f0 * f0) / m + (g1 * g1 + g0 * g0) / r


@inner()
def split_information(m, n, table):
    """Information of the split itself, times n: n cases are divided after m."""
    return nlogn(n, table) - (nlogn(m, table) + nlogn(n - m, table))


@inner()
def gain_of_counts(left, whole, m, n, entropy, table):
    """Gain, times n, of splitting n cases after m, of classes as in `left`.

    The same sums in the same order as in `score`: equal splits gain alike to the last bit.
    """
    a, b, w = 0.0, 0.0, 0.0
    for c in range(whole.size):
        v = int(whole[c] + 0.5)
        a += count_term(left[c], entropy, table)
        b += count_term(v - left[c], entropy, table)
        w += count_term(v, entropy, table)
    after = count_score(a, m, entropy, table) + count_score(b, n - m, entropy, table)
    return after - count_score(w, n, entropy, table)


# ---------------------------------------------------------------- what a split must keep to


@inner()
def min_branch(rules, known, classes):
    """Return the least weight of a branch; C4.5 asks a tenth of the average class, up to 25."""
    if not rules.ratio:
        return rules.min_leaf
    return max(rules.min_leaf, min(25.0, 0.1 * known / classes))


@inner()
def too_few(rules, known, min_weight):
    """Whether C4.5 does not search a number that so few cases know."""
    return rules.ratio and known < 2.0 * min_weight - 1e-6


@inner()
def too_light(m, r, min_weight):
    """Whether one of two branches weighs less than it must."""
    return m < min_weight - 1e-6 or r < min_weight - 1e-6


@inner()
def large_enough(n, rules):
    """Whether a node of weight n may be divided."""
    return not (n < 2.0 * rules.min_leaf - 1e-6 or n < rules.min_split - 1e-6)


@step()
def keeps_order(left, right, sign, low, high, criterion):
    """Monotone constraint: both values within the node's bounds and in the right order."""
    if of_numbers(criterion):
        a, b = left[1] / left[0], right[1] / right[0]
    else:
        a, b = left[1] / (left[0] + left[1]), right[1] / (right[0] + right[1])
    return low <= a <= high and low <= b <= high and (a - b) * sign <= 0.0


@step()
def pair_score(left, right, rules, min_weight, sign, low, high):
    """Score of two branches, NEVER where the rules forbid the split."""
    criterion = rules.criterion
    m, r = weight_of(left, criterion), weight_of(right, criterion)
    if too_light(m, r, min_weight) or m <= 0.0 or r <= 0.0:
        return NEVER
    if no_rate(left, right, criterion):
        return NEVER
    if rules.monotone and not keeps_order(left, right, sign, low, high, criterion):
        return NEVER
    return score(left, criterion, rules.table) + score(right, criterion, rules.table)


@inner()
def less_threshold(gain, splits, rules):
    """C4.5: a threshold, one of so many, is written down in log2(splits) bits, off the gain."""
    return gain - math.log2(max(splits, 1)) if rules.ratio else gain


# ---------------------------------------------------------------- the choice among columns


@inner()
def column_score(gain, info, n, mean, ratio):
    """By what columns are compared: the gain; in C4.5 the gain ratio, of at least average gain."""
    if not ratio:
        return gain
    if gain / n > MIN_CASE_GAIN and gain / n >= mean - 1e-3 and info / n > 0.0:
        return (gain / n) / (info / n)
    return NEVER


@inner()
def better_column(value, best, n, rules):
    """Whether a column's score beats the best so far; the first of equals wins."""
    return value > best + (MIN_CASE_GAIN if rules.ratio else rules.slack * n)


@step()
def choose_column(gain, info, n, rules):
    """Choose a node's column, -1 for none."""
    mean, best, chosen = np.inf, NEVER, -1
    if rules.ratio:
        total, count, best = 0.0, 0, 0.0
        for f in range(gain.size):
            if gain[f] / n > rules.enters[f]:
                total += gain[f] / n
                count += 1
        # Where no column enters the mean there is no split.
        mean = total / count if count else np.inf
    for f in range(gain.size):
        value = column_score(gain[f], info[f], n, mean, rules.ratio)
        if better_column(value, best, n, rules):
            best, chosen = value, f
    if chosen >= 0 and gain[chosen] < (rules.min_gain - rules.slack) * n:
        return -1
    return chosen
