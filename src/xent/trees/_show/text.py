"""A tree in words: text, rules, Graphviz and SQL, with the real names of columns and levels.

A name may hold anything: quotes, commas, newlines. Each language escapes it in its own way; plain
text puts a name that could be misread into quotes.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent._table.frames.levels import Level
from xent.trees._table.columns import FittedColumn
from xent.trees._tree import Tree

LABEL_LENGTH, LABEL_LINES = 40, 6  # letters in a line, and lines, of a label of Graphviz
MAX_TEXT = 2**28  # letters of a text; pruned trees take thousands


@dataclass
class Named:
    """A tree, what its columns and classes are called, and what its nodes say."""

    tree: Tree
    columns: list[FittedColumn]
    classes: list[str]
    value: NDArray[np.float64]

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

    def sides(self, node: int) -> list[tuple[Level, ...]]:
        """Levels that go down each branch of a test of names."""
        tree, levels = self.tree, self.columns[self.tree.feature[node]].levels
        if tree.set_start[node] < 0:
            return [(level,) for level in levels] + [()] * (int(tree.width[node]) - len(levels))
        start = tree.set_start[node]
        side = tree.sets[start : start + len(levels)]
        groups = [tuple(v for v, s in zip(levels, side, strict=True) if s == b) for b in (0, 1)]
        return groups + [()] * (int(tree.width[node]) - 2)

    def test(self, node: int, branch: int) -> str:
        """Condition of one branch, in words."""
        return f"{self.asks(node)} {self.answer(node, branch)}"

    def asks(self, node: int) -> str:
        """Name of the column that a node tests."""
        return plain(self.columns[self.tree.feature[node]].name)

    def answer(self, node: int, branch: int) -> str:
        """Return what the column must be for one branch."""
        column = self.columns[self.tree.feature[node]]
        if column.kind == "name":
            levels = self.sides(node)[branch]
            if not levels:
                return "is missing"
            if len(levels) == 1:
                return f"= {plain(levels[0])}"
            return f"in {{{', '.join(plain(v) for v in levels)}}}"
        threshold = self.tree.threshold[node]
        if branch == 2 or (branch == 1 and math.isinf(threshold)):
            return "is missing"
        if math.isinf(threshold):
            return "is known"
        return f"{'<=' if branch == 0 else '>'} {quantity(column, threshold)}"

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


def plain(name: object) -> str:
    """Write a name so that it cannot be misread.

    >>> plain("a b"), plain("a, b"), plain(" ")
    ('a b', '"a, b"', '" "')
    """
    text = str(name)
    if re.fullmatch(r"[^\s,{}\"'<>=:]+( [^\s,{}\"'<>=:]+)*", text) and text.isprintable():
        return text
    return json.dumps(text, ensure_ascii=False)


def quantity(column: FittedColumn, threshold: float) -> str:
    """Write a threshold exactly: a number, or what a calendar or a clock shows."""
    if abs(threshold) >= 2.0**63:  # no date: only a file from a stranger says so
        return repr(float(threshold))
    if column.kind == "date":
        return str(np.datetime64(math.floor(threshold), "us")).removesuffix("T00:00:00.000000")
    if column.kind == "duration":
        return str(np.timedelta64(math.floor(threshold), "us"))
    if column.kind == "time":
        clock = str(np.datetime64(math.floor(threshold), "us")).partition("T")[2]
        return clock.removesuffix(".000000")
    return repr(float(threshold)).removesuffix(".0")


def text(named: Named) -> str:
    """Indented text, one test a line; a leaf's cases and, after a slash, those it gets wrong."""
    return _whole(_text(named), "text")


def _text(named: Named) -> Iterator[str]:
    for node, parent, branch, depth in named.walk():
        leaf = named.tree.feature[node] < 0
        end = f"{named.says(node)} ({named.cases(node)})" if leaf else ""
        if parent < 0:
            if leaf:
                yield end
            continue
        head = "|   " * (depth - 1) + named.test(parent, branch)
        yield f"{head}: {end}" if leaf else head


def _whole(lines: Iterable[str], what: str) -> str:
    """Join lines; where each repeats all that is above it, a chain of tests would fill memory."""
    kept, size = [], 0
    for line in lines:
        size += len(line) + 1
        if size > MAX_TEXT:
            because = f"it is so deep that this takes more than {MAX_TEXT:,} letters"
            advice = "Prune it, or take to_json or to_dot."
            raise _check.cannot(f"The tree cannot be written as {what}", because, advice)
        kept.append(line)
    return "\n".join(kept)


def rules(named: Named) -> str:
    """One rule a leaf, each column's tests joined into one."""
    return _whole(_rules(named), "rules")


class Joined(NamedTuple):
    """What the tests of one column leave on a path: an interval, or levels."""

    node: int  # the last test, and its branch
    branch: int
    low: float = -math.inf
    high: float = math.inf
    left: frozenset[Level] = frozenset()


def _rules(named: Named) -> Iterator[str]:
    found: dict[int, Joined] = {}
    undo: list[tuple[int, Joined | None]] = []
    for node, parent, branch, depth in named.walk():
        while len(undo) >= max(depth, 1):
            f, before = undo.pop()
            if before is None:
                del found[f]
            else:
                found[f] = before
        if parent >= 0:
            f = int(named.tree.feature[parent])
            undo.append((f, found.get(f)))
            found[f] = _join(named, found.get(f), parent, branch)
        if named.tree.feature[node] < 0:
            conditions = [words for f, j in found.items() if (words := _condition(named, f, j))]
            head = "if " + " and ".join(conditions) if conditions else "always"
            yield f"{head} then {named.says(node)} ({named.cases(node)})"


