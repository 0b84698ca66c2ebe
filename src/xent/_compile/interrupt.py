"""Ctrl-C while the compiler runs: heard at its next pass, in every thread that compiles for us.

LLVM calls back into Python when machine code is ready. An exception there is printed and forgotten,
and Ctrl-C mostly comes out there, since Python hears it when it next runs. So while the main thread
compiles, Ctrl-C is noted, and raised where the compiler can be left: between two passes.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

from xent._compile import threads


class _Held(event.Listener):
    """Holds Ctrl-C back while the main thread compiles, unless somebody else handles it."""

    depth = 0
    pressed = False
    holding = False

    def on_start(self, event: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self.depth += 1
        if self.depth == 1 and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self.note)
            self.holding = True

    def on_end(self, event: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self.depth -= 1
        if self.depth == 0 and self.holding:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.holding = False
            self.raise_if_pressed()

    def note(self, number: int, frame: Any) -> None:
        self.pressed = True

    def raise_if_pressed(self) -> None:
        if self.pressed and threading.current_thread() is threading.main_thread():
            self.pressed = False
            raise KeyboardInterrupt


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
        _held.raise_if_pressed()
        threads.raise_if_stopped()

    def on_end(self, event: Any) -> None:
        pass


_held = _Held()


def register() -> None:
    """Listen to Numba."""
    event.register("numba:compile", _held)
    event.register("numba:run_pass", _Passes())
