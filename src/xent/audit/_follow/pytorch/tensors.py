"""Functions and methods of tensors: which activation was applied last, and what sums are over."""

from __future__ import annotations

import ast
import re

from xent.audit._follow import rows
from xent.audit._follow.pytorch import gaussians
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    BatchSize,
    Const,
    Loop,
    Loss,
    Made,
    Opaque,
    Sequence,
    Tensor,
    Value,
)

ACTIVATIONS = {
    "softmax": "softmax",
    "softmin": "softmax",
    "log_softmax": "log_softmax",
    "sigmoid": "sigmoid",
    "hardsigmoid": "sigmoid",
    "logsigmoid": "logsigmoid",
    "relu": "ReLU",
    "relu6": "ReLU",
    "leaky_relu": "LeakyReLU",
    "elu": "LeakyReLU",
    "selu": "LeakyReLU",
    "celu": "LeakyReLU",
    "rrelu": "LeakyReLU",
    "prelu": "LeakyReLU",
    "softplus": "LeakyReLU",
    "threshold": "ReLU",
    "gelu": "LeakyReLU",
    "silu": "LeakyReLU",
    "mish": "LeakyReLU",
    "hardswish": "LeakyReLU",
    "tanh": "tanh",
    "hardtanh": "tanh",
    "softsign": "tanh",
    "dropout": "Dropout",
    "log": "log",
    "exp": "exp",
    "normalize": "normalised",
}
# Methods, without the underscore of those that work in place. These put values elsewhere:
SHAPES = frozenset(
    [
        "view",
        "reshape",
        "flatten",
        "ravel",
        "squeeze",
        "unsqueeze",
        "permute",
        "transpose",
        "t",
        "adjoint",
        "contiguous",
        "movedim",
        "moveaxis",
        "swapaxes",
        "swapdims",
        "view_as",
        "reshape_as",
        "unflatten",
        "expand",
        "expand_as",
        "broadcast_to",
        "flip",
        "fliplr",
        "flipud",
        "rot90",
        "roll",
        "resize",
        "resize_as",
    ]
)
# These leave them as they are, but for what their kind of numbers rounds:
KEEPS = frozenset(
    [
        "to",
        "cpu",
        "cuda",
        "float",
        "double",
        "half",
        "bfloat16",
        "type",
        "type_as",
        "clone",
        "conj",
        "conj_physical",
        "dequantize",
        "positive",
        "requires_grad",
        "pin_memory",
        "share_memory",
        "numpy",
        "to_dense",
        "nan_to_num",
        "resolve_conj",
        "resolve_neg",
    ]
)
INTEGER = frozenset(
    [
        "argmax",
        "argmin",
        "max",
        "min",
        "topk",
        "eq",
        "ne",
        "gt",
        "lt",
        "ge",
        "le",
        "sort",
        "argsort",
        "round",
        "any",
        "all",
        "multinomial",
        "nonzero",
        "isnan",
        "isfinite",
        "unique",
        "bincount",
    ]
)


def function(
    run: Walk, name: str, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    """Follow a function of torch, or return None where it is another's."""
    if not name.startswith("torch."):
        return None
    short = name.rpartition(".")[2].rstrip("_")
    if short == "kl_divergence":
        return Tensor(loss="kl", batch=_batch(args))
    value = args[0] if args else options.get("input")
    if value is None:
        return None
    if name == "torch.roll" and not isinstance(value, Tensor | Loss):
        return rolled(value, args[1:], options)
    if short in FOLLOWED:
        return method(run, _tensor(value), short, args[1:], options, node, kept=value)
    if name == "torch.cat" and isinstance(value, Sequence) and value.items:
        first = value.items[0]
        if isinstance(first, Tensor) and first.applied in ("sigmoid", "softmax"):
            same = {getattr(item, "applied", "") for item in value.items} == {first.applied}
            if same:  # of 1 - p and p, as of p alone, the logarithm has no gradient to speak of
                return first.but(dims=None, features=None)
        return Opaque("cat", getattr(first, "batch", None))
    if name == "torch.cat" and isinstance(value, Sequence) and value.total is not None:
        return value
    if name.startswith(("torch.nn.functional.", "torch.einsum", "torch.matmul", "torch.mm")):
        return Tensor(batch=_batch(args), grad=not run.without_grad)
    return None


def rolled(value: Value, args: list[Value], options: dict[str, Value]) -> Value:
    """Return what ``torch.roll`` makes of tokens: by -1, the first stands behind the last."""
    shift = _number(options.get("shifts", args[0] if args else None))
    made = Opaque("rolled", getattr(value, "batch", None))
    made.parts["wrapped"] = Const(shift == -1)
    return made


BOUNDED = 1e-6  # an epsilon from which on a logarithm of probabilities is a note
NETWORK = re.compile(r"model|net|encoder|decoder|classifier|head|student", re.I)
LOGS = frozenset({"log_softmax", "logsigmoid", "log"})
PICKS = ("gather", "index_select", "masked_select", "take", "take_along_dim", "diag", "diagonal")
TENSOR_METHODS = frozenset(
    [
        *PICKS,
        "mean",
        "sum",
        "exp",
        "log",
        "clamp",
        "clip",
        "add",
        "mul",
        "div",
        "sub",
        "neg",
        "pow",
        "square",
        "abs",
        "matmul",
    ]
)


FOLLOWED = SHAPES | INTEGER | TENSOR_METHODS | ACTIVATIONS.keys()


def _batch(args: list[Value]) -> Loop | None:
    return next((batch for value in args if (batch := getattr(value, "batch", None))), None)


def _tensor(value: Value) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Made):  # what a function of a file that is not there returned
        batch, name = _batch(value.args), value.name.rpartition(".")[2]
    else:
        called = value.parts.get("called") if isinstance(value, Opaque) else None
        batch, name = getattr(value, "batch", None), getattr(called, "name", "")
    return Tensor(batch=batch, grad=batch is None or NETWORK.search(name) is not None)


