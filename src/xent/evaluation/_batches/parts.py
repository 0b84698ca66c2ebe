"""Batches measured in the tasks of an executor, and merged in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol, Self

from xent import _check

Batch = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
HANDED_OUT = 64  # batches that are with an executor at once


class Whole(Protocol):
    """What adds up batches and others of its kind: an `Accumulator`."""

    state: Any
    kept: Any

    @property
    def seen(self) -> int:
        """How many rows have come."""

    def empty(self) -> Self:
        """Return one with the same settings and no rows."""

    def update(self, *args: Any, **kwargs: Any) -> Any:
        """Add a batch."""

    def merge(self, other: Self) -> Any:
        """Add another."""


def update_each(whole: Whole, batches: Iterable[Batch], executor: Executor | None) -> None:
    """Add batches to an accumulator; where they are measured elsewhere, merge what comes back."""
    if executor is None:
        for batch in batches:
            whole.update(**arguments_of(batch))
        return
    empty, left = whole.empty(), iter(batches)
    running: deque[Future[tuple[Whole, bool]]] = deque()
    try:
        while True:
            for batch in islice(left, HANDED_OUT - len(running)):
                running.append(executor.submit(measured_batch, empty, batch))
            if not running:
                return
            found, numbered = running.popleft().result()
            if not numbered:
                shift(found, whole.seen)
            whole.merge(found)
    finally:
        for future in running:
            future.cancel()


def measured_batch(empty: Whole, batch: Batch) -> tuple[Whole, bool]:
    """Measure a batch, and say whether its rows came with their numbers."""
    said = arguments_of(batch)
    one = empty.empty()
    one.update(**said)
    return one, said.get("first_row") is not None


def arguments_of(batch: Batch) -> dict[str, Any]:
    """Return the arguments of `Accumulator.update` that a batch is, or makes."""
    said = batch() if callable(batch) else batch
    if not isinstance(said, Mapping):
        must = "hold mappings of the arguments of `update`, or callables that return one"
        raise _check.wrong_kind("batches", must, _check.a(said))
    return dict(said)


def shift(part: Whole, first: int) -> None:
    """Give the rows of a part the numbers that follow those of so many others."""
    if part.state is not None:
        worst = part.state.tally.worst
        worst.rows = [replace(row, number=row.number + first) for row in worst.rows]
    if part.kept is not None:
        part.kept.held = [
            replace(batch, given=replace(batch.given, first=batch.given.first + first))
            for batch in part.kept.held
        ]
