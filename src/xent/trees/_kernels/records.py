"""The records that loops share: a level, what was found for it, columns, the tree so far."""

from typing import NamedTuple

import numpy as np

SORTED, CODED, NOMINAL_FORM = 0, 1, 2
UNSEEN_CODE = np.int32(2**31 - 1)  # rank of a missing number: behind all others


class LevelNodes(NamedTuple):
    """The nodes of one depth and the entries in them; an entry is a row with a weight."""

    start: np.ndarray
    stop: np.ndarray
    stats: np.ndarray
    low: np.ndarray  # bounds that monotone constraints have put on a node's value
    high: np.ndarray
    node: np.ndarray
    row: np.ndarray
    y: np.ndarray
    weight: np.ndarray  # empty: every entry weighs 1
    undivided: np.ndarray  # the weight before missing values divided it; empty: the same


class Found(NamedTuple):
    """For every column and node: the best split."""

    gain: np.ndarray
    info: np.ndarray  # information of the split itself, times the node's weight
    split: np.ndarray  # last entry, or last code, of the left branch
    toward: np.ndarray  # the branch that missing values should take, -1 where not learned


class ColumnArrays(NamedTuple):
    """Where each column's values lie, and in what form."""

    kind: np.ndarray  # SORTED, CODED or NOMINAL
    slot: np.ndarray  # column of `numbers`, row of `small` or of `codes`
    levels: np.ndarray  # code of a missing value: how many values there are
    small: np.ndarray  # uint8 codes of numbers with few values
    codes: np.ndarray  # int32 codes of nominal columns


class Builder(NamedTuple):
    """The tree so far; arrays are longer than what is used."""

    feature: np.ndarray
    split_row: np.ndarray  # for a number: training rows, or codes, on either side of the split
    split_next: np.ndarray
    first: np.ndarray
    width: np.ndarray
    missing_to: np.ndarray
    set_start: np.ndarray
    stats: np.ndarray
    low: np.ndarray
    high: np.ndarray
    sets: np.ndarray
