"""What a program that ran has loaded: the files of names that its folders do not show.

A script may put folders on the path, or import installed packages: reading does not look there.
After a run the modules are loaded, and say themselves where their code stands.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import FunctionType

# What reading knows by its names (torchmetrics' MeanMetric, timm's models), or holds no losses.
NOT_READ = {"apex", "peft", "timm", "torchmetrics", "xent"}
NOT_READ |= {"matplotlib", "PIL", "scipy", "tensorboard", "wandb", "yaml"}


def file(name: str) -> Path | None:
    """Return the Python file of a module that is loaded."""
    if name.partition(".")[0] in NOT_READ | sys.stdlib_module_names:
        return None
    module = sys.modules.get(name)
    path = getattr(module, "__dict__", {}).get("__file__")
    if not isinstance(path, str) or not path.endswith(".py"):
        return None
    return Path(path) if Path(path).is_file() else None


def definition(module: str, name: str) -> tuple[Path, str] | None:
    """Return where a class or function stands that a loaded module has under a name."""
    found = getattr(sys.modules.get(module), "__dict__", {}).get(name)
    if not isinstance(found, FunctionType | type):
        return None
    path = file(found.__module__)
    return (path, found.__qualname__) if path is not None else None
