"""Growing from numbers and names: the columns in order are searched, divided and moved down."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent.trees._grow.histogram_cache import HistogramCache
from xent.trees._grow.levels import Chosen, GrowthPlan, Step, Tried
from xent.trees._grow.ordered import Ordered
from xent.trees._grow.small_nodes import SmallNodes, small_nodes_of
from xent.trees._grow.surrogates import Surrogates, substitute
from xent.trees._kernels import divide, next_level
from xent.trees._kernels.criteria import SURROGATE, SplitRules
from xent.trees._kernels.records import Builder, Found, LevelNodes
from xent.trees._kernels.search import coded, nominal, packed_binary, presorted

ALL_ROWS, LONGEST = 2**31, 1 << 16
TURNS = 4  # pieces of work for each thread
TRIED_AT_ONCE = 1 << 18  # splits that are held in memory, columns times nodes

BlockWork = Callable[[int, int], Any]


class Dense:
    """Columns in order, from which one tree is grown."""

    def __init__(self, ordered: Ordered) -> None:
        self.ordered = ordered
        self.levels = np.zeros(len(ordered.columns.kind), np.int64)
        if len(ordered.names_of):
            self.levels[ordered.names_of] = ordered.columns.levels[ordered.names_of]
        self.has_lists = len(ordered.sorted_of) > 0
        # Only sorted lists need the logarithms of every count.
        self.max_table = ALL_ROWS if self.has_lists else LONGEST
        self.cache: HistogramCache | None = None
        self.small = SmallNodes(None, ordered.threads)
        self.constrained = np.zeros(len(self.levels), np.bool_)

    def begin(self, y: NDArray[Any], size: int, rules: SplitRules, plan: GrowthPlan) -> None:
        """Prepare for growing one tree, of nodes with so many stats."""
        ordered = self.ordered
        self.constrained = plan.signs(len(self.levels)) != 0
        if rules.table.size and not rules.monotone and rules.gap == 0.0:
            ordered.pack()
        if ordered.binned and HistogramCache.possible(rules):
            self.cache = HistogramCache(len(y), len(ordered.small_of), size)
        self.small = small_nodes_of(ordered, rules, plan, y)

    def take_small(self, level: LevelNodes, depth: int) -> LevelNodes:
        """Grow small nodes to the end; return the level without them."""
        return self.small.take(self.ordered, level, depth)

    def attach(self, tree: Builder, nodes: int, set_bytes: int) -> tuple[Builder, int]:
        """Join what small nodes have become to the tree."""
        return self.small.attach(tree, nodes, set_bytes)

    def choose(self, level: LevelNodes, rules: SplitRules, signs: NDArray[np.int8]) -> Chosen:
        """Choose each node's column, some nodes at a time."""
        nodes = len(level.start)
        choice, split, toward = np.empty((3, nodes), np.int64)
        step = max(16, TRIED_AT_ONCE // len(self.ordered.columns.kind))
        if self.cache is not None and nodes > step:
            self.cache.let_go()
        children, set_bytes = 0, 0
        for a in range(0, nodes, step):
            here = slice(a, a + step)
            names = ("start", "stop", "stats", "low", "high", "node")
            part = level._replace(**{name: getattr(level, name)[here] for name in names})
            found = self.search(part, rules, signs)
            more = divide.choose(found, part, self.ordered.columns, rules, choice[here])
            children, set_bytes = children + more[0], set_bytes + more[1]
            picked = np.maximum(choice[here], 0), np.arange(len(part.start))
            split[here], toward[here] = found.split[picked], found.toward[picked]
        return Chosen(choice, split, toward, children, set_bytes)

    def try_all(self, level: LevelNodes, rules: SplitRules, signs: NDArray[np.int8]) -> Tried:
        """Search the only node of a level, and keep what each column could do."""
        found, choice = self.search(level, rules, signs), np.empty(1, np.int64)
        divide.choose(found, level, self.ordered.columns, rules, choice)
        return Tried(found.gain, found.info, int(choice[0]))

    def search(self, level: LevelNodes, rules: SplitRules, signs: NDArray[np.int8]) -> Found:
        """Search every node in every column."""
        shape = (len(self.ordered.columns.kind), len(level.start))
        found = Found(
            gain=np.empty(shape),
            info=np.empty(shape),
            split=np.empty(shape, np.int64),
            toward=np.empty(shape, np.int64),
        )
        packed = self.ordered.packed if rules.table.size else None
        few = packed.rest if packed else self.ordered.small_of
        works: list[tuple[BlockWork, int]] = []
        if self.has_lists:
            works.append((self._lists(level, rules, signs, found), len(self.ordered.sorted_of)))
        if packed:
            words, of = packed.words, packed.feature

            def side_by_side(a: int, b: int) -> None:
                packed_binary.search_packed(words, of, level, rules, found, a, b)

            works.append((side_by_side, words.shape[1]))
        if len(few):
            of_codes = self._codes(few, level, rules, signs, found)
            work = of_codes(np.arange(len(level.start)))
            if self.cache is not None and rules.table.size:
                columns = self.ordered.columns
                work = self.cache.search(columns, few, of_codes, signs, level, rules, found)
            works.append((work, len(few)))
        if len(self.ordered.names_of):
            works.append((self._names(level, rules, found), len(self.ordered.names_of)))
        _all(works, self.ordered.threads)
        return found

    def _lists(
        self, level: LevelNodes, rules: SplitRules, signs: NDArray[np.int8], found: Found
    ) -> BlockWork:
        own = self.ordered
        lists = own.ranks, own.indices, own.place, own.sorted_slot, own.sorted_of, own.numbers
        if rules.table.size and not rules.monotone and own.known:
            return lambda a, b: presorted.search_known(*lists, level, rules, found, a, b)
        return lambda a, b: presorted.search_sorted(*lists, signs, level, rules, found, a, b)

    def _codes(
        self,
        features: NDArray[np.int64],
        level: LevelNodes,
        rules: SplitRules,
        signs: NDArray[np.int8],
        found: Found,
    ) -> Callable[[NDArray[np.int64]], BlockWork]:
        """Return what makes the work of some nodes in the columns of few values."""
        columns, scale, base = self.ordered.columns, self.ordered.scale, self.ordered.scale_start
        of = columns.levels[features], columns.slot[features], features, scale, base

        def of_nodes(nodes: NDArray[np.int64]) -> BlockWork:
            return lambda a, b: coded.search_codes(
                columns.small, *of, nodes, signs, level, rules, found, a, b
            )

        return of_nodes

    def _names(self, level: LevelNodes, rules: SplitRules, found: Found) -> BlockWork:
        columns, of = self.ordered.columns, self.ordered.names_of
        levels, slots = columns.levels[of], columns.slot[of]
        return lambda a, b: nominal.search_names(
            columns.codes, levels, slots, of, level, rules, found, a, b
        )

    def divide(
        self, step: Step, chosen: Chosen, set_bytes: int, surrogates: Surrogates
    ) -> tuple[int, int]:
        """Write each entry's branch; return how many nodes and set bytes there are then."""
        level, choice, rules, tree, branch, nodes = step
        own, columns = self.ordered, self.ordered.columns
        if len(own.names_of):
            set_bytes = divide.divide_names(level, choice, columns, rules, tree, set_bytes, branch)
        at, lists = (chosen.split, chosen.toward, choice), (own.ranks, own.indices, own.place)
        nodes = divide.divide(level, *at, columns, rules, tree, nodes, branch, *lists)
        if rules.missing == SURROGATE:
            substitute(own, level, choice, tree, branch, surrogates, self.constrained)
        return nodes, set_bytes

    def move(self, step: Step, start: Any, target: Any, targets: Any, below: LevelNodes) -> None:
        """Move the sorted lists and the cached histograms to the next level."""
        level, choice, _, tree, branch, base = step
        if self.has_lists:
            own = self.ordered
            own.widen(len(below.row) + 1)

            def move(a: int, b: int) -> None:
                lists = own.ranks, own.indices, own.place, own.scratch.popleft()
                to: Any = base, start, target, targets, a, b
                own.scratch.append(next_level.partition(*lists, level, choice, tree, branch, *to))

            in_blocks(move, len(own.sorted_of), threads=own.threads, turns=TURNS)
        if self.cache is not None:
            self.cache.advance(level, choice, tree, below)

    def thresholds(self, tree: Builder, nodes: int, rules: SplitRules) -> NDArray[np.float64]:
        """Return the threshold of every node, 0 where there is none."""
        return self.ordered.thresholds(tree, nodes, rules)


def _all(works: list[tuple[BlockWork, int]], threads: int) -> None:
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
