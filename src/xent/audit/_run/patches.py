"""Watchers in front of PyTorch's losses, embeddings and layers that differ in training.

A watcher calls what it stands for with what it was given, and returns what that returns. It steps
aside while a compiler traces, and `torch.jit.script` is handed the function behind it.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import rnn

from xent._optional import torch_alone_after_fork
from xent.audit._run.observer import Observer
from xent.audit._run.outlets.sinks import Sinks
from xent.audit._run.outlets.streams import Streams
from xent.audit._run.own.members import Members
from xent.audit._run.rules.reductions import ORIGINALS, SILENCE
from xent.audit._run.sites import Round
from xent.audit._run.torch_private import (
    data_of,
    function_modes,
    loader_iterator,
    loader_sizes,
    softmax_axis,
)

LOSSES = (
    *("cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"),
    *("kl_div", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss"),
    *("gaussian_nll_loss", "ctc_loss", "margin_ranking_loss", "hinge_embedding_loss"),
    *("triplet_margin_loss", "triplet_margin_with_distance_loss", "cosine_embedding_loss"),
    *("soft_margin_loss", "multi_margin_loss", "multilabel_soft_margin_loss"),
    "multilabel_margin_loss",
)
DROPOUTS = (
    *("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"),
    "feature_alpha_dropout",
)
Watched = Callable[..., Any]
is_compiling = torch.compiler.is_compiling
is_dynamo_compiling = torch.compiler.is_dynamo_compiling
NO_CALL: tuple[Any, Any, int] = (None, None, -1)


def loss_watcher(observer: Observer, name: str, original: Watched) -> Watched:
    """Return a function that tells the observer of each call of a loss."""
    names = tuple(inspect.signature(original).parameters)
    latest = observer.latest

    def watched(*args: Any, **kwargs: Any) -> Any:
        # Passed over, where the step is and the call is like the last one: what most calls cost.
        passed = False
        if observer.passes and args and not is_dynamo_compiling() and not function_modes():
            first, caller = args[0], sys._getframe(1)
            shape, code, place = latest.get(name, NO_CALL)
            passed = (
                caller.f_lasti == place
                and caller.f_code is code
                and type(first) is Tensor
                and first.requires_grad
                and first.shape == shape
            )
            observer.passes -= passed
        if not passed and (not observer.on or is_compiling()):
            return original(*args, **kwargs)
        try:
            result = original(*args, **kwargs)
        except Exception as error:
            options = dict(zip(names, args, strict=False), **kwargs)
            observer.refused(name, options, error, sys._getframe())
            raise
        if not passed:
            observer.loss(name, names, (args, kwargs), result, sys._getframe(1))
        return result

    def scripted() -> Watched:
        observer.missed(f"scripted losses ({name} in torch.jit.script)")
        return original

    return _as(watched, original, scripted)


def embedding_watcher(observer: Observer, original: Watched) -> Watched:
    """Return a function that tells the observer which ids enter an embedding."""

    def watched(*args: Any, **kwargs: Any) -> Any:
        if observer.on and not is_compiling():
            ids = args[0] if args else kwargs.get("input")
            padding = args[2] if len(args) > 2 else kwargs.get("padding_idx")
            observer.embedding(ids, padding)
        return original(*args, **kwargs)

    return _as(watched, original, lambda: original)


def axis_watcher(observer: Observer, original: Watched) -> Watched:
    """Return a function that tells the observer of a softmax without an axis."""

    def watched(*args: Any, **kwargs: Any) -> Any:
        if observer.on and not is_compiling():
            observer.axis(args[1] if len(args) > 1 else kwargs.get("ndim"), sys._getframe())
        return original(*args, **kwargs)

    return _as(watched, original, lambda: original)


def padding_watcher(observer: Observer, told: Callable[..., None], original: Watched) -> Watched:
    """Return a function that hands on what it is given, and works."""

    def watched(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if observer.on and not is_compiling():
            try:
                told(*args, **kwargs)
            except Exception as error:
                observer.failed(original.__name__, error)
        return result

    return _as(watched, original, lambda: original)


def layer_watcher(observer: Observer, layer: str, original: Watched) -> Watched:
    """Return a function that tells the observer of a layer in the mode that is not the graph's."""
    names = tuple(inspect.signature(original).parameters)
    place = names.index("training")
    default = inspect.signature(original).parameters["training"].default
    rate = names.index("p") if "p" in names else None
    standard = inspect.signature(original).parameters["p"].default if rate is not None else 1

    def watched(*args: Any, **kwargs: Any) -> Any:
        if observer.on and not is_compiling():
            training = args[place] if len(args) > place else kwargs.get("training", default)
            told = len(args) > place or "training" in kwargs
            graph = torch.is_grad_enabled()
            if not training or not graph:
                p = standard
                if rate is not None:
                    p = args[rate] if len(args) > rate else kwargs.get("p", standard)
                if p:
                    mode = bool(training) if told or not default else None
                    observer.layer(layer, mode, graph, sys._getframe(1))
        return original(*args, **kwargs)

    return _as(watched, original, lambda: original)


