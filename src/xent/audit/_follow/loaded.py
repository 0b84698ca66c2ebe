"""What a program that ran has loaded: the files of names that its folders do not show.

A script may put folders on the path, or import installed packages: reading does not look there.
After a run the modules are loaded, and say themselves where their code stands.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType

# What reading knows by its names (torchmetrics' MeanMetric, timm's models), or holds no losses.
NOT_READ = {"apex", "datasets", "peft", "timm", "torchmetrics", "xent"}
NOT_READ |= {"matplotlib", "PIL", "scipy", "tensorboard", "wandb", "yaml"}
DRIVEN = "LightningModule"  # the base of what a trainer drives
INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True)
class SeenCalls:
    """What a run tells reading: which function each call led to on the way to a loss.

    And the user's ``files`` that computed one.
    """

    files: set[Path] = field(default_factory=set)
    to: dict[tuple[str, int, int], set[tuple[str, str]]] = field(default_factory=dict)

    def add(self, call: tuple[str, int, int], function: tuple[str, str]) -> None:
        """Note that a call (file, line, column) led to a function (file, full name)."""
        self.to.setdefault(call, set()).add(function)

    def function(self, path: Path, line: int, column: int) -> tuple[Path, str] | None:
        """Return the one function of a file that a call always led to."""
        found = self.to.get((str(path.resolve()), line, column), set())
        if len(found) != 1:
            return None
        ((file_, name),) = found
        return (Path(file_), name) if file_.endswith(".py") and Path(file_).is_file() else None


def file(name: str) -> Path | None:
    """Return the Python file of a module that is loaded; of installed ones only parts are read."""
    path = _code(name)
    return None if path is None or INSTALLED.intersection(path.parts) else path


def _code(name: str) -> Path | None:
    if name.partition(".")[0] in NOT_READ | sys.stdlib_module_names:
        return None
    module = sys.modules.get(name)
    path = getattr(module, "__dict__", {}).get("__file__")
    if not isinstance(path, str) or not path.endswith(".py"):
        return None
    return Path(path) if Path(path).is_file() else None


def definition(module: str, name: str) -> tuple[Path, str] | None:
    """Return where a class or function stands that a loaded module has under a name.

    That is the file that defines it: a package's own file imports all the others.
    """
    found = getattr(sys.modules.get(module), "__dict__", {}).get(name)
    if not isinstance(found, FunctionType | type):
        return None
    path = _code(found.__module__)
    return (path, found.__qualname__) if path is not None else None


def driven(names: Iterable[str]) -> list[Path]:
    """Return the files of modules with steps that a trainer calls: no line shows the calls."""
    found: dict[Path, None] = {}
    for name in sorted(names):
        path = file(name) if name != "__main__" else None
        if path is None:
            continue
        for one in list(vars(sys.modules[name]).values()):
            if isinstance(one, type) and one.__module__ == name and _is_driven(one):
                found[path] = None
    return list(found)


def _is_driven(made: type) -> bool:
    return DRIVEN in (base.__name__ for base in type.mro(made)[1:])
