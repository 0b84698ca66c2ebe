"""The loops of a script that go over its data, and whether a frame is still in one."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FrameType

from xent.audit._run.frames import is_users

NO_BODY_OF_ITS_OWN = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
OF_DATA = re.compile(r"batch|loader|split|data", re.IGNORECASE)
NOT_OF_DATA = re.compile(
    r"epoch|fold|kf\b|\bcv\b|task|seed|\bdata_?sets?\b|loaders\b", re.IGNORECASE
)
MOST_FRAMES = 8  # between a loss and the loop that it is in


@dataclass(frozen=True, slots=True)
class DataLoop:
    """A `for` in the code of a function, from its header to the last line of its body."""

    code: CodeType
    first: int
    last: int
    of_data: bool  # its header speaks of batches

    def left(self, frame: FrameType | None) -> bool:
        """Whether what runs is neither in the loop nor called from it."""
        while frame is not None:
            if frame.f_code is self.code:
                return not self.first <= frame.f_lineno <= self.last
            frame = frame.f_back
        return True


@dataclass(frozen=True, slots=True)
class _For:
    owner: int  # the first line of the function, 0 in a module
    first: int
    header: int  # the last line of what is iterated
    last: int
    of_data: bool


@lru_cache(64)
def _loops(file: str) -> tuple[_For, ...]:
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return ()
    found: list[_For] = []

    def visit(node: ast.AST, owner: int) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            owner = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        if isinstance(node, ast.For):
            header = node.iter.end_lineno or node.lineno
            last = node.body[-1].end_lineno or node.lineno
            found.append(_For(owner, node.lineno, header, last, _of_data(node)))
        for below in ast.iter_child_nodes(node):
            visit(below, owner)

    visit(tree, 0)
    return tuple(found)


def _of_data(node: ast.For) -> bool:
    """Whether a header speaks of batches, or counts in steps of a size."""
    match node.iter:
        case ast.Call(func=ast.Name(id="range"), args=[_, _, _]):
            return True
    header = f"{ast.unparse(node.target)} in {ast.unparse(node.iter)}"
    return bool(OF_DATA.search(header)) and not NOT_OF_DATA.search(header)


def _in_code(code: CodeType) -> list[_For]:
    if code.co_flags & NO_BODY_OF_ITS_OWN:
        return []  # it may sleep while its batch is worked on
    owner = 0 if code.co_name == "<module>" else code.co_firstlineno
    return [one for one in _loops(code.co_filename) if one.owner == owner]


def iterating(code: CodeType, line: int) -> DataLoop | None:
    """Return the loop whose header is at a line."""
    for one in _in_code(code):
        if one.first <= line <= one.header:
            return DataLoop(code, one.first, one.last, one.of_data)
    return None


def around(code: CodeType, line: int) -> DataLoop | None:
    """Return the innermost loop that a line is in."""
    found = [one for one in _in_code(code) if one.first <= line <= one.last]
    if not found:
        return None
    one = max(found, key=lambda each: each.first)
    return DataLoop(code, one.first, one.last, one.of_data)


def over_data(frame: FrameType | None) -> DataLoop | None:
    """Return the innermost loop around a frame and its callers, if it goes over batches."""
    for _ in range(MOST_FRAMES):
        if frame is None:
            break
        if is_users(frame.f_code.co_filename):
            found = around(frame.f_code, frame.f_lineno)
            if found is not None:
                return found if found.of_data else None
        frame = frame.f_back
    return None
