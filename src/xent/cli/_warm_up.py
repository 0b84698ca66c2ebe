"""`xent warm-up`: compile ahead, for images and for machines that test."""

import os
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Annotated

import typer

from xent.cli._help import one_of

ALONE = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("warm-up")(warm_up)


def warm_up(
    rooms: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ROOM",
            help="Parts of xent: measures, losses, evaluation, training, language, trees; by "
            "default "
            "all.",
            autocompletion=one_of(
                "measures", "losses", "evaluation", "training", "language", "trees"
            ),
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            help="How many processes compile at the same time; by default one for each core."
        ),
    ] = None,
    clear: Annotated[
        bool,
        typer.Option("--clear", help="Remove all compiled code instead; it is made anew on use."),
    ] = False,
) -> None:
    """Compile the loops of xent ahead, so that their first use does not wait.

    Example: xent warm-up evaluation
    """
    from importlib.util import find_spec

    from xent import _check, _progress, _warm_up

    if clear:
        _clear(rooms, processes)
        return
    for room in rooms or ():
        _check.option("ROOM", room, _warm_up.CALLS)
    chosen = rooms or [
        room for room in _warm_up.CALLS if all(map(find_spec, _warm_up.NEEDS.get(room, ())))
    ]
    wanted = _cores() if processes is None else processes
    number = _check.integer("--processes", wanted, least=1)
    work = [(room, i) for room in dict.fromkeys(chosen) for i in range(_warm_up.count(room))]
    os.environ |= ALONE  # of the processes that begin here
    with (
        ProcessPoolExecutor(number, mp_context=get_context("spawn"), initializer=_quiet) as pool,
        _progress.stage("Compiling", len(work), "calls") as show,
    ):
        begun = [pool.submit(_warm_up.run, room, i) for room, i in work]
        try:
            for done, _ in enumerate(as_completed(begun), 1):
                show(done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for future in begun:  # one that fails does not keep the others from being compiled
        future.result()
    typer.echo(f"Ready: {', '.join(dict.fromkeys(chosen))}.")


def _clear(rooms: list[str] | None, processes: int | None) -> None:
    """Remove the machine code of every kernel."""
    from xent import _check
    from xent._compile import kept
    from xent._kernels.distributions.entropy import entropy_rows as any_kernel

    for argument, given in (("ROOM", rooms), ("--processes", processes)):
        if given not in (None, []):
            raise _check.invalid(argument, "be left out with --clear", repr(given))
    files, size = kept.remove(any_kernel)
    typer.echo(f"Removed {_check.count(files, 'file')} of compiled code, {size / 1e6:.1f} MB.")


def _cores() -> int:
    counted = getattr(os, "sched_getaffinity", None)
    return len(counted(0)) if counted else os.cpu_count() or 1


def _quiet() -> None:
    """Say nothing in a process that compiles: the bar does."""
    import logging

    from xent._signals import end_with_parent

    end_with_parent()
    warnings.simplefilter("ignore")
    logging.getLogger("xent").setLevel(logging.ERROR)