def backward_watcher(observer: Observer, original: Watched) -> Watched:
    """Return a function that tells the observer of each backward pass."""

    def watched(*args: Any, **kwargs: Any) -> Any:
        if observer.on and not is_compiling():
            observer.backward(args[0] if args else kwargs.get("tensors"), sys._getframe())
        return original(*args, **kwargs)

    return _as(watched, original, lambda: original)


def _as(watched: Watched, original: Watched, scripted: Callable[[], Watched]) -> Watched:
    functools.update_wrapper(watched, original)
    watched.__prepare_scriptable__ = scripted  # type: ignore[attr-defined]
    return watched


_WATCHERS = tuple(
    cast(Any, code)
    for make in (loss_watcher, embedding_watcher, axis_watcher, layer_watcher, backward_watcher)
    for code in make.__code__.co_consts
    if getattr(code, "co_name", "") == "watched"
)


class _Warnings:
    """The module `warnings` for watched functions: a watcher's frame is no frame of the script."""

    def __getattr__(self, name: str) -> Any:
        return getattr(warnings, name)

    @staticmethod
    def warn(
        message: Any, category: Any = None, stacklevel: int = 1, source: Any = None, **rest: Any
    ) -> None:
        """Warn at the line that would be blamed if nothing watched."""
        if SILENCE.on:
            return
        frame = sys._getframe(1)
        level, own = stacklevel, 1
        while frame is not None and level > 0:
            if frame.f_code in _WATCHERS:
                own += 1
            else:
                level -= 1
            frame = cast(Any, frame.f_back)
        warnings.warn(message, category, stacklevel + own, source, **rest)


_WATCHING: list[Observer] = []  # the innermost last


