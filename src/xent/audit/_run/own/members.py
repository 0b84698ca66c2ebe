"""Watchers in front of means, sums and what reads a number of a tensor.

A method stays what it is, asked of the class: only what a tensor is asked for is watched. What
reads a number is looked at before, so that what PyTorch warns of is blamed on the script's line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from xent.audit._run.observer import Observer
from xent.audit._run.torch_private import scripts_as

OVER_ALL = ("mean", "sum")
READ_BY = ("item", "__float__", "tolist", "numpy", "detach", "cpu")
PLAIN_TENSORS = (Tensor, torch.nn.Parameter)
is_compiling = torch.compiler.is_compiling


class _Reads:
    """A method that reads a number."""

    def __init__(self, observer: Observer, original: Any) -> None:
        self.observer, self.original = observer, original

    def __get__(self, tensor: Any, owner: Any = None) -> Any:
        if tensor is None:
            return self.original
        watcher = self.observer
        if (
            (watcher.scalars.parts or watcher.scalars.samples.now)
            and watcher.on
            and type(tensor) is Tensor
            and not tensor.dim()
            and (watcher.sampled or not torch.is_grad_enabled())
        ):
            watcher.read(tensor, sys._getframe(1))
        return self.original.__get__(tensor, owner)


class _Reduces:
    """A method that takes a mean or a sum."""

    def __init__(self, observer: Observer, original: Any, kind: str) -> None:
        self.observer, self.original, self.kind = observer, original, kind

    def __get__(self, tensor: Any, owner: Any = None) -> Any:
        if tensor is None:
            return self.original
        watcher, original = self.observer, self.original.__get__(tensor, owner)
        if not watcher.on or type(tensor) is not Tensor or is_compiling():
            return original
        if not watcher.sampled and torch.is_grad_enabled():
            return original
        return partial(_reduced, watcher, self.kind, tensor, original)


def _reduced(
    watcher: Observer, kind: str, tensor: Tensor, original: Any, *args: Any, **kwargs: Any
) -> Any:
    result = original(*args, **kwargs)
    if type(result) is Tensor and not result.dim() and tensor.dim():
        watcher.reduced(kind, tensor, result, sys._getframe(1))
    return result


class _Function:
    """`torch.mean` or `torch.sum`, equal to what it stands for: tables of overrides find it."""

    def __init__(self, observer: Observer, original: Callable[..., Any], give_up: Any) -> None:
        self.observer, self.original, self.give_up = observer, original, give_up
        self.__name__ = self.__qualname__ = original.__name__
        self.__doc__ = original.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        watcher, original = self.observer, self.original
        if is_compiling() or not watcher.on:
            return original(*args, **kwargs)
        tensor: Any = args[0] if args else kwargs.get("input")
        if type(tensor) not in PLAIN_TENSORS:
            self.give_up()  # it may be a tracer's, which asks what function it was
            return original(*args, **kwargs)
        if not watcher.sampled and torch.is_grad_enabled():
            return original(*args, **kwargs)
        result = original(*args, **kwargs)
        if type(result) is Tensor and not result.dim() and tensor.dim():
            watcher.reduced(self.__name__, tensor, result, sys._getframe(1))
        return result

    def __eq__(self, other: object) -> bool:
        return other is self or other is self.original

    def __hash__(self) -> int:
        return hash(self.original)


class Members:
    """What is put in the place of methods of tensors and of two functions, and taken away."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.methods: dict[str, tuple[Any, Any]] = {}  # as the class held it, and what stands there
        self.functions: dict[str, tuple[Any, _Function]] = {}

    def put(self) -> None:
        """Watch."""
        for name in (*OVER_ALL, *READ_BY):
            original = getattr(Tensor, name)
            new: Any = (
                _Reduces(self.observer, original, name)
                if name in OVER_ALL
                else _Reads(self.observer, original)
            )
            self.methods[name] = Tensor.__dict__.get(name), new
            setattr(Tensor, name, new)
        for name in OVER_ALL:
            function = getattr(torch, name)
            watcher = _Function(self.observer, function, self._give_up)
            if scripts_as(watcher, f"aten::{name}"):
                self.functions[name] = function, watcher
                setattr(torch, name, watcher)

    def _give_up(self) -> None:
        for name, (function, watcher) in self.functions.items():
            if torch.__dict__.get(name) is watcher:
                setattr(torch, name, function)

    def take_away(self) -> dict[int, Any]:
        """Put all back; return the functions by the ids of what stood in their places."""
        for name, (held, new) in self.methods.items():
            if Tensor.__dict__.get(name) is new:
                if held is None:
                    delattr(Tensor, name)
                else:
                    setattr(Tensor, name, held)
        self._give_up()
        back = {id(watcher): function for function, watcher in self.functions.values()}
        self.methods.clear()
        return back
