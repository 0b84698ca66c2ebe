"""What a project says about its audit: ``[tool.xent.audit]`` in pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from xent import _check
from xent.audit._catalogue import FINDING_LEVELS, RULES

SETTING_KEYS = ("select", "ignore", "levels", "exclude", "fail-on", "sizes", "criteria")
REDUCTIONS = ("mean", "sum", "none")


@dataclass(frozen=True)
class Config:
    """Which rules, how loud, which files, and facts that no script tells.

    Parameters
    ----------
    select, ignore : tuple of str
        Rules, or the beginning of their ids; none selected are all. A file that cannot be read
        (X000) is told whatever is selected, since silence would be taken for approval.
    levels : mapping of str to str
        Another level for a rule.
    exclude : tuple of str
        Patterns of files in folders that are left out.
    fail_on : str
        The level from which on the command exits with 1, or "never".
    sizes : mapping of str to int
        Lengths of data sets, by the name that they have in the script.
    criteria : mapping of str to str
        How losses that are defined elsewhere reduce: "mean", "sum" or "none".

    Examples
    --------
    >>> config = Config(ignore=("X4",), fail_on="error")
    >>> config.wants("X101"), config.wants("X402")
    (True, False)
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    levels: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    fail_on: str = "warning"
    sizes: Mapping[str, int] = field(default_factory=dict)
    criteria: Mapping[str, str] = field(default_factory=dict)

    def wants(self, rule: str) -> bool:
        """Whether a rule is asked for: ``X4`` stands for all that begin so."""
        selected = (*self.select, "X000") if self.select else ("",)
        chosen = any(rule.startswith(part) for part in selected)
        return chosen and not any(rule.startswith(part) for part in self.ignore)

    def excludes(self, path: str) -> bool:
        """Whether a file is left out."""
        return any(
            fnmatch(path, pattern) or fnmatch(path, pattern.rstrip("/") + "/*")
            for pattern in self.exclude
        )

    def but(self, **changes: Any) -> Config:
        """Return the configuration with what the command line says instead."""
        return replace(self, **{key: value for key, value in changes.items() if value is not None})


def load(folder: Path) -> Config:
    """Read the nearest pyproject.toml that speaks of the audit, up to the repository's folder."""
    for place in (folder.resolve(), *folder.resolve().parents):
        file = place / "pyproject.toml"
        if file.is_file():
            try:
                section: Any = tomllib.loads(file.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeError, OSError) as error:
                raise _check.cannot(f"{file} cannot be read", str(error)) from None
            for name in ("tool", "xent", "audit"):
                section = section.get(name) if isinstance(section, Mapping) else None
            if section is not None:
                return from_table(_table("tool.xent.audit", section))
        if (place / ".git").exists():
            break  # what is above is of another project
    return Config()


def from_table(table: Mapping[str, Any]) -> Config:
    """Check a table of settings."""
    for key in table:
        _check.option("tool.xent.audit", key, SETTING_KEYS)
    return Config(
        select=_rules("select", table.get("select", [])),
        ignore=_rules("ignore", table.get("ignore", [])),
        levels=_levels(_table("levels", table.get("levels", {}))),
        exclude=_texts("exclude", table.get("exclude", [])),
        fail_on=_check.option(
            "fail-on", table.get("fail-on", "warning"), (*FINDING_LEVELS, "never")
        ),
        sizes={
            name: _check.integer(f"sizes[{name!r}]", size, least=1)
            for name, size in _table("sizes", table.get("sizes", {})).items()
        },
        criteria={
            name: _check.option(f"criteria[{name!r}]", reduction, REDUCTIONS)
            for name, reduction in _table("criteria", table.get("criteria", {})).items()
        },
    )


def _levels(table: Mapping[str, Any]) -> dict[str, str]:
    levels: dict[str, str] = {}
    for part in sorted(_rules("levels", list(table)), key=len):  # the longer says more
        level = _check.option(f"levels[{part!r}]", table[part], FINDING_LEVELS)
        levels |= {rule: level for rule in RULES if rule.startswith(part)}
    return levels


def _rules(argument: str, value: object) -> tuple[str, ...]:
    for part in _texts(argument, value):
        if not any(rule.startswith(part) for rule in RULES) or not part:
            advice = "`xent audit rule` lists them."
            raise _check.invalid(argument, "name rules, such as X402 or X4", repr(part), advice)
    return _texts(argument, value)


def _texts(argument: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise _check.wrong_kind(argument, "be a list of texts", repr(value))
    return tuple(value)


def _table(argument: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _check.wrong_kind(argument, "be a table", repr(value))
    return value
