"""Choosing the surrogates of a level's splits, and sending the rows that need one."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent.trees._grow.ordered import Ordered
from xent.trees._kernels import surrogates
from xent.trees._kernels.records import NOMINAL_FORM, SORTED, Builder, LevelNodes
from xent.trees._tree import between

MAX_TESTS = 5


@dataclass
class Surrogates:
    """Surrogate tests of all nodes so far, best first within a node."""

    node: list[int] = field(default_factory=list)
    feature: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    flip: list[int] = field(default_factory=list)
    set_start: list[int] = field(default_factory=list)
    sets: list[NDArray[np.uint8]] = field(default_factory=list)
    set_bytes: int = 0


def substitute(
    ordered: Ordered,
    level: LevelNodes,
    choice: NDArray[np.int64],
    tree: Builder,
    branch: NDArray[np.int32],
    found: Surrogates,
    constrained: NDArray[np.bool_],
) -> None:
    """Find the surrogates of every split of a level and send the rows that miss its column.

    A column that the prediction may only rise or fall with is none: a row that misses the tested
    column would change sides with it, whichever side says more.
    """
    shape = (len(ordered.columns.kind), len(level.start))
    score, split, flip = np.zeros(shape), np.zeros(shape, np.int64), np.zeros(shape, np.uint8)
    _score(ordered, level, choice, branch, score, split, flip)
    score[constrained] = 0.0
    sent = np.zeros((shape[1], 2))
    surrogates.sent(level, choice, branch, sent)
    needed = np.zeros(len(level.row) + 1, np.int64)
    np.cumsum(branch < 0, out=needed[1:])
    best = np.argsort(-score, axis=0, kind="stable")[:MAX_TESTS]
    for k in np.flatnonzero(choice >= 0):
        in_need = needed[level.stop[k]] > needed[level.start[k]]
        for f in best[:, k]:
            if score[f, k] <= sent[k].max() + 1e-9:
                break
            _add(ordered, level, int(k), int(f), int(split[f, k]), int(flip[f, k]), branch, found)
            found.node.append(int(level.node[k]))
            if in_need:
                _send(ordered, level, int(k), found, -1, branch)
        if in_need:
            _send(ordered, level, int(k), None, int(tree.missing_to[level.node[k]]), branch)


def _score(
    ordered: Ordered,
    level: LevelNodes,
    choice: NDArray[np.int64],
    branch: NDArray[np.int32],
    score: NDArray[np.float64],
    split: NDArray[np.int64],
    flip: NDArray[np.uint8],
) -> None:
    columns, threads = ordered.columns, ordered.threads

    def of_lists(a: int, b: int) -> None:
        surrogates.agree_sorted(
            ordered.ranks,
            ordered.indices,
            ordered.place,
            ordered.sorted_of,
            level,
            choice,
            branch,
            score,
            split,
            flip,
            a,
            b,
        )

    in_blocks(of_lists, len(ordered.sorted_of), threads=threads)
    coded: list[tuple[NDArray[Any], NDArray[np.int64], bool]] = [
        (columns.small, ordered.small_of, False),
        (columns.codes, ordered.names_of, True),
    ]
    for codes, features, nominal in coded:
        levels, slots = columns.levels[features], columns.slot[features]
        surrogates.agree_coded(
            codes,
            levels,
            slots,
            features,
            nominal,
            level,
            choice,
            branch,
            score,
            split,
            flip,
            0,
            len(features),
        )


def _add(
    ordered: Ordered,
    level: LevelNodes,
    k: int,
    f: int,
    split: int,
    flip: int,
    branch: NDArray[np.int32],
    found: Surrogates,
) -> None:
    columns = ordered.columns
    slot = int(columns.slot[f])
    threshold, start = 0.0, -1
    if columns.kind[f] == NOMINAL_FORM:
        levels = int(columns.levels[f])
        hist = surrogates.sides(columns.codes[slot], levels, level, k, branch)
        side = (hist[:, 1] > hist[:, 0]).astype(np.uint8)
        # A level that no row here has goes where most rows go.
        side[hist.sum(1) == 0] = hist[:, 1].sum() > hist[:, 0].sum()
        start = found.set_bytes
        found.sets.append(side)
        found.set_bytes += levels
    elif columns.kind[f] == SORTED:
        index = ordered.indices[ordered.place[slot]]
        column = ordered.numbers[:, ordered.sorted_slot[slot]]
        low, high = column[level.row[index[split]]], column[level.row[index[split + 1]]]
        threshold = float(between(low, high))
    else:
        present = columns.small[slot][level.row[level.start[k] : level.stop[k]]]
        above = present[(present > split) & (present < columns.levels[f])].min()
        threshold = ordered.between(f, split, int(above))
    found.feature.append(f)
    found.threshold.append(threshold)
    found.flip.append(flip)
    found.set_start.append(start)


def _send(
    ordered: Ordered,
    level: LevelNodes,
    k: int,
    found: Surrogates | None,
    last: int,
    branch: NDArray[np.int32],
) -> None:
    none = np.empty(0)
    no_codes, no_sets = np.empty(0, np.int32), np.empty(0, np.uint8)
    if found is None:
        surrogates.resolve(level, k, none, no_codes, 0.0, no_sets, -1, 0, last, branch)
        return
    f = found.feature[-1]
    if found.set_start[-1] >= 0:
        codes = ordered.columns.codes[ordered.columns.slot[f]]
        surrogates.resolve(
            level, k, none, codes, 0.0, found.sets[-1], 0, found.flip[-1], -1, branch
        )
        return
    column = ordered.column(f)
    surrogates.resolve(
        level, k, column, no_codes, found.threshold[-1], no_sets, -1, found.flip[-1], -1, branch
    )
