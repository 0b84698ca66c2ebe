"""Following imports: files of the script's own, and what libraries have."""

from __future__ import annotations

import ast

from xent.audit._follow import objects
from xent.audit._follow.run import STEPS, Flow, Walk
from xent.audit._follow.values import External, Imported, Module, Opaque, Value


def import_(run: Walk, node: ast.Import) -> Flow:
    for alias in node.names:
        first, *parts = [alias.name] if alias.asname else alias.name.split(".")
        module = run.modules.absolute(first)
        value = objects.of_module(run, module) if module is not None else External(first)
        run.write(run.frame.names, alias.asname or first, value)
        for part in parts:
            inner = run.modules.submodule(module, part) if module is not None else None
            if module is not None and inner is not None:
                module.names.setdefault(part, objects.of_module(run, inner))
            module = inner
    return None


def import_from(run: Walk, node: ast.ImportFrom) -> Flow:
    name = node.module or ""
    module = _module(run, node.level, name)
    for alias in node.names:
        if alias.name == "*":
            if module is not None:
                if run.steps < STEPS:
                    run.walker.run_module(run, module)
                _import_stars(run, module.stars)
                for key, value in list(module.names.items()):
                    if not key.startswith("_"):
                        run.write(run.frame.names, key, value)
            else:
                _import_stars(run, [name])
            continue
        found: Value = External(f"{name}.{alias.name}")
        if module is not None:
            found = Imported(module, alias.name)
        elif (inner := _module(run, node.level, f"{name}.{alias.name}".lstrip("."))) is not None:
            found = objects.of_module(run, inner)  # of a folder without an __init__.py
        elif node.level:
            found = External("." + f"{name}.{alias.name}".lstrip("."))  # no library's
        else:
            found = run.modules.loaded(name, alias.name) or found
        run.write(run.frame.names, alias.asname or alias.name, found)
    return None


def _module(run: Walk, level: int, name: str) -> Module | None:
    if level:
        return run.modules.relative(run.frame.module, level, name)
    return run.modules.absolute(name)


def _import_stars(run: Walk, names: list[str]) -> None:
    stars = run.frame.module.stars
    stars += [name for name in names if name not in stars]


def imported(run: Walk, one: Imported) -> Value:
    """Follow the file that a name is imported from, and return what the name holds."""
    if one.found is not None:
        return one.found
    module, name = one.module, one.name
    if run.steps < STEPS:
        run.walker.run_module(run, module)
    found = module.names.get(name)
    if found is None:
        inner = run.modules.submodule(module, name)
        found = objects.of_module(run, inner) if inner is not None else None
    if found is not None:
        one.found = Opaque(name)  # where two files import it from one another
        one.found = run.resolved(found)
    elif not module.running:
        one.found = Opaque(name)
    return one.found or Opaque(name)
