"""What several commands of the room ask for, and how they print."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from xent.cli._help import one_of

STDIN, STDOUT = Path("/dev/stdin"), Path("-")
MIN_TEXT = 100_000  # tokens; the rate of fewer says how long the first call took


def _standard(path: Path | None) -> Path | None:
    """Return what "-" stands for where a text is read."""
    return STDIN if path == Path("-") else path


ModelPath = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A model: a file of xent, an ARPA file (packed or not), or a binary file of KenLM.",
    ),
]
TextPath = Annotated[
    Path,
    typer.Argument(
        metavar="TEXT",
        help="Text, plain or packed (.gz, .bz2, .xz, .zst); - reads standard input.",
        callback=_standard,
    ),
]
TextField = Annotated[
    str | None,
    typer.Option(
        help="Lines are JSON objects; the text is the value of this field.", metavar="NAME"
    ),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Write the result to this file.")]
Stream = Annotated[
    Path, typer.Option("--output", "-o", help="Write the result to this file; - prints it.")
]
Unit = Annotated[
    str | None,
    typer.Option(
        help="What a token is, where MODEL does not say so: word, character or byte.",
        autocompletion=one_of("word", "character", "byte"),
    ),
]
Errors = Annotated[
    str | None,
    typer.Option(
        help="What to do with text that is not UTF-8: strict refuses it, keep takes its bytes; by "
        "default as MODEL does.",
        autocompletion=one_of("strict", "keep"),
    ),
]
Spelling = Annotated[
    str,
    typer.Option(
        help="What an unknown word costs in bits per byte: uniform, 8 bits for each of its bytes, "
        "or vocabulary, by a model of the bytes of MODEL's words.",
        autocompletion=one_of("uniform", "vocabulary"),
    ),
]
LongestLine = Annotated[
    str | None,
    typer.Option(
        help="Longest line that is read, like 1GB; by default 128MB, or a twelfth of --memory.",
        metavar="SIZE",
    ),
]
OnBadLine = Annotated[
    str,
    typer.Option(
        help="At a line that is not text: stop, or skip it and count it.",
        autocompletion=one_of("stop", "skip"),
    ),
]
JsonSwitch = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


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
    from xent.language._lines._text import longest_line

    if size is None:
        yield
    else:
        with longest_line(size_of("--longest-line", size), trusted=True):
            yield