def _join(named: Named, before: Joined | None, node: int, branch: int) -> Joined:
    """Add a test to those of its column above it."""
    joined = Joined(node, branch) if before is None else before._replace(node=node, branch=branch)
    if named.columns[named.tree.feature[node]].kind == "name":
        mine = frozenset(named.sides(node)[branch])
        return joined._replace(left=mine if before is None else before.left & mine)
    cut = float(named.tree.threshold[node])
    if not math.isfinite(cut) or branch > 1:
        return joined
    if branch == 0:
        return joined._replace(high=min(cut, joined.high))
    return joined._replace(low=max(cut, joined.low))


def _condition(named: Named, f: int, joined: Joined) -> str:
    """Write what is left of a column, nothing where that is everything."""
    column, name = named.columns[f], plain(named.columns[f].name)
    if named.answer(joined.node, joined.branch) in ("is missing", "is known"):
        return named.test(joined.node, joined.branch)
    if column.kind == "name":
        levels = [plain(v) for v in column.levels if v in joined.left]
        if len(levels) == 1:
            return f"{name} = {levels[0]}"
        return f"{name} in {{{', '.join(levels)}}}"
    low, high = quantity(column, joined.low), quantity(column, joined.high)
    if math.isinf(joined.low):
        return "" if math.isinf(joined.high) else f"{name} <= {high}"
    return f"{name} > {low}" if math.isinf(joined.high) else f"{low} < {name} <= {high}"


def dot(named: Named) -> str:
    """Graphviz."""

    def quoted(words: str) -> str:
        return '"' + words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

    lines = ["digraph tree {", "  node [shape=box, fontname=sans];"]
    for node, parent, branch, _ in named.walk():
        inner = named.tree.feature[node] >= 0
        head = named.asks(node) if inner else named.says(node)
        lines.append(f"  n{node} [label={quoted(f'{head} ({named.cases(node)})')}];")
        if parent >= 0:
            answer = named.answer(parent, branch)
            rows = wrap(answer, LABEL_LENGTH, replace_whitespace=False, break_on_hyphens=False)
            more = f", labeltooltip={quoted(answer)}" if len(rows) > LABEL_LINES else ""
            label = "\n".join(rows if not more else [*rows[:LABEL_LINES], "…"])
            lines.append(f"  n{parent} -> n{node} [label={quoted(label)}{more}];")
    return "\n".join([*lines, "}"])


def sql(named: Named) -> str:
    """Write one CASE expression, a WHEN for every leaf."""
    tree = named.tree
    inner = ~tree.leaf
    if (tree.missing_to[inner] < 0).any():
        raise _check.cannot(
            "The tree cannot be written as SQL",
            "a missing value goes down several branches",
            "Fit it with " + _check.setting("missing", "direction") + ".",
        )
    if len(tree.surrogate_feature):
        raise _check.cannot(
            "The tree cannot be written as SQL",
            "it has surrogate tests",
            "Fit it with " + _check.setting("missing", "direction") + ".",
        )
    return _whole(_sql(named), "SQL")


def _sql(named: Named) -> Iterator[str]:
    yield "CASE"
    conditions: list[str] = []
    for node, parent, branch, depth in named.walk():
        del conditions[max(depth - 1, 0) :]
        if parent >= 0:
            conditions.append(_sql_test(named, parent, branch))
        if named.tree.feature[node] < 0:
            if named.classes:
                says = _sql_text(named.classes[int(named.value[node].argmax())])
            else:
                says = repr(float(named.value[node, 0]))
            yield f"  WHEN {' AND '.join(conditions) or '1 = 1'} THEN {says}"
    yield "END"


def _sql_text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _sql_value(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return _sql_text(value) if isinstance(value, str) else repr(value)


def _sql_test(named: Named, node: int, branch: int) -> str:
    tree, column = named.tree, named.columns[named.tree.feature[node]]
    name = '"' + column.name.replace('"', '""') + '"'
    takes_missing = int(tree.missing_to[node]) == branch
    if column.kind == "name":
        sides = named.sides(node)
        mine = [_sql_value(v) for v in sides[branch]]
        others = [_sql_value(v) for b, side in enumerate(sides) if b != branch for v in side]
        if takes_missing:
            # Also what no level names, as in `predict`.
            known = f"{name} NOT IN ({', '.join(others)}) OR " if others else ""
            return f"({known}{name} IS NULL)" if others else "1 = 1"
        return f"{name} IN ({', '.join(mine)})" if mine else "1 = 0"
    threshold = tree.threshold[node]
    if branch == 2:
        return f"{name} IS NULL"
    if math.isinf(threshold):
        return f"{name} IS NOT NULL" if branch == 0 else f"{name} IS NULL"
    shown = quantity(column, threshold)
    if column.kind == "date":
        shown = f"TIMESTAMP '{shown.replace('T', ' ')}'"
    elif column.kind == "time":
        shown = f"TIME '{shown}'"
    elif column.kind == "duration":
        seconds, parts = divmod(abs(math.floor(threshold)), 10**6)
        shown = f"INTERVAL '{'-' if threshold < 0 else ''}{seconds}.{parts:06d}' SECOND"
    test = f"{name} {'<=' if branch == 0 else '>'} {shown}"
    return f"({test} OR {name} IS NULL)" if takes_missing else test
