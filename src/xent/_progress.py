"""Progress of long work: on a terminal's stderr, once it has taken a moment, or nowhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

SHOWN_AFTER = 0.5  # seconds of work before a bar is worth showing
_shown: list[Any] = []  # the bar on the terminal: a stage within a stage shows none


@contextmanager
def stage(
    title: str, total: float | None, unit: str, *, show: bool = True
) -> Iterator[Callable[..., None]]:
    """Give a function that is told how far the work has come, in all, and may add a word.

    Parameters
    ----------
    title : str
    total : float, optional
        Where the work ends; None where nobody knows.
    unit : str
        ``"B"`` counts bytes; else the name of what is counted.
    show : bool
        False shows nothing, anywhere.
    """
    if not (show and _on_terminal()):
        yield lambda done, word="": None
        return
    begin = time.monotonic()
    with ExitStack() as closing:
        mine: list[Any] = []

        def told(done: float, word: str = "") -> None:
            if not mine and not _shown and time.monotonic() - begin > SHOWN_AFTER:
                bars = closing.enter_context(_bars(unit))
                mine.extend([bars, bars.add_task(title, total=total, rate="")])
                _shown.append(bars)
                closing.callback(_shown.remove, bars)
            if mine:
                rate = _figure(done / (time.monotonic() - begin), unit) + "/s  " + word
                mine[0].update(mine[1], completed=done, rate=rate)

        yield told


def _on_terminal() -> bool:
    # It is None where it was closed before Python began.
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def hidden() -> Iterator[None]:
    """Show nothing of the stages within."""
    mark = object()
    _shown.append(mark)
    try:
        yield
    finally:
        _shown.remove(mark)


@contextmanager
def spinner() -> Iterator[Callable[[str], None]]:
    """Give a function that shows what is waited for, on a terminal where no bar is shown."""
    if _shown or not _on_terminal():
        yield lambda text: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    bars = Progress(
        SpinnerColumn(), TextColumn("{task.description}"), console=Console(stderr=True),
        transient=True,
    )  # fmt: skip
    with bars:
        task = bars.add_task("")
        _shown.append(bars)
        try:
            yield lambda text: bars.update(task, description=text)
        finally:
            _shown.remove(bars)


def _bars(unit: str) -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    done = DownloadColumn() if unit == "B" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), done)
    rate = TextColumn("[dim]{task.fields[rate]}")
    return Progress(
        *columns, rate, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    )


def _figure(value: float, unit: str) -> str:
    """Write a number with three digits: 1.23 M tokens, 45.6 kB."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return (
                f"{value / size:.3g} {letter}{unit}"
                if unit == "B"
                else (f"{value / size:.3g} {letter} {unit}")
            )
    return f"{value:.0f} {unit}"
