"""X201, X203 and X206: the range, the shape and the layout of targets and outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from xent.audit._run.rules import graph
from xent.audit._run.rules.activations import spread
from xent.audit._run.sites import LossCall, Site
from xent.audit._run.torch_private import shapes_of_results, unseen

POINTWISE_LOSSES = frozenset(
    ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss"]
)
OUTPUTS_ENOUGH = 3  # outputs whose order says something
BINARY_LOSSES = frozenset(["binary_cross_entropy", "binary_cross_entropy_with_logits"])


def ranges(site: Site, call: LossCall) -> None:
    """X201: targets of a cross-entropy that are no probabilities."""
    soft = call.name == "cross_entropy" and call.target.is_floating_point()
    if not call.target.numel() or not (soft or call.name in BINARY_LOSSES):
        return
    outside = (call.target < -1e-6) | (call.target > 1 + 1e-3)
    fact = site.fact("X201")
    if not fact.saw(bool(outside.any())):
        return
    low, high = torch.aminmax(call.target.float())
    if low >= 0 and 2 <= high <= 255:
        fix = f"divide the targets by {float(high):.0f}, or use {_classes(call.name)}"
    else:
        fix = "scale the targets to [0, 1]"
    fact.facts = {
        "loss": call.name,
        "range": "[0, 1]",
        "got": f"{float(low):.3g} to {float(high):.3g}",
        "fix": fix,
    }


def _classes(name: str) -> str:
    return "class indices" if name == "cross_entropy" else "cross_entropy with class indices"


def out_of_range(site: Site, name: str, options: Mapping[str, Any]) -> None:
    """X201: class indices beyond the classes, which PyTorch refuses."""
    output, target = options.get("input"), options.get("target")
    if not isinstance(output, Tensor) or not isinstance(target, Tensor) or not target.numel():
        return
    if name not in ("cross_entropy", "nll_loss") or target.is_floating_point():
        return
    count = output.size(1 if output.dim() > 1 else 0)
    kept = target[target != options.get("ignore_index", -100)]
    if kept.numel() and bool(((kept < 0) | (kept >= count)).any()):
        low, high = int(kept.min()), int(kept.max())
        fact = site.fact("X201")
        fact.saw(True)
        one_too_many = low == 1 and high == count
        fact.facts = {
            "loss": name,
            "range": f"[0, {count - 1}], with {count} classes",
            "got": f"{low} to {high}",
            "fix": "target - 1"
            if one_too_many
            else f"give the last layer {high + 1} outputs, or ignore_index to a class that is none",
        }


def broadcast(site: Site, call: LossCall) -> None:
    """X203: every prediction is compared with every target."""
    if call.name not in POINTWISE_LOSSES:
        return
    output, target = tuple(call.output.shape), tuple(call.target.shape)
    facts = _shapes(output, target)
    fact = site.fact("X203")
    if fact.saw(math.prod(facts["both"]) > max(math.prod(output), math.prod(target))):
        fact.facts = dict(facts)


def layout(site: Site, call: LossCall) -> None:
    """X206: classes are in the last axis, or a view took them apart."""
    output = call.output
    if call.name not in ("cross_entropy", "nll_loss") or output.dim() != 3:
        return
    shape = tuple(output.shape)
    node = output.grad_fn
    if graph.name_of(node) == "LogSoftmax" if node is not None else False:
        node = graph.below(node)
    wrong = ""
    while node is not None and graph.name_of(node) in graph.RESHAPE_NODES:
        before = graph.sizes_before(node)
        # (B, T, V) viewed as (B, V, T): the numbers stay where they were, the axes do not.
        turned = (shape[0], shape[2], shape[1])
        if before == turned != shape and graph.is_linear(node):
            wrong = f"{before}, viewed as {shape},"
            break
        node = graph.below(node)
    if not wrong and shape[1] == shape[2] and _is_product(node):
        wrong = str(shape)
    fact = site.fact("X206")
    if fact.saw(bool(wrong)):
        fact.facts = {"output": wrong, "axis": shape[1]}
        fact.seen = fact.seen or f"targets of {tuple(call.target.shape)}; " + spread(output)


def _is_product(node: Any) -> bool:
    """Whether a node is a linear layer's, whose last axis is its outputs."""
    while node is not None and graph.name_of(node) in (*graph.RESHAPE_NODES, "Add"):
        node = graph.below(node)
    return node is not None and graph.name_of(node) in ("Addmm", "Mm", "Linear", "Bmm")


def blind_to_order(
    loss: Callable[[Tensor, Tensor], Tensor], output: Tensor, target: Tensor, value: Tensor
) -> bool:
    """Whether a loss stays the same when the targets, not the outputs, change places.

    Then each output is compared with every target, if not so where both are of one shape: a loss
    of their means does not ask which belongs to which.
    """
    count = output.numel()
    if count < OUTPUTS_ENOUGH or count != target.numel() or output.shape == target.shape:
        return False
    flipped = target.flatten().flip(0).reshape(target.shape)
    if bool((flipped == target).all()) or bool((output == output.flatten()[0]).all()):
        return False
    if not isinstance(value, Tensor) or value.dim():
        return False
    with unseen():
        if not _alike(loss(output, flipped), value):
            return False
        try:
            return not _alike(loss(output.reshape(target.shape), target), value)
        except (RuntimeError, ValueError, TypeError, IndexError):
            return True


def _alike(again: Tensor, value: Tensor) -> bool:
    return bool(torch.isclose(again, value.detach(), rtol=1e-5, atol=0.0))


def crossed(entries: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return the shapes of an output (N, 1) and targets (N,) whose differences are (N, N).

    The output is a layer's as it is, and has a graph; the targets have none. Numbers that only
    rise or fall are no targets: a grid of values that every output is compared with on purpose.
    """
    count = entries.size(0)
    if entries.dim() != 2 or entries.size(1) != count or count < OUTPUTS_ENOUGH:
        return None
    above, node = None, entries.grad_fn
    while node is not None and graph.name_of(node) != "Sub":
        if len(node.next_functions) > 1 and node.next_functions[1][0] not in (
            None,
            graph.below(node),
        ):
            return None  # it is made of two things
        above, node = node, graph.below(node)
    if above is None or node is None:
        return None
    operands = [(one, place) for one, place in node.next_functions if one is not None]
    if len(operands) != 1 or len(node.next_functions) != 2:
        return None
    ((output, place),) = operands
    shapes = shapes_of_results(output)
    if place >= len(shapes) or shapes[place] != (count, 1):
        return None
    if graph.name_of(output) in graph.VIEW_NODES:
        return None
    if not graph.is_linear(output) and not graph.is_linear(graph.below(output)):
        return None
    for _, differences in graph.saved(above):
        if differences.shape == entries.shape:
            steps = differences[0].diff()
            if not bool((steps >= 0).all()) and not bool((steps <= 0).all()):
                return (count, 1), (count,)
    return None


def broadcast_by_hand(site: Site, output: tuple[int, ...], target: tuple[int, ...]) -> None:
    """X203 in a loss of one's own."""
    fact = site.fact("X203")
    fact.saw(True)
    fact.facts = dict(_shapes(output, target))


def _shapes(output: tuple[int, ...], target: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    pairs = zip_longest(reversed(output), reversed(target), fillvalue=1)
    both = tuple(max(pair) for pair in pairs)[::-1]
    wanted = output if len(output) < len(target) else target
    return {"output": output, "target": target, "both": both, "wanted": wanted}
