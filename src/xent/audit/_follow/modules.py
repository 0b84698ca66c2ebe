"""The import graph of one script: which file an import means, seen from the file that imports.

A name is looked for beside the script, as Python does, and, for scripts that are run from above,
in the folders over it up to the one that a project begins with. Nothing is guessed from folders
that are not on that way, and what is not found is a library's.
"""

from __future__ import annotations

from pathlib import Path

from xent.audit._follow import loaded
from xent.audit._follow.values import Imported, Module
from xent.audit._source import Script, read

LIBRARIES = {"torch", "numpy", "transformers", "torchvision", "math", "os", "sys", "tqdm", "time"}
LIBRARIES |= {"accelerate", "lightning", "pytorch_lightning", "pandas", "sklearn"}
FOLDERS_ABOVE = 4  # folders above the script
MARKS = (".git", "pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "README.md")


class Modules:
    """The files that a script imports, each read once."""

    def __init__(
        self, script: Script, sources: dict[Path, Script], ran: loaded.SeenCalls | None = None
    ) -> None:
        self.ran = ran  # of a script that ran, whose imports are loaded
        self.script = Module("__main__", script)
        self.sources = sources
        self.known: dict[Path, Module] = {script.path.resolve(): self.script}
        self.roots = _roots(script.path.resolve().parent)
        self.found: dict[str, Module | None] = {}

    def absolute(self, name: str) -> Module | None:
        """Return the file behind ``import name``, or None where it is a library's."""
        if name not in self.found:
            self.found[name] = self._look_up(name)
        return self.found[name]

    def _look_up(self, name: str) -> Module | None:
        if name.partition(".")[0] in LIBRARIES:
            return None
        for root in self.roots:
            path = self._file(root.joinpath(*name.split(".")))
            if path is not None:
                return self._module(name, path)
        path = loaded.file(name) if self.ran is not None else None
        return self._module(name, path) if path is not None else None

    def loaded(self, name: str, part: str) -> Imported | None:
        """Return what a loaded module without a file has under a name."""
        if self.ran is None or name.partition(".")[0] in LIBRARIES:
            return None
        found = loaded.definition(name, part)
        return Imported(self._module(name, found[0]), found[1]) if found is not None else None

    def called(self, importer: Module, line: int, column: int) -> Imported | None:
        """Return the function or class that a call led to in a run, by its first name."""
        if self.ran is None:
            return None
        found = self.ran.function(importer.source.path, line, column)
        return Imported(self._module(found[0].stem, found[0]), found[1]) if found else None

    def relative(self, importer: Module, level: int, name: str) -> Module | None:
        """Return the file behind ``from ..name import``."""
        folder = importer.source.path.resolve().parent
        for _ in range(level - 1):
            folder = folder.parent
        path = self._file(folder.joinpath(*name.split(".")))
        return self._module(name, path) if path else None

    def submodule(self, package: Module, name: str) -> Module | None:
        """Return the file behind a name that is imported from a package and not defined in it."""
        if package.source.path.name != "__init__.py":
            return None
        path = self._file(package.source.path.resolve().parent / name)
        return self._module(name, path) if path else None

    @staticmethod
    def _file(stem: Path) -> Path | None:
        for path in (stem.with_name(stem.name + ".py"), stem / "__init__.py"):
            if path.is_file():
                return path
        return None

    def _module(self, name: str, path: Path) -> Module:
        path = path.resolve()
        if path not in self.known:
            if path not in self.sources:
                self.sources[path] = read(path, shown(path))
            self.known[path] = Module(name, self.sources[path])
        return self.known[path]


def _roots(folder: Path) -> list[Path]:
    """Return the folder of the script and those over it, as far as a project's first folder."""
    way = [folder, *list(folder.parents)[:FOLDERS_ABOVE]]
    for depth, place in enumerate(way):
        if any((place / mark).exists() for mark in MARKS):
            return way[: depth + 1]
    packages = 1
    while packages < len(way) and (way[packages - 1] / "__init__.py").exists():
        packages += 1
    return way[:packages]


def shown(path: Path) -> str:
    """Return the name that a file has in findings."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
