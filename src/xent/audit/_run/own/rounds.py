"""Rounds over data: of a loader, or of a loop that cuts its batches itself."""

from __future__ import annotations

from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from torch import Tensor

from xent.audit._run.frames import Location, location, of_user
from xent.audit._run.own.loops import iterating, over_data
from xent.audit._run.padding import Padding
from xent.audit._run.sites import KEPT_PASSES, Round

if TYPE_CHECKING:
    from xent.audit._run.own.scalars import Scalars


def rows_of(batch: Any, deep: int = 2) -> int | None:
    """Return how many rows the first tensor of a batch has."""
    if isinstance(batch, Tensor):
        return batch.size(0) if batch.dim() else None
    parts = batch.values() if isinstance(batch, dict) else batch
    if deep and isinstance(batch, dict | list | tuple):
        return next((rows for one in parts if (rows := rows_of(one, deep - 1)) is not None), None)
    return None


class Rounds:
    """The round that is worked on, and those that were."""

    def __init__(self, scalars: Scalars) -> None:
        self.scalars = scalars
        self.padding = Padding()
        self.round: Round | None = None
        self.rounds: dict[tuple[int, int], tuple[Location, list[Round]]] = {}  # by their loops
        self.calls = 0  # of losses
        self.calls_before_end = -1  # of a round, the latest that ended
        self.sampled = True  # this step is looked at; of the others only what has another shape
        self.only_counted = 0  # the next steps of the latest optimiser that are not looked at
        self.passes = 0  # losses of this step that may still be passed over
        self.of_step = 0  # losses with a graph that it has had, where it is looked at
        self.codes: list[CodeType] = []  # kept, so that their ids stay their own

    def begins(self, one: Round, frame: FrameType) -> None:
        """Take note of a loader that is iterated anew, and of the loop that does it."""
        user = of_user(frame)
        one.loop = iterating(user.f_code, user.f_lineno)
        key = id(user.f_code), user.f_lasti
        if key not in self.rounds:
            self.codes.append(user.f_code)
            self.rounds[key] = location(user.f_code, user.f_lasti, user.f_lineno), []
        kept = self.rounds[key][1]
        if not any(each.trains and each.data == one.data for each in kept):
            self.sampled, self.passes = True, 0  # until a step is made: it may be an evaluation
        one.partly = not self.sampled
        self.of_step = self.only_counted = 0
        if len(kept) < KEPT_PASSES:
            kept.append(one)

    def ends(self, one: Round) -> None:
        """Take note of a loader that has no batch left."""
        one.ended = True
        self.of_step = 0
        self.calls_before_end = self.calls + self.scalars.calls
        self.scalars.begins()

    def drawn(self, one: Round, batch: Any) -> None:
        """Take note of a batch that a loader gives."""
        self.round, one.rows = one, rows_of(batch)
        self.padding.drawn(batch)
        self.scalars.begins()

    def in_a_round(self, frame: FrameType) -> bool:
        """Whether a frame works on a batch; a loop that was left is ended."""
        if self.round is None or self.round.made:
            self.find_loop(of_user(frame))
        else:
            self.leave_behind(frame)
        return self.round is not None

    def find_loop(self, frame: FrameType | None) -> None:
        """See which loop over batches a frame is in, where no loader says it."""
        self.leave_behind(frame)
        if self.round is None:
            loop = over_data(frame)
            if loop is not None:
                self.round = Round(made=True, loop=loop, partly=not self.sampled)

    def leave_behind(self, frame: FrameType | None) -> None:
        """End a round whose loop a frame has left."""
        one = self.round
        if one is not None and one.loop is not None and one.loop.left(frame):
            one.early = True
            self.ends(one)
            self.round = None
