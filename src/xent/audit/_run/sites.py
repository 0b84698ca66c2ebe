"""What is kept of a run: sites of losses, their calls, passes over data, and facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from torch import Tensor

from xent.audit._run.frames import Location
from xent.audit._run.own.loops import DataLoop
from xent.audit._run.padding import Padding

FIRST_CALLS = 20  # calls of a site that are looked at in full
ONE_CALL_IN = 100  # and then one in so many
KEPT_PASSES = 32  # of a site


@dataclass(slots=True)
class LossCall:
    """One call of a loss: what it was given, and what it returned."""

    name: str
    options: Mapping[str, Any]  # every argument by its name
    result: Tensor
    reduction: str
    entered: list[Entered]  # ids that entered embeddings since the loss before
    padding: Padding = field(default_factory=Padding)
    by_ids: bool = False  # its padding was judged by the ids that entered

    @property
    def output(self) -> Tensor:
        """What the model gave: the first argument."""
        found: Tensor = self.options["input"]
        return found

    @property
    def target(self) -> Tensor:
        found: Tensor = self.options["target"]
        return found


@dataclass(slots=True)
class Entered:
    """Token ids that entered an embedding."""

    ids: Tensor
    padding: int | None


@dataclass(slots=True)
class Fact:
    """What one rule saw at one site."""

    looked: int = 0
    found: int = 0
    facts: dict[str, object] = field(default_factory=dict)
    seen: str = ""
    level: str | None = None

    def saw(self, found: bool) -> bool:
        """Count a call that was looked at; return whether it is one that the rule is about."""
        self.looked += 1
        self.found += found
        return found


@dataclass(slots=True)
class Round:
    """One iteration of a loader, or of a loop over batches, from its first batch to its last."""

    size: int | None = None  # the loader's batch_size
    samples: int | None = None  # that its sampler draws
    drops: bool = False
    ended: bool = False
    loop: DataLoop | None = None
    early: bool = False  # the loop was left before the loader came to its end
    made: bool = False  # no loader: a loop that makes its batches itself
    rows: int | None = None  # of the batch that was drawn last
    data: int = 0  # id of the loader's data set
    trains: bool = False  # a step was made in it
    partly: bool = False  # steps of it were passed over
    losses: bool = False  # it computed one of PyTorch's, whose sizes tell where a round begins

    @property
    def ragged(self) -> int:
        """How many samples the smaller last batch has; 0 where there is none."""
        if self.size is None or self.samples is None or self.drops or self.samples < self.size:
            return 0
        return self.samples % self.size


@dataclass(slots=True)
class Cell:
    """Batches of one size, whose means are over equally many terms."""

    batches: int = 0
    total: float = 0.0  # of the losses
    exponentials: float = 0.0
    roots: float = 0.0  # of those that are not negative
    unread: int = 0  # values that stayed on an accelerator


@dataclass(slots=True)
class Pass:
    """The calls of a site in one round: sums from which the averages follow."""

    round: Round | None
    grad: bool
    step: int
    callers: tuple[Location, ...] = ()
    cells: dict[tuple[int, int], Cell] = field(default_factory=dict)  # by size and terms
    size: int = 0  # of the last batch
    value: float | None = None  # its loss
    widest: int = 0
    partly: bool = False  # batches outside of rounds may have been passed over
    latest: int = 0  # steps of optimisers before its last batch
    printed: dict[Location, int] = field(default_factory=dict)  # calls of losses before each place
    shown_right: bool = False  # a number was printed that only what is right gives
    shown_wrong: bool = False

    @property
    def trains(self) -> bool:
        """Whether optimisers made steps between its batches."""
        return self.latest > self.step

    @property
    def is_whole(self) -> bool:
        """Whether no batch was passed over: those of steps are, and they have gradients."""
        in_part = self.grad and self.round is not None and self.round.partly
        return not (self.partly or in_part)

    def told(self) -> Pass | None:
        """Return it with the batches that were passed over, which the loader tells of."""
        if self.is_whole:
            return self
        of = self.round
        if of is None or of.size is None or of.samples is None:
            return None
        counts = {of.size: of.samples // of.size, of.ragged: 1}
        whole = Pass(of, self.grad, self.step, self.callers)
        for (size, terms), cell in self.cells.items():
            if size not in counts or len(self.sizes) < len(self.cells):
                return None
            more = counts[size] / cell.batches
            sums = cell.total * more, cell.exponentials * more, cell.roots * more
            whole.cells[size, terms] = Cell(counts[size], *sums, cell.unread)
        return whole

    @property
    def sizes(self) -> Counter[int]:
        """How many batches there were of each size."""
        found: Counter[int] = Counter()
        for (size, _), cell in self.cells.items():
            found[size] += cell.batches
        return found

    @property
    def terms(self) -> set[int]:
        """What the means were over."""
        return {terms for _, terms in self.cells}

    @property
    def whole(self) -> bool:
        """Whether it came to its end."""
        one = self.round
        return one is None or one.made or (one.ended and not one.early)


@dataclass(slots=True)
class Site:
    """A line that calls a loss."""

    name: str
    code: CodeType  # kept, so that its id stays its own
    place: Location
    callers: tuple[Location, ...]
    calls: int = 0
    looked: int = 0
    facts: dict[str, Fact] = field(default_factory=dict)
    passes: list[Pass] = field(default_factory=list)
    reductions: Counter[str] = field(default_factory=Counter)
    last: Pass | None = None
    counts: bool = False  # targets are class indices: the mean is over them
    ignores: bool = False  # some targets are ignored: the mean is over the others
    size: int = -1  # of the last batch
    with_grad: int = 0
    squeezed: bool = False  # an autoencoder: its targets are what it was given
    named: bool = True  # it is known for a loss, or its line calls it one
    ends: dict[int, set[int]] = field(default_factory=dict)  # of rows that come one by one

    def calls_from(self, wanted: Callable[[Location], bool]) -> bool:
        """Whether a call that led here stands at a place."""
        ways = {one.callers for one in self.passes} | {self.callers}
        return any(wanted(caller) for way in ways for caller in way)

    def fact(self, rule: str) -> Fact:
        """Return what a rule saw here."""
        if rule not in self.facts:
            self.facts[rule] = Fact()
        return self.facts[rule]
