"""A tree as text, as rules and in the language of Graphviz."""

from collections.abc import Iterable, Iterator
from textwrap import wrap

from xent import _check
from xent.trees._show.named import LISTED_LEVELS, Named, Path

LABEL_LENGTH, LABEL_LINES = 40, 6  # letters in a line, and lines, of a label of Graphviz
MAX_TEXT = 2**28  # letters of a text; pruned trees take thousands


def text(named: Named, most: int | None = LISTED_LEVELS) -> str:
    """Indented text, one test a line; a leaf's cases and, after a slash, those it gets wrong."""
    return whole(_noted(named, _text(named, most)), "text")


def rules(named: Named, most: int | None = LISTED_LEVELS) -> str:
    """One rule a leaf, each column's tests joined into one."""
    return whole(_noted(named, _rules(named, most)), "rules")


def _noted(named: Named, lines: Iterator[str]) -> Iterator[str]:
    yield from lines
    if named.note:
        yield named.note


def _text(named: Named, most: int | None) -> Iterator[str]:
    path = Path(named)
    for node, parent, branch, depth in named.walk():
        leaf = named.tree.feature[node] < 0
        end = f"{named.says(node)} ({named.cases(node)})" if leaf else ""
        if parent < 0:
            if leaf:
                yield end
            continue
        path.back(depth)
        words = named.test(parent, branch, path, most)
        path.down(parent, branch)
        head = "|   " * (depth - 1) + words
        yield f"{head}: {end}" if leaf else head


def _rules(named: Named, most: int | None) -> Iterator[str]:
    """Join the tests of a column, unless surrogates decide some of them for a missing value."""
    tree, path = named.tree, Path(named)
    tests: list[tuple[int, str]] = []  # column and words of each test of the path
    divided: list[int] = []  # columns of tests with surrogates
    for node, parent, branch, depth in named.walk():
        path.back(depth)
        if parent >= 0:
            f = int(tree.feature[parent])
            del tests[depth - 1 :], divided[depth - 1 :]
            words = ""
            if len(tree.surrogate_feature):
                words = named.test(parent, branch, path, most, brackets=True)
            tests.append((f, words))
            divided.append(f if len(named.substitutes(parent)) else -1)
            path.down(parent, branch)
        if tree.feature[node] < 0:
            conditions: list[str] = []
            for f, values in path.held.items():
                if f in divided:
                    conditions += [words for column, words in tests if column == f]
                elif words := named.rest(f, values, most):
                    conditions.append(words)
            head = "if " + " and ".join(conditions) if conditions else "always"
            yield f"{head} then {named.says(node)} ({named.cases(node)})"


def whole(lines: Iterable[str], what: str) -> str:
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


def dot(named: Named) -> str:
    """Graphviz."""
    lines = ["digraph tree {", "  node [shape=box, fontname=sans];"]
    if named.note:
        lines.append(f"  label={_quoted(named.note)};")
    path = Path(named)
    for node, parent, branch, depth in named.walk():
        inner = named.tree.feature[node] >= 0
        head = named.asks(node) if inner else named.says(node)
        lines.append(f"  n{node} [label={_quoted(f'{head} ({named.cases(node)})')}];")
        path.back(depth)
        if parent >= 0:
            answer = named.answer(parent, branch, path, None)
            rows = wrap(answer, LABEL_LENGTH, replace_whitespace=False, break_on_hyphens=False)
            more = ""
            if len(rows) > LABEL_LINES:
                more = f", labeltooltip={_quoted(answer)}"
                # What is cut stays to be seen: also where a missing value goes.
                end = "… or missing" if answer.endswith(" or missing") else "…"
                rows = [*rows[:LABEL_LINES], end]
            label = "\n".join(rows)
            lines.append(f"  n{parent} -> n{node} [label={_quoted(label)}{more}];")
            path.down(parent, branch)
    return "\n".join([*lines, "}"])


def _quoted(words: str) -> str:
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
