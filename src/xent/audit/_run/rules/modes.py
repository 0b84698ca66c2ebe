"""X701 and X702: layers that ran in the mode that is not that of what is computed."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from types import FrameType
from weakref import WeakKeyDictionary

from torch import Tensor, nn
from torch.optim import Optimizer

from xent.audit._run.frames import Location, is_users, location
from xent.audit._run.sites import Site

MODULE_CALLS = ("_wrapped_call_impl", "_call_impl")
LAYERS_AT_ONCE = 16  # layers that are looked at until the next loss
PASSES_ENOUGH = 4  # over one input, from which on they are averaged: Monte Carlo dropout
RIGHT_ENOUGH = 500  # layers that ran in evaluation as they should


@dataclass(frozen=True)
class ModeEvent:
    """A layer that differs in training ran under the other state of the graph."""

    layer: str  # "Dropout", "BatchNorm"
    training: bool
    graph: bool
    by_hand: bool  # a function called without training=self.training
    of_model: bool  # the whole model is in that mode, not this layer alone
    parameters: frozenset[int]
    place: Location


@dataclass
class ModeFact:
    """What was seen at one call of a model."""

    event: ModeEvent
    count: int = 0
    steps: set[int] = field(default_factory=set)


@dataclass
class Passes:
    """The latest calls of a model at one place, in training mode and without a graph."""

    call: object = None  # what is new in every call
    given: weakref.ref[Tensor] | None = None
    version: int = 0
    step: int = -1
    times: int = 0

    def again(self, call: object, given: Tensor | None, step: int) -> bool:
        """Count a call; say whether it is not the one before."""
        if call is self.call:
            return False
        same = given is not None and self.given is not None and self.given() is given
        same = same and (given._version, step) == (self.version, self.step)  # type: ignore[union-attr]
        self.times = self.times + 1 if same else 1
        self.call, self.step = call, step
        self.given = weakref.ref(given) if given is not None else None
        self.version = given._version if given is not None else 0
        return True


class Modes:
    """The events of a run, kept by the place that called the model."""

    def __init__(self) -> None:
        self.watched = False  # a layer was seen whose mode matters
        self.rights = 0
        self.models: dict[int, tuple[weakref.ref[nn.Module], frozenset[int]]] = {}
        self.pending: list[tuple[ModeEvent, weakref.ref[nn.Module]]] = []
        self.evaluated: dict[Location, ModeFact] = {}  # in training mode, without a graph
        self.trained: dict[Location, ModeFact] = {}  # in evaluation mode, with a graph and a step
        self.right: set[Location] = set()  # evaluated in evaluation mode
        self.passes: dict[Location, Passes] = {}
        self.averaged: set[Location] = set()  # passes over one input: Monte Carlo dropout
        self.window: list[tuple[Site, list[ModeEvent]]] = []
        self.in_training: WeakKeyDictionary[Optimizer, int] = WeakKeyDictionary()
        self.last: tuple[Site, int] | None = None

    def layer(
        self, name: str, training: bool | None, graph: bool, frame: FrameType, step: int
    ) -> None:
        """Take a layer that ran in another mode than the graph suggests, or in evaluation.

        ``training`` is None where a function was not told: then it always drops.
        """
        self.watched = True
        wrong = training is not False and not graph
        right = training is False and not graph
        if right and self.rights > RIGHT_ENOUGH:
            return
        if wrong or len(self.pending) < LAYERS_AT_ONCE:
            self.rights += right
            model, place, call = _model(frame)
            if model is None or place is None or call is None:
                return
            event = self._event(name, training is not False, graph, frame, model, place)
            new = wrong and self._passes(event, call, step)
            if new and training is None and event.by_hand:
                known = event.place in self.evaluated
                self.evaluated.setdefault(event.place, ModeFact(event)).count += known
            elif len(self.pending) < LAYERS_AT_ONCE:
                self.pending.append((event, self.models[id(model)][0]))

    def _passes(self, event: ModeEvent, call: FrameType, step: int) -> bool:
        """Count a call of a model in training mode, without a graph; say whether it is new."""
        args, options = call.f_locals.get("args", ()), call.f_locals.get("kwargs", {})
        given = next((one for one in (*args, *options.values()) if isinstance(one, Tensor)), None)
        passes = self.passes.setdefault(event.place, Passes())
        new = passes.again(options, given, step)
        if passes.times >= PASSES_ENOUGH:
            self.averaged.add(event.place)
        return new

    def _event(
        self,
        name: str,
        training: bool,
        graph: bool,
        frame: FrameType,
        model: nn.Module,
        place: FrameType,
    ) -> ModeEvent:
        """Return what a layer did in a model, which was called at a place."""
        known = self.models.get(id(model))
        if known is None or known[0]() is not model:
            ids = frozenset(id(p) for p in model.parameters())
            known = self.models[id(model)] = weakref.ref(model), ids
        where = location(place.f_code, place.f_lasti, place.f_lineno)
        same = model.training == training
        by_hand = is_users(frame.f_code.co_filename) and not same
        return ModeEvent(name, training, graph, by_hand, same, known[1], where)

    def at_loss(self, site: Site, grad: bool, step: int) -> None:
        """Give the events to the loss that follows them."""
        events, self.pending = self.pending, []
        if grad:
            # A model that was put back into training since, or is gone, was only looked at.
            wrong = [
                e
                for e, held in events
                if e.graph and not e.training and e.of_model and _is_in_evaluation(held())
            ]
            if len(self.window) < LAYERS_AT_ONCE:
                self.window.append((site, wrong))
            return
        # One loss between two steps may be a look at training; two are an evaluation.
        again = self.last == (site, step)
        self.last = (site, step)
        counted: set[Location] = set()  # a batch counts once, in however many layers
        for event, _ in events:
            if event.graph:
                continue
            if not event.training:
                self.right.add(event.place)
            elif event.of_model or event.by_hand:
                fact = self.evaluated.setdefault(event.place, ModeFact(event))
                fact.count += again and event.place not in counted
                counted.add(event.place)

    def passed_over(self) -> None:
        """Forget what led to a step that is not looked at."""
        self.pending.clear()
        self.window.clear()

    def at_step(self, step: int, optimiser: Optimizer, first: int) -> None:
        """Judge the losses that led to a step of an optimiser, whose first step is given.

        A teacher, a discriminator or an attacked model may be in evaluation: the step is not of it.
        """
        window, self.window = self.window, []
        in_training = self.in_training.setdefault(optimiser, step - first)
        moved = _moved(optimiser) if any(events for _, events in window) else frozenset()
        of_it = [[e for e in events if e.parameters & moved] for _, events in window]
        if not of_it or not all(of_it):
            self.in_training[optimiser] = in_training + 1
            return
        for event in (event for events in of_it for event in events):
            fact = self.trained.setdefault(event.place, ModeFact(event))
            if in_training:
                fact.steps.add(step)


def _is_in_evaluation(model: nn.Module | None) -> bool:
    return model is not None and not model.training


def _moved(optimiser: Optimizer) -> frozenset[int]:
    """Return the ids of the parameters that a step changed: those with a gradient."""
    groups = optimiser.param_groups
    return frozenset(id(p) for group in groups for p in group["params"] if p.grad is not None)


def _model(frame: FrameType) -> tuple[nn.Module | None, FrameType | None, FrameType | None]:
    """Return the outermost module that led to a frame, the user's frame of it, and its call."""
    model: nn.Module | None = None
    place: FrameType | None = None
    call: FrameType | None = None
    caller: FrameType | None = frame
    while caller is not None:
        if caller.f_code.co_name in MODULE_CALLS:
            held = caller.f_locals.get("self")
            if isinstance(held, nn.Module):
                model, place, call = held, None, caller
        elif place is None and is_users(caller.f_code.co_filename):
            place = caller
        caller = caller.f_back
    return model, place, call


def ran(count: int) -> str:
    """Say how often a model was evaluated in the wrong mode."""
    return f"{count + 1} batches were evaluated so"


def stepped(steps: int) -> str:
    """Say how often it was trained so."""
    return f"{steps} steps were made so"
