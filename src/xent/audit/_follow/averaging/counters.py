"""Counters of batches or samples that count more than the losses they divide.

One that two loops count up holds the rounds of both, and one that is set to 0 before an outer
loop, where the total is set to 0 in it, holds those of all its rounds so far.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from xent.audit._follow.averaging import windows
from xent.audit._follow.run import Walk
from xent.audit._follow.values import BatchSize, Const, Loop, Opaque, Place, Total, Value, Zero


def more(run: Walk, counter: Total, term: Value) -> Value:
    """Count on: in a loop after the one that was counted, the counter holds both."""
    entered = run.new_loops(counter.start.loops) if isinstance(counter.start, Zero) else ()
    ended = not run.is_open(counter.loops[-1])
    alike = counter.term == term == Const(1) or isinstance(term, BatchSize)
    if entered and ended and alike and entered[-1] not in counter.loops and not counter.emptied:
        earlier = counter.loops[-1]
        return replace(counter, loops=entered, term=term, earlier=earlier, under=run.under())
    return Total(counter.loops, Opaque("count"), counter.place)


def too_many(run: Walk, total: Total, counter: Value, node: ast.AST, place: Place) -> bool:
    """X403: a counter holds rounds of which the total has no losses."""
    if not isinstance(counter, Total) or counter.emptied or total.emptied:
        return False
    if counter.under != total.under or not (
        counter.term == Const(1) or isinstance(counter.term, BatchSize)
    ):
        return False
    if counter.earlier is not None and counter.loops == total.loops:
        _report(run, place, "one loop's", "a counter that an earlier loop counts up as well")
        return True
    outer = counter.loops[: -len(total.loops)]
    if not outer or counter.loops[len(outer) :] != total.loops or run.is_open(total.loops[-1]):
        return False
    name = node.right if isinstance(node, ast.BinOp) else getattr(node, "value", None)
    if not isinstance(name, ast.Name) or not all(_kept(run, loop, name.id) for loop in outer):
        return False
    _report(run, place, "one round's", "a counter that is not set to 0 in each round")
    return True


def _kept(run: Walk, loop: Loop, name: str) -> bool:
    """Whether a loop that is still running never gives a name a new value."""
    return run.is_open(loop) and not windows.assigned(loop.node, name)


def _report(run: Walk, place: Place, count: str, divisor: str) -> None:
    fix = "set the counter to 0 wherever the total is"
    run.report("X403", place, count=count, divisor=divisor, fix=fix)
