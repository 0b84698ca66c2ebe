"""Progress of long work: on a terminal's stderr or nowhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(
    title: str, total: int | None, *, done: int = 0, show: bool = True
) -> Iterator[Callable[[str], None]]:
    """Give a function that is called after each of ``total`` steps with a word on how it stands."""
    if not (show and sys.stderr.isatty()):
        yield lambda word: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    steps = "{task.completed}" if total is None else "{task.completed}/{task.total}"
    columns = (
        TextColumn("{task.description:<32}"),
        BarColumn(),
        TextColumn(steps),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("[dim]{task.fields[word]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(title, total=total, completed=done, word="")
        yield lambda word: bars.update(task, advance=1, word=word)
