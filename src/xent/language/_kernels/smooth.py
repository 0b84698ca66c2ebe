"""From discounted counts to probabilities, history by history.

Every smoothing of the room says how much of each count it keeps and out of what total; these loops
do the rest: the mass left over goes to the shorter history, by interpolation or by back-off.
"""

import numpy as np

from xent._compile.decorator import kernel
from xent._math.llvm import prefetch

NO_MASS = 1e-12
ROWS_AHEAD = 48  # rows; the shorter n-grams lie anywhere, so the memory is asked for them in time


@kernel()
def sum_by_prefix(prefix, values, total):
    """Add up the values of each history's n-grams."""
    for i in range(prefix.size):
        total[prefix[i]] += values[i]


@kernel()
def count_by_prefix(prefix, total):
    """Count the distinct words after each history."""
    for i in range(prefix.size):
        total[prefix[i]] += 1


@kernel()
def less_discount(counts, discounts, discounted):
    """Take a discount off each count: ``discounts[r]`` off r, the last one off all above."""
    highest = discounts.size - 1
    for i in range(counts.size):
        discounted[i] = max(0.0, counts[i] - discounts[min(np.int64(counts[i]), highest)])


@kernel()
def counts_of_counts(values, max_count):
    """Count how many n-grams were seen once, twice, ... ``max_count`` times."""
    found = np.zeros(max_count + 1, np.int64)
    for value in values:
        if 0 < value <= max_count:
            found[value] += 1
    return found


@kernel()
def spread(prefix, suffix, shown, total, lower, interpolated, cut_to_backoff, p):
    """Compute the probabilities of one level and the back-off weights of its histories.

    Parameters
    ----------
    prefix, suffix : (n,) uint32
        Rows sorted by prefix.
    shown : (n,) bool
        The n-grams that stand in the model; the mass of the others is left over.
    total : (histories,) float64
        What the counts are divided by, 0 for a history without followers; the back-off weights
        are written over them, 1 for such a history.
    lower : (rows of the level below,) float64
        Probabilities of the n-grams without their first word.
    interpolated : bool
    cut_to_backoff : bool
        Whether, interpolated, the mass of n-grams not in the model goes to back-off alone.
    p : (n,) float64
        The discounted counts; the probabilities are written over them.
    """
    n = prefix.size
    last = n - 1
    i = 0
    done = np.int64(0)
    while i < n:
        h = np.int64(prefix[i])
        total[done:h] = 1.0
        done = h + 1
        j = i
        mass = cut = 0.0
        below = 0.0
        while j < n and prefix[j] == h:
            prefetch(lower, np.int64(suffix[min(j + ROWS_AHEAD, last)]))
            if shown[j]:
                mass += p[j]
                if cut_to_backoff or not interpolated:
                    below += lower[suffix[j]]
            elif cut_to_backoff and interpolated:
                cut += p[j]
            j += 1
        weight, share = 1.0, 0.0
        if total[h] > 0:
            left = max(0.0, (total[h] - mass - cut) / total[h])
            scale = 1.0 / total[h]
            if interpolated:
                weight = left
            elif 1.0 - below > NO_MASS:
                weight = left / (1.0 - below)
            else:
                # Every word was seen after this history: nobody is left to take the mass, and
                # where the discounts take all of it the shorter history speaks for them.
                weight = 0.0
                scale = 1.0 / mass if mass > 0 else 0.0
                share = 0.0 if mass > 0 else 1.0 / below
            for k in range(i, j):
                p[k] *= scale
                if interpolated:
                    p[k] += weight * lower[suffix[k]]
                elif share > 0:
                    p[k] = share * lower[suffix[k]]
            if cut > 0 and 1.0 - below > NO_MASS:
                weight += scale * cut / (1.0 - below)
        total[h] = weight
        i = j
    total[done:] = 1.0