class Patches:
    """What stands in the place of what, and how to put it back."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.places: list[tuple[Any, str, Any, Any]] = []
        self.handles: list[Any] = []
        self.members = Members(observer)
        self.streams, self.sinks = Streams(observer), Sinks(observer)

    def put(self) -> None:
        """Set every watcher, wherever a loaded module holds the function."""
        observer, swaps = self.observer, {}
        for name in LOSSES:
            original = getattr(functional, name, None)
            if original is not None:
                ORIGINALS[name] = inspect.unwrap(original)
                swaps[original] = loss_watcher(observer, name, original)
        for name in DROPOUTS:
            original = getattr(functional, name)
            swaps[original] = layer_watcher(observer, "Dropout", original)
        swaps[functional.batch_norm] = layer_watcher(observer, "BatchNorm", functional.batch_norm)
        swaps[functional.embedding] = embedding_watcher(observer, functional.embedding)
        swaps[torch.autograd.backward] = backward_watcher(observer, torch.autograd.backward)
        guess = softmax_axis()
        if guess is not None:
            swaps[guess] = axis_watcher(observer, guess)
        known = observer.padding
        for told, original in (
            (known.fills, rnn.pad_sequence),
            (known.packs, rnn.pack_padded_sequence),
        ):
            swaps[original] = padding_watcher(observer, told, original)
        self._swap(swaps)
        self._set(functional, "warnings", _Warnings())
        self.members.put()
        self._watch_loaders()
        self._watch_optimisers()
        self._watch_processes()
        self.streams.put()
        self.sinks.put()
        _WATCHING.append(observer)

    def _swap(self, swaps: dict[Watched, Watched]) -> None:
        by_id = {id(original): (original, new) for original, new in swaps.items()}
        for module in list(sys.modules.values()):
            names = getattr(module, "__dict__", None)
            if type(names) is not dict or str(names.get("__name__")).startswith("xent."):
                continue
            for name, value in list(names.items()):
                if id(value) in by_id:
                    self._set(module, name, by_id[id(value)][1])

    def _set(self, holder: Any, name: str, new: Any) -> None:
        self.places.append((holder, name, holder.__dict__[name], new))
        setattr(holder, name, new)

    def _watch_loaders(self) -> None:
        iterator = loader_iterator()
        original: Any = getattr(iterator, "__next__", None)
        if original is None:
            return
        observer, watch_backward = self.observer, self._watch_backward
        rounds: dict[int, tuple[weakref.ref[Any], Round]] = {}

        def watched(self: Any) -> Any:
            if not observer.on:
                return original(self)
            known = rounds.get(id(self))
            current = known[1] if known is not None and known[0]() is self else None
            try:
                batch = original(self)
            except StopIteration:
                if current is not None:
                    observer.ends(current)
                    del rounds[id(self)]
                    open_rounds = [
                        one for ref, one in rounds.values() if ref() is not None and not one.ended
                    ]
                    observer.round = open_rounds[-1] if open_rounds else None
                raise
            if current is None:
                current = Round(*loader_sizes(self), data=data_of(self))
                rounds[id(self)] = weakref.ref(self), current
                observer.begins(current, sys._getframe())
                watch_backward(observer.sampled)
            observer.drawn(current, batch)
            return batch

        self._set(iterator, "__next__", functools.update_wrapper(watched, original))

    def _watch_optimisers(self) -> None:
        from torch.optim import optimizer

        observer, modes = self.observer, self.observer.modes

        def after(one: Any, args: Any, kwargs: Any) -> None:
            if (
                observer.only_counted
                and observer.latest_optimiser() is one
                and not is_dynamo_compiling()
            ):  # what most steps cost
                observer.only_counted -= 1
                observer.steps += 1
                observer.passes = observer.a_step
                if modes.watched:
                    modes.passed_over()
                return
            if is_compiling() or not observer.on:
                return
            observer.latest_optimiser = weakref.ref(one)
            sampled = observer.sampled
            if sampled or one not in observer.optimisers:
                observer.step(one, bool(len(args) > 1 or kwargs.get("closure")))
            else:
                observer.step_passed_over()
            if sampled is not observer.sampled:
                self._watch_backward(not sampled)

        self.handles.append(optimizer.register_optimizer_step_post_hook(after))

    def _watch_backward(self, watch: bool) -> None:
        """Let the backward passes of steps that are not looked at run without a watcher."""
        holder = torch.autograd
        pairs = [(o, n) for h, name, o, n in self.places if h is holder and name == "backward"]
        if pairs:
            original, watcher = pairs[0]
            if holder.backward is (original if watch else watcher):
                holder.backward = watcher if watch else original

    def _watch_processes(self) -> None:
        """Name what runs elsewhere, the workers of loaders left out: they compute no losses."""
        original = BaseProcess.start
        observer = self.observer

        def watched(process: Any) -> None:
            target = getattr(process, "_target", None)
            if observer.on and not getattr(target, "__module__", "").startswith("torch.utils.data"):
                observer.missed("child processes")
            original(process)

        self._set(BaseProcess, "start", functools.update_wrapper(watched, original))

    def take_away(self) -> None:
        """Put everything back, in modules that were imported since as well."""
        if self.observer in _WATCHING:
            _WATCHING.remove(self.observer)
        for handle in self.handles:
            handle.remove()
        self.streams.take_away()
        back = self.members.take_away() | self.sinks.take_away()
        back |= {id(new): old for _, _, old, new in self.places if callable(new)}
        for holder, name, old, new in reversed(self.places):
            if holder.__dict__.get(name) is new:
                setattr(holder, name, old)
        for module in list(sys.modules.values()):
            names = getattr(module, "__dict__", None)
            if type(names) is dict:
                for name, value in list(names.items()):
                    if id(value) in back and not name.startswith("_xent"):
                        names[name] = back[id(value)]
        self.places.clear()
        self.handles.clear()
        torch_alone_after_fork()  # what was watched has left threads that a child would wait for


def _in_child() -> None:
    """Stop in a process that was forked: its report would reach nobody."""
    for observer in _WATCHING:
        observer.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def watched_by() -> Observer:
    """Return who watches here."""
    return _WATCHING[-1]


@contextmanager
def watching(observer: Observer) -> Iterator[None]:
    """Watch what runs inside."""
    patches = Patches(observer)
    patches.put()
    try:
        yield
    finally:
        observer.stop()
        patches.take_away()
