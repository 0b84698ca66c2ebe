"""X603 to X605: losses that are not finite, negative, or smaller than is possible."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from xent.audit._run.rules import graph
from xent.audit._run.sites import LossCall, Site

NEVER_NEGATIVE = frozenset(
    ["cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"]
)


SINGULAR = {"Log": "self", "Log2": "self", "Log10": "self", "Div": "other"}  # at 0


@dataclass
class Broken:
    """A loss that was not finite, and the first tensor that was not."""

    site: Site
    value: str
    first: str
    graph: bool  # a backward pass confirms it
    confirmed: bool = False
    operands: list[str] = field(default_factory=list)


def broken(site: Site, call: LossCall, value: float | None) -> Broken | None:
    """Return what is not finite in a call, or None."""
    if value is not None and math.isfinite(value):
        return None
    if value is None and (not call.result.requires_grad or graph.is_finite(call.result)):
        return None  # what is not reduced may be masked
    shown = "not finite" if value is None else f"{value}"
    grad = call.result.requires_grad
    for name in ("target", "weight", "pos_weight"):
        given = call.options.get(name)
        if isinstance(given, Tensor) and not graph.is_finite(given):
            return Broken(site, shown, f"the {name} of the loss", grad)
    for given in call.options.values():
        if isinstance(given, Tensor) and not graph.is_finite(given):
            return Broken(site, shown, first_of(given), grad)
    if call.name in ("cross_entropy", "nll_loss") and not call.target.is_floating_point():
        ignored = call.options.get("ignore_index", -100)
        if bool((call.target == ignored).all()):
            said = f"the mean of no target: all {call.target.numel()} are ignored"
            return Broken(site, shown, said, grad)
    return Broken(site, shown, f"the loss itself: {call.name} of finite inputs", grad)


def of_root(site: Site, root: Tensor, value: float) -> Broken:
    """Return what is not finite behind the root of a backward pass."""
    return Broken(site, f"{value}", first_of(root), True, confirmed=True)


def first_of(tensor: Tensor) -> str:
    """Name the first tensor that was not finite: the oldest in the graph."""
    state = torch.get_rng_state()
    try:
        found: tuple[int, str] | None = None
        for node in graph.walk(tensor.grad_fn) if tensor.grad_fn is not None else ():
            said = _of_node(node)
            if said and (found is None or said[0] < found[0]):
                found = said
    finally:
        torch.set_rng_state(state)
    return found[1] if found is not None else "the input of the loss"


def _of_node(node: Any) -> tuple[int, str] | None:
    name = graph.name_of(node)
    if hasattr(node, "variable"):  # a leaf: a parameter
        if not graph.is_finite(node.variable):
            return -1, f"a parameter of shape {tuple(node.variable.shape)}"
        return None
    order = node._sequence_nr() if hasattr(node, "_sequence_nr") else 0
    for kept, value in graph.saved(node):
        if not graph.is_finite(value):
            if kept == "result":
                return order, f"the result of {name.lower()}"
            return order, f"what entered {name.lower()} ({kept}, {tuple(value.shape)})"
        if kept == SINGULAR.get(name):
            least = float(value.abs().min() if name == "Div" else value.min())
            if least <= 0:
                at = "a division by 0" if name == "Div" else f"{name.lower()} of {least:g}"
                return order, f"the result of {at} ({tuple(value.shape)})"
    return None


def signs(site: Site, call: LossCall) -> None:
    """X604: a cross-entropy below 0."""
    if call.name not in NEVER_NEGATIVE or not call.result.numel():
        return
    if call.name == "nll_loss" and call.reduction == "none":  # it may serve to pick entries
        return
    fact = site.fact("X604")
    least = float(call.result.min())
    if fact.saw(least < -1e-5):
        fact.facts = {"value": f"{least:.4g}"}


def floors(site: Site, call: LossCall) -> None:
    """X605: below the entropy of soft targets."""
    soft = call.name == "cross_entropy" and call.target.is_floating_point()
    if not soft or call.reduction != "mean" or call.options.get("weight") is not None:
        return
    if call.options.get("label_smoothing"):
        return
    target = call.target.float()
    if bool((target < 0).any()):
        return
    axis = 1 if target.dim() > 1 else 0
    least = float(torch.special.entr(target).sum(axis).mean())
    value = float(call.result)
    fact = site.fact("X605")
    if fact.saw(value < least - 1e-4 * max(1.0, least)):
        fact.facts = {"value": f"{value:.4g}", "floor": f"{least:.4g}"}
