"""What a name may hold, as far as the audit of losses must know.

A value that nothing is known of is an `Opaque`: it has an identity, so that `len(loader)` and a
loop over the same `loader` are known to belong together, and its attributes and items are values
of the same kind, made once. Scalars that come from a loss are `Loss`, their sums `Total`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xent.audit._source import Script

Place = tuple["Module", ast.AST]


class Value:
    """Anything that a name may hold."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return its kind alone: values hold one another, and written out they may have no end."""
        return f"<{type(self).__name__}>"


@dataclass(eq=False, repr=False)
class Module:
    """A file that is being followed, with its names."""

    name: str
    source: Script
    names: dict[str, Value] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)  # libraries all of whose names are imported
    done: bool = False
    running: bool = False

    @property
    def folder(self) -> Path:
        return self.source.path.parent


@dataclass(eq=False, repr=False)
class Imported(Value):
    """A name of another file, which is not followed before the name is used.

    Most of what the files of a library import is used by functions that the script never calls.
    """

    module: Module
    name: str
    found: Value | None = None


@dataclass(frozen=True, repr=False)
class Const(Value):
    """A literal."""

    value: Any


@dataclass(eq=False, repr=False)
class Zero(Value):
    """A number that a total may start from, and the loops in which it was set."""

    value: float
    loops: tuple[Loop, ...]
    place: Place | None = None


@dataclass(eq=False, repr=False)
class Opaque(Value):
    """Something unknown, with the name that it was first met under.

    ``batch`` is the loop whose current batch it is made of, ``made`` the call that returned it.
    """

    name: str = ""
    batch: Loop | None = None
    parts: dict[Any, Value] = field(default_factory=dict)
    made: Place | None = None
    root: Opaque | None = None  # what it is a view or a part of
    cut: str = ""  # which entries of the rows it leaves out: the "first" or the "last"
    mask: bool = False  # true where something is no padding

    def part(self, key: object, name: str = "") -> Value:
        """Return the attribute or item under a key: always the same one."""
        if key not in self.parts:
            made = Opaque(name or str(key), self.batch, made=self.made)
            if ("row",) in self.parts:  # the rows of one part of a data set are as all are
                made.parts["row",] = self.parts["row",]
            self.parts[key] = made
        return self.parts[key]


@dataclass(frozen=True, repr=False)
class External(Value):
    """A thing of a library, by its full name: ``torch.nn.functional.cross_entropy``."""

    name: str


@dataclass(eq=False, repr=False)
class Made(Value):
    """What a library's class or function returned: a layer, a loader, a data set."""

    name: str
    args: list[Value]
    options: dict[str, Value]
    place: Place | None = None
    attrs: dict[Any, Value] = field(default_factory=dict)

    @property
    def mode(self) -> Mode | None:
        """The mode it was put into, None where in none."""
        return _mode_in(self.attrs)

    def option(self, name: str, position: int) -> Value | None:
        """Return an argument by its name or position."""
        if name in self.options:
            return self.options[name]
        return self.args[position] if len(self.args) > position else None


LOOPS = ("loops",)  # where an array of zeros keeps the loops in which it was made
MADE_IN = ("made in",)  # where a module keeps the loops in which it was made
HELD = ("held",)  # where an optimiser keeps the modules whose parameters it holds
OF_TOKENS = ("padded", "wrapped")  # what is known of tokens, wherever they go


def of_tokens(value: Value | None) -> dict[Any, Value]:
    """Return what is known of the tokens that a value holds."""
    known = value.parts if isinstance(value, Opaque) else getattr(value, "attrs", {})
    return {name: known[name] for name in OF_TOKENS if name in known}


MODE = ("mode",)  # where a module keeps its mode among its attributes


def _mode_in(attrs: dict[Any, Value]) -> Mode | None:
    """Return a module's mode; where branches leave two, one that nothing is said of."""
    found = attrs.get(MODE)
    if found is None or isinstance(found, Mode):
        return found
    return Mode(training=False, loops=())


