"""`xent` on the command line: each command is a thin door to one room, in a file of its own.

A command raises the sentence that the library would raise. Here it is printed, in red, and the exit
code is 2; a fault of xent itself keeps its traceback, so that it can be reported.
"""

import sys
import warnings
from importlib import import_module
from typing import Annotated, TextIO

import typer

from xent import _signals
from xent._terminal import printable

INTERRUPTED = 130  # what Typer makes of Ctrl-C
COMMANDS = (
    "_demo",
    "_train",
    "_predict",
    "_evaluate",
    "_compare",
    "_language",
    "_trees",
    "_measures",
    "_audit",
    "_warm_up",
)

app = typer.Typer(
    name="xent",
    help="Count the bits a model wastes, and waste fewer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"xent {version('xent')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which xent.")
    ] = False,
) -> None:
    pass


for _name in COMMANDS:
    import_module(f"xent.cli.{_name}").register(app)


def main() -> None:
    """Run the command line; the console script `xent`."""
    try:
        with _signals.heard(), warnings.catch_warnings():
            warnings.showwarning = _doubt
            app()
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            typer.secho("Interrupted.", fg=typer.colors.RED, err=True)
        elif stop.code in _signals.ENDED:
            typer.secho(f"Ended by {_signals.ENDED[stop.code]}.", fg=typer.colors.RED, err=True)
        raise
    except MemoryError as error:
        _say(f"There is not enough memory for this. {error}".rstrip(), 2)
    except (ValueError, TypeError, ImportError, OSError) as error:
        _say(str(error), 2)


def _doubt(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as one sentence: there is no line of the user's to point at."""
    typer.secho(printable(str(message)), fg=typer.colors.YELLOW, err=True)


def _say(sentence: str, code: int) -> None:
    typer.secho(printable(sentence), fg=typer.colors.RED, err=True)
    sys.exit(code)
