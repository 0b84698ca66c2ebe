"""Ctrl-C while the compiler runs: heard at its next pass, in every thread that compiles for us.

LLVM calls back into Python when machine code is ready. An exception there is printed and forgotten,
and Ctrl-C mostly comes out there, since Python hears it when it next runs. So while the main thread
compiles, Ctrl-C is noted, and raised where the compiler can be left: between two passes. So are the
signals that end a command (`xent._signals`).
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from numba.core import event

from xent import _signals
from xent._compile import threads

Handler = Callable[[int, FrameType | None], Any]
ENDING: tuple[Handler, ...] = (signal.default_int_handler, _signals.end)


class _Held(event.Listener):
    """Holds signals back while the main thread compiles, unless somebody else handles them."""

    depth = 0

    def __init__(self) -> None:
        self.before: dict[int, Handler] = {}
        self.heard: tuple[int, Handler] | None = None

    def on_start(self, event: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self.depth += 1
        if self.depth == 1:
            for number in (signal.SIGINT, *_signals.ENDING_SIGNALS):
                handler = signal.getsignal(number)
                if handler in ENDING:
                    self.before[number] = handler
                    signal.signal(number, self.note)

    def on_end(self, event: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self.depth -= 1
        if self.depth == 0 and self.before:
            for number, handler in self.before.items():
                signal.signal(number, handler)
            self.before = {}
            self.raise_if_heard()

    def note(self, number: int, frame: FrameType | None) -> None:
        self.heard = number, self.before[number]

    def raise_if_heard(self) -> None:
        if self.heard and threading.current_thread() is threading.main_thread():
            (number, handler), self.heard = self.heard, None
            handler(number, None)


@contextmanager
def held() -> Iterator[None]:
    """Hold Ctrl-C back within, too: where Numba makes code for itself."""
    _held.on_start(None)
    try:
        yield
    finally:
        _held.on_end(None)


class _Passes(event.Listener):
    """Leaves the compiler before its next pass."""

    def on_start(self, event: Any) -> None:
        _held.raise_if_heard()
        threads.raise_if_stopped()

    def on_end(self, event: Any) -> None:
        pass


_held = _Held()


def register() -> None:
    """Listen to Numba."""
    event.register("numba:compile", _held)
    event.register("numba:run_pass", _Passes())
