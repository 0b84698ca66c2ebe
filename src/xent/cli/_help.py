"""What `xent --help` and `xent --version` say, and what the Tab key offers.

Each command says in its docstring what it does, with a line `Example: xent ...`; the help of `xent`
itself lists the first example of each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

EXAMPLE = re.compile(r"^\s*Example: (xent .*)$", re.MULTILINE)
BESIDE = ("llvmlite",)  # not asked for by name, and part of every kernel's machine code


def one_of(*choices: str) -> Callable[[str], list[str]]:
    """Return what completes an option that takes one of some words.

    The option takes any text, and the library refuses a wrong one in a sentence of its own.
    """

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete


def commands(group: Any) -> Iterator[Any]:
    """Yield the commands below a group, and those below them, in the order of the help."""
    for command in getattr(group, "commands", {}).values():
        yield command
        yield from commands(command)


def readable(root: Any) -> Any:
    """Return the command `xent` with flags shown without a value, and an example of each command.

    Parameters
    ----------
    root : command
        What Typer makes of the whole command line.
    """
    every = [root, *commands(root)]
    for command in every:
        for param in command.get_params(command.context_class(command)):
            if getattr(param, "is_flag", False):
                param.metavar = ""
    found = [example for command in every for example in EXAMPLE.findall(command.help or "")[:1]]
    root.epilog = "\n".join(["[bold]Examples[/]", *found])
    return root


def versions() -> str:
    """Return the version of xent, of Python, and of each library that xent stands on."""
    import platform
    from importlib.metadata import PackageNotFoundError, requires, version

    wanted = [re.split(r"[\s<>=!~;\[]", line)[0] for line in requires("xent") or ()]
    wanted = [name for name in dict.fromkeys((*wanted, *BESIDE)) if name != "xent"]
    there, missing = [], []
    for name in wanted:
        try:
            there.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    system = f"{platform.system()} {platform.machine()}"
    lines = [
        f"xent {version('xent')}",
        f"Python {platform.python_version()} on {system}",
        ", ".join(there),
    ]
    if missing:
        lines.append(f"not installed: {', '.join(missing)}")
    return "\n".join(lines)
