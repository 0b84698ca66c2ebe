"""Which files a path means: scripts and notebooks, without what git ignores and environments."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from xent import _check
from xent.audit._config import Config

SUFFIXES = (".py", ".ipynb")
SKIPPED = {"__pycache__", "node_modules", "site-packages", ".ipynb_checkpoints", ".git", ".hg"}
SKIPPED |= {".tox", ".nox", ".venv", ".eggs", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


def collect(paths: list[Path], config: Config) -> list[Path]:
    """Return the files behind paths: a file is itself, a folder all scripts and notebooks in it."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            for file in _walk(path):
                if not config.excludes(_relative(file)):
                    found[file] = None
        elif path.is_file():
            if path.suffix not in SUFFIXES:
                raise _check.invalid(
                    "PATH", "be a folder, a .py or an .ipynb file", repr(str(path))
                )
            found[path] = None
        else:
            raise _check.invalid("PATH", "exist", repr(str(path)))
    return list(found)


def _relative(file: Path) -> str:
    try:
        return (file.parent.resolve() / file.name).relative_to(Path.cwd()).as_posix()
    except ValueError:
        return file.as_posix()


@dataclass
class Ignored:
    """The patterns of one .gitignore, with the folder that it speaks of."""

    folder: Path
    patterns: list[tuple[re.Pattern[str], bool, bool]]  # pattern, negated, folders only

    def says(self, path: Path, is_folder: bool) -> bool | None:
        """Whether a path is ignored, taken back, or not spoken of."""
        name = path.relative_to(self.folder).as_posix()
        verdict = None
        for pattern, negated, folders in self.patterns:
            if (is_folder or not folders) and pattern.fullmatch(name):
                verdict = not negated
        return verdict


def _walk(root: Path) -> list[Path]:
    rules = [r for folder in reversed(_above(root)) if (r := _read(folder)) is not None]
    return _walk_folder(root, rules)


def _above(root: Path) -> list[Path]:
    """Return the folders over one, up to the repository's."""
    found: list[Path] = []
    if (root / ".git").exists():
        return found
    for folder in root.resolve().parents:
        found.append(folder)
        if (folder / ".git").exists():
            return found
    return []


def _walk_folder(folder: Path, rules: list[Ignored]) -> list[Path]:
    own = _read(folder)
    if own is not None:
        rules = [*rules, own]
    files: list[Path] = []
    place = folder.resolve()
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        path = folder / entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder and (entry.name in SKIPPED or (path / "pyvenv.cfg").exists()):
            continue
        if is_folder or path.suffix in SUFFIXES:
            if _is_ignored(place / entry.name, is_folder, rules):  # a link is itself, for git, too
                continue
            if is_folder:
                files += _walk_folder(path, rules)
            elif entry.is_file():
                files.append(path)
    return files


def _is_ignored(path: Path, is_folder: bool, rules: list[Ignored]) -> bool:
    verdict = False
    for rule in rules:
        said = rule.says(path, is_folder)
        verdict = verdict if said is None else said
    return verdict


def _read(folder: Path) -> Ignored | None:
    file = folder / ".gitignore"
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    patterns = []
    for line in lines:
        line = line.rstrip()
        if not line or line.startswith("#"):
            continue
        negated = line.startswith("!")
        line = line.removeprefix("!").removeprefix("\\")
        folders = line.endswith("/")
        patterns.append((_pattern(line.rstrip("/")), negated, folders))
    return Ignored(folder.resolve(), patterns)


def _literal(text: str) -> str:
    """Return what matches a text itself; behind a backslash any letter is itself."""
    return re.escape(text.removeprefix("\\") if len(text) == 2 else text)


def _pattern(text: str) -> re.Pattern[str]:
    """Translate a line of .gitignore: a slash inside ties it to the folder, ** crosses folders."""
    tied = "/" in text
    text = re.sub(r"(\*\*/)+", "**/", text.lstrip("/"))
    parts = re.split(r"(^\*\*/|/\*\*/|/\*\*$|\*|\?|\\.|\[[!^]?\]?[^\]]*\])", text)
    made = {"**/": "(?:.*/)?", "/**/": "/(?:.*/)?", "/**": "/.*", "*": "[^/]*", "?": "[^/]"}
    body = "".join(
        made.get(part, re.sub(r"^\[[!^]", "[^/", part) if part[:1] == "[" else _literal(part))
        for part in parts
    )
    try:
        return re.compile(body if tied else f"(?:.*/)?{body}")
    except re.error:
        return re.compile(re.escape(text))
