"""Which fold a row belongs to: its content decides, so that no order and no shard matters.

Equal rows would all fall into one fold, and with a constant model whole classes would. They are
dealt in turn instead: nobody can tell equals apart, so it does not matter which of them goes where.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

CROSS_FOLDS = 5
Hashes = NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mixed(hashes: Hashes) -> Hashes:
    """Spread every bit over all (Steele, Lea and Flood 2014, SplitMix64)."""
    found = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))


def hashed(values: NDArray[Any]) -> Hashes:
    """Return a hash of each row of numbers.

    Parameters
    ----------
    values : ndarray, shape (N, C)
        Numbers; -0.0 and 0.0 are the same.
    """
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)
    bits ^= bits >> np.uint64(32)  # round numbers end in zeros
    each = mixed(np.arange(1, values.shape[1] + 1, dtype=np.uint64) * _GOLDEN) | np.uint64(1)
    return mixed((bits * each).sum(axis=1, dtype=np.uint64))


def joined(*hashes: Hashes) -> Hashes:
    """Return one hash of several."""
    found = hashes[0]
    for more in hashes[1:]:
        found = mixed(found * _GOLDEN + more)
    return found


def dealt(hashes: Hashes, most: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the fold of each row, and whether it is among those to fit on.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (N,)
        Of the content of each row; equal rows have equal ones.
    most : int
        How many rows to fit on, about; all where there are no more.

    Returns
    -------
    fold, chosen : ndarray of int64, ndarray of bool
        Both depend on the rows alone and not on their order.
    """
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    new = np.append(True, ordered[1:] != ordered[:-1])
    places = np.arange(len(hashes))
    turn = (places - np.maximum.accumulate(np.where(new, places, 0))).astype(np.uint64)
    fold = np.empty(len(hashes), np.int64)
    fold[order] = ((mixed(ordered) + turn) % np.uint64(CROSS_FOLDS)).astype(np.int64)
    chosen = np.ones(len(hashes), bool)
    if len(hashes) > most:
        share = np.uint64(most / len(hashes) * 2.0**64)
        chosen[order] = mixed(ordered + turn * _GOLDEN + np.uint64(1)) < share
    return fold, chosen
