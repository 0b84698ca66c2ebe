"""Losses that nothing but a name tells: criteria that are passed, and what unknown code returns."""

from __future__ import annotations

import ast
import re

from xent.audit._follow.pytorch import losses
from xent.audit._follow.run import Walk
from xent.audit._follow.values import Const, Loop, Loss, Made, Opaque, Place, Value

CRITERION = re.compile(
    r"(?!(get|make|build|create|select|init|load|set|setup|choose|configure|compute|log|plot)_)"
    r"(\w+_)?(criterions?|crit|criteria|loss_?(f|fn|fun|fct|func|function)s?)(_?\d|_\w+)?"
    r"|loss_?|losses|objective",
    re.I,
)
FEWEST_GIVEN, MOST_GIVEN = 2, 4  # arguments of a loss: an output, a target, and what weighs them


def is_criterion(
    called: Value, args: list[Value], options: dict[str, Value], node: ast.AST | None = None
) -> bool:
    """Whether something unknown is called as criteria are: by their names, with a target."""
    name = called.name.lstrip("_") if isinstance(called, Opaque) else ""
    given = len(args) + len(options)
    if given == FEWEST_GIVEN and CRITERION.fullmatch(name) is not None:
        return True
    words = (called_by(node) if node is not None else name).lstrip("_")
    of_batch = any(getattr(v, "batch", None) for v in (*args, *options.values()))
    return (
        FEWEST_GIVEN <= given <= MOST_GIVEN and of_batch and CRITERION.fullmatch(words) is not None
    )


def called_by(node: ast.AST) -> str:
    """Return the last word that something is called by: of ``losses["cls"](x, y)`` the first."""
    func = node.func if isinstance(node, ast.Call) else None
    if isinstance(func, ast.Subscript):
        func = func.value
    return str(getattr(func, "attr", getattr(func, "id", "")))


def called_criterion(
    run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    """Follow what unknown code made and a call's words say is a loss: ``model.loss(x, y)``."""
    if not is_criterion(Opaque(), args, options, node):
        return None
    loss = assumed(run, called_by(node), [*args, *options.values()], node)
    return loss.but(by_name=True) if isinstance(loss, Loss) else loss


def assumed(run: Walk, name: str, args: list[Value], node: ast.AST) -> Value:
    """Follow a criterion that the caller passes and no line shows: PyTorch's average by default."""
    source = run.frame.module.source
    _, line, _ = source.position(getattr(node, "lineno", 1), 0)
    text = ast.unparse(node.func) if isinstance(node, ast.Call) else name
    run.not_followed[f"{text} ({source.shown}:{line})"] = None
    for loop in run.loops:
        loop.losses += 1
    result = losses.value_of(run, losses.TorchLoss("any"), "mean", args, node)
    return result.but(features="", assumed=name) if isinstance(result, Loss) else result


FOREIGN = re.compile(r".*(Loss|Criterion|CrossEntropy|Entropy)")


def is_foreign(made: Made, args: list[Value], options: dict[str, Value]) -> bool:
    """Whether a class that could not be read is a loss by its name, and is called as one."""
    name = made.name.rpartition(".")[2]
    return len(args) + len(options) == 2 and FOREIGN.fullmatch(name) is not None


def foreign(run: Walk, made: Made, args: list[Value], node: ast.AST) -> Value:
    """Follow a loss of a file that could not be read: as it says it reduces, or as a mean."""
    reduction = made.options.get("reduction")
    if isinstance(reduction, Const) and reduction.value in ("mean", "sum", "none"):
        return losses.by_reduction(run, reduction.value, args, node)
    return assumed(run, made.name.rpartition(".")[2], args, node)


LOSS_NAME = re.compile(r"(\w+_)?loss", re.I)


def named(run: Walk, name: str, value: Opaque, node: ast.AST) -> Value:
    """Follow what unknown code makes of a batch and the script calls a loss."""
    if value.batch is None or not run.is_open(value.batch):
        return value
    summed = value.name == "sum of losses" and name.endswith("losses")
    if LOSS_NAME.fullmatch(name) is None and not summed:
        return supposed(run, value, node) or value
    grad = not run.without_grad
    for loop in run.loops:
        loop.losses += 1
    return Loss(0, run.place(node), value.batch, grad=grad, assumed=name, by_name=True)


def called_so(
    run: Walk, name: str, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    """Follow a function of a file that could not be read, whose name says that it is a loss."""
    first, _, last = name.rpartition(".")
    if first and is_criterion(Opaque(last), args, options):
        return assumed(run, last, args, node)
    if not first or LOSS_NAME.fullmatch(last) is None or len(args) + len(options) < 2:
        return None
    given = (*args, *options.values())
    batch = next((b for value in given if (b := getattr(value, "batch", None))), None)
    if batch is None or not run.is_open(batch):
        return None
    return named(run, last, Opaque("result", batch), node)


OF_LOSSES = re.compile(
    r"loss|crit(eri|(?![a-z]))|objective|error|entropy|elbo|recon"
    r"|(?<![a-z])(nll|ce|bce|mse|mae|kld?s?|l1|l2|errs?|dice)(?![a-z])",
    re.I,
)
OF_MEASURES = re.compile(
    r"(?<![a-z])(m?iou|acc|accs|f1|psnr|ssim|auc|top[15]|correct|metrics?|score|reward|count"
    r"|accuracy|accuracies|precision|recall|time)(?![a-z])",
    re.I,
)


def of_output(run: Walk, value: Value, node: ast.AST) -> Loss | None:
    """Take for a loss what is added up: what an output calls so, or what a run may confirm."""
    if isinstance(value, Opaque) and LOSS_NAME.fullmatch(value.name):
        found = named(run, value.name, value, node)
        if isinstance(found, Loss):
            return found
    return supposed(run, value, node)


def supposed(run: Walk, value: Value, node: ast.AST) -> Loss | None:
    """Take what unknown code makes of a batch for a loss, by the words of a line.

    Reading alone would guess. Of a script that ran, the run saw what was computed in that call.
    """
    if not run.ran or not isinstance(value, Opaque | Made):
        return None
    batch, place = _unknown_call(value)
    words = ast.unparse(node).replace("_", " ")
    if batch is None or not run.is_open(batch):
        return None
    if not OF_LOSSES.search(words) or OF_MEASURES.search(words):
        return None
    for loop in run.loops:
        loop.losses += 1
    return Loss(
        0,
        place or run.place(node),
        batch,
        grad=not run.without_grad,
        assumed=_called(place) or value.name.rpartition(".")[2],
        by_name=True,
        supposed="sizes" if value.name == "mean" and place is None else "loss",
    )


def _called(place: Place | None) -> str:
    """Return the words of a call."""
    node = place[1] if place is not None else None
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def _unknown_call(value: Opaque | Made) -> tuple[Loop | None, Place | None]:
    """Return the loop of the batch that a call was given, and the call."""
    if isinstance(value, Opaque):
        return value.batch, value.made
    if value.name.startswith(("torch.", "numpy.")) or "." not in value.name:
        return None, None
    given = (*value.args, *value.options.values())
    return next((b for v in given if (b := getattr(v, "batch", None))), None), value.place
