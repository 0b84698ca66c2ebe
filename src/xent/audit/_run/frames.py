"""Which line of whose code called: the frames of Python between a loss and the script."""

from __future__ import annotations

import sys
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType

import xent
from xent.audit._follow.loaded import INSTALLED


@dataclass(frozen=True)
class Location:
    """A call in a file: its first and last line, its column, from 1, and the function it is in."""

    file: str
    line: int
    last: int
    column: int
    function: str = ""

    def covers(self, file: str, line: int, last: int) -> bool:
        """Whether it is, or lies in, the lines of a file."""
        return self.file == file and self.line <= last and line <= self.last


@lru_cache
def _installed() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders.add(str(Path(xent.__file__).parent))
    torch = sys.modules.get("torch")
    if torch is not None and torch.__file__:
        folders.add(str(Path(torch.__file__).parent))
    return tuple(folders)


def is_users(file: str) -> bool:
    """Whether a file is the user's own: neither Python's, nor PyTorch's, nor an installed one."""
    if file.startswith(("<frozen", "<__array_function__", "<eval_with_key")):
        return False
    return not file.startswith(_installed()) and not any(part in file for part in INSTALLED)


_OF_USER: dict[str, bool] = {}


def of_user(frame: FrameType) -> FrameType:
    """Return the innermost frame of the user's code, or the given one where there is none."""
    found: FrameType | None = frame
    while found is not None:
        file = found.f_code.co_filename
        own = _OF_USER.get(file)
        if own is None:
            own = _OF_USER[file] = is_users(file)
        if own:
            return found
        found = found.f_back
    return frame


def location(code: CodeType, instruction: int, line: int) -> Location:
    """Return the place of the call that an instruction makes."""
    for number, (first, last, column, _) in enumerate(code.co_positions()):
        if number == instruction // 2:
            if first is None or column is None:
                break
            return Location(code.co_filename, first, last or first, column + 1, code.co_qualname)
    return Location(code.co_filename, line, line, 1, code.co_qualname)


def locations(frame: FrameType | None) -> tuple[Location, ...]:
    """Return the calls of the user's code that led to a frame, the innermost first."""
    found = []
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            found.append(location(frame.f_code, frame.f_lasti, frame.f_lineno))
        frame = frame.f_back
    return tuple(found)
