"""What watches a run: it is told of each loss, embedding, mode, step and batch, and keeps facts.

Most calls take the short way: a few numbers are added up. The first twenty of a site, one in a
hundred after them, and a smaller batch are looked at by every rule.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from threading import get_ident
from types import CodeType, FrameType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.optim import Optimizer

from xent.audit._follow.loaded import SeenCalls
from xent.audit._run import judges
from xent.audit._run.frames import Location, is_users, location, locations, of_user
from xent.audit._run.outlets.listener import Listener
from xent.audit._run.own.scalars import Scalars
from xent.audit._run.rules import accumulation, activations, numerics, padding, reductions, targets
from xent.audit._run.rules.modes import Modes
from xent.audit._run.sites import (
    FIRST_CALLS,
    KEPT_PASSES,
    ONE_CALL_IN,
    Cell,
    Entered,
    LossCall,
    Pass,
    Round,
    Site,
)
from xent.audit._run.torch_private import is_transformed, unseen

KEPT_WAYS, DEEPEST = 256, 32  # ways that calls lead to a loss, and calls of one
ONE_STEP_IN, LATER = 25, 100  # after the first twenty, and after the first thousand
FIRST_STEPS = 1000
MOST_NATS = 700.0  # exp of more is no number
PLAIN_TENSORS = (Tensor, torch.nn.Parameter)


class Observer(Listener):
    """The state of one run that is watched; it follows the thread that made it."""

    def __init__(self, steps: int | None = None) -> None:
        super().__init__(Scalars(self))
        self.limit = steps
        self.entered: list[Entered] = []
        self.between = False  # a loss was computed since the last embedding
        self.steps = 0
        self.latest_optimiser: Callable[[], Optimizer | None] = lambda: None
        self.a_step = 0  # losses with a graph that a step has
        self.latest: dict[str, tuple[torch.Size, CodeType, int]] = {}  # shape and caller of a loss
        self.held: set[int] = set()  # ids of parameters that an optimiser holds
        self.optimisers: WeakKeyDictionary[Optimizer, int] = WeakKeyDictionary()  # its first step
        self.modes = Modes()
        self.micro = accumulation.Window()
        self.broken: dict[tuple[int, int], numerics.Broken] = {}
        self.ways: dict[
            tuple[tuple[int, int], ...], tuple[Location, ...]
        ] = {}  # calls that lead to

    # ------------------------------------------------------------------ what cannot be seen

    def follows(self, tensor: Tensor) -> bool:
        """Whether what is done with a tensor can be followed."""
        if get_ident() != self.thread:
            self.missed("losses in other threads")
        elif is_transformed():
            self.missed("losses inside torch.func transforms (vmap)")
        elif type(tensor) not in PLAIN_TENSORS:
            self.missed(f"losses of {type(tensor).__name__}")
        elif tensor.is_meta:
            self.missed("losses without numbers (device meta)")
        elif tensor.is_cuda and torch.cuda.is_current_stream_capturing():
            self.missed("losses in a CUDA graph")
        else:
            return True
        return False

    # ------------------------------------------------------------------ losses

    def loss(
        self,
        name: str,
        names: tuple[str, ...],
        given: tuple[tuple[Any, ...], Mapping[str, Any]],
        result: object,
        frame: FrameType,
    ) -> None:
        """Take note of a call of a loss that returned."""
        self.unnoticed(name, self._loss, name, names, given, result, frame)

    def site(self, name: str, frame: FrameType) -> Site:
        """Return the site that a frame is at."""
        user = of_user(frame)
        code = user.f_code
        site = self.sites.get((id(code), user.f_lasti))
        if site is None:
            place = location(code, user.f_lasti, user.f_lineno)
            site = Site(name, code, place, locations(user.f_back))
            self.sites[id(code), user.f_lasti] = site
        return site

    def _loss(
        self,
        name: str,
        names: tuple[str, ...],
        given: tuple[tuple[Any, ...], Mapping[str, Any]],
        result: object,
        frame: FrameType,
    ) -> None:
        if not isinstance(result, Tensor) or not self.follows(result):
            return
        args, options = given
        first: Any = args[0] if args else options.get("input")
        target: Any = args[1] if len(args) > 1 else options.get("target")
        if type(first) not in PLAIN_TENSORS:
            if isinstance(first, Tensor):
                self.missed(f"losses of {type(first).__name__}")
            return
        user = of_user(frame)
        if self.round is None or self.round.made:
            self.find_loop(user)
        if self.round is not None:
            self.round.losses = True
        site = self.site(name, user)
        axis = int(name == "ctc_loss" and first.dim() > 2)  # (T, N, C)
        size = first.size(axis) if first.dim() else 1
        site.calls = calls = site.calls + 1
        self.calls += 1
        self.between = True
        full = calls <= FIRST_CALLS or calls % ONE_CALL_IN == 0
        if size != site.size:
            site.size = size
            full = full or site.looked < FIRST_CALLS + calls // 10
        self.latest[name] = first.shape, frame.f_code, frame.f_lasti
        value = None
        if (full or result.is_cpu) and not result.dim():
            value = result.item()
            full = full or not math.isfinite(value)
        grad = result.requires_grad
        every = dict(zip(names, args, strict=False), **options) if full else {}
        if full and name in ("cross_entropy", "nll_loss"):
            with unseen():
                site.counts = not target.is_floating_point()
                marked = target == every.get("ignore_index", -100)
                site.ignores = site.counts and (site.ignores or bool(marked.any()))
        weight = size
        if site.counts:
            weight = _counted(site, target, given) if site.ignores else target.numel()
        last = site.last
        if last is None or self._begins(last, size, grad):
            last = self._new_pass(site, grad, user)
        self._add(last, size, weight, value)
        if value is not None and self.round is not None:
            self.scalars.loss(site, user, value, first, size, weight)
        if self.modes.watched:
            self.modes.at_loss(site, grad, self.steps)
        if grad:
            site.with_grad += 1
            if self.sampled:
                self.of_step += 1
                self.micro.loss(site, weight, value)
        if full:
            site.looked += 1
            with unseen():
                self._look(
                    site, LossCall(name, every, result, "", self.entered, self.padding), value
                )
        if self.limit is not None and not self.steps and calls - site.with_grad > self.limit:
            self.stop()

    def add_to_pass(
        self, site: Site, user: FrameType, size: int, weight: int, value: float
    ) -> None:
        """Add a number of a batch to the pass of a line of one's own."""
        last, grad = site.last, torch.is_grad_enabled()
        if last is None or self._begins(last, size, grad):
            last = self._new_pass(site, grad, user)
        self._add(last, size, weight, value)

    def _add(self, last: Pass, size: int, weight: int, value: float | None) -> None:
        last.size, last.value = size, value
        last.latest = self.steps
        late = last.grad and self.round is None and self.steps > FIRST_CALLS
        last.partly = last.partly or late
        cell = last.cells.get((size, weight))
        if cell is None:
            cell = last.cells[size, weight] = Cell()
            last.widest = max(last.widest, size)
        cell.batches += 1
        if value is None:
            cell.unread += 1
        else:
            cell.total += value
            cell.exponentials += math.exp(value) if value < MOST_NATS else math.inf
            cell.roots += math.sqrt(value) if value > 0 else 0.0

    def _begins(self, last: Pass, size: int, grad: bool) -> bool:
        """Whether a call is the first of another pass over the data."""
        if last.round is not self.round or last.grad != grad:
            return True
        if self.round is not None and not self.round.made:
            return False
        if not grad and last.step != self.steps:
            return True
        return size >= last.widest > last.size

    def _new_pass(self, site: Site, grad: bool, user: FrameType) -> Pass:
        """Begin another pass over the data."""
        self.unnoticed("sinks", self.at_a_pass)
        one = self.round
        tells = one is not None and one.made and (site.name != "own" or not one.losses)
        if one is not None and tells and site.last is not None and site.last.round is one:
            one.ended = True
            self.round = Round(made=True, loop=one.loop, partly=not self.sampled)
        site.last = Pass(self.round, grad, self.steps, self._callers(user.f_back))
        site.passes.append(site.last)
        if len(site.passes) > KEPT_PASSES:
            del site.passes[2]
        return site.last

    def _callers(self, frame: FrameType | None) -> tuple[Location, ...]:
        """Return the calls that led to a frame; each way is looked up once."""
        way: list[tuple[int, int]] = []
        above = frame
        while above is not None and len(way) < DEEPEST:
            way.append((id(above.f_code), above.f_lasti))
            above = above.f_back
        key = tuple(way)
        known = self.ways.get(key)
        if known is None:
            known = locations(frame)
            if len(self.ways) < KEPT_WAYS:
                self.ways[key] = known
                while frame is not None:
                    self.codes.append(frame.f_code)
                    frame = frame.f_back
        return known

    def seen_calls(self) -> SeenCalls:
        """Return which function each call led to, on the ways to the losses."""
        found = SeenCalls()
        for site in self.sites.values():
            path = Path(site.place.file).resolve()
            if path.suffix == ".py" and path.is_file() and is_users(str(path)):
                found.files.add(path)
            for way in {site.callers, *(each.callers for each in site.passes)}:
                for inner, outer in pairwise((site.place, *way)):
                    file = os.path.realpath(outer.file)
                    found.add((file, outer.line, outer.column), (inner.file, inner.function))
        return found

    def _look(self, site: Site, call: LossCall, value: float | None) -> None:
        call.reduction = reductions.named(call.options)
        kind = "mean" if call.reduction == "batchmean" else call.reduction
        if site.looked == 1:
            site.reductions[reductions.real(call) or kind] += 1
        else:
            site.reductions[kind] += 1
        judges.judge(site, call, self.failed)
        broken = numerics.broken(site, call, value)
        if broken is not None:
            self.broken.setdefault((id(site.code), site.place.line), broken)

    def own_loss(self, value: object, frame: FrameType) -> None:
        """Take note of a loss that is none of PyTorch's."""
        site = self.site("own", frame)
        site.calls += 1
        self.calls += 1
        if isinstance(value, Tensor) and value.dim() == 0 and not math.isfinite(value.item()):
            with unseen():
                said = numerics.of_root(site, value, value.item())
            self.broken[id(site.code), site.place.line] = said

    def refused(
        self, name: str, options: Mapping[str, Any], error: BaseException, frame: FrameType
    ) -> None:
        """Take note of a call of a loss that raised."""
        self.unnoticed(name, self._refused, name, options, error, frame)

    def _refused(
        self, name: str, options: Mapping[str, Any], error: BaseException, frame: FrameType
    ) -> None:
        site = self.site(name, frame)
        site.calls += 1
        with unseen():
            judges.refused(site, name, options, error)

    # ------------------------------------------------------------------ the rest of a step

    def embedding(self, ids: object, padding: int | None) -> None:
        """Take note of token ids."""
        self.unnoticed("embedding", self._embedding, ids, padding)

    def _embedding(self, ids: object, padding: int | None) -> None:
        if not isinstance(ids, Tensor) or get_ident() != self.thread:
            return
        if padding is not None:
            self.padding.ids.add(float(padding))
        if self.between:
            self.entered = []
            self.between = False
        if len(self.entered) < 8 and ids.dim() == 2:
            self.entered.append(Entered(ids, padding))

    def axis(self, dimensions: object, frame: FrameType) -> None:
        """Take note of a softmax that was given no axis."""
        if get_ident() == self.thread:
            activations.no_axis(self.site("softmax", frame), dimensions)

    def layer(self, name: str, training: bool | None, graph: bool, frame: FrameType) -> None:
        """Take note of a layer in the mode that is not the graph's, or in evaluation."""
        if get_ident() == self.thread and (self.sampled or not graph):
            self.unnoticed(name, self.modes.layer, name, training, graph, frame, self.steps)

    def reduced(self, kind: str, entries: Tensor, result: Tensor, frame: FrameType) -> None:
        """Take note of a mean or a sum of all entries of a tensor."""
        if get_ident() == self.thread and not _ours(frame):
            if entries.requires_grad and self.follows(entries):
                self.unnoticed(kind, self._differences, entries, frame)
            self.unnoticed(kind, self.scalars.reduced, kind, entries, result, frame)

    def _differences(self, entries: Tensor, frame: FrameType) -> None:
        with unseen():
            shapes = targets.crossed(entries) if entries.dim() == 2 else None
        if shapes is not None:
            targets.broadcast_by_hand(self.site("own", frame), *shapes)
        beyond = padding.of_entries(entries, self.padding)
        if beyond is not None:
            padding.tell_of_entries(self.site("own", frame), beyond)

    def read(self, result: Tensor, frame: FrameType) -> None:
        """Take note of a number that the script reads, and not what watches it."""
        if get_ident() == self.thread and not _ours(frame):
            self.unnoticed("a number", self.scalars.read, result, frame)

    def backward(self, root: object, frame: FrameType) -> None:
        """Take note of a backward pass that begins."""
        if self.sampled:
            self.unnoticed("backward", self._backward, root, frame)

    def _backward(self, root: object, frame: FrameType) -> None:
        if not isinstance(root, Tensor) or not self.follows(root):
            return
        if not root.dim():
            value = root.item()
            self.micro.backward(value)
            self.scalars.backward(value)
            if not math.isfinite(value):
                self._broken_root(root, value, frame)

    def _broken_root(self, root: Tensor, value: float, frame: FrameType) -> None:
        if any(one.confirmed for one in self.broken.values()):
            return
        if self.broken:
            for one in self.broken.values():
                one.confirmed = True
            return
        site = self.site("backward", frame)
        with unseen():
            self.broken[id(site.code), site.place.line] = numerics.of_root(site, root, value)

    def step(self, optimiser: Optimizer, closure: bool) -> None:
        """Take note of a step that was made; with a closure it computed losses itself."""
        if optimiser not in self.optimisers:
            self.optimisers[optimiser] = self.steps
            self.held |= {id(p) for group in optimiser.param_groups for p in group["params"]}
        if self.sampled:
            self.a_step = self.of_step or self.a_step
            self.micro.step(closure)
            if self.modes.watched:
                self.modes.at_step(self.steps, optimiser, self.optimisers[optimiser])
        self.step_passed_over()

    def step_passed_over(self) -> None:
        """Count a step."""
        if self.modes.watched:
            self.modes.passed_over()
        self.of_step = 0
        self.steps = steps = self.steps + 1
        one_in = ONE_STEP_IN if steps < FIRST_STEPS else LATER
        self.sampled = sampled = steps < FIRST_CALLS or not steps % one_in
        self.passes, self.only_counted = 0, 0
        if not sampled:
            self.passes, self.only_counted = self.a_step, one_in - steps % one_in - 1
            if self.limit is not None:
                self.only_counted = min(self.only_counted, self.limit - steps - 1)
        one = self.round
        if one is not None:
            one.trains, one.partly = True, one.partly or not sampled
        if self.limit is not None and steps >= self.limit:
            self.stop()

    def stop(self) -> None:
        """Check no more."""
        self.on, self.passes, self.only_counted = False, 0, 0


def _ours(frame: FrameType) -> bool:
    """Whether it is a watcher that asks."""
    return bool(frame.f_globals.get("__name__", "").startswith("xent.audit._run."))


def _counted(site: Site, target: Tensor, given: tuple[tuple[Any, ...], Mapping[str, Any]]) -> int:
    """Return how many targets are not ignored."""
    args, options = given
    place = 4 if len(args) > 4 else None  # (input, target, weight, size_average, ignore_index)
    ignored = args[place] if place is not None else options.get("ignore_index", -100)
    return int((target != ignored).sum())
