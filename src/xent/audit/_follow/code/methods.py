"""Methods: of modules (eval, to), of tensors and losses (item, mean, size), of lists and dicts."""

from __future__ import annotations

import ast
import re

from xent.audit._follow import objects, rows
from xent.audit._follow.averaging import arithmetic, averages, entries, metrics, shown
from xent.audit._follow.code import containers
from xent.audit._follow.pytorch import gaussians, layers, tensors, tokenizers, unread_losses
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    BatchSize,
    Const,
    Dictionary,
    Entries,
    Function,
    Instance,
    Length,
    Loss,
    Made,
    Mean,
    Opaque,
    Sequence,
    Tensor,
    Total,
    Value,
    Zero,
    of_tokens,
)

# What leaves its object as it is; a target stays one in any kind of integers.
SAME = tensors.KEEPS | {"detach", "long", "int", "tolist", "apply", "to_empty"}
PART_METHODS = tensors.SHAPES | {
    "repeat",
    "narrow",
    "chunk",
    "gather",
    "index_select",
    "select",
    "take",
}
OVERWRITTEN = frozenset(
    ["fill_", "zero_", "copy_", "normal_", "uniform_", "bernoulli_", "random_", "exponential_"]
)
OF_TENSORS = ("softmax", "log_softmax", "sigmoid")  # methods that nothing else has
LOSS_ITSELF = SAME | tensors.SHAPES | {"item", "mean", "sum"}


def of_module(
    run: Walk,
    holder: Instance,
    name: str,
    args: list[Value],
    options: dict[str, Value],
    node: ast.Call,
) -> Value:
    """Call a method that a module of the script inherits."""
    if name in ("eval", "train"):
        return _mode(run, holder, name, args)
    if name.rstrip("_") in SAME:
        return holder
    if name in ("parameters", "named_parameters"):
        return Made("parameters", [holder], {})
    if name in ("backward", "manual_backward"):
        return _backward(run, args)
    shown.arguments(run, name, args, options, node)
    batch = next((b for v in (*args, *options.values()) if (b := getattr(v, "batch", None))), None)
    if batch is not None:  # what a class of elsewhere makes of it
        loss = unread_losses.called_criterion(run, args, options, node)
        return loss if loss is not None else Opaque(name, batch, made=run.place(node))
    return objects.attribute(run, holder, name)


def _mode(run: Walk, holder: Value, name: str, args: list[Value]) -> Value:
    training = objects.truth(args[0]) if args else name == "train"
    objects.set_mode(run, holder, training)
    return holder


def _backward(run: Walk, args: list[Value]) -> Value:
    for loop in run.loops:
        loop.trained = True
    for value in args:
        if isinstance(value, Loss):
            for each in (value.backward, *value.summands):
                each.append(True)
        _differentiated(run, value)
    return Const(None)


OPTIMISER = re.compile(r"(\w+_)?opt(im(i[sz]er)?)?(_\w+)?", re.I)


MAKES_STEP = re.compile(r"(?!.*(test|val|eval))\w*(step|backward|backprop|optimi[sz]e)\w*", re.I)


def trains(run: Walk, node: ast.Call, given: list[Value]) -> None:
    """Take what is called with a loss and an optimiser for a step: ``scaler(loss, optimizer)``.

    Or what is called a step: ``self.mixed_precision_step(loss)`` of a base that is not there.
    """
    given_losses = [value for value in given if isinstance(value, Loss) and value.grad]
    called = unread_losses.called_by(node)
    if given_losses and (any(map(_is_optimiser, given)) or MAKES_STEP.fullmatch(called)):
        _backward(run, list(given_losses))


def _is_optimiser(value: Value) -> bool:
    if isinstance(value, Made):
        return "optim" in value.name.lower() and "lr_scheduler" not in value.name
    return isinstance(value, Opaque) and OPTIMISER.fullmatch(value.name) is not None


def _differentiated(run: Walk, value: Value) -> None:
    value = value.of if isinstance(value, Mean) else value
    if isinstance(value, Total):
        for loop in value.loops:
            loop.trained = True  # it collected the loss of one step
        for pending in run.pending:
            mean = pending.rule == "X402" and pending.loop is value.loops[-1]
            if mean or (pending.rule == "X408" and pending.place == value.place):
                pending.unless = [True]


