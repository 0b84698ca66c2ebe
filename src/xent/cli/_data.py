"""What several commands ask for, by one name in all of them, and check alike."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from xent.cli._help import one_of

Base = Annotated[
    str,
    typer.Option(
        help="Base of the logarithm: 2 for bits, e for nats, 10 for bans.", metavar="NUMBER"
    ),
]
Lang = Annotated[
    str | None,
    typer.Option(
        help="Language of the report, en or zh (Chinese); by default what XENT_LANG says.",
        metavar="LANGUAGE",
        autocompletion=one_of("en", "zh"),
    ),
]
SEEDS = 1 << 32  # that a generator of NumPy or PyTorch may begin with
Seed = Annotated[int, typer.Option("--seed", "--random-state", help="Seed of all random numbers.")]


def check_language(lang: str | None) -> None:
    """Refuse a language that is none, before any work: of --lang, or of the environment."""
    from xent import _check
    from xent._lang import LANGUAGES, spoken

    if lang is None:
        spoken()
    else:
        _check.option("--lang", lang, LANGUAGES)


def check_seed(seed: int) -> None:
    """Refuse what NumPy and PyTorch take for no seed, before any work."""
    from xent import _check

    if not 0 <= seed < SEEDS:
        raise _check.invalid("--seed", f"be an integer from 0 to {SEEDS - 1}", seed)


def require(names: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse a table without a column that is wanted; its columns are ``names``."""
    from xent import _check

    for name in wanted:
        if name not in names:
            got = _check.join_names(names, last="and")
            raise _check.invalid("DATA", f"have the column {name!r}", got)


@contextmanager
def words(*options: str, **others: str) -> Iterator[None]:
    """Let the library's refusals and doubts name what was typed: `--max-depth`, not `max_depth`.

    Parameters
    ----------
    options : str
        Arguments of Python's that are options of the command under the same name.
    others : str
        What the command calls another argument, such as ``X="DATA"``.
    """
    from xent import _check

    typed = {name: "--" + name.replace("_", "-") for name in options} | others
    with _check.spelling(typed):
        try:
            yield
        except (ValueError, TypeError) as error:
            _check.respell(error, typed)
            raise


def base_of(text: str) -> float:
    """Return the base of logarithms that ``--base`` names: a number, or e."""
    import math

    from xent import _check

    if text == "e":
        return math.e
    try:
        return float(text)
    except ValueError:
        raise _check.invalid("--base", "be a number, or e for nats", repr(text)) from None


def check_outputs(inputs: Sequence[str | Path | None], outputs: dict[str, Path | None]) -> None:
    """Refuse, before any work, outputs that cannot be written or would write over one another.

    Parameters
    ----------
    inputs : sequence of path
        What is read.
    outputs : dict of option to path
        What is written; None and ``-`` (standard output) are let pass.
    """
    from xent import _check, _store

    taken = {os.path.realpath(path): "what is read" for path in inputs if path is not None}
    for option, path in outputs.items():
        if path is None or str(path) == "-":
            continue
        _store.check_target(path, argument=option)
        place = os.path.realpath(path)
        if place in taken and not path.is_char_device():
            other = taken[place]
            raise _check.invalid(option, f"differ from {other}", f"{str(path)!r} for both")
        taken[place] = f"`{option}`"
