"""X101 to X108: what stands between the last layer and the loss, by the graph and by values."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from xent.audit._catalogue.activations import TAKES_LOGARITHMS
from xent.audit._run.rules import graph
from xent.audit._run.sites import LossCall, Site

SIGMOIDS = ("Sigmoid", "Hardsigmoid")
CUTTING = {
    "Relu": "ReLU",
    "LeakyRelu": "LeakyReLU",
    "Elu": "LeakyReLU",  # of SELU as well
    "Gelu": "LeakyReLU",
    "Tanh": "tanh",
}
CUT_EFFECTS = {
    "ReLU": "none can be negative, and where all are cut nothing is learned",
    "softmax": "they lie between 0 and 1, so that no class can be sure",
    "tanh": "they lie between -1 and 1, so that no class can be sure",
    "LeakyReLU": "negative ones are squeezed",
    "Dropout": "some are set to 0 at random",
}
NEAR_ONE = 1e-3


def classes(output: Tensor) -> tuple[int, int]:
    """Return the axis of the classes, and how many there are."""
    axis = 1 if output.dim() > 1 else 0
    return axis, output.size(axis)


def are_probabilities(output: Tensor, axis: int) -> bool:
    """Whether values lie in [0, 1] and sum to 1 over an axis, and are not all 0 and 1."""
    if output.size(axis) < 2 or not bool((output >= 0).all()):
        return False
    values = output.float()
    if bool(((values == 0) | (values == 1)).all()):
        return False
    return bool(((values.sum(axis) - 1).abs() <= NEAR_ONE).all())


def are_log_probabilities(output: Tensor, axis: int) -> float:
    """Return how far the exponentials over an axis are from a sum of 1, at most."""
    sums = output.float().logsumexp(axis).exp()
    return float((sums - 1).abs().max()) if sums.numel() else 0.0


def floor(count: int) -> str:
    """Say how small the loss of probabilities taken for logits can be."""
    least = math.log(1 + (count - 1) / math.e)
    return f"no loss below {least:.3f} is reachable with {count} classes"


def into_cross_entropy(site: Site, call: LossCall) -> None:
    """X101, X103, X104 and X108."""
    if call.name != "cross_entropy" or not call.output.numel():
        return
    axis, count = classes(call.output)
    one_class(site, count)
    if count < 2:
        return
    operation, node = graph.last_operation(call.output)
    softmax = operation == "Softmax" or are_probabilities(call.output, axis)
    rules = {"X101": softmax, "X103": operation in SIGMOIDS and not softmax}
    for rule, found in rules.items():
        fact = site.fact(rule)
        if fact.saw(found):
            fact.facts = {"line": "?", "floor": floor(count)}
            fact.seen = fact.seen or f"inputs of {tuple(call.output.shape)}, " + spread(call.output)
    if operation == "LogSoftmax":
        operation, node = graph.last_operation_of(graph.below(node))
        softmax = operation == "Softmax"
        cut(site, call, "softmax" if softmax else named(operation, node))
    else:
        cut(site, call, named(operation, node))


def named(operation: str, node: object) -> str:
    """Return the activation of a node, "" where it is none."""
    if operation in CUTTING:
        return CUTTING[operation]
    if operation == "Hardtanh" and getattr(node, "_saved_min_val", None) == 0:
        return "ReLU"  # ReLU6
    return "Dropout" if node is not None and graph.dropped(node) else ""


def cut(site: Site, call: LossCall, activation: str) -> None:
    """X104: logits that went through an activation."""
    fact = site.fact("X104")
    fact.looked += bool(call.output.grad_fn)
    if not activation:
        return
    fact.found += 1
    fact.level = "error" if activation in ("ReLU", "softmax") else "warning"
    fact.facts = {"activation": activation, "line": "?", "effect": CUT_EFFECTS[activation]}
    zeros = float((call.output == 0).float().mean())
    fact.seen = fact.seen or spread(call.output) + (f", {zeros:.0%} of them 0" if zeros else "")


def one_class(site: Site, count: int) -> None:
    """X108: softmax of one logit is 1."""
    site.fact("X108").saw(count == 1)


def into_nll(site: Site, call: LossCall) -> None:
    """X106 and X104: what is not a logarithm of probabilities."""
    if call.name != "nll_loss" or not call.output.numel():
        return
    axis, count = classes(call.output)
    one_class(site, count)
    operation, node = graph.last_operation(call.output)
    if operation == "LogSoftmax":
        below, at = graph.last_operation_of(graph.below(node))
        cut(site, call, "softmax" if below == "Softmax" else named(below, at))
    what = ""
    if count < 2 or operation == "LogSoftmax":
        pass
    elif operation == "Softmax" or are_probabilities(call.output, axis):
        what = "probabilities (softmax)"
    elif call.reduction != "none" and (  # with it, it may serve to pick entries
        bool((call.output > NEAR_ONE).any()) or are_log_probabilities(call.output, axis) > 0.05
    ):
        what = "raw logits" if graph.is_linear(call.output.grad_fn) else "other numbers"
    fact = site.fact("X106")
    if fact.saw(bool(what)):
        fact.facts = {"what": what, "loss": call.name, "fix": TAKES_LOGARITHMS[call.name]}
        fact.seen = fact.seen or spread(call.output)


def into_ctc(site: Site, call: LossCall) -> None:
    """X106: what is not a logarithm of probabilities, in a CTC loss."""
    output = call.options.get("log_probs")
    if not isinstance(output, Tensor) or not output.numel():
        return
    operation, node = graph.last_operation(output)
    what = ""
    if operation == "Softmax" or are_probabilities(output, output.dim() - 1):
        what = "probabilities (softmax)"
    elif operation != "LogSoftmax" and are_log_probabilities(output, output.dim() - 1) > 0.05:
        what = "raw logits" if graph.is_linear(node) else "other numbers"
    fact = site.fact("X106")
    if fact.saw(bool(what)):
        fact.facts = {"what": what, "loss": call.name, "fix": TAKES_LOGARITHMS[call.name]}
        fact.seen = fact.seen or spread(output)


def into_bce(site: Site, call: LossCall) -> None:
    """X102 and X107."""
    if call.name == "binary_cross_entropy_with_logits" and call.output.numel():
        operation, node = graph.last_operation(call.output)
        outside = bool(((call.output < 0) | (call.output > 1)).any())
        fact = site.fact("X102")
        if (operation or outside) and fact.saw(operation in SIGMOIDS):
            fact.facts = {"line": "?"}
            fact.seen = fact.seen or spread(call.output)
        activation = "softmax" if operation == "Softmax" else named(operation, node)
        cut(site, call, activation if activation in ("softmax", "ReLU") else "")
    elif call.name == "binary_cross_entropy":
        site.fact("X107").saw(False)
        _shared(site, call)


def _shared(site: Site, call: LossCall) -> None:
    """X104: probabilities that sum to 1, where several of a row should be 1."""
    if call.output.dim() < 2 or call.output.shape != call.target.shape:
        return
    axis, _ = classes(call.output)
    positives = call.target.float().sum(axis)
    if bool((positives <= 1).all()) or not are_probabilities(call.output, axis):
        return
    fact = site.fact("X104")
    fact.saw(True)
    fact.level = "error"
    effect = "they sum to 1, and targets have several ones in a row, which none can reach"
    fact.facts = {"activation": "softmax", "line": "?", "effect": effect}
    fact.seen = fact.seen or f"up to {float(positives.max()):.0f} ones in a row of targets"


def spread(values: Tensor) -> str:
    """Say between which values a tensor lies."""
    low, high = torch.aminmax(values.detach().float())
    return f"values from {float(low):.3g} to {float(high):.3g}"


def no_axis(site: Site, dimensions: object) -> None:
    """X105: of three dimensions PyTorch takes the first."""
    fact = site.fact("X105")
    fact.saw(True)
    if dimensions == 3:
        fact.facts = {"effect": "of 3 dimensions it takes axis 0, the batch"}
        fact.level = "error"
    else:
        fact.facts = {
            "effect": f"of {dimensions} dimensions it takes axis {int(dimensions not in (0, 1))}"
        }
        fact.level = fact.level or "note"
