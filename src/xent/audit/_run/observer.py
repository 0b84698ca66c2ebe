"""What watches a run: it is told of each loss, embedding, mode, step and batch, and keeps facts.

Most calls take the short way: a few numbers are added up. The first twenty of a site, one in a
hundred after them, and a smaller batch are looked at by every rule.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from xent.audit._run.frames import location, locations, of_user
from xent.audit._run.rules import accumulation, judges, numerics, reductions
from xent.audit._run.rules.modes import Modes
from xent.audit._run.sites import FIRST_CALLS, ONE_CALL_IN, Entered, LossCall, Pass, Round, Site
from xent.audit._run.torch_private import (
    dispatch_modes,
    function_modes,
    is_transformed,
    unseen,
)

KEPT_PASSES = 32
PLAIN_TENSORS = (Tensor, torch.nn.Parameter)


class Observer:
    """The state of one run that is watched; it follows the thread that made it."""

    def __init__(self, steps: int | None = None) -> None:
        self.on = True
        self.limit = steps
        self.thread = threading.get_ident()
        self.sites: dict[tuple[int, int], Site] = {}
        self.not_followed: dict[str, None] = {}
        self.entered: list[Entered] = []
        self.between = False  # a loss was computed since the last embedding
        self.round: Round | None = None
        self.steps = 0
        self.calls = 0
        self.held: set[int] = set()  # ids of parameters that an optimiser holds
        self.optimisers: set[int] = set()
        self.modes = Modes()
        self.micro = accumulation.Window()
        self.broken: dict[tuple[int, int], numerics.Broken] = {}

    # ------------------------------------------------------------------ what cannot be seen

    def missed(self, what: str) -> None:
        """Note what is not followed."""
        self.not_followed[what] = None

    def failed(self, where: str, error: Exception) -> None:
        """Note a fault of xent's own; the script goes on."""
        self.missed(f"{where} (xent failed: {type(error).__name__}: {error})")

    def follows(self, first: object) -> bool:
        """Whether a call with this first argument can be followed."""
        if threading.get_ident() != self.thread:
            self.missed("losses in other threads")
        elif is_transformed():
            self.missed("losses inside torch.func transforms (vmap)")
        elif type(first) not in PLAIN_TENSORS:
            if isinstance(first, Tensor):
                self.missed(f"losses of {type(first).__name__}")
        elif not first.is_cpu and first.is_cuda and torch.cuda.is_current_stream_capturing():  # type: ignore[attr-defined]
            self.missed("losses in a CUDA graph")
        else:
            return True
        return False

    # ------------------------------------------------------------------ losses

    def loss(self, name: str, options: Mapping[str, Any], result: object, frame: FrameType) -> None:
        """Take note of a call of a loss that returned."""
        self._unnoticed(name, self._loss, name, options, result, frame)

    def _unnoticed(self, where: str, work: Callable[..., None], *facts: Any) -> None:
        """Do the work of a watcher: no mode of the script sees it, and no error leaves it."""
        try:
            if function_modes() or dispatch_modes():
                with unseen():
                    work(*facts)
            else:
                work(*facts)
        except Exception as error:
            self.failed(where, error)

    def site(self, name: str, frame: FrameType) -> Site:
        """Return the site that a frame is at."""
        user = of_user(frame)
        code = user.f_code
        key = (id(code), user.f_lasti)
        site = self.sites.get(key)
        if site is None:
            place = location(code, user.f_lasti, user.f_lineno)
            site = self.sites[key] = Site(name, code, place, locations(user.f_back))
        return site

    def _loss(
        self, name: str, options: Mapping[str, Any], result: object, frame: FrameType
    ) -> None:
        first: Any = options.get("input")
        if first is None:
            first = next(iter(options.values()), None)
        if not isinstance(result, Tensor) or not self.follows(first):
            return
        site = self.site(name, frame)
        size = first.size(0) if first.dim() else 1
        site.calls += 1
        self.calls += 1
        grad = result.requires_grad
        calls = site.calls
        full = calls <= FIRST_CALLS or calls % ONE_CALL_IN == 0
        if not full and size != site.size and site.looked < FIRST_CALLS + calls // 10:
            full = True
        site.size = size
        if grad:
            site.with_grad += 1
        else:
            site.without_grad += 1
        self.between = True
        value = None
        if result.dim() == 0 and (full or result.is_cpu):
            value = result.item()
        weight = self._weight(site, options, size)
        self._add(site, size, weight, value, grad)
        if self.modes.pending:
            self.modes.at_loss(site, grad, self.steps)
        if grad:
            self.micro.loss(site, weight, value)
        if value is not None and not math.isfinite(value):
            full = True
        if full:
            site.looked += 1
            with unseen():
                self._look(site, LossCall(name, options, result, "", self.entered), value)
        if self.limit is not None and not self.steps and site.without_grad > self.limit:
            self.stop()

    @staticmethod
    def _weight(site: Site, options: Mapping[str, Any], size: int) -> int:
        """Return how many terms the mean of a call is over, in proportion."""
        target = options.get("target")
        if target is None or site.name not in ("cross_entropy", "nll_loss"):
            return size
        if site.ignores:
            return int((target != options.get("ignore_index", -100)).sum())
        return size if target.is_floating_point() else int(target.numel())

    def _add(self, site: Site, size: int, weight: int, value: float | None, grad: bool) -> None:
        last = site.passes[-1] if site.passes else None
        if last is None or self._begins(last, size, grad):
            last = Pass(self.round, grad, self.steps)
            site.passes.append(last)
            if len(site.passes) > KEPT_PASSES:
                del site.passes[2]
        last.batches += 1
        last.samples += size
        last.sizes[size] += 1
        last.weights.add(weight)
        last.last = size
        if value is None or not math.isfinite(value):
            last.unread = True
            return
        last.total += value
        last.weighted += weight * value
        last.weight += weight
        last.exponentials += math.exp(value) if value < 700 else math.inf

    def _begins(self, last: Pass, size: int, grad: bool) -> bool:
        """Whether a call is the first of another pass over the data."""
        if last.round is not self.round or last.grad != grad:
            return True
        if self.round is not None:
            return False
        if not grad and last.step != self.steps:
            return True
        return last.last < last.widest and size >= last.widest

    def _look(self, site: Site, call: LossCall, value: float | None) -> None:
        call.reduction = reductions.named(call.options)
        if site.looked == 1:
            site.reductions[reductions.real(call) or call.reduction] += 1
        else:
            site.reductions[call.reduction] += 1
        ignored = call.options.get("ignore_index")
        target = call.options.get("target")
        if ignored is not None or site.name in ("cross_entropy", "nll_loss"):
            index = -100 if ignored is None else ignored
            if isinstance(target, Tensor) and not target.is_floating_point():
                site.ignores = site.ignores or bool((target == index).any())
        judges.judge(site, call, self.failed)
        broken = numerics.broken(site, call, value)
        if broken is not None:
            self.broken.setdefault((id(site.code), site.place.line), broken)

    def own_loss(self, value: object, frame: FrameType) -> None:
        """Take note of a loss that is none of PyTorch's."""
        site = self.site("own", frame)
        site.calls += 1
        if isinstance(value, Tensor) and value.dim() == 0 and not math.isfinite(value.item()):
            with unseen():
                said = numerics.of_root(site, value, value.item())
            self.broken[id(site.code), site.place.line] = said

    def refused(
        self, name: str, options: Mapping[str, Any], error: BaseException, frame: FrameType
    ) -> None:
        """Take note of a call of a loss that raised."""
        self._unnoticed(name, self._refused, name, options, error, frame)

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
        self._unnoticed("embedding", self._embedding, ids, padding)

    def _embedding(self, ids: object, padding: int | None) -> None:
        if not isinstance(ids, Tensor) or threading.get_ident() != self.thread:
            return
        if self.between:
            self.entered = []
            self.between = False
        if len(self.entered) < 8 and ids.dim() == 2:
            self.entered.append(Entered(ids, padding))

    def layer(self, name: str, training: bool, graph: bool, frame: FrameType) -> None:
        """Take note of a layer in the mode that is not the graph's, or in evaluation."""
        if threading.get_ident() == self.thread:
            self._unnoticed(name, self.modes.layer, name, training, graph, frame)

    def backward(self, root: object, frame: FrameType) -> None:
        """Take note of a backward pass that begins."""
        self._unnoticed("backward", self._backward, root, frame)

    def _backward(self, root: object, frame: FrameType) -> None:
        if not isinstance(root, Tensor) or not self.follows(root):
            return
        if root.dim() == 0 and (root.is_cpu or self.steps < FIRST_CALLS):
            value = root.item()
            self.micro.backward(value)
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

    def before_step(self, optimiser: torch.optim.Optimizer) -> None:
        """Take note of a step of an optimiser that begins."""
        if id(optimiser) not in self.optimisers:
            self.optimisers.add(id(optimiser))
            self.held |= {id(p) for group in optimiser.param_groups for p in group["params"]}
        self.micro.before_step()

    def after_step(self) -> None:
        """Take note of a step that was made."""
        self.modes.at_step(self.steps)
        self.micro.after_step()
        self.steps += 1
        if self.limit is not None and self.steps >= self.limit:
            self.stop()

    def stop(self) -> None:
        """Check no more."""
        self.on = False