@dataclass(eq=False, repr=False)
class Function(Value):
    """A function of the script, with what it sees from outside and the object it is bound to."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    module: Module
    outer: list[dict[str, Value]]
    owner: Class | None = None
    bound: Value | None = None
    without_grad: bool = False

    @property
    def name(self) -> str:
        return getattr(self.node, "name", "lambda")


@dataclass(eq=False, repr=False)
class Class(Value):
    """A class of the script."""

    node: ast.ClassDef
    module: Module
    bases: list[Value]
    members: dict[str, Value]

    def lineage(self) -> list[Value]:
        """Return the class and its bases, nearest first."""
        found: list[Value] = [self]
        for base in self.bases:
            found += base.lineage() if isinstance(base, Class) else [base]
        return found

    def member(self, name: str, after: Class | None = None) -> Value | None:
        """Return a member by its name, of this class or the nearest base that has it."""
        line = [base for base in self.lineage() if isinstance(base, Class)]
        if after is not None and after in line:
            line = line[line.index(after) + 1 :]
        for base in line:
            if name in base.members:
                return base.members[name]
        return None

    def descends_from(self, *names: str) -> bool:
        """Whether a library's class of one of these names is among its bases."""
        return any(
            isinstance(base, External) and base.name.rpartition(".")[2] in names
            for base in self.lineage()
        )


@dataclass(eq=False, repr=False)
class Instance(Value):
    """An object of a class of the script."""

    of: Class
    attrs: dict[Any, Value] = field(default_factory=dict)

    @property
    def mode(self) -> Mode | None:
        """The mode it was put into, None where in none."""
        return _mode_in(self.attrs)


@dataclass(frozen=True, repr=False)
class Mode(Value):
    """Training or evaluation mode, and the loops in which it was set."""

    training: bool
    loops: tuple[Loop, ...]
    by: Function | None = None  # what set it


def _of_parts(value: Value | None, depth: int = 3) -> Loop | None:
    """Return the loop of whose batch a part of a list or dict is, at most so deep."""
    if not isinstance(value, Sequence | Dictionary):
        return getattr(value, "batch", None)
    held = value.items.values() if isinstance(value, Dictionary) else value.items or ()
    first = value.default if isinstance(value, Dictionary) else value.element
    parts = (first, *held) if depth else ()
    return next((loop for part in parts if (loop := _of_parts(part, depth - 1))), None)


@dataclass(eq=False, repr=False)
class Sequence(Value):
    """A tuple or list; ``items`` is None where they are not known one by one.

    ``total`` is what its losses would sum up to, where losses were appended in a loop.
    """

    items: list[Value] | None
    loops: tuple[Loop, ...] = ()
    total: Total | None = None
    element: Value | None = None
    filled: Loop | None = None  # the loop that put one element in it in each round
    over: Value | None = None  # what a comprehension without conditions goes over
    grown: bool = False  # in a loop: nobody knows how long it is

    @property
    def batch(self) -> Loop | None:
        """The loop of whose batch its parts are."""
        return _of_parts(self)

    @property
    def row(self) -> Value | None:
        """What one of its items holds: a loss in it is of some batch, not of the last."""
        row = self.element
        if row is None and self.total is not None and isinstance(self.total.term, Loss):
            row = self.total.term
        if isinstance(row, Loss):
            return _of_some_batch(row)
        if self.filled is None or not isinstance(row, Sequence | Dictionary) or not row.items:
            return row
        if isinstance(row, Sequence):
            return replace(row, items=[_of_some_batch(item) for item in row.items])
        return replace(row, items={key: _of_some_batch(v) for key, v in row.items.items()})


def _of_some_batch(value: Value) -> Value:
    return value.but(kept=True) if isinstance(value, Loss) else value


@dataclass(eq=False, repr=False)
class Dictionary(Value):
    """A dict, and the loops in which it was made."""

    items: dict[Any, Value]
    default: Value | None = None
    loops: tuple[Loop, ...] = ()
    counter: bool = False  # whose update adds

    @property
    def batch(self) -> Loop | None:
        """The loop of whose batch its parts are."""
        return _of_parts(self)


@dataclass(eq=False, repr=False)
class Loop:
    """A loop that is being followed, or was: what it iterates, and what happened in it."""

    node: ast.AST
    module: Module
    source: Value | None  # what is iterated, without enumerate and progress bars
    frame: object
    kind: str  # "batches", "range", "while", "items"
    trained: bool = False
    losses: bool = False  # it computes some
    depth: int = 0  # how many conditions hold where it begins
    step: Value | None = None  # of range(0, n, step)
    movers: list[Value] = field(default_factory=list)  # optimisers that made steps in it


@dataclass(frozen=True, repr=False)
class Index(Value):
    """The number of the current round of a loop, plus an offset: its first value."""

    loop: Loop
    offset: int

    def __hash__(self) -> int:
        return hash((id(self.loop), self.offset))


@dataclass(frozen=True, repr=False)
class BatchSize(Value):
    """How many samples the current batch of a loop has, or entries ``of`` a tensor of it."""

    loop: Loop
    of: Value | None = None
    whole: bool = True

    def __hash__(self) -> int:
        return id(self.loop)