def of_made(
    run: Walk, holder: Made, name: str, args: list[Value], options: dict[str, Value], node: ast.Call
) -> Value:
    """Call a method of what a library made: a layer, an optimiser, a scaler, a parser."""
    if name == "__len__":
        return Length(holder)
    if name in ("eval", "train"):
        return _mode(run, holder, name, args)
    if name.rstrip("_") in SAME:
        return holder
    if name in ("parameters", "named_parameters"):
        return Made("parameters", [holder], {})
    if name == "backward":
        _not_followed(run, holder, args, node)
        return _backward(run, args)
    if name == "step":
        return _step(run, holder, args, node)
    passed = _passed_on(name, args)
    if passed is not None:
        return passed
    if name == "add_argument":
        return _argument(holder, args, options)
    if name in ("parse_args", "parse_known_args"):
        space = holder.attrs.setdefault("arguments", Opaque("args"))
        return space if name == "parse_args" else Sequence([space, Opaque("rest")])
    if name == "forward":
        return layers.call(run, holder, args, options, node)
    loss = unread_losses.called_criterion(run, args, options, node)
    if loss is not None:
        return loss
    if holder.name.endswith("MeanMetric"):
        return metrics.of_mean(run, holder, name, args, options, node)
    metrics.of_meter(run, holder, name, args, options, node)
    if name in ("items", "values", "keys"):
        return Made(name, [holder], {})
    shown.arguments(run, name, args, options, node)
    if name in ("log_prob", "entropy"):
        return tensors.of_distribution(run, holder, name, node)
    rows_kept = rows.kept(holder, name, args, options)
    if rows_kept is not None:
        return Opaque(name, parts={"length": rows_kept})
    if name == "train_test_split":
        return Dictionary(rows.split(options, args), Opaque("part"))
    if run.ran and name in LOSS_ITSELF:
        return holder
    batches = [b for v in (*args, *options.values()) if (b := getattr(v, "batch", None))]
    return Opaque(name, batches[0] if batches else None)


def _passed_on(name: str, args: list[Value]) -> Value | None:
    """Return what scalers, accelerators and fabrics are given, where they return it."""
    if name == "prepare" and len(args) > 1:
        return Sequence(list(args))
    if args and name in ("scale", "prepare", "unwrap_model", "reduce"):
        return args[0]
    gathered = name in ("gather", "gather_for_metrics") and args and isinstance(args[0], Loss)
    return args[0] if gathered else None


def _step(run: Walk, holder: Value, args: list[Value], node: ast.Call) -> Value:
    """Train: optimiser.step, with the closure that LBFGS wants; scaler.step(optimiser)."""
    mover = args[0] if args and isinstance(args[0], Made) else holder
    if not (isinstance(mover, Made) and "lr_scheduler" in mover.name):
        for loop in run.loops:
            loop.movers.append(mover)
    result = _backward(run, [])
    for value in args:
        if isinstance(value, Function):
            result = run.call_value(value, [], {}, node)
    return result


def _argument(parser: Made, args: list[Value], options: dict[str, Value]) -> Value:
    """Note an argument of the command line, with its default."""
    names = [a.value for a in args if isinstance(a, Const)]
    long = [n for n in names if n.startswith("--")] or names
    destination = options.get("dest")
    if long:
        name = long[0].lstrip("-").replace("-", "_")
        if isinstance(destination, Const):
            name = str(destination.value)
        space = parser.attrs.setdefault("arguments", Opaque("args"))
        made = Opaque(name)
        default = options.get("default")
        if isinstance(default, Const | Zero):
            made.parts["default"] = Const(default.value)
        if isinstance(space, Opaque):
            space.parts[name] = made
    return Const(None)


# ---------------------------------------------------------------------- tensors and losses


def of_value(
    run: Walk,
    holder: Value,
    name: str,
    args: list[Value],
    options: dict[str, Value],
    node: ast.Call,
) -> Value:
    """Call a method of a tensor, a loss, a list, a dict or something unknown."""
    if name == "__len__":
        return Length(holder)
    if name == "format" and isinstance(holder, Const) and isinstance(holder.value, str):
        shown.with_template(run, holder.value, args, node, options)
        return Const(holder.value)
    if isinstance(holder, Sequence):
        return containers.of_list(run, holder, name, args, options, node)
    if isinstance(holder, Dictionary):
        return containers.of_dict(run, holder, name, args, node)
    if isinstance(holder, Entries):
        bounded = ("detach", "clamp", "clamp_", "clamp_min", "clip", "maximum")  # max(n, 1)
        return holder if name in LOSS_ITSELF or name in bounded else Opaque(name)
    if isinstance(holder, Loss):
        return _of_loss(run, holder, name, args, options, node)
    if isinstance(holder, Total | Mean | Zero):
        if name == "backward":
            return _backward(run, [holder])
        if name == "div" and args and isinstance(holder, Total):
            return averages.divided(run, holder, args[0], node)
        return holder if name.rstrip("_") in LOSS_ITSELF else Opaque(name)
    if isinstance(holder, Tensor):
        if name in OVERWRITTEN and isinstance(node.func, ast.Attribute):
            return _overwritten(run, holder, name, node.func.value)
        return tensors.method(run, holder, name, args, options, node)
    return _of_unknown(run, holder, name, args, options, node)


def _of_loss(
    run: Walk, holder: Loss, name: str, args: list[Value], options: dict[str, Value], node: ast.Call
) -> Value:
    if name == "backward":
        return _backward(run, [holder])
    if name in ("detach", "item", "tolist"):
        return holder.but(grad=False)
    if name == "sum" and holder.assumed:  # it was not reduced before
        return holder.but(scale=None)
    if name.rstrip("_") in LOSS_ITSELF:
        return holder
    if name == "exp":
        return holder.but(exp=True)
    if name.rstrip("_") in ("div", "mul") and args:
        kind = ast.Div if name.startswith("div") else ast.Mult
        return arithmetic.binary(run, kind, holder, args[0], node)
    return Opaque(name)


