"""X701 and X702: layers that ran in the mode that is not that of what is computed."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from types import FrameType
from weakref import WeakKeyDictionary

from torch import nn
from torch.optim import Optimizer

from xent.audit._run.frames import Location, is_users, location
from xent.audit._run.sites import Site

MODULE_CALLS = ("_wrapped_call_impl", "_call_impl")
LAYERS_AT_ONCE = 16  # layers that are looked at until the next loss
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
        self.window: list[tuple[Site, list[ModeEvent]]] = []
        self.in_training: WeakKeyDictionary[Optimizer, int] = WeakKeyDictionary()
        self.last: tuple[Site, int] | None = None

    def layer(self, name: str, training: bool, graph: bool, frame: FrameType) -> None:
        """Take a layer that ran in another mode than the graph suggests, or in evaluation."""
        self.watched = True
        right = not training and not graph
        if len(self.pending) < LAYERS_AT_ONCE and not (right and self.rights > RIGHT_ENOUGH):
            self.rights += right
            model, place = _model(frame)
            if model is not None and place is not None:
                event = self._event(name, training, graph, frame, model, place)
                self.pending.append((event, self.models[id(model)][0]))

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


def _model(frame: FrameType) -> tuple[nn.Module | None, FrameType | None]:
    """Return the outermost module that led to a frame, and the user's frame that called it."""
    model: nn.Module | None = None
    place: FrameType | None = None
    caller: FrameType | None = frame
    while caller is not None:
        if caller.f_code.co_name in MODULE_CALLS:
            held = caller.f_locals.get("self")
            if isinstance(held, nn.Module):
                model, place = held, None
        elif place is None and is_users(caller.f_code.co_filename):
            place = caller
        caller = caller.f_back
    return model, place


def ran(count: int) -> str:
    """Say how often a model was evaluated in the wrong mode."""
    return f"{count + 1} batches were evaluated so"


def stepped(steps: int) -> str:
    """Say how often it was trained so."""
    return f"{steps} steps were made so"
