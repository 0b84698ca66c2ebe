"""Numbers of single samples, which a loop inside a batch computes and adds up.

A line that runs once for each sample of a batch, in batches of unlike sizes, gives an amount that
adds up over samples: its sum is a sum over the batch, however the numbers are reduced themselves.
"""

from __future__ import annotations

import linecache
import re
from types import CodeType
from typing import NamedTuple

from torch import Tensor

Key = tuple[object, ...]
OF_PAIRS = re.compile(
    r"contrast|triplet|negativ|(?<![a-z])neg(?![a-z])|hard|pair|margin|info_?nce|xent|simil|cosine",
    re.IGNORECASE,
)
SAMPLES_LOOKED_AT = 3  # samples of a batch whose entries are looked at


class Part(NamedTuple):
    """A number of one batch that is a mean or a sum over it."""

    value: float
    size: int
    terms: int


class BySample:
    """What each line computed in the batch that is worked on, added up."""

    def __init__(self) -> None:
        self.now: dict[Key, Part] = {}  # sum, samples of the batch, times
        self.apart: dict[Key, bool] = {}  # whether lines whose entries are not as many are single

    def take(self, place: Key, code: CodeType, rows: int, value: float, entries: Tensor) -> Key:
        """Add a number, made of entries, to those of its line in this batch."""
        key = (*place, "each")
        before = self.now.get(key)
        if before is None:
            self.now[key] = Part(value, rows, 1)
        else:
            self.now[key] = Part(before.value + value, rows, before.terms + 1)
        looked = key not in self.apart and rows > 2 and self.now[key].terms <= SAMPLES_LOOKED_AT
        if looked and {rows, rows - 1}.isdisjoint(entries.shape) and not only_bits(entries):
            self.apart[key] = not OF_PAIRS.search(_source(code))
        return key

    def several(self) -> dict[Key, Part]:
        """Return the sums of the lines that can have run once for each sample."""
        return {key: part for key, part in self.now.items() if part.terms <= part.size}

    def ran(self, key: Key, parts: list[Part]) -> bool:
        """Whether a line ran once for each sample, in batches of unlike sizes."""
        whole = {part.size for part in parts if part.terms == part.size}
        return self.apart.get(key, False) and len(whole) > 1


def only_bits(entries: Tensor) -> bool:
    """Whether all entries are 0 and 1: of them a share of what is right is made."""
    return not entries.is_floating_point() or bool(((entries == 0) | (entries == 1)).all())


def _source(code: CodeType) -> str:
    lines = [line for *_, line in code.co_lines() if line]
    found = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 : max(lines, default=0)]
    return code.co_qualname + "".join(found)
