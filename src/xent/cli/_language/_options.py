"""What several commands of the room ask for, and how they print."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

STDIN, STDOUT = Path("/dev/stdin"), Path("-")
MIN_TEXT = 100_000  # tokens; the rate of fewer says how long the first call took


def _standard(path: Path | None) -> Path | None:
    """Return what "-" stands for where a text is read."""
    return STDIN if path == Path("-") else path


ModelPath = Annotated[
    Path,
    typer.Argument(metavar="MODEL", help="A model: ours, ARPA, packed or not, or KenLM's."),
]
TextPath = Annotated[
    Path,
    typer.Argument(
        metavar="TEXT", help="Text, plain or packed; - is what comes in.", callback=_standard
    ),
]
TextField = Annotated[
    str | None, typer.Option(help="Lines are JSON; the text is under this name.", metavar="NAME")
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where the result shall stand.")]
Stream = Annotated[
    Path, typer.Option("--output", "-o", help="Where the result shall stand; - prints it.")
]
Unit = Annotated[
    str | None,
    typer.Option(help="What a token is, where MODEL does not say it: word, character or byte."),
]
Errors = Annotated[
    str | None,
    typer.Option(help="strict refuses what is not UTF-8, keep takes it; MODEL's own by default."),
]
LongestLine = Annotated[
    str | None,
    typer.Option(
        help="Read longer lines than 128MB (or a twelfth of --memory), where TEXT is trusted: 1GB.",
        metavar="SIZE",
    ),
]
OnBadLine = Annotated[
    str,
    typer.Option(help="stop at a line that is no text, or skip and count it."),
]
JsonSwitch = Annotated[bool, typer.Option("--json", help="Print JSON, and only it.")]


def show(found: dict[str, Any], text: str, as_json: bool, *, err: bool = False) -> None:
    import json

    typer.echo(json.dumps(found, ensure_ascii=False) if as_json else text, err=err)


def skips_bad(choice: str) -> bool:
    """Whether lines that are no text are passed over."""
    from xent import _check

    return _check.option("--on-bad-line", choice, ("stop", "skip")) == "skip"


def bad_lines(count: int, first: str) -> str:
    """Say how many lines were passed over."""
    from xent import _check

    return f"{_check.count(count, 'bad line')} skipped, the first: {first}."


@contextmanager
def lines_up_to(size: str | None) -> Iterator[None]:
    """Let lines be as long as ``--longest-line`` says."""
    from xent.language._counting.runs import size_of
    from xent.language._text import longest_line

    if size is None:
        yield
    else:
        with longest_line(size_of("--longest-line", size), trusted=True):
            yield
