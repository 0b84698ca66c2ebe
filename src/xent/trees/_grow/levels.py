"""Growing a tree level by level: the order of the work, whatever form the columns have.

The loops themselves are in the kernels. A node's split depends on nothing but its own rows, so a
best-first tree of so many leaves is cut out of the full one afterwards (`_prune.best_first`).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from xent.trees._grow.builder import finish, make_room, with_root
from xent.trees._grow.surrogates import Surrogates
from xent.trees._kernels import next_level
from xent.trees._kernels.criteria import (
    FRACTIONAL,
    MIN_CASE_GAIN,
    NEVER,
    POISSON,
    SQUARED,
    SplitRules,
)
from xent.trees._kernels.records import Builder, LevelNodes
from xent.trees._tree import Tree

CRITERIA = {"entropy": 0, "gain_ratio": 0, "gini": 1, "squared_error": 2, "poisson": 3}
NOMINAL_CODES = {"subset": 0, "multiway": 1, "one_vs_rest": 2}
MISSING_CODES = {"direction": 0, "fractional": 1, "branch": 2, "surrogate": 3, "refuse": 4}


@dataclass(frozen=True)
class GrowthPlan:
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

    def signs(self, features: int) -> NDArray[np.int8]:
        """Return the constraint of every column, 0 where there is none."""
        return np.zeros(features, np.int8) if self.monotonic_cst is None else self.monotonic_cst


class Chosen(NamedTuple):
    """Each node's split: its column (-1: none), its place, and where missing values go."""

    feature: NDArray[np.int64]
    split: NDArray[np.int64]
    toward: NDArray[np.int64]
    children: int
    set_bytes: int


class Step(NamedTuple):
    """A level that is being divided: node ``base`` is the first of the next one."""

    level: LevelNodes
    choice: NDArray[np.int64]
    rules: SplitRules
    tree: Builder
    branch: NDArray[np.int32]  # of every entry; -1: every branch
    base: int


@dataclass
class Tried:
    """What every column could do for one node, and which one is chosen."""

    gain: NDArray[np.float64]
    info: NDArray[np.float64]
    chosen: int


class Searcher(Protocol):
    """The columns of a table in an order in which splits are found: all that growing asks."""

    levels: NDArray[np.int64]  # of a name; 0 of a number
    max_table: int  # the counts whose logarithms are looked up
    has_lists: bool  # whether columns list the entries of a level

    def begin(self, y: NDArray[Any], size: int, rules: SplitRules, plan: GrowthPlan) -> None:
        """Prepare for growing one tree, of nodes with so many stats."""

    def take_small(self, level: LevelNodes, depth: int) -> LevelNodes:
        """Grow small nodes to the end, if that can be; return the level without them."""

    def choose(self, level: LevelNodes, rules: SplitRules, signs: NDArray[np.int8]) -> Chosen:
        """Choose each node's split."""

    def try_all(self, level: LevelNodes, rules: SplitRules, signs: NDArray[np.int8]) -> Tried:
        """Search the only node of a level, and keep what each column could do."""

    def divide(
        self, step: Step, chosen: Chosen, set_bytes: int, surrogates: Surrogates
    ) -> tuple[int, int]:
        """Write each entry's branch; return how many nodes and set bytes there are then."""

    def move(self, step: Step, start: Any, target: Any, targets: Any, below: LevelNodes) -> None:
        """Lay out what the columns list for the next level."""

    def attach(self, tree: Builder, nodes: int, set_bytes: int) -> tuple[Builder, int]:
        """Join what small nodes have become to the tree."""

    def thresholds(self, tree: Builder, nodes: int, rules: SplitRules) -> NDArray[np.float64]:
        """Return the threshold of every node, 0 where there is none."""


def rules_of(
    plan: GrowthPlan,
    columns: Searcher,
    y: NDArray[Any],
    weight: NDArray[np.float64],
    total: float | None = None,
) -> SplitRules:
    """Return what the loops must know; ``total`` is the weight of all cases, if these are some."""
    criterion, ratio = CRITERIA[plan.criterion], plan.criterion == "gain_ratio"
    n = len(y)
    table = np.empty(0)
    if not weight.size and criterion < SQUARED:
        table = np.arange(min(n + 2, columns.max_table), dtype=np.float64)
        table[1:] *= np.log2(table[1:])
    own = float(weight.sum()) if weight.size else float(n)
    slack = 1e-6 if ratio else 1e-12 * (1 + np.log2(n))
    if criterion == SQUARED:
        w = weight if weight.size else 1.0
        slack = 1e-12 * float(np.sum(w * y * y)) / own
    if criterion == POISSON:
        w = weight if weight.size else 1.0
        slack = 1e-12 * float(np.sum(w * (y + np.abs(xlogy(y, y))))) / own
    return SplitRules(
        criterion=criterion,
        ratio=ratio,
        nominal=NOMINAL_CODES[plan.nominal],
        missing=MISSING_CODES[plan.missing],
        min_leaf=float(plan.min_samples_leaf),
        min_split=float(plan.min_samples_split),
        min_gain=plan.min_gain,
        max_depth=plan.max_depth,
        slack=float(slack),
        gap=1e-5 if ratio else 0.0,
        monotone=plan.monotonic_cst is not None and bool(np.any(plan.monotonic_cst)),
        table=table,
        step=table[1:] - table[:-1],
        enters=_enters(columns.levels, own if total is None else total),
    )


