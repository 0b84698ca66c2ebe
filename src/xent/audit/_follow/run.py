"""The state of following one script: frames, loops, branches, and what was found."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from xent.audit._config import Config
from xent.audit._follow.modules import Modules
from xent.audit._follow.values import (
    Choice,
    Const,
    Dictionary,
    Function,
    Imported,
    Instance,
    Loop,
    Loss,
    Made,
    Mode,
    Module,
    Opaque,
    Place,
    Sequence,
    Total,
    Value,
    Zero,
)

STEPS = 60_000  # statements of one script, calls followed, before it stops going deeper
CALLS_WITHIN_CALLS = 24  # calls within calls
WIDEST = 4  # values that a name may hold before nothing is known of it

Flow = str | None  # "return", "break", "continue", "raise": where the code goes on elsewhere
Writes = dict[tuple[int, Any], tuple[dict[Any, Value], Any, Value | None, Value | None]]


@dataclass(frozen=True)
class Walker:
    """How code is walked: given to a `Walk`, so that what knows PyTorch needs not import it."""

    evaluate: Callable[[Walk, ast.expr], Value]
    block: Callable[[Walk, Any], str | None]
    bind: Callable[[Walk, ast.expr, Value], None]
    call_value: Callable[[Walk, Value, list[Value], dict[str, Value], ast.AST], Value]
    run_module: Callable[[Walk, Module], None]
    imported: Callable[[Walk, Imported], Value]


@dataclass(eq=False)
class CallFrame:
    """One call that is being followed."""

    module: Module
    names: dict[Any, Value]
    outer: list[dict[str, Value]]
    function: Function | None = None
    call: ast.AST | None = None
    returned: list[Value] = field(default_factory=list)
    yielded: list[Value] = field(default_factory=list)
    shared: set[str] = field(default_factory=set)  # global and nonlocal names


@dataclass(eq=False)
class Pending:
    """A finding whose level or truth is settled when the script was followed to its end."""

    rule: str
    place: Place
    facts: dict[str, object]
    level: str | None = None
    loop: Loop | None = None  # a note if this loop trains
    unless: list[bool] | None = None  # dropped if not empty
    seen: str | None = None
    losses: tuple[Place, ...] = ()  # the calls of losses that it is about
    supposed: str = ""  # what a run must confirm: the "sizes" of batches, or a "loss" as well


@dataclass(eq=False)
class Forward:
    """A module that was called, in which mode and in which loops."""

    module: Instance | Made
    mode: Mode | None
    loops: tuple[Loop, ...]
    place: Place
    grad: bool
    test: bool  # in a function that is named as one that evaluates


class Walk:
    """What is known while a script is followed."""

    def __init__(self, modules: Modules, config: Config, walker: Walker) -> None:
        self.modules, self.config, self.walker = modules, config, walker
        self.frames: list[CallFrame] = []
        self.loops: list[Loop] = []
        self.conditions: list[tuple[ast.If | ast.IfExp, Value, bool]] = []
        self.journals: list[Writes] = []
        self.pending: list[Pending] = []
        self.forwards: list[Forward] = []
        self.sites: set[tuple[str, int, int]] = set()
        self.not_followed: dict[str, None] = {}
        self.called: set[ast.AST] = set()
        self.counters: dict[ast.AST, set[str]] = {}  # by the code that counts them up
        self.writes_of_loops: dict[ast.AST, dict[str, int]] = {}
        self.learning: list[Instance | Made] = []  # whose parameters an optimiser holds
        self.steps = 0
        self.without_grad = 0
        self.past: list[Loop] = []  # loops that ended
        self.instances: list[Instance] = []
        self.ran = modules.ran is not None  # a run confirms what is supposed of unknown code
        self.defaults = True  # of functions that nothing in the file calls are taken
        self.at: ast.AST | None = None  # the attribute that is read, which may be a property
        self.made: dict[Value, Instance] = {}  # of classes that only the run saw made

    def evaluate(self, node: ast.expr) -> Value:
        """Return what an expression holds."""
        return self.walker.evaluate(self, node)

    def call_value(
        self, called: Value, args: list[Value], options: dict[str, Value], node: ast.AST
    ) -> Value:
        """Call whatever a name holds."""
        return self.walker.call_value(self, called, args, options, node)

    def resolved(self, value: Value) -> Value:
        """Return what an imported name holds; anything else as it is."""
        return self.walker.imported(self, value) if isinstance(value, Imported) else value

    @contextmanager
    def from_outside(self, loops: list[Loop]) -> Iterator[None]:
        """Call what nothing in the script calls, as who imports it does."""
        module = self.modules.script
        self.frames.append(CallFrame(module, module.names, []))
        self.loops = loops
        try:
            yield
        finally:
            self.frames.pop()
            self.loops = []

    # ------------------------------------------------------------------ places

    @property
    def frame(self) -> CallFrame:
        return self.frames[-1]

    def place(self, node: ast.AST) -> Place:
        """Return the place of a node of the code that is being followed."""
        return self.frame.module, node

    def place_of_loop(self, node: ast.AST, loop: Loop | None) -> Place:
        """Return the place of a node, or of the call that led to it from the loop's function.

        Where a meter divides, the mistake is in the loop that fed it.
        """
        if loop is not None and loop.frame in self.frames[:-1]:
            below = self.frames[self.frames.index(loop.frame) + 1]
            if below.call is not None:
                return loop.frame.module, below.call
        return self.place(node)

    def report(self, rule: str, place: Place, **facts: Any) -> Pending:
        """Note a finding."""
        settings = {key: facts.pop(key, None) for key in ("level", "loop", "unless", "seen")}
        losses, supposed = facts.pop("losses", ()), facts.pop("supposed", "")
        found = Pending(rule, place, facts, **settings, losses=losses, supposed=supposed)
        self.pending.append(found)
        return found

    # ------------------------------------------------------------------ writing

    def write(self, names: dict[Any, Value], key: Any, value: Value | None) -> None:
        """Set or delete a name or attribute, so that a branch can be undone."""
        if self.journals:
            journal = self.journals[-1]
            where = (id(names), key)
            before = journal[where][2] if where in journal else names.get(key)
            journal[where] = (names, key, before, value)
        if value is None:
            names.pop(key, None)
        else:
            names[key] = value

    @contextmanager
    def trial(self, writes: Writes) -> Iterator[None]:
        """Collect what is written inside, and undo it at the end."""
        self.journals.append(writes)
        try:
            yield
        finally:
            self.journals.pop()
            for names, key, before, _ in writes.values():
                if before is None:
                    names.pop(key, None)
                else:
                    names[key] = before

    def merge(self, branches: list[Writes]) -> None:
        """Write what several branches, one of which was taken, may have left."""
        keys = {where: entry for writes in branches for where, entry in writes.items()}
        for where, (names, key, _, _) in keys.items():
            before = names.get(key)
            after = [w[where][3] if where in w else before for w in branches]
            self.write(names, key, self.join([v for v in after if v is not None]))

    def join(self, values: list[Value]) -> Value | None:
        """Return what a name holds that holds one of several values."""
        flat: list[Value] = []
        values = [self.resolved(value) for value in values]
        if len(values) == 1 and not isinstance(values[0], Choice):
            return values[0]
        for value in values:
            for option in value.options if isinstance(value, Choice) else (value,):
                if not any(option is known or option == known for known in flat):
                    flat.append(option)
        flat = _joined_totals(flat)
        if len(flat) > 1:
            flat = [v for v in flat if not (isinstance(v, Const) and v.value is None)]
        dicts = [v for v in flat if isinstance(v, Dictionary)]
        if len(dicts) == len(flat) > 1:
            return self._either(dicts)
        if len(flat) <= 1:
            return flat[0] if flat else None
        if len(flat) > WIDEST:
            return Opaque("several")
        return Choice(tuple(flat))

    def _either(self, dicts: list[Dictionary]) -> Dictionary:
        """Return a dict that is one of several: under each key what any of them has there."""
        items: dict[Any, Value] = {}
        for key in dict.fromkeys(key for one in dicts for key in one.items):
            held = self.join([one.items[key] for one in dicts if key in one.items])
            items[key] = held or Opaque("item")
        default = self.join([one.default for one in dicts if one.default is not None])
        return Dictionary(items, default, dicts[0].loops)

    def new_loops(self, loops: tuple[Loop, ...]) -> tuple[Loop, ...]:
        """Return the loops that were entered since."""
        return tuple(loop for loop in self.loops if loop not in loops)

    def batch_loop(self, batches: list[Loop | None]) -> Loop | None:
        """Return the loop whose batch a loss is of that is computed here from these batches."""
        for loop in batches:
            if loop in self.loops:
                return loop
        return self.loops[-1] if self.loops else None

    def under(self) -> tuple[tuple[int, bool], ...]:
        """Return the branches that lead here."""
        return tuple((id(branch), truth) for branch, _, truth in self.conditions)

    def is_open(self, loop: Loop | None) -> bool:
        """Whether a loop is still running."""
        return loop in self.loops

    def saw_loss(self) -> None:
        """Note that the loops around compute a loss."""
        for loop in self.loops:
            loop.losses = True


def _joined_totals(values: list[Value]) -> list[Value]:
    """Leave of a total, and the 0 that it started from or was set to, the total."""
    totals = [v for v in values if isinstance(v, Total)]
    if len(totals) == 1:
        (total,) = totals
        zeros = [v for v in values if isinstance(v, Zero)]
        if zeros and len(zeros) + 1 == len(values):
            reset = any(loop in zero.loops for zero in zeros for loop in total.loops)
            if reset and not total.emptied:
                return [replace(total, emptied=True)]
            return [total]
    if len(totals) == len(values) == 2:
        both = _added_either_way(*totals)
        if both is not None:
            return [both]
    lists = [v for v in values if isinstance(v, Sequence)]
    if len(lists) == len(values) and len(lists) > 1:
        full = [v for v in lists if v.total is not None or v.items]
        if len(full) == 1:
            return [full[0]]
    losses = [v for v in values if isinstance(v, Loss)]
    if len(losses) == len(values) and len(losses) > 1:
        first = losses[0]
        if all(v.scale == first.scale and v.loop is first.loop for v in losses):
            carried = any(v.carried for v in losses)
            return [first.but(grad=any(v.grad for v in losses), carried=carried)]
    return values


def _added_either_way(one: Total, other: Total) -> Total | None:
    """Return a total to which a loss is added in a branch, and as such a one in its else."""
    if not one.under or not other.under or one.under[:-1] != other.under[:-1]:
        return None
    (branch, truth), (opposite, untruth) = one.under[-1], other.under[-1]
    if branch != opposite or truth == untruth or one.loops != other.loops:
        return None
    if one.start is not other.start or one.emptied or other.emptied:
        return None
    first, second = one.term, other.term
    if isinstance(first, Loss) and isinstance(second, Loss):
        traits = ("scale", "by_hand", "exp", "assumed")
        if any(getattr(first, trait) != getattr(second, trait) for trait in traits):
            return None
        if second.supposed and not first.supposed:
            one, other = other, one  # a run is asked for what is less sure
    elif not isinstance(first, Const) or first != second:
        return None
    return replace(one, under=one.under[:-1])
