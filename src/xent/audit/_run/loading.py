"""A call when a module is loaded, which Python finds and loads as ever."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, cast

# Python blames no warning on a frame whose file goes by such a name.
UNBLAMED = "<frozen importlib._bootstrap of xent>"


class AfterLoading(MetaPathFinder):
    """Finds modules where Python does, and calls back when one was loaded."""

    def __init__(self, names: Iterable[str], then: Callable[[], None]) -> None:
        self.names, self.then = set(names), then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find nothing but these modules."""
        if fullname not in self.names:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = cast(Any, _Once(spec.loader, self))
        return spec


class _Once(Loader):
    """A loader that says when it is done."""

    def __init__(self, loader: Any, finder: AfterLoading) -> None:
        self.loader, self.finder = loader, finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to Python's."""
        return cast("ModuleType | None", self.loader.create_module(spec))

    def exec_module(self, module: ModuleType) -> None:
        """Load, and leave no trace."""
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        self.finder.names.discard(module.__name__)
        if not self.finder.names and self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        self.finder.then()