def _enters(levels: NDArray[np.int64], total: float) -> NDArray[np.float64]:
    """Say above which gain a column enters C4.5's mean.

    Names with 0.3 levels a case and more do not, unless all columns are such.
    """
    out = np.empty(len(levels))
    out.fill(MIN_CASE_GAIN)
    if levels.any():
        many = (levels >= 0.3 * total) & (levels > 0)
        out[levels > 0] = NEVER
        if not many.all():
            out[many] = np.inf
    return out


def root_level(
    y: NDArray[Any], weight: NDArray[np.float64], stats: NDArray[np.float64]
) -> LevelNodes:
    """Return the level that holds the root alone."""
    return LevelNodes(
        start=np.zeros(1, np.int64),
        stop=np.array([len(y)]),
        stats=stats,
        low=np.array([-np.inf]),
        high=np.array([np.inf]),
        node=np.zeros(1, np.int64),
        row=np.arange(len(y), dtype=np.int32),
        y=y,
        weight=weight,
        undivided=weight[:0],
    )


def grow(
    columns: Searcher,
    y: NDArray[Any],
    weight: NDArray[np.float64],
    n_classes: int,
    plan: GrowthPlan,
) -> Tree:
    """Grow a tree; the columns are used up.

    ``y`` holds class codes, or numbers (then ``n_classes`` is 0); an empty ``weight`` means 1 each.
    """
    rules = rules_of(plan, columns, y, weight)
    signs = plan.signs(len(columns.levels))
    tree = with_root(y, weight, n_classes, plan.criterion)
    level = root_level(y, weight, tree.stats[:1].copy())
    columns.begin(y, tree.stats.shape[1], rules, plan)
    nodes, set_bytes, depth, surrogates = 1, 0, 0, Surrogates()
    if not (plan.max_depth > 0 and next_level.may_split(tree.stats[0], rules)):
        level = level._replace(start=level.start[:0])
    else:
        level = columns.take_small(level, depth)
    while len(level.start):
        depth += 1
        chosen = columns.choose(level, rules, signs)
        if not chosen.children:
            break
        tree = make_room(tree, nodes + chosen.children, set_bytes + chosen.set_bytes)
        # 0, so that an entry of a node that is not divided is never taken for a shared one.
        branch = np.zeros(len(level.row), np.int32)
        step = Step(level, chosen.feature, rules, tree, branch, nodes)
        nodes, set_bytes = columns.divide(step, chosen, set_bytes, surrogates)
        if next_level.count(level, chosen.feature, rules, tree, branch):
            next_level.share_out(level, chosen.feature, rules, tree, branch)
        if rules.monotone:
            next_level.bound(level, chosen.feature, rules, tree, signs)
        level = _next_level(columns, step, nodes, depth)
        del step, branch  # two levels at a time are enough
        if level.weight.size and rules.table.size:
            # A missing value has divided a row: weights are no longer counts.
            rules = rules._replace(table=np.empty(0), step=np.empty(0))
        level = columns.take_small(level, depth)
    wide, before = nodes, tree
    tree, nodes = columns.attach(before, nodes, set_bytes)
    whole = finish(tree, columns.thresholds(tree, nodes, rules), set_bytes, surrogates, n_classes)
    # In the order of the levels, however it was grown.
    return whole.compact() if nodes > wide and depth else whole


def try_all(
    columns: Searcher,
    plan: GrowthPlan,
    y: NDArray[Any],
    weight: NDArray[np.float64],
    stats: NDArray[np.float64],
    total: float,
) -> Tried:
    """Search one node that holds these rows, and do not divide it."""
    if (weight == 1.0).all():
        weight = np.empty(0)
    rules = rules_of(plan, columns, y, weight, total)
    return columns.try_all(root_level(y, weight, stats), rules, plan.signs(len(columns.levels)))


def _next_level(columns: Searcher, step: Step, nodes: int, depth: int) -> LevelNodes:
    """Lay out the children that may be divided further."""
    level, choice, rules, tree, branch, base = step
    opened = np.zeros(nodes - base, np.bool_)
    size = np.zeros(nodes - base, np.int64)
    last = depth >= rules.max_depth
    next_level.measure(level, choice, rules, tree, branch, opened, size, base, last)
    size[~opened] = 0
    ends = np.cumsum(size)
    total = int(ends[-1])
    start = np.where(opened, ends - size, -1)
    shared = rules.missing == FRACTIONAL and bool(np.any(branch < 0))
    weighted = shared or level.weight.size > 0
    below = LevelNodes(
        start=start[opened],
        stop=ends[opened],
        stats=tree.stats[base:nodes][opened],
        low=tree.low[base:nodes][opened],
        high=tree.high[base:nodes][opened],
        node=np.flatnonzero(opened) + base,
        row=np.empty(total, np.int32),
        y=np.empty(total, level.y.dtype),
        weight=np.empty(total if weighted else 0),
        undivided=np.empty(total if shared or level.undivided.size else 0),
    )
    if total:
        target = np.full(len(level.row) if columns.has_lists or shared else 0, -1, np.int32)
        missing = int(np.count_nonzero(branch < 0)) if shared else 0
        targets = np.empty(missing * int(tree.width[:nodes].max()) if shared else 0, np.int32)
        next_level.settle(level, choice, rules, tree, branch, base, start, below, target, targets)
        columns.move(step, start, target, targets, below)
    return below
