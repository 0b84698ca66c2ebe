"""A total of losses that is divided by something: what the judges of wrong divisors are given."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from xent.audit._follow.run import Walk
from xent.audit._follow.values import Loop, Loss, Place, Total, Value

ACCUMULATION = re.compile(
    r"(num_)?(grad(ient)?s?_)?acc(um(ulat(e|ion))?)?_(steps?|iters?|freq)|iters_to_accumulate", re.I
)


def divisor_of(node: ast.AST) -> ast.expr | None:
    """Return what stands on the right of a division, None where a method divides."""
    if isinstance(node, ast.BinOp):
        return node.right
    return node.value if isinstance(node, ast.AugAssign) else None


@dataclass(frozen=True)
class Division:
    """A total, what it adds up, what divides it, and where."""

    total: Total
    term: Loss
    divisor: Value
    node: ast.AST
    place: Place

    @property
    def loop(self) -> Loop:
        """The innermost loop whose losses are added up."""
        return self.total.loops[-1]

    @property
    def said(self) -> ast.expr | None:
        """What stands on the right of the division."""
        return divisor_of(self.node)


def accumulates(run: Walk, loss: Loss, node: ast.AST) -> bool:
    """Whether a loss is divided by the number of micro-batches of a step; X409 if by tokens."""
    divisor = divisor_of(node)
    found = divisor is not None and counts_steps(loss, divisor)
    if found and loss.padding:
        run.report("X409", run.place(node))
    return found


def counts_steps(loss: Loss, number: ast.expr) -> bool:
    """Whether a loss's loop does something every so many rounds, or the number's name says so."""
    if loss.loop is None:
        return False
    said = ast.unparse(number)
    return ACCUMULATION.fullmatch(said.rpartition(".")[2]) is not None or any(
        isinstance(part.op, ast.Mod) and ast.unparse(part.right) == said
        for part in ast.walk(loss.loop.node)
        if isinstance(part, ast.BinOp)
    )


def accumulated(run: Walk, place: Place, divisor: str) -> None:
    """X403: losses that are a part of a step's mean are averaged as if each were a whole one."""
    run.report(
        "X403",
        place,
        what="losses that were divided by the steps of accumulation already are added up",
        divisor=divisor,
        fix="total += loss.item() * accumulation_steps",
    )
