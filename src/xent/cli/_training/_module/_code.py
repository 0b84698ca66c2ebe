"""`--module FILE.py:NAME`: a network whose code is the user's own, which is run as code is."""

from __future__ import annotations

import inspect
import os
import runpy
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

PASSED = ("features", "classes")  # what a factory is called with, where it asks for it


def code_of(text: str | None) -> str | None:
    """Return the file that ``FILE.py:NAME`` names, which no output may write over."""
    return text and (text.rpartition(":")[0] or None)


def module_factory(text: str, seed: int) -> Callable[..., Any]:
    """Run a file of Python, and return what makes its network of ``features=`` and ``classes=``.

    Parameters
    ----------
    text : str
        ``FILE.py:NAME``: a class or a function, which is called with ``features=`` and
        ``classes=`` as far as it has arguments of these names; or a module.
    seed : int
        Of PyTorch's generator while the network is made.
    """
    from xent import _check

    file, colon, name = text.rpartition(":")
    if not (colon and name and file.endswith(".py")):
        must = "name a file and what makes the network in it, like net.py:Net"
        raise _check.invalid("--module", must, repr(text))
    if not Path(file).exists():
        raise FileNotFoundError(f"There is no file {file!r}.")
    folder = os.path.dirname(os.path.abspath(file))
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as Python does for a script
    found = _running(file, lambda: runpy.run_path(file))
    if name not in found:
        raise _check.invalid("--module", f"name what {file!r} defines", repr(name))
    made = found[name]

    def make(**known: int) -> Any:
        import torch
        from torch import nn

        if isinstance(made, nn.Module):
            return made
        if not callable(made):
            must = "name a class, a function or a module"
            raise _check.invalid("--module", must, f"{name!r}, {_check.a(made)}")
        wanted = _arguments(text, made)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            module = _running(file, lambda: made(**{k: known[k] for k in wanted}))
        if not isinstance(module, nn.Module):
            raise _check.invalid("--module", "make a torch.nn.Module", _check.a(module))
        return module

    return make


def _arguments(text: str, made: Callable[..., Any]) -> list[str]:
    """Return which of `PASSED` a factory takes; refuse one that needs others."""
    from xent import _check

    wanted = []
    for name, parameter in inspect.signature(made).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name in PASSED and parameter.kind != parameter.POSITIONAL_ONLY:
            wanted.append(name)
        elif parameter.default is parameter.empty:
            must = "need no argument but features and classes, the numbers of both"
            raise _check.invalid("--module", must, f"{name!r} of {text}")
    return wanted


def _running(file: str, run: Callable[[], Any]) -> Any:
    """Run the user's code; say in a sentence where it fails."""
    from xent import _check

    try:
        return run()
    except Exception as error:
        line = getattr(error, "lineno", None)  # of a file that is no Python
        for frame in traceback.extract_tb(error.__traceback__):
            if os.path.abspath(frame.filename) == os.path.abspath(file):
                line = frame.lineno
        where = "" if line is None else f" at line {line} of {file!r}"
        said = str(error).partition("\n")[0]
        got = f"{type(error).__name__}{': ' * bool(said)}{said}{where}"
        raise _check.invalid("--module", "name code that runs", got) from None
