"""Growing a tree level by level: the order of the work, its memory and its threads.

The loops themselves are in the kernels. A node's split depends on nothing but its own cases, so a
best-first tree of so many leaves is cut out of the full one afterwards (`_prune.best_first`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent.trees._grow.builder import empty, finish, make_room
from xent.trees._grow.histogram_cache import Kept
from xent.trees._grow.prepare import Prepared
from xent.trees._grow.small_nodes import subtrees_of
from xent.trees._grow.surrogates import Spares, substitute
from xent.trees._kernels import divide
from xent.trees._kernels.search import coded, nominal, packed_binary, presorted
from xent.trees._tree import Tree

CRITERIA = {"entropy": 0, "gain_ratio": 0, "gini": 1, "squared_error": 2}
NOMINAL = {"subset": 0, "multiway": 1, "one_vs_rest": 2}
EVERY, LONGEST = 2**31, 1 << 16
TURNS = 4  # pieces of work for each thread
TRIED_AT_ONCE = 1 << 18  # splits that are held in memory, columns times nodes
MISSING = {"direction": 0, "fractional": 1, "branch": 2, "surrogate": 3, "refuse": 4}


@dataclass(frozen=True)
class Plan:
    """How a tree shall be grown, already checked."""

    criterion: str
    nominal: str
    missing: str
    max_depth: int
    min_samples_leaf: float
    min_samples_split: float
    min_gain: float
    monotonic_cst: NDArray[np.int8] | None = None
    threads: int = 1


def rules_of(
    plan: Plan,
    y: NDArray[Any],
    weight: NDArray[np.float64],
    longest: int = EVERY,
) -> presorted.Rules:
    criterion = CRITERIA[plan.criterion]
    n = len(y)
    table = np.empty(0)
    if not weight.size and criterion != presorted.SQUARED:
        table = np.arange(min(n + 2, longest), dtype=np.float64)
        table[1:] *= np.log2(table[1:])
    total = float(weight.sum()) if weight.size else float(n)
    ratio = plan.criterion == "gain_ratio"
    slack = 1e-6 if ratio else 1e-12 * (1 + np.log2(n))
    if criterion == presorted.SQUARED:
        w = weight if weight.size else 1.0
        slack = 1e-12 * float(np.sum(w * y * y)) / total
    return presorted.Rules(
        criterion,
        ratio,
        NOMINAL[plan.nominal],
        MISSING[plan.missing],
        float(plan.min_samples_leaf),
        float(slack),
        1e-5 if ratio else 0.0,
        plan.monotonic_cst is not None and bool(np.any(plan.monotonic_cst)),
        table,
        table[1:] - table[:-1],
        total,
    )


def grow(
    ready: Prepared,
    y: NDArray[Any],
    weight: NDArray[np.float64],
    n_classes: int,
    plan: Plan,
) -> Tree:
    """Grow a tree; the sorted lists in ``ready`` are used up.

    ``y`` holds class codes, or numbers (then ``n_classes`` is 0); an empty ``weight`` means 1 each.
    """
    n = len(y)
    size = n_classes or 3
    # Only sorted lists need the logarithms of every count.
    longest = EVERY if len(ready.sorted_of) else LONGEST
    rules = rules_of(plan, y, weight, longest)
    signs = np.zeros(len(ready.columns.kind), np.int8)
    if plan.monotonic_cst is not None:
        signs[:] = plan.monotonic_cst
    if rules.table.size and not rules.monotone and rules.gap == 0.0:
        ready.lay()
    tree = empty(64, size)
    if n_classes:
        tree.stats[0] = np.bincount(y, weight if weight.size else None, minlength=size)
    else:
        w = weight if weight.size else np.ones(n)
        tree.stats[0] = (w.sum(), (w * y).sum(), (w * y * y).sum())
    level = presorted.Level(
        np.zeros(1, np.int64),
        np.full(1, n, np.int64),
        tree.stats[:1].copy(),
        tree.low[:1].copy(),
        tree.high[:1].copy(),
        np.zeros(1, np.int64),
        np.arange(n, dtype=np.int32),
        y,
        weight,
        weight[:0],
    )
    nodes, set_bytes = 1, 0
    spares = Spares()
    ready.kept = None
    if ready.binned and Kept.possible(rules):
        ready.kept = Kept(n, len(ready.small_of), size)
    depth = 0
    open_nodes = plan.max_depth > 0 and divide.may_split(
        tree.stats[0], rules, plan.min_samples_split
    )
    below = subtrees_of(ready, rules, plan, y)
    if open_nodes:
        level = below.take(ready, level, depth)
        open_nodes = len(level.start) > 0
    while open_nodes:
        depth += 1
        choice, cut, toward = np.empty((3, len(level.start)), np.int64)
        children, more = _choose(ready, level, rules, signs, plan.min_gain, choice, cut, toward)
        if not children:
            break
        tree = make_room(tree, nodes + children, set_bytes + more)
        branch = np.empty(len(level.row), np.int32)
        before = nodes
        if len(ready.code_of):
            set_bytes = divide.divide_names(
                level, choice, ready.columns, rules, tree, set_bytes, branch
            )
        nodes = divide.divide(
            level,
            cut,
            toward,
            choice,
            ready.columns,
            rules,
            tree,
            nodes,
            branch,
            ready.ranks,
            ready.indices,
            ready.place,
        )
        if rules.missing == presorted.SURROGATE:
            substitute(ready, level, choice, tree, branch, spares)
        if divide.count(level, choice, rules, tree, branch):
            divide.share_out(level, choice, rules, tree, branch)
        if rules.monotone:
            divide.bound(level, choice, rules, tree, signs)
        above, level = (
            level,
            _next_level(ready, level, choice, rules, tree, branch, before, nodes, plan, depth),
        )
        if ready.kept is not None:
            ready.kept.advance(above, choice, tree, level)
        del above, branch  # two levels at a time are enough
        if level.weight.size and rules.table.size:
            # A missing value has divided a case: weights are no longer counts.
            rules = rules._replace(table=np.empty(0), step=np.empty(0))
        level = below.take(ready, level, depth)
        open_nodes = len(level.start) > 0
    tree = make_room(tree, nodes + below.nodes, set_bytes)
    nodes = below.attach(tree, nodes)
    whole = finish(ready, tree, nodes, set_bytes, spares, rules, n_classes)
    # In the order of the levels, however it was grown.
    return whole.compact() if below.parts and depth else whole


def _choose(
    ready: Prepared,
    level: presorted.Level,
    rules: presorted.Rules,
    signs: NDArray[np.int8],
    min_gain: float,
    choice: NDArray[np.int64],
    cut: NDArray[np.int64],
    toward: NDArray[np.int64],
) -> tuple[int, int]:
    """Choose each node's column, some nodes at a time; return how many children and set bytes."""
    nodes = len(level.start)
    step = max(16, TRIED_AT_ONCE // len(ready.columns.kind))
    if ready.kept is not None and nodes > step:
        ready.kept.let_go()
    children, set_bytes = 0, 0
    for a in range(0, nodes, step):
        here = slice(a, a + step)
        names = ("start", "stop", "stats", "low", "high", "node")
        part = level._replace(**{name: getattr(level, name)[here] for name in names})
        found = _scan(ready, part, rules, signs)
        more = divide.choose(found, part, ready.columns, rules, min_gain, choice[here])
        children, set_bytes = children + more[0], set_bytes + more[1]
        picked = np.maximum(choice[here], 0), np.arange(len(part.start))
        cut[here], toward[here] = found.cut[picked], found.toward[picked]
    return children, set_bytes


def _scan(
    ready: Prepared, level: presorted.Level, rules: presorted.Rules, signs: NDArray[np.int8]
) -> presorted.Found:
    shape = (len(ready.columns.kind), len(level.start))
    found = presorted.Found(
        np.empty(shape), np.empty(shape), np.empty(shape, np.int64), np.empty(shape, np.int64)
    )
    columns = ready.columns

    def ordered(a: int, b: int) -> None:
        lists = ready.ranks, ready.indices, ready.place, ready.sorted_slot, ready.sorted_of
        if rules.table.size and not rules.monotone and ready.known:
            presorted.scan_known(*lists, ready.numbers, level, rules, found, a, b)
        else:
            presorted.scan_sorted(*lists, ready.numbers, signs, level, rules, found, a, b)

    laid = ready.lanes if rules.table.size else None
    few = laid.rest if laid else ready.small_of

    def of_codes(nodes: NDArray[np.int64]) -> Any:
        features = few
        levels = columns.levels[features]
        slots = columns.slot[features]

        def work(a: int, b: int) -> None:
            coded.scan_codes(
                columns.small,
                levels,
                slots,
                features,
                ready.scale,
                ready.scale_start,
                nodes,
                signs,
                level,
                rules,
                found,
                a,
                b,
            )

        return work

    def named(a: int, b: int) -> None:
        of = ready.code_of
        levels, slots = columns.levels[of], columns.slot[of]
        nominal.scan_names(columns.codes, levels, slots, of, level, rules, found, a, b)

    works: list[tuple[Callable[[int, int], Any], int]] = []
    if len(ready.sorted_of):
        works.append((ordered, len(ready.sorted_of)))
    if laid:
        words, lanes = laid.words, laid.feature

        def side_by_side(a: int, b: int) -> None:
            packed_binary.scan_lanes(words, lanes, level, rules, found, a, b)

        works.append((side_by_side, words.shape[1]))
    if len(few):
        work = of_codes(np.arange(len(level.start)))
        if ready.kept is not None and rules.table.size:
            work = ready.kept.scan(columns, few, of_codes, signs, level, rules, found)
        works.append((work, len(few)))
    if len(ready.code_of):
        works.append((named, len(ready.code_of)))
    _all(works, ready.threads)
    return found


def _all(works: list[tuple[Callable[[int, int], Any], int]], threads: int) -> None:
    """Do each ``work(0, count)``: in pieces, whoever is ready takes the next of any."""
    pieces = []
    for work, count in works:
        parts = min(count, threads * TURNS if threads > 1 else 1)
        edges = [count * i // parts for i in range(parts + 1)]
        pieces += [(work, a, b) for a, b in pairwise(edges)]

    def some(a: int, b: int) -> None:
        for work, start, stop in pieces[a:b]:
            work(start, stop)

    in_blocks(some, len(pieces), threads=threads, turns=len(pieces))


@dataclass
class Tried:
    """What every column could do for one node, and which one is chosen."""

    gain: NDArray[np.float64]
    info: NDArray[np.float64]
    chosen: int


def scan_once(
    plan: Plan,
    ready: Prepared,
    y: NDArray[Any],
    weight: NDArray[np.float64],
    stats: NDArray[np.float64],
    tree: Tree,
) -> Tried:
    """Search one node that holds these cases, and do not divide it."""
    if (weight == 1.0).all():
        weight = np.empty(0)
    rules = rules_of(plan, y, weight)._replace(total=float(tree.weight()[0]))
    signs = np.zeros(len(ready.columns.kind), np.int8)
    if plan.monotonic_cst is not None:
        signs[:] = plan.monotonic_cst
    n = len(y)
    level = presorted.Level(
        np.zeros(1, np.int64),
        np.full(1, n, np.int64),
        stats,
        np.full(1, -np.inf),
        np.full(1, np.inf),
        np.zeros(1, np.int64),
        np.arange(n, dtype=np.int32),
        y,
        weight,
        weight[:0],
    )
    found = _scan(ready, level, rules, signs)
    choice = np.empty(1, np.int64)
    divide.choose(found, level, ready.columns, rules, plan.min_gain, choice)
    return Tried(found.gain, found.info, int(choice[0]))


def _next_level(
    ready: Prepared,
    level: presorted.Level,
    choice: NDArray[np.int64],
    rules: presorted.Rules,
    tree: divide.Growing,
    branch: NDArray[np.int32],
    base: int,
    nodes: int,
    plan: Plan,
    depth: int,
) -> presorted.Level:
    """Lay out the children that may be divided further."""
    opened = np.zeros(nodes - base, np.bool_)
    size = np.zeros(nodes - base, np.int64)
    divide.measure(
        level,
        choice,
        rules,
        tree,
        branch,
        opened,
        size,
        plan.min_samples_split,
        base,
        depth >= plan.max_depth,
    )
    size[~opened] = 0
    ends = np.cumsum(size)
    total = int(ends[-1])
    start = np.where(opened, ends - size, -1)
    shared = rules.missing == presorted.FRACTIONAL and bool(np.any(branch < 0))
    weighted = shared or level.weight.size > 0
    new = presorted.Level(
        start[opened],
        ends[opened],
        tree.stats[base:nodes][opened],
        tree.low[base:nodes][opened],
        tree.high[base:nodes][opened],
        np.flatnonzero(opened) + base,
        np.empty(total, np.int32),
        np.empty(total, level.y.dtype),
        np.empty(total if weighted else 0),
        np.empty(total if shared or level.undivided.size else 0),
    )
    if not total:
        return new
    target = np.full(len(level.row) if len(ready.sorted_of) or shared else 0, -1, np.int32)
    missing = int(np.count_nonzero(branch < 0)) if shared else 0
    targets = np.empty(missing * int(tree.width[:nodes].max()) if shared else 0, np.int32)
    divide.settle(level, choice, rules, tree, branch, base, start, new, target, targets)
    if len(ready.sorted_of):
        if total >= ready.ranks.shape[1]:
            wider = max(total + 1, ready.ranks.shape[1] * 5 // 4)
            for name in ("ranks", "indices"):
                old = getattr(ready, name)
                room = np.empty((len(old), wider), old.dtype)
                room[:, : old.shape[1]] = old
                setattr(ready, name, room)

        def move(a: int, b: int) -> None:
            free = divide.partition(
                ready.ranks,
                ready.indices,
                ready.place,
                ready.spare.popleft(),
                level,
                choice,
                tree,
                branch,
                base,
                start,
                target,
                targets,
                a,
                b,
            )
            ready.spare.append(free)

        in_blocks(move, len(ready.sorted_of), threads=ready.threads, turns=TURNS)
    return new
