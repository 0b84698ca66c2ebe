"""Where each of many keys stands: a table of open addresses that are gone through in turn."""

import numpy as np

from xent._compile.decorator import outer

U = np.uint64
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@outer()
def find_places(keys, table, known, used, out):
    """Write the place in ``known`` of each key, and append those that are not there.

    ``known[:used]`` are the keys so far, of which ``table``, a power of two long and never full,
    holds the places, -1 where none is; both have room for all. Return how many there are now.
    """
    size = U(table.shape[0])
    mask = size - U(1)
    for i in range(U(keys.shape[0])):
        key = keys[i]
        mixed = U(key) * GOLDEN
        at = (mixed ^ (mixed >> U(29))) & mask
        while True:
            place = np.int64(table[at])
            if place < 0:
                place = used
                table[at] = np.int32(place)
                known[U(place)] = key
                used += 1
                break
            if known[U(place)] == key:
                break
            at = (at + U(1)) & mask
        out[i] = place
    return used
