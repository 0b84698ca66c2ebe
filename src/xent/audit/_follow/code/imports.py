"""Following imports: of files that stand beside the script, and of libraries by their names."""

from __future__ import annotations

import ast

from xent.audit._follow import objects
from xent.audit._follow.run import STEPS, Walk
from xent.audit._follow.values import External, Imported, Opaque, Value


def import_(run: Walk, node: ast.Import) -> None:
    for alias in node.names:
        module = run.modules.absolute(alias.name)
        first = alias.name.partition(".")[0]
        value: Value = External(alias.name if alias.asname else first)
        if module is not None and (alias.asname or module.name == first):
            value = objects.of_module(run, module)
        run.write(run.frame.names, alias.asname or first, value)


def import_from(run: Walk, node: ast.ImportFrom) -> None:
    name = node.module or ""
    if node.level:
        module = run.modules.relative(run.frame.module, node.level, name)
    else:
        module = run.modules.absolute(name)
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
        elif node.level:
            found = Opaque(alias.name)
        else:
            found = run.modules.loaded(name, alias.name) or found
        run.write(run.frame.names, alias.asname or alias.name, found)


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
    if found is not None and found is not one:
        one.found = Opaque(name)  # where two files import it from one another
        one.found = run.resolved(found)
    elif not module.running:
        one.found = Opaque(name)
    return one.found or Opaque(name)