@dataclass(frozen=True, repr=False)
class TensorCount(Value):
    """How many tensors a batch is made of: len() of a tuple or dict."""


@dataclass(frozen=True, eq=False, repr=False)
class Entries(Value):
    """How many entries of a tensor of the current batch a mask keeps, of all or of all but some."""

    loop: Loop
    of: Value
    whole: bool


@dataclass(frozen=True, repr=False)
class Length(Value):
    """len() of something."""

    of: Value


@dataclass(frozen=True, repr=False)
class Expression(Value):
    """Arithmetic or a comparison of values that are only known by name."""

    operator: str
    left: Value
    right: Value


@dataclass(frozen=True, repr=False)
class Choice(Value):
    """One of several values: what a branch that was not decided leaves."""

    options: tuple[Value, ...]

    @property
    def batch(self) -> Loop | None:
        """The loop whose current batch one of the values is made of."""
        return next((b for one in self.options if (b := getattr(one, "batch", None))), None)


@dataclass(frozen=True, eq=False, repr=False)
class Tensor(Value):
    """A tensor that came out of layers: what was applied last, and where."""

    applied: str = ""  # "softmax", "linear", ...; "" unknown
    place: Place | None = None
    below: Tensor | None = None  # what log_softmax, softmax or log was applied to
    features: int | None = None
    dims: int | None = None
    batch: Loop | None = None
    grad: bool = True
    loss: str = ""  # "loss", "kl", "recon": unreduced values of a loss
    per: str = ""  # features: "sum" where they were summed up already
    focal: str = ""  # "p", "1 - p", or "weight" of a focal loss
    epsilon: float = 0.0  # what was added to it before a logarithm
    shifted: tuple[Value, ...] = ()  # the tensors whose first entries it leaves out
    ignores: bool = False  # unreduced values of a loss, 0 where a target is ignored

    def but(self, **changes: Any) -> Tensor:
        """Return the tensor with some things changed."""
        return replace(self, **changes)


@dataclass(frozen=True, eq=False, repr=False)
class Loss(Value):
    """A scalar that comes from a loss.

    ``scale`` is the power of the batch size that it grows with: 0 a mean, 1 a sum, None unknown;
    ``nominal`` whether it was multiplied by the loader's batch_size instead of the true one.
    """

    scale: int | None
    place: Place
    loop: Loop | None
    kind: str = "loss"
    features: str = ""  # "mean", "sum", or "" unknown
    grad: bool = True
    exp: bool = False
    nominal: bool = False
    mean_part: bool = False  # a mean, to which something unknown was added
    by_hand: bool = False  # multiplied by the size of the batch where it was added
    weighted: bool = False
    by_parts: bool = False  # multiplied by the number of tensors in a batch
    accumulated: Value | None = None  # the steps of accumulation that it was divided by
    over: tuple[tuple[Value, Place], ...] = ()
    padding: bool = False  # it leaves out targets that are ignored
    shifted: tuple[Value, ...] = ()  # the tensors whose first entries are no targets of it
    assumed: str = ""  # the name of what is unknown, and taken for a mean
    by_name: bool = False  # where nothing but the name says that it is a loss
    supposed: str = ""  # what a run must confirm of it: that it is a "loss", "sizes" of batches
    positive: bool = True
    carried: bool = False  # with what earlier rounds left: a moving average, or a mean by recursion
    backward: list[bool] = field(default_factory=list)
    summands: tuple[list[bool], ...] = ()  # the same of others that were added to it
    kept: bool = False  # in a list, with those of all other batches

    def but(self, **changes: Any) -> Loss:
        """Return the loss with some things changed."""
        return replace(self, **changes)


@dataclass(eq=False, repr=False)
class Total(Value):
    """A sum over the rounds of loops, the outermost first."""

    loops: tuple[Loop, ...]
    term: Value  # a Loss, a Const, a BatchSize, ...
    place: Place
    emptied: bool = False  # it may have been set to 0 in the loop
    start: Value | None = None
    under: tuple[tuple[int, bool], ...] = ()  # the branches in which it was added
    earlier: Loop | None = None  # of a counter: a loop that ended, which counted it up too


@dataclass(eq=False, repr=False)
class Mean(Value):
    """A total that was divided, in its own loop ``at`` a place that nothing was said of yet."""

    of: Total
    divisor: Value
    at: Place | None = None
    window: bool = False  # of the rounds since the last one was made
