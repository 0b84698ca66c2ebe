"""Libraries that not every user has: imported on use, or refused with the way to install them.

This file stands alone at the bottom so that any room can ask without importing anything else.
"""

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
}


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
        raise ImportError(f'{by} needs {title}. Install it with: pip install "xent[{extra}]"')
    return import_module(module)