def method(
    run: Walk,
    tensor: Tensor,
    name: str,
    args: list[Value],
    options: dict[str, Value],
    node: ast.AST,
    kept: Value | None = None,
) -> Value:
    """Follow a method of a tensor."""
    name = name.rstrip("_")
    if isinstance(kept, Loss):
        if name in ("mean", "sum", "abs") or name in SHAPES | KEEPS:
            return kept
        return kept.but(exp=True) if name == "exp" else kept.but(scale=None)
    if name in ACTIVATIONS:
        return activate(run, tensor, ACTIVATIONS[name], args, options, node)
    if name in SHAPES:
        return _reshaped(tensor, name, args)
    if name in KEEPS:
        return tensor
    if name == "detach":
        return tensor.but(grad=False)
    if name in ("mean", "sum"):
        return reduce(run, tensor, name, args, options, node)
    if name in ("clamp", "clip", "clamp_min"):
        return _clamped(tensor, args, options)
    if name == "size":
        first = args[0] if args else next(iter(options.values()), None)
        if first is None:
            size: Value = BatchSize(tensor.batch) if tensor.batch else Opaque(rows.FIRST_AXIS)
            return Sequence([size], element=Opaque("size"))
        if first == Const(0):
            return BatchSize(tensor.batch) if tensor.batch else Opaque(rows.FIRST_AXIS)
        return Opaque("size")
    if name in ("numel", "nelement") and tensor.batch:
        return BatchSize(tensor.batch)
    if name in PICKS:
        return tensor.but(dims=None, features=None, ignores=False)
    if name in ("pow", "square", "abs") and tensor.applied == "difference":
        return tensor.but(applied="", place=None, loss="recon")
    masked = name in ("masked_fill", "masked_select") and tensor.loss
    if masked or name in ("add", "sub", "mul", "div", "neg", "pow", "square", "abs"):
        return tensor.but(applied="", below=None, place=None)
    return Opaque(name, tensor.batch)


def activate(
    run: Walk,
    tensor: Tensor,
    applied: str,
    args: list[Value],
    options: dict[str, Value],
    node: ast.AST,
) -> Tensor:
    """Apply an activation, and judge softmax without an axis and logarithms of probabilities."""
    place = run.place(node)
    if applied in ("softmax", "log_softmax"):
        axis = options.get("dim", args[0] if args else None)
        if axis is None or (isinstance(axis, Const) and axis.value is None):
            _no_axis(run, tensor, node)
    if applied == "log":
        if tensor.applied in ("softmax", "sigmoid"):
            _log_of(run, tensor, node)
        return tensor.but(applied="log", place=place, below=tensor)
    if applied == "Dropout":
        training = options.get("training", args[1] if len(args) > 1 else None)
        if isinstance(training, Const) and training.value is False:
            return tensor
    grad = tensor.grad and not run.without_grad
    if applied == "exp" and tensor.loss:
        return tensor.but(applied="exp", place=place, grad=grad, focal="p")
    return tensor.but(applied=applied, place=place, below=tensor, grad=grad, epsilon=0.0)


def _no_axis(run: Walk, tensor: Tensor, node: ast.AST) -> None:
    if tensor.dims == 3:
        effect = "of 3 dimensions it takes axis 0, the batch"
        run.report("X105", run.place(node), effect=effect)
    else:
        effect = "it takes axis 0 of 1 or 3 dimensions, axis 1 of 2 or 4"
        run.report("X105", run.place(node), effect=effect, level="note")


