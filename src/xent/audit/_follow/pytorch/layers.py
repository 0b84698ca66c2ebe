"""Layers of PyTorch: what comes out of them, and which modules behave differently in training."""

from __future__ import annotations

import ast
import re

from xent.audit._follow.averaging import metrics
from xent.audit._follow.pytorch import losses, tensors, tokenizers, unread_losses
from xent.audit._follow.run import Forward, Walk
from xent.audit._follow.values import (
    HELD,
    Choice,
    Const,
    Dictionary,
    Expression,
    External,
    Instance,
    Made,
    Opaque,
    Sequence,
    Tensor,
    Value,
    Zero,
)

LINEAR = {"Linear": 1, "LazyLinear": 0, "Bilinear": 2, "NonDynamicallyQuantizableLinear": 1}
CONVOLUTION = re.compile(r"(Lazy)?Conv(?:Transpose)?([123])d")
LAYER_ACTIVATIONS = {
    name.replace("_", ""): applied for name, applied in tensors.ACTIVATIONS.items()
}
SHAPE_LAYERS = ("Flatten", "Unflatten", "Identity", "Upsample", "PixelShuffle")
RECURRENT = ("LSTM", "GRU", "RNN")
WRAPPERS = frozenset(
    [
        "DataParallel",
        "DistributedDataParallel",
        "DistributedDataParallelCPU",
        "FullyShardedDataParallel",
        "compile",
        "convert_sync_batchnorm",
        "script",
        "freeze",
        "get_peft_model",
        "prepare_model_for_kbit_training",
    ]
)
WITH_NORMS = tuple(
    [
        "resnet",
        "densenet",
        "mobilenet",
        "efficientnet",
        "inception",
        "shufflenet",
        "mnasnet",
        "resnext",
        "googlenet",
        "regnet",
        "vgg11_bn",
        "vgg13_bn",
        "vgg16_bn",
        "vgg19_bn",
        "wide_resnet",
    ]
)
WITH_DROPOUT = ("vgg", "alexnet", "squeezenet")
HEADS = ("fc", "classifier", "head", "heads", "last_linear")


def wrapped(name: str, args: list[Value]) -> Value | None:
    """Return what is inside a wrapper such as DataParallel."""
    if not name.startswith(("torch.", "apex.", "accelerate.", "peft.")) or not args:
        return None
    return args[0] if name.rpartition(".")[2] in WRAPPERS else None


def short(made: Made) -> str:
    """Return the last part of a library's name, if PyTorch's layers have it."""
    return made.name.rpartition(".")[2] if made.name.startswith("torch.nn.") else ""


CHAINS = ("filter", "itertools.chain", "itertools.chain.from_iterable", "sum")


def note_optimiser(run: Walk, made: Made) -> None:
    """Remember whose parameters an optimiser holds."""
    held = [one for value in (*made.args, *made.options.values()) for one in _held(value)]
    run.learning += held
    made.attrs[HELD] = Sequence(list(held))


def _held(value: Value) -> list[Instance | Made]:
    """Return the modules whose parameters are here: in lists and groups, some or all of them."""
    parts: list[Value] = []
    if isinstance(value, Made) and value.name == "parameters":
        return [module for part in value.args for module in _modules(part)]
    if isinstance(value, Made) and value.name in CHAINS:
        parts = value.args
    elif isinstance(value, Expression):
        parts = [value.left, value.right]
    elif isinstance(value, Choice):
        parts = list(value.options)
    elif isinstance(value, Sequence | Dictionary):
        items = value.items or []
        parts = list(items.values()) if isinstance(items, dict) else items
        if isinstance(value, Sequence) and value.items is None and value.element is not None:
            parts = [value.element]
    return [module for part in parts for module in _held(part)]


def _modules(module: Value) -> list[Instance | Made]:
    """Return a module, and those in it where it is a list of modules."""
    if isinstance(module, Choice):
        return [each for option in module.options for each in _modules(option)]
    if not isinstance(module, Instance | Made):
        return []
    found = [module]
    if isinstance(module, Made) and short(module) in ("ModuleList", "ModuleDict", "Sequential"):
        for part in (*module.args, *module.attrs.values()):
            inner = part.items if isinstance(part, Sequence | Dictionary) else [part]
            inner = list(inner.values()) if isinstance(inner, dict) else inner or []
            found += [each for one in inner for each in _modules(one)]
    return found


# `test_step`, `validate`, `_eval_epoch`; not `train_and_test`, which trains too.
EVALUATION = re.compile(
    r"^(?!.*train)(.*_)?(test|val|valid|validate|validation|eval|evaluate|evaluation)(_.*)?$", re.I
)


