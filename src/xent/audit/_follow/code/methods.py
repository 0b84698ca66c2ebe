"""Methods: of modules (eval, to), of tensors and losses (item, mean, size), of lists and dicts."""

from __future__ import annotations

import ast

from xent.audit._follow import objects, rows
from xent.audit._follow.averaging import arithmetic, averages, entries, metrics, shown
from xent.audit._follow.code import containers
from xent.audit._follow.pytorch import layers, tensors, tokenizers, unread_losses
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    BatchSize,
    Const,
    Dictionary,
    Entries,
    External,
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
)

SAME = frozenset(
    [
        "to",
        "cuda",
        "cpu",
        "float",
        "double",
        "half",
        "bfloat16",
        "contiguous",
        "requires_grad_",
        "clone",
        "long",
        "int",
        "bool",
        "type",
        "numpy",
        "share_memory",
        "zero_grad",
        "apply",
        "tolist",
        "pin_memory",
        "coalesce",
        "bfloat16",
        "compile",
        "to_empty",
        "type_as",
        "to_dense",
        "wait",
        "cuda",
    ]
)
SHAPE_METHODS = frozenset(
    [
        "view",
        "reshape",
        "flatten",
        "squeeze",
        "unsqueeze",
        "permute",
        "transpose",
        "t",
        "expand",
        "repeat",
        "view_as",
        "expand_as",
        "reshape_as",
        "movedim",
        "swapaxes",
        "unflatten",
        "narrow",
        "chunk",
        "squeeze_",
        "unsqueeze_",
        "gather",
        "index_select",
        "masked_select",
        "select",
        "take",
        "masked_fill",
    ]
)
LOSS_ITSELF = SAME | {"item", "squeeze", "view", "reshape", "mean", "sum", "requires_grad_"}
LOSS_ITSELF |= {"unsqueeze", "flatten"}


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
    if name in SAME:
        return holder
    if name in ("parameters", "named_parameters", "buffers"):
        return Made("parameters", [holder], {})
    if name in ("backward", "step", "manual_backward"):
        return _backward(run, args)
    if name in ("log", "log_dict"):
        return Const(None)
    shown.arguments(run, name, args, options, node)
    batch = next((b for v in (*args, *options.values()) if (b := getattr(v, "batch", None))), None)
    if batch is not None:  # what a class of elsewhere makes of it
        loss = unread_losses.called_criterion(run, args, options, node)
        return loss if loss is not None else Opaque(name, batch, made=run.place(node))
    return objects.attribute(run, holder, name)


def _mode(run: Walk, holder: Value, name: str, args: list[Value]) -> Value:
    training = name == "train"
    if args:
        if not isinstance(args[0], Const):
            objects.unsure_of_mode(run, holder)  # m.train(was), m.train(phase == "train")
            return holder
        training = bool(args[0].value)
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
    if name in SAME:
        return holder
    if name in ("parameters", "named_parameters"):
        return Made("parameters", [holder], {})
    if name in ("step", "backward"):
        if name == "step" and args and not holder.name.startswith("torch.optim"):
            return _closure(run, args, node)
        if name == "step" and ("lr_scheduler" in holder.name or "Scheduler" in holder.name):
            return Const(None)
        return _closure(run, args, node)
    if name == "scale" and args:
        return args[0]
    if name == "prepare":
        return Sequence(list(args)) if len(args) != 1 else args[0]
    if name == "add_argument":
        return _argument(holder, args, options)
    if name in ("parse_args", "parse_known_args"):
        return holder.attrs.setdefault("arguments", Opaque("args"))
    if name == "forward":
        return layers.call(run, holder, args, options, node)
    loss = unread_losses.called_criterion(run, args, options, node)
    if loss is not None:
        return loss
    if holder.name.endswith("defaultdict"):
        return Opaque(name)
    if holder.name.endswith("MeanMetric"):
        return metrics.of_mean(run, holder, name, args, options, node)
    metrics.of_meter(run, holder, name, args, options, node)
    if name == "unwrap_model" and args:
        return args[0]
    if name in ("gather", "gather_for_metrics", "reduce") and args:
        return args[0] if name == "reduce" or isinstance(args[0], Loss) else Opaque("gathered")
    if name == "set_description" or name == "set_postfix":
        shown.arguments(run, name, args, options, node)
        return Const(None)
    if name == "items" or name == "values" or name == "keys":
        return Made(name, [holder], {})
    shown.arguments(run, name, args, options, node)
    if name in ("log_prob", "entropy", "rsample", "sample", "kl_divergence"):
        return tensors.of_distribution(run, holder, name, node)
    rows_kept = rows.kept(holder, name, args, options)
    if rows_kept is not None:
        return Opaque(name, parts={"length": rows_kept})
    if name == "train_test_split":
        return Dictionary(rows.split(options, args), Opaque("part"))
    if run.ran and name in (*LOSS_ITSELF, "detach"):
        return holder
    batches = [b for v in (*args, *options.values()) if (b := getattr(v, "batch", None))]
    if name in ("from_pretrained", "create", "get_model"):
        return Made(f"{holder.name}.{name}", args, options, run.place(node))
    return Opaque(name, batches[0] if batches else None)


