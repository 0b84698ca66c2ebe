"""Entries of a sketch in order: counted, merged with others, joined where they are too many."""

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
def merge(value, weight, doubt, new, more, unsure, to_value, to_weight, to_doubt):
    """Merge two lists of points in order, equal ones added; return how many there are.

    Of a point's rows some may lie below the other list's points before it: that much is doubt.
    """
    i, j, m = 0, 0, 0
    while i < value.size or j < new.size:
        if j == new.size or (i < value.size and value[i] < new[j]):
            to_value[m], to_weight[m], to_doubt[m] = value[i], weight[i], doubt[i]
            if j < new.size:
                to_doubt[m] += more[j] + unsure[j] - 1
            i += 1
        elif i == value.size or new[j] < value[i]:
            to_value[m], to_weight[m], to_doubt[m] = new[j], more[j], unsure[j]
            if i < value.size:
                to_doubt[m] += weight[i] + doubt[i] - 1
            j += 1
        else:
            to_value[m], to_weight[m] = value[i], weight[i] + more[j]
            to_doubt[m] = doubt[i] + unsure[j]
            i += 1
            j += 1
        m += 1
    return m


@kernel()
def join(low, high, weight, doubt, most):
    """Join neighbours whose rows and doubt are at most ``most``, in place; return the length.

    An entry stands for the rows from ``low`` to ``high``, which are one array where it is a point.
    """
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
