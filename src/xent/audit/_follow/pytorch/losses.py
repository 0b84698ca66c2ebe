"""PyTorch's losses: what they take, how they reduce, and what is given to them instead."""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass

from xent.audit._catalogue.activations import TAKES_LOGARITHMS
from xent.audit._follow.averaging import entries
from xent.audit._follow.names import plain
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    Choice,
    Const,
    External,
    Instance,
    Loss,
    Made,
    Opaque,
    Place,
    Tensor,
    Value,
    of_tokens,
)


@dataclass(frozen=True)
class TorchLoss:
    """A loss: what its input must be, and what its mean is over."""

    takes: str  # "logits", "log", "probabilities", "binary logits", "log for kl", "any"
    kind: str = "loss"


CE = TorchLoss("logits")
TABLE = {
    "cross_entropy": CE,
    "CrossEntropyLoss": CE,
    "nll_loss": TorchLoss("log"),
    "NLLLoss": TorchLoss("log"),
    "NLLLoss2d": TorchLoss("log"),
    "binary_cross_entropy": TorchLoss("probabilities", "recon"),
    "BCELoss": TorchLoss("probabilities", "recon"),
    "binary_cross_entropy_with_logits": TorchLoss("binary logits", "recon"),
    "BCEWithLogitsLoss": TorchLoss("binary logits", "recon"),
    "kl_div": TorchLoss("log for kl"),
    "KLDivLoss": TorchLoss("log for kl"),
    "mse_loss": TorchLoss("any", "recon"),
    "MSELoss": TorchLoss("any", "recon"),
    "l1_loss": TorchLoss("any", "recon"),
    "L1Loss": TorchLoss("any", "recon"),
    "smooth_l1_loss": TorchLoss("any", "recon"),
    "SmoothL1Loss": TorchLoss("any", "recon"),
    "huber_loss": TorchLoss("any"),
    "HuberLoss": TorchLoss("any"),
    "linear_cross_entropy": TorchLoss("any"),
    "LinearCrossEntropyLoss": TorchLoss("any"),
    "multilabel_margin_loss": TorchLoss("any"),
    "MultiLabelMarginLoss": TorchLoss("any"),
    "multi_margin_loss": TorchLoss("any"),
    "MultiMarginLoss": TorchLoss("any"),
    "multilabel_soft_margin_loss": TorchLoss("binary logits"),
    "MultiLabelSoftMarginLoss": TorchLoss("binary logits"),
    "triplet_margin_loss": TorchLoss("any"),
    "TripletMarginLoss": TorchLoss("any"),
    "triplet_margin_with_distance_loss": TorchLoss("any"),
    "TripletMarginWithDistanceLoss": TorchLoss("any"),
    "cosine_embedding_loss": TorchLoss("any"),
    "CosineEmbeddingLoss": TorchLoss("any"),
    "margin_ranking_loss": TorchLoss("any"),
    "MarginRankingLoss": TorchLoss("any"),
    "hinge_embedding_loss": TorchLoss("any"),
    "HingeEmbeddingLoss": TorchLoss("any"),
    "poisson_nll_loss": TorchLoss("any"),
    "PoissonNLLLoss": TorchLoss("any"),
    "gaussian_nll_loss": TorchLoss("any"),
    "GaussianNLLLoss": TorchLoss("any"),
    "soft_margin_loss": TorchLoss("any"),
    "SoftMarginLoss": TorchLoss("any"),
    "ctc_loss": TorchLoss("log for ctc"),
    "CTCLoss": TorchLoss("log for ctc"),
}


def known(name: str) -> TorchLoss | None:
    """Return the loss of a full name."""
    name = plain(name)
    return TABLE.get(name.rpartition(".")[2]) if name.startswith("torch.nn.") else None


