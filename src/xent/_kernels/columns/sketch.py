"""Entries of a sketch in order: counted, merged with others, joined where they are too many.

An entry stands for the rows from ``low`` to ``high``, and a value between them is added to it.
Where entries are ``points``, ``low`` is the same array as ``high``: a row that was joined to one may
lie below values that came later, and how many may is its doubt.
"""

from xent._compile.decorator import kernel


@kernel()
def count_equal(ordered, value, weight):
    """Count the different values of a sorted list; return how many there are."""
    m = -1
    for i in range(ordered.size):
        if m < 0 or ordered[i] != value[m]:
            m += 1
            value[m], weight[m] = ordered[i], 0
        weight[m] += 1
    return m + 1


@kernel()
def merge(low, high, weight, doubt, new, more, unsure, points, to_low, to_high, to_weight, to_doubt):
    """Merge values, each with its rows and doubt, into the entries; return how many there are."""
    i, j, m = 0, 0, 0
    while i < high.size or j < new.size:
        if j == new.size or (i < high.size and high[i] < new[j]):
            to_low[m], to_high[m] = low[i], high[i]
            to_weight[m], to_doubt[m] = weight[i], doubt[i]
            if points and j < new.size:
                to_doubt[m] += more[j] + unsure[j] - 1
            i += 1
        elif i == high.size or new[j] < low[i]:
            to_low[m], to_high[m] = new[j], new[j]
            to_weight[m], to_doubt[m] = more[j], unsure[j]
            if points and i < high.size:
                to_doubt[m] += weight[i] + doubt[i] - 1
            j += 1
        else:
            to_low[m], to_high[m] = low[i], high[i]
            to_weight[m], to_doubt[m] = weight[i], doubt[i]
            while j < new.size and new[j] <= high[i]:
                to_weight[m] += more[j]
                to_doubt[m] += unsure[j]
                j += 1
            i += 1
        m += 1
    return m


@kernel()
def join(low, high, weight, doubt, most):
    """Join neighbours whose rows and doubt are at most ``most``, in place; return the length."""
    m, held = 0, weight[0]
    for i in range(1, high.size):
        joined = held + weight[i]
        keep = joined + doubt[i] > most
        m += 1 if keep else 0
        held = weight[i] if keep else joined
        low[m] = low[i] if keep else low[m]
        high[m], weight[m], doubt[m] = high[i], held, doubt[i]
    return m + 1


@kernel()
def count_joined(weight, most):
    """Count the entries that `join` would leave where none is in doubt."""
    entries, held = 1, weight[0]
    for i in range(1, weight.size):
        if held + weight[i] <= most:
            held += weight[i]
        else:
            entries += 1
            held = weight[i]
    return entries
