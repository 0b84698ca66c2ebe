"""Losses that nothing but a name tells: criteria that are passed, and what unknown code returns."""

from __future__ import annotations

import ast
import re
from typing import cast

from xent.audit._follow.pytorch import losses
from xent.audit._follow.run import Walk
from xent.audit._follow.values import Loop, Loss, Made, Opaque, Place, Value

CRITERION = re.compile(
    r"(?!(get|make|build|create|select|init|load|set|setup|choose|configure|compute|log|plot)_)"
    r"(\w+_)?(criterions?|crit|criteria|loss_?(f|fn|fun|fct|func|function)s?)(_?\d|_\w+)?"
    r"|loss_?|losses|objective|(objective|cost)_?(fn|func|function)",
    re.I,
)
# One of several, called after what it judges: ``mse_loss_fn``, ``loss_depth``. It may sum.
ONE_OF_SEVERAL = re.compile(
    r"\w+_loss(_?(fn|func|function))?|loss_(?!mask|weight|scale|history|logs?|dict|and)\w+", re.I
)
FEWEST_GIVEN, MOST_GIVEN = 2, 4  # arguments of a loss: an output, a target, and what weighs them


def is_criterion(name: str, given: list[Value], *, of_batch: bool = False) -> bool:
    """Whether something unknown is called as criteria are: by their names, with a target."""
    if CRITERION.fullmatch(name.lstrip("_")) is None:
        return False
    if not any(getattr(value, "batch", None) for value in given):
        return not of_batch and len(given) == FEWEST_GIVEN
    return _as_many(given)


def _as_many(given: list[Value]) -> bool:
    return FEWEST_GIVEN <= len(given) <= MOST_GIVEN


def called_by(node: ast.AST) -> str:
    """Return the last word that something is called by: of ``losses["cls"](x, y)`` the first."""
    func = getattr(node, "func", None)
    if isinstance(func, ast.Subscript):
        func = func.value
    return str(getattr(func, "attr", getattr(func, "id", "")))


def called_criterion(
    run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    """Follow what unknown code made and a call's words say is a loss: ``model.loss(x, y)``."""
    name, given = called_by(node), [*args, *options.values()]
    if not _is_called_so(run, name, given, node):
        return None
    return assumed(run, name, given, node).but(by_name=True)


def _is_called_so(run: Walk, name: str, given: list[Value], node: ast.AST) -> bool:
    if any(isinstance(one, ast.Starred) for one in getattr(node, "args", ())):
        return CRITERION.fullmatch(name.lstrip("_")) is not None  # loss_fn(*outputs, *targets)
    if run.loops and run.loops[-1].kind == "batches" and CRITERION.fullmatch(name):
        # Of what a model keeps of the batch: model.loss(model.output, model.target)
        return _as_many(given)
    of_batch = any(getattr(value, "batch", None) for value in given)
    several = of_batch and ONE_OF_SEVERAL.fullmatch(name) is not None and _as_many(given)
    return several or is_criterion(name, given, of_batch=True)


def assumed(run: Walk, name: str, args: list[Value], node: ast.AST) -> Loss:
    """Follow a criterion that the caller passes and no line shows: PyTorch's average by default."""
    source = run.frame.module.source
    _, line, _ = source.position(getattr(node, "lineno", 1), 0)
    run.not_followed[f"{_called(node) or name} ({source.shown}:{line})"] = None
    run.saw_loss()
    loss = cast(Loss, losses.value_of(run, losses.TorchLoss("any"), "mean", args, node))
    return loss.but(features="", assumed=name)


FOREIGN = re.compile(r".*(Loss|Criterion|CrossEntropy|Entropy)")


def foreign(run: Walk, made: Made, given: list[Value], node: ast.AST) -> Value | None:
    """Follow a loss of a file that could not be read: as it says it reduces, or as a mean."""
    name = made.name.rpartition(".")[2]
    if len(given) != FEWEST_GIVEN or FOREIGN.fullmatch(name) is None:
        return None
    if made.options.keys() & losses.OLD:
        reduction = losses.reduction_of(losses.settings_of(name, [], made.options))
        return losses.by_reduction(run, reduction, given, node)
    return assumed(run, name, given, node)


LOSS_NAME = re.compile(r"(\w+_)?loss", re.I)
# Functions of other files that are losses by another word: `l2_error`, `kl_divergence`.
SAYS_LOSS = re.compile(
    LOSS_NAME.pattern
    + r"(_?\d)?|(\w+_)?(mse|bce|nll|cross_entropy|kld|kl_div(ergence)?|l[12]_err(or)?)",
    re.I,
)
KEPT_NAME = re.compile(SAYS_LOSS.pattern + "|mean", re.I)  # by its methods that return itself


def named(run: Walk, name: str, value: Opaque, node: ast.AST) -> Value:
    """Follow what unknown code makes of a batch and the script calls a loss."""
    if not run.is_open(value.batch):
        return value
    summed = value.name == "sum of losses" and name.endswith("losses")
    if LOSS_NAME.fullmatch(name) is None and not summed:
        return supposed(run, value, node) or value
    return _of_name(run, name, value.batch, node)


def _of_name(run: Walk, name: str, batch: Loop | None, node: ast.AST) -> Loss:
    run.saw_loss()
    grad = not run.without_grad
    return Loss(0, run.place(node), batch, grad=grad, assumed=name, by_name=True)


def called_so(
    run: Walk, name: str, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    """Follow a function of a file that could not be read, whose name says that it is a loss."""
    last, given = name.rpartition(".")[2], [*args, *options.values()]
    if is_criterion(last, given):
        return assumed(run, last, given, node)
    if SAYS_LOSS.fullmatch(last) is None or len(given) < FEWEST_GIVEN:
        return None
    batch = next((b for value in given if (b := getattr(value, "batch", None))), None)
    return _of_name(run, last, batch, node) if run.is_open(batch) else None


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
    if isinstance(value, Opaque) and SAYS_LOSS.fullmatch(value.name) and run.is_open(value.batch):
        return _of_name(run, value.name, value.batch, node)
    return supposed(run, value, node)


def supposed(run: Walk, value: Value, node: ast.AST) -> Loss | None:
    """Take what unknown code makes of a batch for a loss, by the words of a line.

    Reading alone would guess. Of a script that ran, the run saw what was computed in that call.
    """
    if not run.ran or not isinstance(value, Opaque | Made):
        return None
    batch, place = _unknown_call(value)
    words = ast.unparse(node)
    if not run.is_open(batch) or not OF_LOSSES.search(words) or OF_MEASURES.search(words):
        return None
    if place is None and value.name != "mean":
        return None  # no call made it
    run.saw_loss()
    return Loss(
        0,
        place or run.place(node),
        batch,
        grad=not run.without_grad,
        assumed=value.name if place is None else _called(place[1]),
        by_name=True,
        supposed="sizes" if place is None else "loss",
    )


def _called(node: ast.AST | None) -> str:
    """Return the words of a call."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def _unknown_call(value: Opaque | Made) -> tuple[Loop | None, Place | None]:
    """Return the loop of the batch that a call was given, and the call."""
    if isinstance(value, Opaque):
        return value.batch, value.made
    if value.name.startswith(("torch.", "numpy.")) or "." not in value.name:
        return None, None
    given = (*value.args, *value.options.values())
    return next((b for v in given if (b := getattr(v, "batch", None))), None), value.place
