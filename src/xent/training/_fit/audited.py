"""A module looked at before it is trained: the audit's checks on the first batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xent import _check
from xent.training._fit.targets import CountedPlaces
from xent.training._objectives import Objective
from xent.training._steps import Batches

FIRST_ROWS, FIRST_IMAGES = 64, 4
NO_CLASS = -100  # torch's own


def warn_of(
    module: nn.Module, batches: Batches, objective: Objective, places: CountedPlaces | None = None
) -> None:
    """Warn of a module whose outputs are no logits, such as one that ends in a softmax.

    Parameters
    ----------
    module : Module
        From rows to logits, where the rows are.
    batches : Batches
        The rows.
    objective : Objective
        What it is to be trained under.
    places : CountedPlaces, optional
        Which places of a row count, where each has a class of its own.
    """
    first = batches.first(FIRST_ROWS if places is None else FIRST_IMAGES)
    if first is None:
        return
    for said in findings(module, *first, objective, places):
        _check.warn("`module` is trained as it is, and the audit finds: " + said)


def findings(
    module: nn.Module,
    rows: Tensor,
    target: Tensor,
    objective: Objective,
    places: CountedPlaces | None = None,
) -> list[str]:
    """Return what the audit finds wrong with a module's outputs under a loss of logits.

    Parameters
    ----------
    module : Module
        From rows to logits.
    rows, target : Tensor
        A batch.
    objective : Objective
        Says whether the loss applies a softmax or sigmoids.
    places : CountedPlaces, optional
        As in `warn_of`.
    """
    from xent.audit import Config, check_model

    ignored = NO_CLASS if places is None or places.ignore_index is None else places.ignore_index

    def loss(output: Tensor, target: Tensor) -> Tensor:
        if objective.link == "softmax":
            # by this name it is watched
            return F.cross_entropy(output, target, ignore_index=ignored)
        if target.dim() < output.dim():
            known = torch.where(target == ignored, 0, target)
            target = F.one_hot(known, output.shape[1]).movedim(-1, 1)
        return F.binary_cross_entropy_with_logits(output, target.to(output.dtype))

    with torch.enable_grad():
        report = check_model(module, rows, target, loss, config=Config())
    return [
        f"{found.rule} {found.name}: {found.message}. {found.fix[0].upper()}{found.fix[1:]}."
        for found in report.findings
        if found.level != "note"
    ]
