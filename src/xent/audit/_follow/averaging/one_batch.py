"""What is wrong within one batch: a mean divided again, parts that are averaged differently."""

from __future__ import annotations

import ast

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