def _log_of(run: Walk, tensor: Tensor, node: ast.AST) -> None:
    if not tensor.grad or run.without_grad:
        return
    made = tensor.place[1] if tensor.place is not None else node
    if re.search(r"target|teacher|label|prior", ast.unparse(made)):
        return  # data, which needs no gradient
    level = "note" if tensor.epsilon >= BOUNDED else None
    rule = "X601" if tensor.applied == "softmax" else "X602"
    effect = "the epsilon bounds it, and takes the gradient of rows that are far off"
    if not tensor.epsilon:
        far = "a logit far below the largest" if rule == "X601" else "an input far below 0"
        effect = f"{far} gives -inf, and a gradient of NaN"
    run.report(rule, run.place(node), effect=effect, level=level)


def _reshaped(tensor: Tensor, name: str, args: list[Value]) -> Tensor:
    dims, features = None, tensor.features
    if name in ("view", "reshape") and args and not isinstance(args[0], Sequence):
        dims = len(args)
        last = _number(args[-1])
        if last is not None or dims == 1:
            features = int(last) if last is not None and last > 0 else None
    elif name in ("transpose", "permute", "t"):
        dims = tensor.dims
        features = None
    elif name in ("squeeze", "flatten"):
        features = None
    elif name == "contiguous":
        dims = tensor.dims
    return tensor.but(dims=dims, features=features)


def _clamped(tensor: Tensor, args: list[Value], options: dict[str, Value]) -> Tensor:
    given = options.get("min", args[0] if args else None)
    low = _number(given)
    high = _number(options.get("max", args[1] if len(args) > 1 else None))
    if low is not None and 0 < low < 0.01:
        # At both ends no logarithm is far off; 1e-7 is what float32 still tells from 1.
        return tensor.but(epsilon=max(low, BOUNDED) if high is not None and low >= 1e-7 else low)
    if tensor.applied in ("softmax", "sigmoid") and (given in (None, Const(None)) or low == 0):
        return tensor  # nothing bounds it from below
    return tensor.but(applied="", below=None, place=None)


def _number(value: Value | None) -> float | None:
    if isinstance(value, Const) and isinstance(value.value, int | float):
        return float(value.value)
    return None


def reduce(
    run: Walk,
    tensor: Tensor,
    name: str,
    args: list[Value],
    options: dict[str, Value],
    node: ast.AST,
) -> Value:
    """Sum or average: of a whole tensor this is a scalar, and its scale is known."""
    kind = tensor.loss or ("loss" if tensor.applied in LOGS else "")
    if gaussians.is_divergence(run, node):
        kind = "kl"
    axis = options.get("dim", options.get("axis", args[0] if args else None))
    if axis is not None and not (isinstance(axis, Const) and axis.value is None):
        first = isinstance(axis, Const) and axis.value == 0
        if first and tensor.per:
            return _scalar(run, tensor.but(loss=kind), name, node)
        per = "sum" if name == "sum" and tensor.per in ("", "sum") else "mean"
        kept = tensor.but(applied="", below=None, place=None, loss=kind, features=None, per=per)
        return kept.but(dims=None)
    return _scalar(run, tensor.but(loss=kind), name, node)


def _scalar(run: Walk, tensor: Tensor, name: str, node: ast.AST) -> Value:
    if not tensor.loss:
        return Opaque(name, tensor.batch)
    if tensor.applied == "divergence" and name == "mean":
        run.report("X302", run.place(node))
    if tensor.ignores and name == "mean" and not tensor.per:
        what = "the losses of ignored targets are 0, and the mean counts them"
        fix = "loss.sum() / (target != ignore_index).sum()"
        run.report("X503", run.place(node), what=what, fix=fix, level="warning")
    loop = run.batch_loop([tensor.batch])
    return Loss(
        scale=0 if name == "mean" else 1,
        place=run.place(node),
        loop=loop,
        kind=tensor.loss if tensor.loss in ("kl", "entropy", "recon") else "loss",
        features="" if tensor.loss == "density" else tensor.per or name,  # of one number or of many
        grad=not run.without_grad,
        shifted=tensor.shifted,
    )


OF_DISTRIBUTIONS = {"entropy": "entropy", "log_prob": "density"}


def of_distribution(run: Walk, holder: Value, name: str, node: ast.AST) -> Value:
    """Follow a method of a torch.distributions object."""
    made = isinstance(holder, Made) and "distributions" in holder.name
    if made and name in OF_DISTRIBUTIONS:
        return Tensor(loss=OF_DISTRIBUTIONS[name], grad=not run.without_grad)
    return Opaque(name, getattr(holder, "batch", None))
