"""What a condition is known to be, in the first round of a loop and later; what is counted up."""

from __future__ import annotations

import ast

from xent.audit._follow import objects
from xent.audit._follow.run import Walk
from xent.audit._follow.values import Value


def known(run: Walk, test: ast.expr, value: Value) -> bool | None:
    """Return whether a condition holds, or None where that is not known.

    ``if mean is None`` holds in the first round alone, where the loop sets ``mean`` further down.
    """
    truth = objects.truth(value)
    around = [_first_writes(run, loop.node) for loop in run.loops if loop.frame is run.frame]
    if truth is None or not around:
        return truth
    names = {part.id for part in ast.walk(test) if isinstance(part, ast.Name)}
    later = any(first.get(name, 0) >= test.lineno for first in around for name in names)
    return None if later else truth


def _first_writes(run: Walk, loop: ast.AST) -> dict[str, int]:
    """Return the names that a loop gives values to, with the first line that does."""
    found = run.writes_of_loops.get(loop)
    if found is None:
        found = {}
        for part in ast.walk(loop):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                found[part.id] = min(part.lineno, found.get(part.id, part.lineno))
        run.writes_of_loops[loop] = found
    return found


def counts_up(run: Walk, target: ast.expr) -> bool:
    """Whether the code of this frame counts a name up by 1 somewhere."""
    function = run.frame.function
    code = function.node if function is not None else run.frame.module.source.tree
    if code not in run.counters:
        run.counters[code] = {
            part.target.id
            for part in ast.walk(code)
            if isinstance(part, ast.AugAssign)
            and isinstance(part.op, ast.Add)
            and isinstance(part.target, ast.Name)
            and isinstance(part.value, ast.Constant)
            and part.value.value == 1
        }
    return isinstance(target, ast.Name) and target.id in run.counters[code]
