"""What a tree's tests say in words, with the real names of columns and levels.

A name may hold anything: quotes, commas, newlines. Plain text puts a name that could be misread
into quotes. A test says which branch takes a missing value; a name that fit never saw is one. What
cannot come to a node, since a test above sent it elsewhere, no test of it names.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xent._table.frames.levels import Level
from xent.trees._table.columns import FittedColumn
from xent.trees._tree import Tree

LISTED_LEVELS = 10  # of a set that a line of text lists, unless more are asked for
EVERY_BRANCH = "A missing value goes down every branch, by the branch's share of the cases."
SECOND = 10**6  # microseconds


class Values(NamedTuple):
    """What a column may hold: numbers in an interval, or levels; and whether it may be missing."""

    low: float = -math.inf
    high: float = math.inf
    levels: frozenset[Level] | None = None
    known: bool = True
    missing: bool = True


@dataclass
class Named:
    """A tree, what its columns and classes are called, and what its nodes say."""

    tree: Tree
    columns: list[FittedColumn]
    classes: list[str]
    value: NDArray[np.float64]
    takes_missing: bool = True  # whether a table to predict may miss values

    @property
    def note(self) -> str:
        """What holds for every test alike: where a missing value goes down all branches."""
        every = bool((self.tree.missing_to[~self.tree.leaf] < 0).any())
        return EVERY_BRANCH if every and self.takes_missing else ""

    def says(self, node: int) -> str:
        """Prediction of a node."""
        if self.classes:
            return plain(self.classes[int(self.value[node].argmax())])
        return f"{self.value[node, 0]:.6g}"

    def cases(self, node: int) -> str:
        """Weight of a node's training cases, and of those that it gets wrong."""
        stats = self.tree.stats[node]
        if not self.classes:
            return f"{stats[0]:.6g}"
        n = stats.sum()
        wrong = n - stats[int(self.value[node].argmax())]
        return f"{n:.6g}/{wrong:.6g}" if wrong > 1e-9 else f"{n:.6g}"

    def levels(self, node: int, branch: int) -> tuple[Level, ...]:
        """Levels that go down one branch of a test of names."""
        start, levels = int(self.tree.set_start[node]), self.columns[self.tree.feature[node]].levels
        return levels[branch : branch + 1] if start < 0 else self._group(start, levels, branch)

    def _group(self, start: int, levels: Sequence[Level], side: int) -> tuple[Level, ...]:
        sides = self.tree.sets[start : start + len(levels)]
        return tuple(level for level, s in zip(levels, sides, strict=True) if s == side)

    def asks(self, node: int) -> str:
        """Name of the column that a node tests."""
        return plain(self.columns[self.tree.feature[node]].name)

    def substitutes(self, node: int) -> range:
        """Return the surrogate tests of a node."""
        mine = self.tree.surrogates_of[node]
        return range(self.tree.surrogate_start[mine], self.tree.surrogate_start[mine + 1])

    def after(self, node: int, branch: int, values: Values) -> Values:
        """Return what of a column's values goes down one branch of a test of it."""
        tree, column = self.tree, self.columns[self.tree.feature[node]]
        missing = values.missing and (
            bool(len(self.substitutes(node))) or int(tree.missing_to[node]) in (branch, -1)
        )
        if column.kind == "name":
            mine = frozenset(self.levels(node, branch))
            left = mine if values.levels is None else values.levels & mine
            return values._replace(levels=left, known=bool(left), missing=missing)
        cut = float(tree.threshold[node])
        if branch == 2 or (branch == 1 and cut == math.inf):
            return values._replace(known=False, missing=missing)
        if branch == 0:
            return values._replace(high=min(cut, values.high), missing=missing)
        return values._replace(low=max(cut, values.low), missing=missing)

    def test(
        self, node: int, branch: int, path: "Path", most: int | None, *, brackets: bool = False
    ) -> str:
        """Return the condition of one branch, in brackets where it is a choice."""
        words = f"{self.asks(node)} {self.answer(node, branch, path, most)}"
        choice = words.endswith(" or missing") or (
            self.substitutes(node) and path.values(int(self.tree.feature[node])).missing
        )
        return f"({words})" if brackets and choice else words

    def answer(self, node: int, branch: int, path: "Path", most: int | None) -> str:
        """Return what the column must be for one branch, of what comes to the node.

        Where a surrogate decides for a missing value, its test follows; the last test of such a
        chain says whether the branch is the one for what none of them knows.
        """
        tree, f = self.tree, int(self.tree.feature[node])
        before = path.values(f)
        after = self.after(node, branch, before)
        mine = Values(levels=before.levels) if before.levels is not None else Values()
        own = self.after(node, branch, mine)._replace(missing=False)
        to_here = after.missing and int(tree.missing_to[node]) == branch
        chain = self.substitutes(node) if before.missing else range(0)
        words = _condition(self.columns[f], own, most, missing=to_here and not chain)
        for s in chain:
            other = int(tree.surrogate_feature[s])
            words += f", if missing {self._surrogate(s, branch, path.values(other), most)}"
        return words + (" or missing" if to_here and chain else "")

    def _surrogate(self, s: int, branch: int, values: Values, most: int | None) -> str:
        tree = self.tree
        column = self.columns[tree.surrogate_feature[s]]
        side = branch ^ int(tree.surrogate_flip[s])
        if column.kind == "name":
            left = frozenset(self._group(int(tree.surrogate_set[s]), column.levels, side))
            left = left if values.levels is None else left & values.levels
            mine = Values(levels=left, known=bool(left), missing=False)
        else:
            cut = float(tree.surrogate_threshold[s])
            mine = Values(missing=False)
            mine = mine._replace(high=cut) if side == 0 else mine._replace(low=cut)
        return plain(column.name) + " " + _condition(column, mine, most, missing=False)

    def rest(self, f: int, values: Values, most: int | None) -> str:
        """Write what is left of a column's values, nothing where that is everything."""
        column, name = self.columns[f], plain(self.columns[f].name)
        free = values.low == -math.inf and values.high == math.inf
        if column.kind == "name":
            free = values.levels is not None and len(values.levels) == len(column.levels)
        if free and values.known and (values.missing or not self.takes_missing):
            return ""
        if self.note:  # said once
            values = values._replace(missing=False)
        low, high = values.low, values.high
        if column.kind != "name" and values.known and -math.inf < low and high < math.inf:
            words = f"{quantity(column, low)} < {name} <= {quantity(column, high)}"
            words += " or missing" if values.missing else ""
        else:
            words = name + " " + _condition(column, values, most, missing=values.missing)
        return f"({words})" if words.endswith(" or missing") else words

    def walk(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield node, parent, branch and depth, children in order right after their parent."""
        stack = [(0, -1, 0, 0)]
        while stack:
            node, parent, branch, depth = stack.pop()
            yield node, parent, branch, depth
            if self.tree.feature[node] >= 0:
                first = int(self.tree.first[node])
                for b in range(int(self.tree.width[node]) - 1, -1, -1):
                    stack.append((first + b, node, b, depth + 1))


class Path:
    """What may come down to a node, column by column, along a walk of the tree."""

    def __init__(self, named: Named) -> None:
        self.named = named
        self.held: dict[int, Values] = {}
        self._undo: list[tuple[int, Values | None]] = []

    def values(self, f: int) -> Values:
        """Return what a column may hold where the walk is."""
        return self.held.get(f) or Values(missing=self.named.takes_missing)

    def back(self, depth: int) -> None:
        """Go back to the parent of a node at a depth."""
        while len(self._undo) >= max(depth, 1):
            f, before = self._undo.pop()
            if before is None:
                del self.held[f]
            else:
                self.held[f] = before

    def down(self, node: int, branch: int) -> None:
        """Follow one branch of the node where the walk is."""
        f = int(self.named.tree.feature[node])
        self._undo.append((f, self.held.get(f)))
        self.held[f] = self.named.after(node, branch, self.values(f))


def _condition(column: FittedColumn, values: Values, most: int | None, *, missing: bool) -> str:
    """Write what must be true of a column; its name stands before."""
    if not values.known:
        return "is missing" if missing else "never"
    if values.levels is not None:
        one = len(values.levels) == 1  # then the other levels, which may be many, are not asked
        left = list(values.levels) if one else [v for v in column.levels if v in values.levels]
        words = levels_in_words(left, most)
    elif values.high < math.inf:
        words = f"<= {quantity(column, values.high)}"
    elif values.low > -math.inf:
        words = f"> {quantity(column, values.low)}"
    else:
        return "is anything" if missing else "is known"
    return words + (" or missing" if missing else "")


def levels_in_words(levels: Sequence[Level], most: int | None) -> str:
    """List levels, at most so many.

    >>> levels_in_words(["a"], 2), levels_in_words(["a", "b", "c", "d"], 2)
    ('= a', 'in {a, b, … 2 more}')
    """
    if len(levels) == 1:
        return f"= {plain(levels[0])}"
    shown = [plain(v) for v in (levels if most is None else levels[:most])]
    if len(levels) > len(shown):
        shown.append(f"… {len(levels) - len(shown):,} more")
    return f"in {{{', '.join(shown)}}}"


def plain(name: object) -> str:
    """Write a name so that it cannot be misread.

    >>> plain("a b"), plain("a, b"), plain(" ")
    ('a b', '"a, b"', '" "')
    """
    text = str(name)
    if re.fullmatch(r"[^\s,{}\"'<>=:…]+( [^\s,{}\"'<>=:…]+)*", text) and text.isprintable():
        return text
    return json.dumps(text, ensure_ascii=False)


def quantity(column: FittedColumn, threshold: float) -> str:
    """Write a threshold exactly: a number, or what a calendar or a clock shows."""
    if abs(threshold) >= 2.0**63:  # no date: only a file from a stranger says so
        return repr(float(threshold))
    if column.kind == "date":
        moment = date_and_time(threshold)
        if column.zoned:
            return moment + "Z"
        return moment.removesuffix("T00:00:00")
    if column.kind == "duration":
        return _duration(math.floor(threshold))
    if column.kind == "time":
        return date_and_time(threshold).partition("T")[2]
    return repr(float(threshold)).removesuffix(".0")


def date_and_time(threshold: float) -> str:
    """Write microseconds since 1970 as a date and a time, parts of a second where there are any."""
    return str(np.datetime64(math.floor(threshold), "us")).removesuffix(".000000")


def _duration(microseconds: int) -> str:
    days, part = divmod(abs(microseconds), 86_400 * SECOND)
    clock = date_and_time(part).partition("T")[2]
    words = f"{days} day{'s' if days > 1 else ''} {clock}" if days else clock
    return words if microseconds >= 0 else f"-({words})" if days else f"-{words}"
