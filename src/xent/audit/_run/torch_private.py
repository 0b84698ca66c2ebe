"""PyTorch's names that are not public, each with a way on where PyTorch has it no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

_C = torch._C


def _number(name: str, holder: object = _C) -> Callable[[], int]:
    found = getattr(holder, name, None)
    return found if found is not None else lambda: 0


dispatch_modes = _number("_len_torch_dispatch_stack")
function_modes = _number("_len_torch_function_stack")
_functorch = getattr(_C, "_functorch", None)
_peek = getattr(_functorch, "peek_interpreter_stack", None)


def is_transformed() -> bool:
    """Whether this runs inside vmap or another transform of torch.func."""
    return _peek is not None and _peek() is not None


def loader_iterator() -> type | None:
    """Return the class of what iterates a DataLoader."""
    from torch.utils.data import dataloader

    return getattr(dataloader, "_BaseDataLoaderIter", None)


def softmax_axis() -> Callable[..., int] | None:
    """Return the function that guesses the axis of a softmax that was given none."""
    from torch.nn import functional

    return getattr(functional, "_get_softmax_dim", None)


def data_of(iterator: Any) -> int:
    """Return the id of the data set that a loader's iterator draws from."""
    return id(getattr(iterator, "_dataset", None))


def loader_sizes(iterator: Any) -> tuple[int | None, int | None, bool]:
    """Return the batch size, the samples that are drawn, and whether a smaller batch is dropped.

    The length of a stream is not asked for: asking changes what it warns of.
    """
    try:
        sampler = iterator._index_sampler
        size = sampler.batch_size
        return size, len(sampler.sampler), bool(sampler.drop_last)
    except (AttributeError, TypeError, NotImplementedError):
        return None, None, False


def shapes_of_results(node: Any) -> list[tuple[int, ...]]:
    """Return the shapes of what an operation of autograd's graph returned; none if not known."""
    return [tuple(map(int, one.shape)) for one in getattr(node, "_input_metadata", ())]


@contextmanager
def unseen() -> Iterator[None]:
    """Work without a graph, and so that no mode of the script counts or changes it."""
    with ExitStack() as stack:
        if function_modes() and hasattr(_C, "DisableTorchFunction"):
            stack.enter_context(_C.DisableTorchFunction())
        if dispatch_modes():
            from torch.utils import _python_dispatch

            disable: Any = getattr(_python_dispatch, "_disable_current_modes", None)
            if disable is not None:
                stack.enter_context(disable())
        stack.enter_context(torch.no_grad())
        yield


def scripts_as(function: object, name: str) -> bool:
    """Let `torch.jit.script` take a function for one of PyTorch's; False if it cannot."""
    from torch.jit import _builtins

    register = getattr(_builtins, "_register_builtin", None)
    if register is None:
        return False
    register(function, name)
    return True
