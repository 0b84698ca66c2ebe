"""SIGTERM and SIGHUP end a command as Ctrl-C does: what is half written is taken away first."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# SIGHUP is not to be had on Windows.
ENDING_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
ENDED = {128 + number: number.name for number in ENDING_SIGNALS}


def end(number: int, frame: FrameType | None) -> None:
    """Leave the process with the exit code of a signal, through every `finally` on the way."""
    raise SystemExit(128 + number)


def end_with_parent() -> None:
    """Let this worker process end when the one that began it does, however that ends.

    A worker waits for its next task on a pipe that it holds open itself, so after a kill -9 it
    would wait forever, with all that it has loaded.
    """
    from multiprocessing import parent_process
    from threading import Thread

    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(128 + signal.SIGTERM)

    Thread(target=watch, daemon=True).start()


@contextmanager
def heard() -> Iterator[None]:
    """End on these signals in order within, unless they are handled or ignored, as nohup does."""
    ours = [number for number in ENDING_SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