def _overwritten(run: Walk, tensor: Tensor, name: str, said: ast.expr) -> Value:
    """Follow numbers that are put into a tensor: what was applied to it before is gone."""
    after = Opaque(name, tensor.batch)
    if isinstance(said, ast.Name) and run.frame.names.get(said.id) is tensor:
        run.write(run.frame.names, said.id, after)
    return after


def _of_unknown(
    run: Walk,
    holder: Value,
    name: str,
    args: list[Value],
    options: dict[str, Value],
    node: ast.Call,
) -> Value:
    batch = getattr(holder, "batch", None)
    if name in ("sum", "count_nonzero") and not args and not options:
        found = entries.kept(holder, getattr(node.func, "value", None))
        if found is not None:
            return found
    if name == "ne" and isinstance(holder, Opaque):
        return Opaque(name, batch, root=holder.root or holder, cut=holder.cut, mask=True)
    if name in ("size", "numel", "nelement"):
        first = args[0] if args else next(iter(options.values()), None)
        if batch is None:
            shape = holder.part("shape") if isinstance(holder, Opaque) else Opaque("shape")
            if name != "size" or (first is not None and first != Const(0)):
                return Opaque("size")
            return shape if first is None else objects.item(run, shape, first)
        if name in ("numel", "nelement"):
            of = entries.whole(holder)
            return BatchSize(batch, of, of is not None)
        if first is None:
            return Sequence([BatchSize(batch)], element=Opaque("size"))
        if isinstance(first, Const) and first.value == 0:
            return BatchSize(batch)
        return Opaque("size")
    if name == "masked_fill_":
        tokenizers.ignored(holder, Opaque("mask"))
        return holder
    if name in ("eval", "train") and isinstance(holder, Opaque):
        training = objects.truth(args[0]) if args else name == "train"
        set_to = Opaque("training") if training is None else Const(training)
        run.write(holder.parts, "training", set_to)
    if name in ("eval", "train") or name.rstrip("_") in SAME:
        return holder
    if name in ("backward", "manual_backward"):
        _not_followed(run, holder, args, node)
        return _backward(run, args)
    if name == "step":
        return _step(run, holder, args, node)
    passed = _passed_on(name, args)
    if passed is not None:
        return passed
    if name in ("log_prob", "entropy"):
        return tensors.of_distribution(run, holder, name, node)
    if name.rstrip("_") in tensors.ACTIVATIONS and (batch is not None or name in OF_TENSORS):
        return tensors.method(run, Tensor(batch=batch), name, args, options, node)
    if name in ("sum", "mean") and gaussians.is_divergence(run, node):
        return tensors.reduce(run, Tensor(batch=batch), name, args, options, node)
    if name == "roll":
        return tensors.rolled(holder, args, options)
    rows_kept = rows.kept(holder, name, args, options) if batch is None else None
    if rows_kept is not None:
        return Opaque(name, parts={"length": rows_kept}, made=run.place(node))
    loss = None
    if isinstance(holder, Opaque):
        loss = unread_losses.called_criterion(run, args, options, node)
    if loss is not None:
        return loss
    if name == "masked_fill" or name.rstrip("_") in PART_METHODS:
        known = {} if name == "masked_fill" else of_tokens(holder)
        by = getattr(holder, "made", None)
        made = Opaque(getattr(holder, "name", ""), batch, known, by)
        if isinstance(holder, Opaque):
            made.root, made.cut, made.mask = holder.root or holder, holder.cut, holder.mask
        return made
    shown.arguments(run, name, args, options, node)
    batches = [b for v in (holder, *args, *options.values()) if (b := getattr(v, "batch", None))]
    if name == "train_test_split":
        return Dictionary(rows.split(options, args), Opaque("part"))
    itself = isinstance(holder, Opaque) and name in LOSS_ITSELF
    made_by = holder.made if itself else run.place(node)  # type: ignore[attr-defined]
    if itself and unread_losses.KEPT_NAME.fullmatch(holder.name):  # type: ignore[attr-defined]
        name = holder.name  # type: ignore[attr-defined]
    return Opaque(name, batches[0] if batches else None, made=made_by)


def _not_followed(run: Walk, holder: Value, args: list[Value], node: ast.Call) -> None:
    loss = args[0] if args else holder
    if isinstance(loss, Opaque | Made):
        place = loss.parts.get("place") if isinstance(loss, Opaque) else None
        what = place.name if isinstance(place, Opaque) and place.name else loss.name
        what = what.rpartition(".")[2] if isinstance(loss, Made) else what
        if what:
            source = run.frame.module.source
            _, line, _ = source.position(node.lineno, node.col_offset)
            run.not_followed[f"{what} ({source.shown}:{line})"] = None
