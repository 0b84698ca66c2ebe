"""Whoever waits for the compiler is told: what is compiled, how long it takes, and that it is once.

One line a room and process, through the logger "xent": on a terminal, in a notebook or a pipe it
comes out on stderr, and in a log where the program keeps one. Its level is WARNING, so that it
comes out where nothing is set up. It is none of `warnings`, since nothing is wrong: a test suite
that makes errors of them must not fail on the machine that runs it first. A terminal shows a
spinner beside it. Where the code cannot be kept, the line says what to do about it.
"""

import gc
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from numba.core import event

from xent import _progress
from xent._compile import numba_private

SELDOM = 20_000  # objects more than before; Python's own 700 take a tenth of a compilation
PATIENCE = 1.0  # seconds of compiling that are not worth a word
ROOM_OF_FOLDER = {"distributions": "measures", "rows": "losses", "images": "losses"}
FIRST = (
    "First use of xent.{} here: its loops are compiled for this processor, 1 to 20 seconds on one "
    "core{}. `xent warm-up` does it ahead."
)
KEPT_IN = ", once; later runs start at once. The machine code goes to {}"
LOST = (
    ", in each process anew: no folder for machine code can be written (tried {}). Set "
    "NUMBA_CACHE_DIR to one that can"
)


class _Waiting(event.Listener):
    """Compilations, one within another; Numba's lock lets one thread compile at a time."""

    def __init__(self) -> None:
        self.depth, self.begin, self.room = 0, 0.0, ""
        self.kernel: Any = None
        self.show: Any = None
        self.shown = ExitStack()
        self.spent: dict[str, float] = {}
        self.told: set[str] = set()

    def on_start(self, event: Any) -> None:
        self.depth += 1
        if self.depth == 1:
            self.kernel, self.begin = event.data["dispatcher"], time.monotonic()
            self.room = _room(self.kernel.py_func.__module__)
            if self.room:
                self.shown.enter_context(_collected_seldom())
                self.show = self.shown.enter_context(_progress.spinner())

    def on_end(self, event: Any) -> None:
        self.depth -= 1
        if self.depth == 0:
            self.shown.close()
            self.spent[self.room] = self._seconds()

    def on_pass(self) -> None:
        if not (self.depth and self.room):
            return
        seconds = self._seconds()
        self.show(f"xent.{self.room}: compiling for this processor, {seconds:.0f} s")
        if seconds > PATIENCE and self.room not in self.told:
            self.told.add(self.room)
            logging.getLogger("xent").warning(_sentence(self.room, self.kernel))

    def _seconds(self) -> float:
        return self.spent.get(self.room, 0.0) + time.monotonic() - self.begin


class _Passes(event.Listener):
    """What the compiler does on the way."""

    def on_start(self, event: Any) -> None:
        _waiting.on_pass()

    def on_end(self, event: Any) -> None:
        pass


@contextmanager
def _collected_seldom() -> Iterator[None]:
    """Let Python's collector of cycles run seldom: what a compiler makes lives until it ends."""
    before = gc.get_threshold()
    if before[0]:
        gc.set_threshold(max(before[0], SELDOM), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _room(module: str | None) -> str:
    """Name the room that a kernel serves; nothing for kernels that are not ours."""
    first, *parts = (module or "").split(".")  # what was made by exec() belongs to no module
    if first != "xent" or not parts:
        return ""
    return parts[0] if parts[0][0] != "_" else ROOM_OF_FOLDER.get(parts[-2], "measures")


def _sentence(room: str, kernel: Any) -> str:
    folder, tried = numba_private.home(kernel)
    after = KEPT_IN.format(folder) if folder else LOST.format(", ".join(tried) or "none")
    return FIRST.format(room, after)


_waiting = _Waiting()


def register() -> None:
    """Listen to Numba."""
    event.register("numba:compile", _waiting)
    event.register("numba:run_pass", _Passes())
