"""Choosing the surrogates of a level's splits, and sending the cases that need one."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent.trees._kernels import surrogates
from xent.trees._kernels.divide import NOMINAL, SORTED, Growing
from xent.trees._kernels.search.presorted import Level
from xent.trees._tree import between

if TYPE_CHECKING:
    from xent.trees._grow.prepare import Prepared

MOST = 5


@dataclass
class Spares:
    """Surrogate tests of all nodes so far, best first within a node."""

    node: list[int] = field(default_factory=list)
    feature: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    flip: list[int] = field(default_factory=list)
    set_start: list[int] = field(default_factory=list)
    sets: list[NDArray[np.uint8]] = field(default_factory=list)
    set_bytes: int = 0


def substitute(
    ready: "Prepared",
    level: Level,
    choice: NDArray[np.int64],
    tree: Growing,
    branch: NDArray[np.int32],
    spares: Spares,
) -> None:
    """Find the surrogates of every split of a level and send the cases that miss its column."""
    shape = (len(ready.columns.kind), len(level.start))
    score, cut, flip = np.zeros(shape), np.zeros(shape, np.int64), np.zeros(shape, np.uint8)
    _score(ready, level, choice, branch, score, cut, flip)
    sent = np.zeros((shape[1], 2))
    surrogates.sent(level, choice, branch, sent)
    needed = np.zeros(len(level.row) + 1, np.int64)
    np.cumsum(branch < 0, out=needed[1:])
    best = np.argsort(-score, axis=0, kind="stable")[:MOST]
    for k in np.flatnonzero(choice >= 0):
        in_need = needed[level.stop[k]] > needed[level.start[k]]
        for f in best[:, k]:
            if score[f, k] <= sent[k].max() + 1e-9:
                break
            _add(ready, level, int(k), int(f), int(cut[f, k]), int(flip[f, k]), branch, spares)
            spares.node.append(int(level.node[k]))
            if in_need:
                _send(ready, level, int(k), spares, -1, branch)
        if in_need:
            _send(ready, level, int(k), None, int(tree.missing_to[level.node[k]]), branch)


def _score(
    ready: "Prepared",
    level: Level,
    choice: NDArray[np.int64],
    branch: NDArray[np.int32],
    score: NDArray[np.float64],
    cut: NDArray[np.int64],
    flip: NDArray[np.uint8],
) -> None:
    columns, threads = ready.columns, ready.threads

    def ordered(a: int, b: int) -> None:
        surrogates.agree_sorted(
            ready.ranks,
            ready.indices,
            ready.place,
            ready.sorted_of,
            level,
            choice,
            branch,
            score,
            cut,
            flip,
            a,
            b,
        )

    in_blocks(ordered, len(ready.sorted_of), threads=threads)
    coded: list[tuple[NDArray[Any], NDArray[np.int64], bool]] = [
        (columns.small, ready.small_of, False),
        (columns.codes, ready.code_of, True),
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
            cut,
            flip,
            0,
            len(features),
        )


def _add(
    ready: "Prepared",
    level: Level,
    k: int,
    f: int,
    cut: int,
    flip: int,
    branch: NDArray[np.int32],
    spares: Spares,
) -> None:
    columns = ready.columns
    slot = int(columns.slot[f])
    threshold, start = 0.0, -1
    if columns.kind[f] == NOMINAL:
        levels = int(columns.levels[f])
        hist = surrogates.sides(columns.codes[slot], levels, level, k, branch)
        side = (hist[:, 1] > hist[:, 0]).astype(np.uint8)
        # A level that no case here has goes where most cases go.
        side[hist.sum(1) == 0] = hist[:, 1].sum() > hist[:, 0].sum()
        start = spares.set_bytes
        spares.sets.append(side)
        spares.set_bytes += levels
    elif columns.kind[f] == SORTED:
        index = ready.indices[ready.place[slot]]
        column = ready.numbers[:, ready.sorted_slot[slot]]
        low, high = column[level.row[index[cut]]], column[level.row[index[cut + 1]]]
        threshold = float(between(low, high))
    else:
        present = columns.small[slot][level.row[level.start[k] : level.stop[k]]]
        above = present[(present > cut) & (present < columns.levels[f])].min()
        threshold = ready.between(f, cut, int(above))
    spares.feature.append(f)
    spares.threshold.append(threshold)
    spares.flip.append(flip)
    spares.set_start.append(start)


def _send(
    ready: "Prepared",
    level: Level,
    k: int,
    spares: Spares | None,
    last: int,
    branch: NDArray[np.int32],
) -> None:
    none = np.empty(0)
    no_codes, no_sets = np.empty(0, np.int32), np.empty(0, np.uint8)
    if spares is None:
        surrogates.resolve(level, k, none, no_codes, 0.0, no_sets, -1, 0, last, branch)
        return
    f = spares.feature[-1]
    if spares.set_start[-1] >= 0:
        codes = ready.columns.codes[ready.columns.slot[f]]
        surrogates.resolve(
            level, k, none, codes, 0.0, spares.sets[-1], 0, spares.flip[-1], -1, branch
        )
        return
    column = ready.column(f)
    surrogates.resolve(
        level, k, column, no_codes, spares.threshold[-1], no_sets, -1, spares.flip[-1], -1, branch
    )