def _closure(run: Walk, args: list[Value], node: ast.Call) -> Value:
    """Train: optimiser.step, with the closure that LBFGS wants."""
    result = _backward(run, [a for a in args if not isinstance(a, Function)])
    for value in args:
        if isinstance(value, Function):
            result = run.call_value(value, [], {}, node)
    return result


def _argument(parser: Made, args: list[Value], options: dict[str, Value]) -> Value:
    """Note an argument of the command line, with its default."""
    names = [a.value for a in args if isinstance(a, Const) and isinstance(a.value, str)]
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
        if name in LOSS_ITSELF or name in ("detach", "add_", "add"):
            return holder
        if name == "backward":
            return _backward(run, [holder])
        if name == "div" or name == "true_divide":
            return (
                averages.divided(run, holder, args[0], node)
                if isinstance(holder, Total)
                else holder
            )
        return Opaque(name)
    if isinstance(holder, Tensor):
        return tensors.method(run, holder, name, args, options, node)
    return _of_unknown(run, holder, name, args, options, node)


def _of_loss(
    run: Walk, holder: Loss, name: str, args: list[Value], options: dict[str, Value], node: ast.Call
) -> Value:
    if name == "backward":
        return _backward(run, [holder])
    if name in ("detach", "item", "tolist", "numpy", "data"):
        return holder.but(grad=False)
    if name == "sum" and holder.assumed:  # it was not reduced before
        return holder.but(scale=None)
    if name in LOSS_ITSELF:
        return holder
    if name == "exp":
        return holder.but(exp=True)
    if name in ("div", "mul") and args:
        kind = ast.Div if name == "div" else ast.Mult
        return arithmetic.binary(run, kind, holder, args[0], node)
    return Opaque(name)


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
        found = entries.kept(holder, node)
        if found is not None:
            return found
    if name == "ne" and isinstance(holder, Opaque) and batch is not None:
        return Opaque(name, batch, root=holder.root or holder, cut=holder.cut, mask=True)
    if name in ("size", "dim", "numel", "nelement", "__len__"):
        if name == "dim":
            return Opaque(name)
        first = args[0] if args else next(iter(options.values()), None)
        if batch is None:
            return Opaque("size")
        if name in ("numel", "nelement"):
            of = entries.whole(holder)
            return BatchSize(batch, of, of is not None)
        if first is None:
            return Sequence([BatchSize(batch)], element=Opaque("size"))
        if isinstance(first, Const) and first.value == 0:
            return BatchSize(batch)
        return Opaque("size")
    if name in ("eval", "train"):
        return holder
    if name == "masked_fill_":
        tokenizers.ignored(holder, Opaque("mask"), Opaque("value"))
        return holder
    if name in SAME or name in ("detach", "requires_grad_", "pin_memory"):
        return holder
    if name in ("backward", "step", "manual_backward"):
        if name == "backward":
            _not_followed(run, holder, args, node)
        return _closure(run, args, node)
    if name == "scale" and args:
        return args[0]
    if name == "prepare":
        return Sequence(list(args)) if len(args) != 1 else args[0]
    if name in ("log_prob", "entropy"):
        return tensors.of_distribution(run, holder, name, node)
    if name in tensors.ACTIVATIONS and batch is not None:
        return tensors.method(run, Tensor(batch=batch), name, args, options, node)
    rows_kept = rows.kept(holder, name, args, options) if batch is None else None
    if rows_kept is not None:
        return Opaque(name, parts={"length": rows_kept}, made=run.place(node))
    loss = None
    if isinstance(holder, Opaque):
        loss = unread_losses.called_criterion(run, args, options, node)
    if loss is not None:
        return loss
    if name in SHAPE_METHODS:
        made = Opaque(getattr(holder, "name", ""), batch, made=getattr(holder, "made", None))
        if isinstance(holder, Opaque):
            made.root, made.cut, made.mask = holder.root or holder, holder.cut, holder.mask
            if "padded" in holder.parts and name != "masked_fill":
                made.parts["padded"] = holder.parts["padded"]
        return made
    shown.arguments(run, name, args, options, node)
    batches = [b for v in (holder, *args, *options.values()) if (b := getattr(v, "batch", None))]
    if name == "train_test_split":
        return Dictionary(rows.split(options, args), Opaque("part"))
    if isinstance(holder, External):
        return Opaque(name)
    itself = isinstance(holder, Opaque) and name in (*LOSS_ITSELF, "detach")
    made_by = holder.made if itself else run.place(node)  # type: ignore[attr-defined]
    if itself and unread_losses.LOSS_NAME.fullmatch(holder.name):  # type: ignore[attr-defined]
        name = holder.name  # type: ignore[attr-defined]
    return Opaque(name, batches[0] if batches else None, made=made_by)


def _not_followed(run: Walk, holder: Value, args: list[Value], node: ast.Call) -> None:
    loss = args[0] if args else holder
    if isinstance(loss, Opaque):
        place = loss.parts.get("place")
        what = place.name if isinstance(place, Opaque) and place.name else loss.name
        if what and what not in ("result", "backward"):
            source = run.frame.module.source
            _, line, _ = source.position(node.lineno, node.col_offset)
            run.not_followed[f"{what} ({source.shown}:{line})"] = None
