"""What torch is doing at the moment: every private name of torch that the room uses, in one file.

Each name has a fallback for a torch without it. A fallback that cannot know says that something
records the operations: then the formula in torch operations is taken, which is right everywhere,
where compiled rows are only faster.
"""

import ctypes
import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import torch


def _private(path: str, fallback: Any) -> Any:
    """Return what stands at a dotted path of torch, or the fallback."""
    found: Any = torch
    for name in path.split("."):
        found = getattr(found, name, None)
    return fallback if found is None else found


def _nothing(*_: object) -> None:
    return None


def _yes(*_: object) -> bool:
    return True


_is_transforming = _private("_C._are_functorch_transforms_active", _yes)
_is_tracing = _private("_C._is_tracing", _private("jit.is_tracing", _yes))
_count_modes = _private("_C._len_torch_dispatch_stack", _yes)
_mode_of = _private("_C._get_dispatch_mode", _yes)
_top_hooks = _private("_C._autograd._top_saved_tensors_default_hooks", _nothing)
_MODES = _private("_C._TorchDispatchModeKey", None)
_TRACERS = tuple(getattr(_MODES, name, None) for name in ("FAKE", "PROXY", "FUNCTIONAL"))
if None in _TRACERS:
    _mode_of = _yes


def is_recorded() -> bool:
    """Say whether something records or transforms operations, to which tensors have no values."""
    return (
        torch.compiler.is_compiling()
        or _is_transforming()
        or _is_tracing()
        or (_count_modes() and _has_tracer())
    )


def _has_tracer() -> bool:
    """Say whether fake tensors or a graph's proxies (torch.export, make_fx) take the operations."""
    return any(_mode_of(mode) is not None for mode in _TRACERS)


def is_transformed() -> bool:
    """Say whether torch.compile or torch.func is at work."""
    return torch.compiler.is_compiling() or _is_transforming()


def in_forward_mode() -> bool:
    """Say whether tangents may travel beside the values."""
    level: int = getattr(torch.autograd.forward_ad, "_current_level", 0)
    return level >= 0


def is_traced() -> bool:
    """Say whether compiled rows would be hidden from what follows the operations."""
    return is_recorded() or in_forward_mode()


def is_batched(gradients: Iterable[Any]) -> bool:
    """Say whether many gradients come at once, as one tensor without numbers of its own.

    So torch.autograd.grad(is_grads_batched=True) and jacobian(vectorize=True) send them.
    """
    try:
        for gradient in gradients:
            if gradient is not None:
                gradient.untyped_storage()
    except NotImplementedError:
        return True
    return False


def saved_tensor_hooks() -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    """Return what packs and unpacks the tensors that autograd saves at the moment, if anything."""
    hooks: tuple[Callable[..., Any], Callable[..., Any]] | None = _top_hooks(False)
    return hooks


EnterTeam = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@cache
def gomp_parallel() -> Callable[..., None] | None:
    """Return GOMP_parallel of the OpenMP library that torch brings along, or None."""
    if "parallel backend: OpenMP" not in torch.__config__.parallel_info():
        return None
    for path in Path(torch.__file__).parent.glob("lib/libgomp*.so*"):
        try:
            found = ctypes.CDLL(str(path), mode=getattr(os, "RTLD_NOLOAD", 0)).GOMP_parallel
        except (OSError, AttributeError):
            continue
        found.argtypes = [EnterTeam, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        found.restype = None
        parallel: Callable[..., None] = found
        return parallel
    return None
