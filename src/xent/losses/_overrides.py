"""Subclasses of Tensor: torch's own protocol decides, and what computes sees plain tensors.

As in torch.nn.functional, a subclass with a `__torch_function__` is asked first, and makes what it
likes of the result: MONAI's MetaTensor comes back, torchvision's tv_tensors do not. Where its
answer is the usual one, to let the function run, the tensors are taken as what they are below.
"""

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from xent import _check
from xent.losses._arguments import class_axis
from xent.losses._rows._stats import Stats

P = ParamSpec("P")
T = TypeVar("T")

_OF_ROWS = ("cross_entropy", "nll_loss", "focal_loss")
_DISTRIBUTED = (
    *_OF_ROWS,
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "multilabel_soft_margin_loss",
    "kl_div",
    "js_div",
    "mse_loss",
)

# What a loss is mostly called with: a look-up each, before anything else is asked.
_PLAIN = frozenset({Tensor, torch.nn.Parameter, type(None), float, int, str, bool})


# Losses whose classes several processes share by a DTensor; filled by those that can.
SHARING: dict[str, Callable[..., Any]] = {}


def overridable(loss: Callable[P, T]) -> Callable[P, T]:
    """Let subclasses of Tensor override a loss, as those of torch."""

    @wraps(loss)
    def dispatched(*args: Any, **kwargs: Any) -> Any:
        if has_torch_function(args) or (kwargs and has_torch_function(tuple(kwargs.values()))):
            return _through_protocol(dispatched, args, kwargs)
        for value in (*args, *kwargs.values()) if kwargs else args:
            if type(value) not in _PLAIN:
                call, args, kwargs = _plain(loss, args, kwargs)
                return call(*args, **kwargs)
        return loss(*args, **kwargs)

    return dispatched


def _through_protocol(loss: Any, args: Any, kwargs: Any) -> Any:
    """Ask the subclass, or the mode that is on; statistics go flat, for it may rebuild tuples."""
    relevant = (*args, *kwargs.values())
    if not kwargs.get("stats"):
        return handle_torch_function(loss, relevant, *args, **kwargs)

    @wraps(loss)
    def flat(*args: Any, **kwargs: Any) -> Any:
        value, stats = loss(*args, **kwargs)
        return (value, *stats)

    value, *stats = handle_torch_function(flat, relevant, *args, **kwargs)
    return value, Stats._make(stats)


def _plain(loss: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    """Take subclasses that change no operation as the tensors they are; look at DTensors.

    Return what to call, and with what.
    """
    bound = inspect.signature(loss).bind(*args, **kwargs)
    given = {name: v for name, v in bound.arguments.items() if isinstance(v, Tensor)}
    for name, value in given.items():
        kind = type(value)
        if kind not in _PLAIN and kind.__torch_dispatch__ is Tensor.__torch_dispatch__:
            bound.arguments[name] = given[name] = value.as_subclass(Tensor)
    module = sys.modules.get("torch.distributed.tensor")
    if module is not None and any(isinstance(v, module.DTensor) for v in given.values()):
        axis = bound.arguments.get("axis")
        if loss.__name__ in SHARING and _shares_classes(loss.__name__, given, axis, module):
            return SHARING[loss.__name__], (), bound.arguments
        _check_distributed(loss.__name__, given, axis, module)
    return loss, bound.args, bound.kwargs


def _shares_classes(loss: str, given: dict[str, Tensor], axis: Any, module: Any) -> bool:
    """Say whether a DTensor has its classes in several processes: of logits, or of a head."""
    name = "input" if loss in _OF_ROWS else "linear_weight"
    whole: Any = given.get(name)
    if not isinstance(whole, module.DTensor):
        return False
    place = class_axis(whole, axis) if loss in _OF_ROWS else 0
    return any(p.is_shard(place) for p in whole.placements)


def parts_here(
    sharded: dict[str, int], arguments: dict[str, Any], like: str
) -> tuple[dict[str, Any], Any]:
    """Return this process's part of every DTensor, and the group that shares the classes.

    ``sharded`` says along which dimension an argument is cut, if it is; ``like`` is one that is.
    All others have to be whole in every process.
    """
    mesh, placements = arguments[like].device_mesh, arguments[like].placements
    dims = [dim for dim, p in enumerate(placements) if p.is_shard(sharded[like])]
    if len(dims) != 1 or any(
        not p.is_replicate() for d, p in enumerate(placements) if d != dims[0]
    ):
        must = "be cut along its classes over one dimension of the mesh, and whole over the others"
        advice = "Where rows are cut too, give to_local() with group=mesh.get_group(dim)."
        raise _check.invalid(like, must, placements, advice)
    found = {}
    for name, value in arguments.items():
        placements = getattr(value, "placements", None)
        if placements is None:
            if isinstance(value, Tensor) and name in sharded:
                must = f"be cut along dimension {sharded[name]}, as `{like}` is"
                raise _check.wrong_kind(name, must, "a plain tensor")
            found[name] = value
            continue
        place = sharded.get(name)
        good = value.device_mesh == mesh and all(
            p.is_shard(place) if dim == dims[0] and place is not None else p.is_replicate()
            for dim, p in enumerate(placements)
        )
        if not good:
            must = "be whole in every process"
            if place is not None:
                must = f"be cut along dimension {place}, as `{like}` is"
            raise _check.invalid(name, must, placements, "redistribute() it first.")
        found[name] = value.to_local()
    return found, mesh.get_group(dims[0])


def _check_distributed(loss: str, given: dict[str, Tensor], axis: Any, module: Any) -> None:
    """Refuse DTensors where torch cannot carry their placements through our operations.

    Rows may be sharded in every loss of logits, and anything in those that go element by element.
    """
    advice = "Give full_tensor() of each, or to_local() with group= where classes are sharded."
    sharded = {n: v for n, v in given.items() if isinstance(v, module.DTensor)}
    for name, value in sharded.items():
        placements: Any = value.placements
        if loss not in _DISTRIBUTED:
            raise _check.wrong_kind(name, f"be no DTensor in {loss}", placements, advice)
        if name == "input" and loss in _OF_ROWS:
            place = class_axis(value, axis)
            if any(p.is_shard(place) for p in placements):
                must = "have all classes in every process"
                advice = "Give its full_tensor(); cross_entropy takes it as it is."
                raise _check.invalid(name, must, placements, advice)
    for name, value in given.items():
        if name not in sharded and value.dim():
            must = "be a DTensor, as another argument is"
            raise _check.wrong_kind(name, must, "a plain tensor", advice)