def note_forward(run: Walk, module: Instance | Made, node: ast.AST) -> None:
    """Remember that a module was called here, in which mode and loops."""
    functions = [frame.function for frame in run.frames if frame.function is not None]
    if any(f.name == "forward" and isinstance(f.bound, Instance) for f in functions):
        return  # a part of a module follows its whole
    if run.loops:
        test = any(EVALUATION.search(function.name) for function in functions)
        place, loops = run.place(node), tuple(run.loops)
        grad = not run.without_grad
        run.forwards.append(Forward(module, module.mode, loops, place, grad, test))


def call(
    run: Walk, made: Made, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value:
    """Call a layer, a criterion, or something else that a library made."""
    found = losses.criterion(run, made, args, options, node)
    if found is not None:
        return found
    value = args[0] if args else next(iter(options.values()), Opaque("input"))
    if isinstance(value, Choice):
        results = [call(run, made, [option, *args[1:]], options, node) for option in value.options]
        return run.join(results) or Opaque("output")
    if made.name.endswith("MeanMetric"):
        return metrics.of_mean(run, made, "forward", args, options, node)
    if made.name.startswith("torch.nn."):
        note_forward(run, made, node)
        return apply(run, made, value, node)
    if made.name.startswith(("torchvision.models.", "timm.", "torch.hub.load")):
        note_forward(run, made, node)
        return _pretrained(run, made, value, node)
    loss = unread_losses.foreign(run, made, [*args, *options.values()], node)
    if loss is not None:
        return loss
    loss = unread_losses.called_criterion(run, args, options, node)
    if loss is not None:
        return loss
    spread = any(keyword.arg is None for keyword in getattr(node, "keywords", ()))
    if "transformers." in made.name and ("labels" in options or spread):
        note_forward(run, made, node)
        tokenizers.given(run, tokenizers.labels_of(options), node)
        return losses.of_labels(run, Opaque("output", getattr(value, "batch", None)), node)
    batches = [b for v in (*args, *options.values()) if (b := getattr(v, "batch", None))]
    output = Opaque("output", batches[0] if batches else None)
    output.parts["called"] = Opaque("model")
    note_forward(run, made, node)
    if "labels" in options:
        return losses.of_labels(run, output, node, made.name.rpartition(".")[2])
    return output


DROPOUT = re.compile(r"(\w+_)?drop(out)?(_?(p|prob|rate|ratio))?", re.I)


def _given_dropout(made: Made) -> bool:
    """Whether a class that could not be read is made with a rate of dropout: it has a Dropout."""
    for name, rate in made.options.items():
        if DROPOUT.fullmatch(name) is not None:
            default = rate.parts.get("default") if isinstance(rate, Opaque) else rate
            if not isinstance(default, Const | Zero) or default.value not in (0, None, False):
                return True
    names = [a.name.rpartition(".")[2] for a in made.args if isinstance(a, Opaque | External)]
    return any(DROPOUT.fullmatch(name) for name in names)


def apply(run: Walk, made: Made, value: Value, node: ast.AST) -> Value:
    """Return what a layer of PyTorch makes of a value."""
    name = short(made)
    batch = getattr(value, "batch", None)
    grad = not run.without_grad
    if name == "Sequential":
        return _sequential(run, made, value, node)
    if name in LINEAR:
        features = _int(made.option("out_features", LINEAR[name]))
        dims = getattr(value, "dims", None)
        return Tensor("linear", run.place(node), None, features, dims, batch, grad)
    convolution = CONVOLUTION.fullmatch(name)
    if convolution is not None:
        features = _int(made.option("out_channels", 0 if convolution[1] else 1))
        dims = int(convolution[2]) + 2
        return Tensor("linear", run.place(node), None, features, dims, batch, grad)
    if name in RECURRENT:
        output = Tensor(dims=3, batch=batch, grad=grad)
        return Sequence([output, Opaque("hidden", batch)])
    tensor = value if isinstance(value, Tensor) else Tensor(batch=batch, grad=grad)
    if name in SHAPE_LAYERS:
        return tensor.but(dims=None)
    if name == "Softmax2d":
        return tensor.but(applied="softmax", place=run.place(node), below=tensor)
    if "Dropout" in name:
        if made.mode is not None and not made.mode.training:
            return tensor  # it does nothing in evaluation
        return tensor.but(applied="Dropout", place=run.place(node), below=tensor)
    applied = LAYER_ACTIVATIONS.get(name.lower())
    if applied is not None:
        axis = made.option("dim", 0)
        where = _in_place(run, made, node)
        options = {"dim": axis} if axis is not None else {}
        return tensors.activate(run, tensor, applied, [], options, where)
    return Tensor(batch=batch, grad=grad)


def _in_place(run: Walk, made: Made, node: ast.AST) -> ast.AST:
    """Return the node to point at: the layer where it was made, if in this file."""
    if made.place is not None and made.place[0] is run.frame.module:
        return made.place[1]
    return node


def _sequential(run: Walk, made: Made, value: Value, node: ast.AST) -> Value:
    parts = made.args
    if len(parts) == 1:
        parts = _ordered(parts[0])
    elif not parts:
        parts = [v for key, v in made.attrs.items() if isinstance(key, str)]
    for number, part in enumerate(parts):
        replaced = made.attrs.get(("item", number), made.attrs.get(("item", number - len(parts))))
        value = run.call_value(replaced or part, [value], {}, node)
    return value


def _ordered(value: Value) -> list[Value]:
    """Return the layers of an OrderedDict, or the one that is given."""
    if isinstance(value, Made) and value.name.endswith("OrderedDict") and value.args:
        pairs = value.args[0]
        if isinstance(pairs, Dictionary):
            return list(pairs.items.values())
        if isinstance(pairs, Sequence) and pairs.items is not None:
            return [p.items[1] for p in pairs.items if isinstance(p, Sequence) and p.items]
    return [value]


def _pretrained(run: Walk, made: Made, value: Value, node: ast.AST) -> Value:
    """Return the output of a model of torchvision: logits, unless its head was replaced."""
    batch = getattr(value, "batch", None)
    out = Tensor("linear", None, None, None, 2, batch, not run.without_grad)
    for name in HEADS:
        head = made.attrs.get(name)
        if isinstance(head, Opaque):  # net.classifier[6] = nn.Linear(4096, 10)
            put = [part for part in head.parts.values() if isinstance(part, Made | Instance)]
            head = put[-1] if put else None
        if isinstance(head, Made | Instance):
            before = len(run.forwards)
            made_of = run.call_value(head, [out], {}, node)
            del run.forwards[before:]  # the model around it, which was noted, sets its mode
            return made_of
    return out.but(features=_int(made.options.get("num_classes")))


def _int(value: Value | None) -> int | None:
    known = value.value if isinstance(value, Const) else None
    return known if isinstance(known, int) else None


# Models of transformers whose settings have dropout where nothing else is said.
WITH_DROPOUT_BY_DEFAULT = re.compile(
    r"^transformers\.(.*\.)?\w*((?<!Modern)Bert|Roberta|Electra|Deberta|GPT2|T5|Bart)"
    r"\w*(Model|For[A-Z]\w+)\.from_pretrained$"
)


def begins_in_evaluation(module: Value) -> bool:
    """Whether a model with dropout is given in evaluation mode, as ``from_pretrained`` does."""
    return isinstance(module, Made) and WITH_DROPOUT_BY_DEFAULT.search(module.name) is not None


def differs_in_training(module: Value, seen: set[int] | None = None) -> str:
    """Name the layers of a module that behave differently in training, "" where there are none."""
    seen = set() if seen is None else seen
    if id(module) in seen or len(seen) > 2000:
        return ""
    seen.add(id(module))
    if isinstance(module, Made):
        name = module.name.rpartition(".")[2]
        if module.name.startswith("torch.nn."):
            if "BatchNorm" in name:
                return "BatchNorm"
            tracked = module.options.get("track_running_stats", Const(name[:4] == "Lazy"))
            if "InstanceNorm" in name and tracked == Const(True):
                return "InstanceNorm"
            if "Dropout" in name:
                rate = module.option("p", 0)
                return "" if isinstance(rate, Const) and rate.value == 0 else "Dropout"
            if name.startswith("Transformer"):
                return "Dropout"
            if name in RECURRENT and "dropout" in module.options:
                rate = module.options["dropout"]
                return "Dropout" if isinstance(rate, Const) and rate.value else ""
        elif module.name.startswith("torchvision.models."):
            if name.startswith(WITH_NORMS):
                return "BatchNorm"
            return "Dropout" if name.startswith(WITH_DROPOUT) else ""
        elif begins_in_evaluation(module):
            return "Dropout"
        elif not module.name.startswith("torch"):
            return "Dropout" if _given_dropout(module) else ""
        parts = [*module.args, *module.attrs.values()]
    elif isinstance(module, Instance):
        parts = list(module.attrs.values())
    elif isinstance(module, Sequence):
        parts = module.items or ([module.element] if module.element is not None else [])
    else:
        return ""
    for part in parts:
        found = differs_in_training(part, seen)
        if found:
            return found
    return ""