def function(
    run: Walk, name: str, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    """Follow a call of a loss as a function."""
    short = name.rpartition(".")[2]
    loss = known(name)
    if loss is None or not short[0].islower():
        return None
    settings = settings_of(short, args[2:], options)
    return judge(run, loss, short, reduction_of(settings), args, options, node, settings)


def criterion(
    run: Walk, made: Made, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    """Follow a call of a loss that was made as a module."""
    loss = known(made.name)
    if loss is None:
        return None
    short = made.name.rpartition(".")[2]
    settings = settings_of(short, made.args, made.options)
    return judge(run, loss, short, reduction_of(settings), args, options, node, settings)


OLD = ("size_average", "reduce", "reduction")
SETTINGS = {
    "cross_entropy": ("weight", "size_average", "ignore_index", "reduce", "reduction"),
    "nll_loss": ("weight", "size_average", "ignore_index", "reduce", "reduction"),
    "CrossEntropyLoss": ("weight", "size_average", "ignore_index", "reduce", "reduction"),
    "NLLLoss": ("weight", "size_average", "ignore_index", "reduce", "reduction"),
    "binary_cross_entropy": ("weight", *OLD),
    "binary_cross_entropy_with_logits": ("weight", *OLD),
    "BCELoss": ("weight", *OLD),
    "BCEWithLogitsLoss": ("weight", *OLD),
}


def settings_of(name: str, args: list[Value], options: dict[str, Value]) -> dict[str, Value]:
    """Return settings that are given by position and by name, without those that are None."""
    given = dict(zip(SETTINGS.get(name, OLD), args, strict=False)) | options
    return {key: value for key, value in given.items() if value != Const(None)}


def of_subclass(
    run: Walk, instance: Instance, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    """Follow a call of a loss that a class of the script derives from one of PyTorch's."""
    for base in instance.of.lineage():
        if isinstance(base, External) and known(base.name) is not None:
            init = instance.attrs.get("init")
            settings = init.options if isinstance(init, Made) else {}
            made = Made(base.name, [], settings)
            return criterion(run, made, args, options, node)
    return None


def reduction_of(options: dict[str, Value]) -> str:
    """Return "mean", "sum", "none", "batchmean", or "" where it is not known."""
    given = options.get("reduction")
    if given is not None:
        return str(given.value) if isinstance(given, Const) else ""
    reduce, average = (options.get(name, Const(True)) for name in ("reduce", "size_average"))
    if not isinstance(reduce, Const) or not isinstance(average, Const):
        return ""
    if not reduce.value:
        return "none"
    return "mean" if average.value else "sum"


def by_reduction(run: Walk, reduction: str, args: list[Value], node: ast.AST) -> Value:
    """Follow a loss that the settings name, with its reduction."""
    _site(run, node)
    return value_of(run, TorchLoss("any"), reduction, args, node)


def of_labels(run: Walk, output: Opaque, node: ast.AST, assumed: str = "") -> Value:
    """Follow a call ``model(..., labels=...)``, whose output has the loss: a mean over tokens.

    Of a model that could not be read (its name is ``assumed``) only what is called so is a loss.
    """
    _site(run, node)
    loop, grad = run.batch_loop([output.batch]), not run.without_grad
    loss = Loss(0, run.place(node), loop, grad=grad, assumed=assumed)
    output.parts["loss"] = loss
    output.parts["item", "loss"] = loss
    if not assumed:
        output.parts["item", 0] = loss
    return output


def _site(run: Walk, node: ast.AST) -> None:
    source = run.frame.module.source
    run.sites.add((source.shown, getattr(node, "lineno", 0), getattr(node, "col_offset", 0)))
    run.saw_loss()


def value_of(run: Walk, loss: TorchLoss, reduction: str, args: list[Value], node: ast.AST) -> Value:
    loop = run.batch_loop([getattr(value, "batch", None) for value in args])
    grad = not run.without_grad
    shifted = entries.shifted(*args[1:2])
    if reduction == "none":
        applied = "divergence" if loss.takes == "log for kl" else ""
        return Tensor(applied, batch=loop, grad=grad, loss=loss.kind, shifted=shifted)
    features = {"mean": "mean", "sum": "sum", "batchmean": "sum"}.get(reduction, "")
    scale = {"mean": 0, "sum": 1, "batchmean": 0}.get(reduction)
    if scale is None and run.ran:
        return Loss(0, run.place(node), loop, loss.kind, features, grad, supposed="loss")
    return Loss(scale, run.place(node), loop, loss.kind, features, grad, shifted=shifted)


# ---------------------------------------------------------------------- what is given


def judge(
    run: Walk,
    loss: TorchLoss,
    name: str,
    reduction: str,
    args: list[Value],
    options: dict[str, Value],
    node: ast.AST,
    settings: dict[str, Value],
) -> Value:
    """Judge a call of a loss by what its arguments are made of."""
    _site(run, node)
    output = args[0] if args else options.get("input")
    target = args[1] if len(args) > 1 else options.get("target")
    if isinstance(output, Choice):
        before, reports = len(run.pending), []
        for option in output.options:
            _input(run, loss, option, reduction == "none", node)
            reports.append(run.pending[before:])
            del run.pending[before:]
        if all(reports) and len({found[0].rule for found in reports}) == 1:
            run.pending += reports[0]
    else:
        _input(run, loss, output, reduction == "none", node)
    if loss.takes == "log for kl":
        _divergence(run, reduction, output, target, node, settings)
    if loss.takes == "logits":
        _target(run, target, node)
        _padding(run, target, reduction, settings, node)
    result = value_of(run, loss, reduction, [v for v in (output, target) if v is not None], node)
    ignored = settings.get("ignore_index")
    if isinstance(result, Loss) and ignored is not None and reduction == "mean":
        return result.but(padding=True)
    if isinstance(result, Tensor) and ignored not in (None, Const(-100)):  # not by default
        return result.but(ignores=True)
    return result


def _input(
    run: Walk, loss: TorchLoss, output: Value | None, unreduced: bool, node: ast.AST
) -> None:
    if not isinstance(output, Tensor):
        return
    applied = output.applied
    if loss.takes == "logits":
        _logits(run, output, node)
    elif loss.takes in ("log", "log for ctc"):
        # Unreduced, it picks the target's entries: focal losses take the probability so.
        if applied in ("linear", "softmax", "sigmoid") and not unreduced:
            what = {"linear": "raw logits", "softmax": "probabilities (softmax)"}
            said = what.get(applied, "the output of a sigmoid")
            of = "nll_loss" if loss.takes == "log" else "ctc_loss"
            fix = TAKES_LOGARITHMS[of]
            run.report("X106", run.place(node), what=said, loss=of, fix=fix)
        elif applied == "log_softmax" and output.below is not None:
            _below(run, output.below)
    elif loss.takes == "probabilities":
        if applied == "linear":
            run.report("X107", run.place(node), what="logits of any size")
    elif loss.takes == "binary logits":
        if applied == "sigmoid":
            run.report("X102", run.place(node), line=_line(run, output))
        elif applied in ("softmax", "ReLU"):
            _activation(run, output, "error", run.place(node))


def _logits(run: Walk, output: Tensor, node: ast.AST) -> None:
    applied = output.applied
    if output.features == 1 and applied in ("linear", "softmax", "sigmoid", "log_softmax"):
        if output.dims in (None, 2):
            run.report("X108", run.place(node))
    elif applied == "softmax":
        facts = {"line": _line(run, output), "floor": _floor(output.features)}
        run.report("X101", run.place(node), **facts)
        _cut_below(run, output.below)
    elif applied == "sigmoid":
        facts = {"line": _line(run, output), "floor": _floor(output.features)}
        run.report("X103", run.place(node), **facts)
    elif applied == "ReLU":
        _activation(run, output, "error", run.place(node))
    elif applied in SQUEEZES:
        if output.below is not None and output.below.applied in ("linear", "ReLU"):
            _activation(run, output, "warning", run.place(node))
    elif applied == "log_softmax" and output.below is not None:
        _below(run, output.below)


def _cut_below(run: Walk, below: Tensor | None) -> None:
    """X104: below a softmax that must go as well, the logits are cut at 0."""
    while below is not None and below.applied == "Dropout":
        below = below.below
    if below is not None and below.applied == "ReLU":
        _activation(run, below, "error", below.place)


SQUEEZES = ("LeakyReLU", "tanh", "Dropout")


def _below(run: Walk, below: Tensor) -> None:
    """Judge what log_softmax was applied to."""
    if below.applied in ("ReLU", "sigmoid", "softmax"):
        _activation(run, below, "error", below.place)
    elif getattr(below.below, "applied", "") == "linear" and below.applied in SQUEEZES:
        _activation(run, below, "warning", below.place)


EFFECTS = {
    "ReLU": "none can be negative, and where all are cut nothing is learned",
    "sigmoid": "they lie between 0 and 1, so that no class can be sure",
    "softmax": "they lie between 0 and 1, so that no class can be sure",
    "tanh": "they lie between -1 and 1, so that no class can be sure",
    "LeakyReLU": "negative ones are squeezed",
    "Dropout": "some are set to 0 at random",
}


def _activation(run: Walk, output: Tensor, level: str, place: Place | None) -> None:
    if place is not None:
        facts = {"activation": output.applied, "line": _line(run, output)}
        run.report("X104", place, effect=EFFECTS[output.applied], level=level, **facts)


def _line(run: Walk, output: Tensor) -> str:
    if output.place is None:
        return "?"
    module, node = output.place
    source = module.source
    cell, line, _ = source.position(getattr(node, "lineno", 1), 0)
    where = f"{line} of cell {cell}" if cell is not None else str(line)
    return where if module is run.frame.module else f"{where} of {source.path.name}"


def _floor(classes: int | None) -> str:
    if classes is None:
        return "the loss has a floor far above 0 (1.461 with 10 classes)"
    floor = math.log(1 + (classes - 1) / math.e)
    return f"no loss below {floor:.3f} is reachable with {classes} classes"


def _target(run: Walk, target: Value | None, node: ast.AST) -> None:
    wrapped = of_tokens(target).get("wrapped")
    if isinstance(wrapped, Const) and wrapped.value:
        run.report("X207", run.place(node))


def _padding(
    run: Walk, target: Value | None, reduction: str, settings: dict[str, Value], node: ast.AST
) -> None:
    """X503: the target was padded with a value that the loss does not ignore."""
    padded = target.parts.get("padded") if isinstance(target, Opaque) else None
    ignored = settings.get("ignore_index", Const(-100))
    if reduction == "none" or not isinstance(padded, Const) or not isinstance(ignored, Const):
        return
    if "weight" in settings:
        return  # it may be 0 for the padding
    if isinstance(padded.value, str):
        if ignored.value == -100:
            what = "the targets were padded by the tokenizer, and the loss ignores -100"
            run.report(
                "X503", run.place(node), what=what, fix="ignore_index=tokenizer.pad_token_id"
            )
    elif padded.value != ignored.value:
        pad = f"{padded.value:g}"
        what = f"the rows were padded with {pad}, and the loss ignores {ignored.value}"
        run.report("X503", run.place(node), what=what, fix=f"ignore_index={pad}")


def _divergence(
    run: Walk,
    reduction: str,
    output: Value | None,
    target: Value | None,
    node: ast.AST,
    settings: dict[str, Value],
) -> None:
    if reduction == "mean" and not _scaled_back(run, node):
        run.report("X302", run.place(node))
    if isinstance(output, Tensor):
        what = {"softmax": "probabilities (softmax)", "linear": "raw logits"}.get(output.applied)
        if what is not None:
            run.report("X301", run.place(node), what=what)
    log_target = settings.get("log_target")
    unset = log_target is None or (isinstance(log_target, Const) and log_target.value is False)
    if not isinstance(target, Tensor):
        return
    if target.applied in ("log_softmax", "log") and unset:
        run.report("X303", run.place(node))
    if isinstance(output, Tensor) and not run.without_grad:
        fixed = output.applied == "log_softmax" and not output.grad
        if fixed and target.grad and target.applied in ("softmax", "log_softmax"):
            run.report("X304", run.place(node))


def _scaled_back(run: Walk, node: ast.AST) -> bool:
    """Whether the mean is multiplied by the number of classes again."""
    lines = run.frame.module.source.lines
    line = getattr(node, "lineno", 1)
    end = getattr(node, "end_lineno", line)
    text = "\n".join(lines[line - 1 : end])
    around = text.replace(ast.unparse(node), "")
    return any(word in around for word in ("size(", "shape[", "num_classes", "n_classes"))
