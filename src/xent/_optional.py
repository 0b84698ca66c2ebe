"""Libraries that not every user has: imported on use, or refused with the way to install them.

This file stands alone at the bottom so that any room can ask without importing anything else.
"""

import os
import re
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

_TITLES = {
    "torch": "PyTorch",
    "jax": "JAX",
    "altair": "Altair",
    "vl_convert": "vl-convert",
    "jinja2": "Jinja",
    "distributed": "Dask",
    "PIL": "Pillow",
    "pyarrow": "Apache Arrow (pyarrow)",
    "sklearn": "scikit-learn",
}
_PACKAGES = {"PIL": "pillow", "sklearn": "scikit-learn", "vl_convert": "vl-convert-python"}


def need(module: str, *, extra: str, by: str) -> ModuleType:
    """Import ``module`` for ``by``, or say which extra of xent brings it.

    Parameters
    ----------
    module : str
        Name as in an import statement.
    extra : str
        The extra of xent that installs it.
    by : str
        Who needs it, as the user would name it: ``"xent.losses"``.

    Raises
    ------
    ImportError
        If the module is not installed. A module that is installed but broken raises its own error.
    """
    if find_spec(module.partition(".")[0]) is None:
        title = _TITLES.get(module, module)
        raise ImportError(f"{by} needs {title}. Install it with: {_install(module, extra)}")
    return import_module(module)


@cache
def torch_alone_after_fork() -> None:
    """Let PyTorch run on one thread in children that are forked from now on.

    OpenMP's team of threads is gone there: the next operation of PyTorch on several threads, such
    as a sum in a backward, would wait for it for good. Elsewhere than on Windows, where nothing
    forks.
    """
    if hasattr(os, "register_at_fork"):
        torch = import_module("torch")
        os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


def _install(module: str, extra: str) -> str:
    """Return the command that installs what an extra brings, wherever xent itself came from.

    ``pip install "xent[torch]"`` would ask a package index for xent, which may have come from a
    clone or a wheel; the libraries themselves are on the index.
    """
    from importlib.metadata import PackageNotFoundError, requires

    try:
        lines = requires("xent") or []
    except PackageNotFoundError:  # run from its source, installed nowhere
        lines = []
    wanted = re.compile(rf"""(.+?)\s*;\s*extra == ["']{extra}["']""")
    found = [match[1].replace(" ", "") for line in lines if (match := wanted.fullmatch(line))]
    return "pip install " + " ".join(
        f'"{name}"' for name in found or [_PACKAGES.get(module, module)]
    )
