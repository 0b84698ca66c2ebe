"""The judges of one call of a loss, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from xent.audit._run.rules import activations, divergences, numerics, padding, targets, tokens
from xent.audit._run.sites import LossCall, Site

_OF_PAIRS = (
    activations.into_cross_entropy,
    activations.into_nll,
    activations.into_bce,
    divergences.into_kl,
    targets.ranges,
    targets.broadcast,
    targets.layout,
    tokens.shifts,
    padding.of_targets,
    padding.of_values,
    numerics.signs,
    numerics.floors,
)
_OF_CTC = (activations.into_ctc, padding.of_ctc)


def judge(site: Site, call: LossCall, failed: Callable[[str, Exception], None]) -> None:
    """Let every rule look at a call; a rule that fails hides no other."""
    pair = call.options.get("input"), call.options.get("target")
    of_pairs = _OF_PAIRS if all(isinstance(one, Tensor) for one in pair) else ()
    for rule in _OF_CTC if call.name == "ctc_loss" else of_pairs:
        try:
            rule(site, call)
        except Exception as error:
            failed(f"{rule.__name__} at line {site.place.line}", error)


def refused(site: Site, name: str, options: Mapping[str, Any], error: BaseException) -> None:
    """Say what a loss that raised was given."""
    targets.out_of_range(site, name, options)
    output = options.get("input")
    if name == "binary_cross_entropy" and isinstance(output, Tensor) and output.numel():
        fact = site.fact("X107")
        if fact.saw(bool(((output < 0) | (output > 1)).any())):
            fact.facts = {"what": "numbers outside [0, 1]"}
            fact.seen = activations.spread(output)
