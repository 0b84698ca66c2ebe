"""X301 to X304: what kl_div is given."""

from __future__ import annotations

from xent.audit._run.rules import graph
from xent.audit._run.rules.activations import are_probabilities, spread
from xent.audit._run.sites import LossCall, Site


def into_kl(site: Site, call: LossCall) -> None:
    """Judge input, reduction and target of a divergence."""
    if call.name != "kl_div" or not call.output.numel():
        return
    _input(site, call)
    mean = site.fact("X302")
    if mean.saw(call.reduction == "mean" and call.output.dim() > 1):
        mean.seen = mean.seen or f"inputs of {tuple(call.output.shape)}"
    logarithm = bool(call.options.get("log_target", False))
    target = site.fact("X303")
    if target.saw(not logarithm and bool((call.target < 0).any())):
        target.seen = target.seen or "targets with " + spread(call.target)
    operation, _ = graph.last_operation(call.target)
    learns = operation in ("Softmax", "LogSoftmax")
    site.fact("X304").saw(not call.output.requires_grad and learns)


def _input(site: Site, call: LossCall) -> None:
    operation, node = graph.last_operation(call.output)
    if operation == "Softmax" or are_probabilities(call.output, call.output.dim() - 1):
        what = "probabilities (softmax)"
    elif operation != "LogSoftmax" and bool((call.output > 1e-3).any()):
        what = "raw logits" if graph.is_linear(node) else "numbers above 0"
    else:
        what = ""
    fact = site.fact("X301")
    if fact.saw(bool(what)):
        fact.facts = {"what": what}
        fact.seen = fact.seen or spread(call.output)
