"""What is wrong within one batch: a mean divided again, parts that are averaged differently."""

from __future__ import annotations

import ast

from xent.audit._follow.averaging.divisions import counts_steps
from xent.audit._follow.averaging.shown import SHOWS
from xent.audit._follow.run import Walk
from xent.audit._follow.values import Loss


def mean_over_batch(run: Walk, loss: Loss, node: ast.AST) -> None:
    """X403: a mean over the batch is divided by the size of the batch again."""
    if loss.assumed:
        return
    run.report(
        "X403",
        run.place_of_loop(node, loss.loop),
        what="the loss is a mean over the batch already",
        divisor="the size of the batch again",
        fix="show loss.item() as it is, or sum with reduction='sum'",
    )


def elbo(run: Walk, recon: Loss, kl: Loss, node: ast.AST) -> None:
    """X305: reconstruction and divergence averaged over different things."""
    if recon.weighted or kl.weighted or recon.scale is None or kl.scale is None:
        return
    if not {recon.features, kl.features} <= {"mean", "sum"}:
        return  # unknown, or partly the one and partly the other
    # Two means over dimensions differ too: one is over those of the data, one over the latent ones.
    if recon.scale == kl.scale and recon.features == kl.features == "sum":
        return
    run.report(
        "X305",
        run.place(node),
        first=_averaged(recon, "the data's"),
        second=_averaged(kl, "the latent"),
    )


def _averaged(loss: Loss, whose: str) -> str:
    if loss.scale == 1:
        return "summed over batch and dimensions"
    if loss.features == "sum":
        return "summed over dimensions and averaged over the batch"
    return f"averaged over batch and {whose} dimensions"


def not_yet_divided(run: Walk, loss: Loss, node: ast.AST) -> None:
    """X403: a loss is shown times the micro-batches of a step, by which it is divided only then."""
    if not isinstance(node, ast.BinOp) or loss.loop is None or loss.scale != 0:
        return
    if loss.weighted or loss.over or loss.supposed or loss.accumulated is not None:
        return
    for number in (node.right, node.left):
        if not isinstance(number, ast.Name | ast.Attribute) or not counts_steps(loss, number):
            continue
        later = _divided_later(loss.loop.node, ast.unparse(number), node.lineno)
        if later is not None and _is_shown(loss.loop.node, node):
            said = ast.unparse(number)
            what = f"the loss of one batch is multiplied by `{said}`"
            divisor = f"it only at line {later}: what is shown is that many times the loss"
            fix = "show the loss as it is, or divide it first"
            run.report("X403", run.place(node), what=what, divisor=divisor, fix=fix)


def _divided_later(loop: ast.AST, number: str, line: int) -> int | None:
    """Return the line below a line of a loop in which something is divided by a number."""
    lines = [
        part.lineno
        for part in ast.walk(loop)
        if isinstance(part, ast.BinOp | ast.AugAssign) and isinstance(part.op, ast.Div)
        if ast.unparse(part.right if isinstance(part, ast.BinOp) else part.value) == number
    ]
    below = [each for each in lines if each > line]
    return min(below) if below and len(below) == len(lines) else None


def _is_shown(loop: ast.AST, node: ast.AST) -> bool:
    """Whether an expression of a loop is in the call of something that shows."""
    return any(
        isinstance(call, ast.Call)
        and ast.unparse(call.func).rpartition(".")[2] in SHOWS
        and any(part is node for part in ast.walk(call))
        for call in ast.walk(loop)
    )
