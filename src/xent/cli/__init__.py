"""`xent` on the command line: each command is a thin door to one room, in a file of its own.

A command raises the sentence that the library would raise. Here it is printed, in red, and the exit
code is 2; a fault of xent itself keeps its traceback, so that it can be reported.
"""

import os
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any, TextIO

import typer

from xent import _signals
from xent._terminal import printable, spell_on_streams
from xent.cli import _help

INTERRUPTED = 130  # what Typer makes of Ctrl-C
COMMANDS = (
    "_demo",
    "_training",
    "_evaluate",
    "_compare",
    "_calibrate",
    "_language",
    "_trees",
    "_measures",
    "_audit",
    "_warm_up",
)

app = typer.Typer(
    name="xent",
    help="Cross-entropy end to end: count the bits that a model wastes, and waste fewer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(_help.versions())
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Print the version of xent and of the libraries that it stands on.",
        ),
    ] = False,
) -> None:
    pass


for _name in COMMANDS:
    import_module(f"xent.cli.{_name}").register(app)


def command() -> Any:
    """Return the whole command line, as its help shows it."""
    return _help.readable(typer.main.get_command(app))


def main() -> None:
    """Run the command line; the console script `xent`."""
    try:
        _hold_streams()
        spell_on_streams()
        if os.environ.get("COLUMNS") == "0":  # unknown, as some shells say: no help would be seen
            del os.environ["COLUMNS"]
        if sys.flags.optimize > 1 and "--help" in sys.argv:
            typer.secho("python -OO takes help texts away: start it with -O at most.", err=True)
        with _signals.heard(), warnings.catch_warnings():
            warnings.showwarning = _doubt
            # A doubt is part of what a command says, whatever PYTHONWARNINGS does with others.
            warnings.filterwarnings("default", category=UserWarning, module=r"(typer|click)\b")
            command()()
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            typer.secho("Interrupted.", fg=typer.colors.RED, err=True)
        elif stop.code in _signals.ENDED:
            typer.secho(f"Ended by {_signals.ENDED[stop.code]}.", fg=typer.colors.RED, err=True)
        raise
    except KeyboardInterrupt:  # before Typer, which hears it too, has read the options
        _say("Interrupted.", INTERRUPTED)
    except MemoryError as error:
        _say(f"There is not enough memory for this. {error}".rstrip(), 2)
    except UnicodeEncodeError as error:
        lacking = error.object[error.start : error.end][:20]
        said = f"Standard output takes {error.encoding}, which cannot write {lacking!r}."
        _say(f"{said} Set PYTHONIOENCODING=utf-8.", 2)
    except (ValueError, TypeError, ImportError, OSError) as error:
        small = "There is not enough memory to load what this needs: " if _unloaded(error) else ""
        gone = "The folder that this was started in is gone. Go to another one."
        _say(f"{small}{error}" if _is_somewhere() else gone, 2)


def _is_somewhere() -> bool:
    """Whether the folder exists in which names without one are looked for."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _unloaded(error: BaseException | None) -> bool:
    """Whether a library found no room in memory, as where `ulimit -v` is small."""
    while error is not None:
        if isinstance(error, ImportError | OSError) and "failed to map segment" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _hold_streams() -> None:
    """Let no file that is opened take the number of a standard stream that is closed.

    What a library in C prints would go into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


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
    with suppress(OSError):  # a log on a disk that is full: the exit code still says it
        typer.secho(printable(sentence), fg=typer.colors.RED, err=True)
    sys.exit(code)
