"""What a run knows of padding: rows that were filled up, and lengths that the script has of them.

`pad_sequence` and `pack_padded_sequence` say how long the rows are. So does a batch that holds
lengths or a mask beside its rows. A batch is looked at only when a loss asks for it.
"""

from __future__ import annotations

import weakref
from collections import UserDict, deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor

KEPT_LENGTHS = 8  # of each kind
MOST_FILLED = 4096
FEWEST = 4  # steps of padding that are more than chance
CUTS = (0, 1, -1, 2, -2)  # steps of a start and an end that lengths may count or not


class Ends(NamedTuple):
    """How rows (B, T, ...) end in padding."""

    lengths: Tensor  # (B,)
    pad: float
    sure: bool  # the script filled them up, or knows the lengths


class Padding:
    """The rows that were padded lately, and the batch that is worked on."""

    def __init__(self) -> None:
        self.filled: deque[tuple[tuple[int, ...], float]] = deque(maxlen=KEPT_LENGTHS)
        self.packed: deque[tuple[int, ...]] = deque(maxlen=KEPT_LENGTHS)
        self.ids: set[float] = set()  # of padding, by embeddings
        self.batch: list[weakref.ref[Tensor]] = []

    def fills(
        self,
        sequences: object,
        batch_first: bool = False,
        padding_value: float = 0.0,
        padding_side: str = "right",
    ) -> None:
        """Take rows that `pad_sequence` fills up."""
        if isinstance(sequences, Sequence) and 1 < len(sequences) <= MOST_FILLED:
            lengths = tuple(map(len, sequences))
            if len(set(lengths)) > 1 and padding_side == "right":
                self.filled.append((lengths, float(padding_value)))

    def packs(self, input: Tensor, lengths: object, *rest: object, **options: object) -> None:
        """Take lengths of rows that are packed."""
        given = lengths.tolist() if isinstance(lengths, Tensor) else lengths
        if isinstance(given, Sequence) and len(set(given)) > 1:
            self.packed.append(tuple(map(int, given)))

    def drawn(self, batch: Any) -> None:
        """Take a batch that a loader gives."""
        self.batch = [weakref.ref(one) for one in _tensors(batch)]

    def embeds(self, ids: Tensor) -> None:
        """Take the ids that entered an embedding: what ends their rows is padding."""
        for rows in (ids, ids.T):
            found = trailing(rows)
            if found is not None:
                self.ids.add(found[1])

    def tensors(self) -> list[Tensor]:
        """Return what is left of the batch."""
        return [one for ref in self.batch if (one := ref()) is not None]

    def ends(self, rows: Tensor) -> Ends | None:
        """Return how rows (B, T, ...) end, if they do in padding."""
        if rows.dim() < 2 or rows.size(0) < 2 or rows.size(1) < 3 or not rows.numel():
            return None
        for lengths, value in self._lengths(rows.size(0)):
            for cut in CUTS:
                wanted = torch.tensor(lengths, device=rows.device) - cut
                if value is not None and int(wanted.max()) != rows.size(1):
                    continue
                pad = _beyond(rows, wanted)
                if pad is not None and (value is None or value == pad):
                    return Ends(wanted, pad, True)
        found = trailing(rows)
        return Ends(*found, False) if found is not None else None

    def sizes(self) -> set[int]:
        """Return how many rows there were at once."""
        of_batch = {size for one in self.tensors() if one.dim() == 2 for size in one.shape}
        return of_batch | {len(one) for one in self.lengths()}

    def lengths(self) -> list[tuple[int, ...]]:
        """Return the lengths of the rows that were filled up or packed lately."""
        return [*(lengths for lengths, _ in self.filled), *self.packed]

    def _lengths(self, rows: int) -> Iterator[tuple[tuple[int, ...], float | None]]:
        """Go over the lengths of so many rows that the script has, with the padding if known."""
        yield from (one for one in self.filled if len(one[0]) == rows)
        yield from ((one, None) for one in self.packed if len(one) == rows)
        for one in self.tensors():
            if one.dim() == 1 and len(one) == rows and not one.is_floating_point():
                yield tuple(map(int, one.tolist())), None
            elif one.dim() == 2 and one.size(0) == rows and _is_mask(one):
                yield tuple(map(int, one.sum(1).tolist())), None


def trailing(rows: Tensor) -> tuple[Tensor, float] | None:
    """Return the lengths of rows that end in steps of one value, and that value.

    They are unlike, no step before an end is all of this value, and half of the rows end so.
    """
    if rows.size(0) < 2 or rows.size(1) < 3:
        return None
    pad = rows[:, -1].flatten().mode().values
    filled = _all_of(rows, pad)
    run = filled.flip(1).long().cumprod(1).sum(1)
    within = {one % rows.size(1) for one in run.tolist()}  # a row of nothing else counts as whole
    few = int(run.max()) < 2 or len(within) < 2 or 2 * int((run > 0).sum()) < len(run)
    if few or int(filled.sum()) != int(run.sum()):
        return None
    return rows.size(1) - run, float(pad)


def _beyond(rows: Tensor, lengths: Tensor) -> float | None:
    """Return the one value that stands beyond lengths, and not before the ends."""
    steps = torch.arange(rows.size(1), device=rows.device)
    beyond = steps >= lengths[:, None]
    if int(beyond.any(1).sum()) < 2 or int(beyond.sum()) < FEWEST or int(lengths.min()) < 0:
        return None
    pad = rows[beyond].flatten()[0]
    filled = _all_of(rows, pad)
    last, inside = steps == lengths[:, None] - 1, filled & ~beyond
    few = 2 * int(last.sum()) < len(rows) or 2 * int(filled[last].sum()) > int(last.sum())
    if few or not bool(filled[beyond].all()) or 2 * int(inside.sum()) > int((~beyond).sum()):
        return None
    return float(pad)


def _all_of(rows: Tensor, value: Tensor) -> Tensor:
    """Return (B, T): where a step is one value in all that it has."""
    return (rows.detach().flatten(2) == value).all(2) if rows.dim() > 2 else rows == value


def _is_mask(rows: Tensor) -> bool:
    """Whether each row is ones and then zeros."""
    bits = rows.long()
    if bool(((rows != 0) & (rows != 1)).any()) or not bool(bits[:, 0].all()):
        return False
    return bool((bits[:, 1:] <= bits[:, :-1]).all())


def _tensors(batch: Any, deep: int = 3) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        yield batch
    elif deep and isinstance(batch, dict | UserDict | list | tuple):
        parts = batch if isinstance(batch, list | tuple) else batch.values()
        for one in islice(parts, KEPT_LENGTHS):
            yield from _tensors(one, deep - 1)
