"""Full names of what a script calls, and the names of libraries that mean one thing."""

from __future__ import annotations

import ast
import builtins

from xent.audit._follow.run import Walk
from xent.audit._follow.values import External, Opaque, Value

BUILTINS = frozenset(dir(builtins)) - {"eval"}  # what it gives may be any function
ALIASES = (
    ("torch.nn.modules.loss.", "torch.nn."),
    ("torch.nn.modules.", "torch.nn."),
    ("torch.functional.", "torch."),
    ("torch.special.", "torch."),
    ("xent.losses.", "torch.nn.functional."),
    ("tqdm.auto.", "tqdm."),
    ("tqdm.autonotebook.", "tqdm."),
    ("tqdm.notebook.", "tqdm."),
    ("tqdm.rich.", "tqdm."),
    ("tqdm.std.", "tqdm."),
    ("tqdm.trange", "range"),
    ("numpy.arange", "range"),
)

# What everybody calls so, where nothing says what it is: cells and files that were cut out, and
# ``from utils import *``.
USUAL_NAMES = {
    "np": "numpy",
    "torch": "torch",
    "nn": "torch.nn",
    "F": "torch.nn.functional",
    "DataLoader": "torch.utils.data.DataLoader",
    "tqdm": "tqdm.tqdm",
    "AverageMeter": "meters.AverageMeter",
}


def plain(name: str) -> str:
    """Return the one name of a thing that a library has under several."""
    for other, usual in ALIASES:
        if name.startswith(other):
            name = usual + name[len(other) :]
    return name


def full_name(run: Walk, node: ast.expr) -> str:
    """Return the library's name behind a name in the code, without following anything."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    found = look_up(run, node.id)
    first = found.name if isinstance(found, External) else node.id
    return plain(".".join([first, *reversed(parts)]))


def look_up(run: Walk, name: str) -> Value | None:
    """Return what a name holds here."""
    frame = run.frame
    if name in frame.names:
        return run.resolved(frame.names[name])
    for names in reversed(frame.outer):
        if name in names:
            return names[name]
    module = frame.module.names
    if name in module:
        return run.resolved(module[name])
    if name in BUILTINS:
        return External(name)
    if name in USUAL_NAMES:
        return External(USUAL_NAMES[name])
    stars = frame.module.stars
    if len(stars) == 1:
        return External(f"{stars[0]}.{name}")
    return None


def name_of(run: Walk, name: str) -> Value:
    """Return what a name holds, the same unknown each time where nothing is known."""
    found = look_up(run, name)
    if found is None:
        found = run.frame.module.names.setdefault(name, Opaque(name))
    return found
