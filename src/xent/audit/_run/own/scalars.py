"""Losses of a script's own arithmetic: numbers of a batch, and what they are made of.

A mean or sum over all entries of a tensor whose first axis follows the batch is a part, and so is
each loss of PyTorch's. A number that the script reads in the same batch (`item`, `float`) is a loss
of its own where it is the same combination of parts in every batch.
"""

from __future__ import annotations

import linecache
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, permutations
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from xent.audit._run.frames import Location, location, locations, of_user
from xent.audit._run.own.samples import BySample, Key, Part, only_bits
from xent.audit._run.rules.shown import OF_A_LOSS, OF_A_METRIC
from xent.audit._run.sites import Round, Site

if TYPE_CHECKING:
    import numpy as np

KEPT_BATCHES = 64  # of which the parts of a number are kept
MOST_IN_ONE = 6
MOST_TOGETHER = 4
TIMES_A_BATCH = 8  # that one line computes a number of a batch
ENTRIES_LOOKED_AT = 3  # batches whose entries are looked at, whether they are all 0 and 1
AS_FLOAT32 = 3e-6


class Watcher(Protocol):
    """Who knows the round that is worked on."""

    round: Round | None
    sampled: bool

    def in_a_round(self, frame: FrameType) -> bool:
        """Whether a frame works on a batch."""

    def follows(self, tensor: Tensor) -> bool:
        """Whether what is done with a tensor can be followed."""

    def add_to_pass(
        self, site: Site, user: FrameType, size: int, weight: int, value: float
    ) -> None:
        """Add a number of a batch to the pass of a line."""


@dataclass(slots=True)
class Own:
    """A line that computes or reads one number of each batch."""

    site: Site
    kind: str  # "mean" or "sum", or "" where it is read
    sizes: set[int] = field(default_factory=set)  # of batches, which its first axis followed
    ratio: int = 0  # entries of the first axis to one of the batch
    strays: bool = False  # the first axis did not follow the batch
    bits: bool = True  # all entries were 0 and 1: a share of what is right
    calls: int = 0
    ratios: set[tuple[Key, Key]] = field(default_factory=set)  # sums whose ratio it is
    trained: bool = False  # backward began from it
    value: float = 0.0
    batches: list[tuple[float, int, dict[Key, Part]]] = field(default_factory=list)
    of: Site | None = None  # a loss that its line computes several times in each batch
    judged: int = -1  # batches that were known when it was judged


class Scalars:
    """The numbers of the batch that is worked on, and the lines that they come from."""

    def __init__(self, observer: Watcher) -> None:
        self.observer = observer
        self.parts: dict[Key, Part] = {}
        self.samples = BySample()
        self.sources: dict[Key, Site | Own] = {}
        self.own: dict[Key, Own] = {}
        self.read_now: set[float] = set()  # numbers that were read in this batch
        self.roots: set[float] = set()  # from which backward began
        self.times: Counter[Key] = Counter()  # of each line, in this batch
        self.calls = 0
        self.codes: list[CodeType] = []  # kept, so that their ids stay their own

    def begins(self) -> None:
        """Forget the batch before."""
        if self.times:
            self.parts.clear()
            self.samples.now.clear()
            self.times.clear()
            self.read_now.clear()
            self.roots.clear()

    # ------------------------------------------------------------------ what is seen of a batch

    def loss(
        self, site: Site, user: FrameType, value: float, entries: Tensor, size: int, terms: int
    ) -> None:
        """Take a loss of PyTorch's, with its first argument."""
        self._each((id(site),), site, value, entries)
        key = self._numbered((id(site),))
        if key is None:
            return
        self.sources[key] = site
        self.parts[key] = Part(value, size, terms)
        if key[-1] == 2 and key not in self.own:
            self._one_of_several(site, user, (*key[:-1], 1))
        if key[-1] != 1 or key in self.own:
            self._one_of_several(site, user, key)

    def _one_of_several(self, site: Site, user: FrameType, key: Key) -> None:
        """Follow one head of several, whose losses one line computes."""
        own = self.own.get(key)
        if own is None:
            own = self.own[key] = Own(
                Site("own", site.code, site.place, site.callers), "", trained=True, of=site
            )
        part = self.parts[key]
        self._add(own, user, part.value, part.size, part.terms)

    def reduced(self, kind: str, entries: Tensor, result: Tensor, frame: FrameType) -> None:
        """Take a mean or a sum over all entries of a tensor."""
        if not self._follows(entries, result, frame):
            return
        user, one = of_user(frame), self.observer.round
        place = _place(user)
        key = self._numbered(place)
        if one is None:
            return
        own = self._own((*place, 1) if key is None else key, kind, user)
        if not one.made:
            self._each(place, own, _value(result), entries)
        if key is None:
            return
        first = entries.size(0)
        size = first if one.made else one.rows or 0
        ratio = first // size if size and not first % size else 0
        if not ratio or (own.ratio and own.ratio != ratio):
            own.strays = True
        if own.strays:
            return
        own.ratio = ratio
        own.sizes.add(size)
        own.calls += 1
        if own.bits and own.calls <= ENTRIES_LOOKED_AT:
            own.bits = only_bits(entries)
        own.value = value = _value(result)
        self.sources[key] = own
        self.parts[key] = Part(value, size, entries.numel())
        self._add(own, user, value, size, entries.numel())

    def _each(self, place: Key, source: Site | Own, value: float, entries: Tensor) -> None:
        one = self.observer.round
        if one is not None and one.rows and not one.made:
            code = source.code if isinstance(source, Site) else source.site.code
            self.sources[self.samples.take(place, code, one.rows, value, entries)] = source

    def read(self, result: Tensor, frame: FrameType) -> None:
        """Take a number that the script reads."""
        if not result.is_floating_point() or not self._follows(result, result, frame):
            return
        value = _value(result)
        if value in self.read_now:
            return
        self.read_now.add(value)
        if any(part.value == value for part in self.parts.values()):
            return
        user = of_user(frame)
        key = self._numbered((*_place(user), "read"))
        parts = self.samples.several() | self.parts
        if key is None or not parts:
            return
        own = self._own(key, "", user)
        one = self.observer.round
        size = (one.rows if one is not None else None) or next(iter(parts.values())).size
        own.value = value
        own.trained = own.trained or value in self.roots
        ratios = self._ratios(value)
        own.ratios = ratios if not own.batches else own.ratios & ratios
        terms = size
        if own.ratios:
            (_, divisor), *_ = own.ratios
            terms = round(self.parts[divisor].value)
        if len(own.batches) < KEPT_BATCHES:
            own.batches.append((value, size, parts))
        self._add(own, user, value, size, terms)

    def _ratios(self, value: float) -> set[tuple[Key, Key]]:
        """Return the pairs of sums whose ratio a number is: a mean over what a mask leaves."""
        sums = [
            (key, self.parts[key].value)
            for key, source in self.sources.items()
            if key in self.parts and isinstance(source, Own) and source.kind == "sum"
        ]
        return {
            (key, other)
            for (key, whole), (other, count) in permutations(sums[:MOST_IN_ONE], 2)
            if count >= 1 and not self._counts(key) and _alike(abs(value), abs(whole) / count)
        }

    def _counts(self, key: Key) -> bool:
        source = self.sources[key]
        return isinstance(source, Own) and source.bits

    def backward(self, value: float) -> None:
        """Take the number from which backward begins."""
        self.roots.add(value)
        for key in self.times:
            own = self.own.get(key)
            if own is not None and own.value == value:
                own.trained = True

    def _follows(self, entries: Tensor, result: Tensor, frame: FrameType) -> bool:
        """Whether a number is one of a batch that is looked at."""
        watcher = self.observer
        if not result.is_cpu or not entries.numel() or result.is_complex():
            return False
        if not watcher.in_a_round(frame) or not watcher.follows(result):
            return False
        return watcher.sampled or not torch.is_grad_enabled()

    def _numbered(self, key: Key) -> Key | None:
        """Tell what a line computes several times in one batch apart; None if it is too often."""
        one = self.observer.round
        if key in self.times and one is not None and one.made:
            self.begins()  # no loader says that the next batch begins
        self.times[key] += 1
        if self.times[key] > TIMES_A_BATCH:
            return None
        numbered = (*key, self.times[key])
        self.times[numbered] += 1
        return numbered

    def _own(self, key: Key, kind: str, user: FrameType) -> Own:
        own = self.own.get(key)
        if own is None:
            code = user.f_code
            place = location(code, user.f_lasti, user.f_lineno)
            own = self.own[key] = Own(Site("own", code, place, locations(user.f_back)), kind)
            self.codes += (code, *([user.f_back.f_code] if user.f_back is not None else []))
        return own

    def _add(self, own: Own, user: FrameType, value: float, size: int, terms: int) -> None:
        self.calls += 1
        self.observer.add_to_pass(own.site, user, size, terms, value)

    # ------------------------------------------------------------------ what it was

    def losses(self) -> Iterator[Site]:
        """Go over the lines whose numbers are no metrics, and means or sums over batches."""
        for own in self.own.values():
            if own.of is not None:
                own.site.reductions = own.of.reductions
                yield own.site
                continue
            known = len(own.batches) if not own.kind else own.calls
            if known != own.judged:
                own.judged = known
                kind = self._kind(own) if not own.kind else own.kind if _proven(own) else ""
                own.site.reductions = Counter([kind] if kind else [])
            speaks = _of_a_loss(own.site)
            own.site.named = own.trained or bool(speaks)
            if own.site.reductions and (own.trained or speaks is not False):
                yield own.site

    def parts_of(self, site: Site) -> list[Site]:
        """Return the losses of PyTorch's that were computed beside a number."""
        found = []
        for own in self.own.values():
            if own.site is site:
                found += [own.of] if own.of is not None else []
                for key in own.batches[0][2] if own.batches else ():
                    source = self.sources[key]
                    if isinstance(source, Site):
                        found.append(source)
                    elif key[-1] != "each":
                        found.append(source.site)
        return found

    def _kind(self, own: Own) -> str:
        """Return of what kind all the parts are whose combination a number is, or nothing."""
        batches = own.batches
        if len(batches) < 2 or {size for _, size, _ in batches} == {1}:
            return ""
        if own.ratios:
            return "mean" if len({size for _, size, _ in batches}) > 1 else ""
        means: dict[Key, list[float]] = {}
        sums: dict[Key, list[float]] = {}
        every = {
            key: [each[key] for *_, each in batches]
            for key in batches[0][2]
            if all(key in each for *_, each in batches)
        }
        by_sample = {key[:-1] for key, parts in every.items() if self.samples.ran(key, parts)}
        for key, parts in every.items():
            kind = _kind_of(self.sources[key])
            if key[-1] == "each":
                kind = "sum" if key[:-1] in by_sample else ""
            elif key[:-1] in by_sample or len({part.terms / part.size for part in parts}) > 1:
                continue
            if not kind:
                continue
            by_size = [part.value * part.size for part in parts]
            whole = [part.value for part in parts]
            means[key] = whole if kind == "mean" else [p.value / p.size for p in parts]
            sums[key] = whole if kind == "sum" else by_size
        if not 0 < len(means) <= MOST_IN_ONE:
            return ""
        values = [value for value, *_ in batches]
        if not all(map(math.isfinite, (*values, *(x for row in sums.values() for x in row)))):
            return ""
        even = len({size for _, size, _ in batches}) == 1
        for exact in (True, False):
            kinds = {
                kind: used
                for kind, columns in (("mean", means), ("sum", sums))
                if (
                    used := _exact(values, columns)
                    if exact
                    else _fitted(values, columns, even, kind)
                )
            }
            if len(kinds) == 1:
                ((kind, used),) = kinds.items()
                for key in used:
                    source = self.sources[key]
                    if isinstance(source, Own) and own.trained:
                        source.trained = True
                    own.trained = own.trained or isinstance(source, Site)
                return kind
            if kinds:
                return ""
        return ""


def _value(result: Tensor) -> float:
    with torch.no_grad():
        return float(ITEM(DETACH(result)))


ITEM: Any = Tensor.item  # as they were before the run
DETACH: Any = Tensor.detach


def _place(user: FrameType) -> Key:
    above = user.f_back
    caller = (id(above.f_code), above.f_lasti) if above is not None else ()
    return id(user.f_code), user.f_lasti, *caller


def _proven(own: Own) -> bool:
    """Whether the first axis followed batches of unlike sizes; shares of right answers do not."""
    return not own.strays and not own.bits and len(own.sizes) > 1


def _kind_of(source: Site | Own) -> str:
    if isinstance(source, Own):
        return source.kind if _proven(source) else ""
    kinds = list(source.reductions)
    return kinds[0] if len(kinds) == 1 and kinds[0] in ("mean", "sum") else ""


def _of_a_loss(site: Site) -> bool | None:
    """Whether a line, its function or its caller speaks of a loss; False if of a metric."""
    here = f"{_code(site.place)} {site.place.function}"
    if OF_A_METRIC.search(here):
        return False
    return bool(OF_A_LOSS.search(here + " ".join(map(_code, site.callers[:1])))) or None


def _code(place: Location) -> str:
    return "".join(linecache.getlines(place.file)[place.line - 1 : place.last])


def _exact(values: list[float], columns: dict[Key, list[float]]) -> tuple[Key, ...]:
    """Return the parts whose sum the values are, or minus it."""
    for count in range(1, min(len(columns), MOST_TOGETHER) + 1):
        for keys in combinations(columns, count):
            added = [sum(row) for row in zip(*(columns[key] for key in keys), strict=True)]
            for sign in (1, -1):
                if all(_alike(value, sign * one) for value, one in zip(values, added, strict=True)):
                    return keys
    return ()


def _alike(value: float, one: float) -> bool:
    return abs(value - one) <= AS_FLOAT32 * max(abs(value), abs(one))


def _fitted(
    values: list[float], columns: dict[Key, list[float]], even: bool, kind: str
) -> tuple[Key, ...]:
    """Return the parts of which the values are one combination, by weights that stay the same.

    There are more batches than weights, so that it is no chance. Where all batches have one size,
    a mean cannot be told from a sum by that: then one part stands as it is.
    """
    import numpy as np

    wanted = np.array(values)
    for count in range(1, min(len(columns), MOST_TOGETHER) + 1):
        for constant in (False, True):
            if count + constant >= len(values) or (constant and kind == "sum"):
                continue
            for keys in combinations(columns, count):
                if _combine(wanted, [columns[key] for key in keys], constant, even):
                    return keys
    return ()


def _combine(
    wanted: np.ndarray[Any, Any], columns: list[list[float]], constant: bool, even: bool
) -> bool:
    import numpy as np

    matrix = np.array([*columns, *([[1.0] * len(wanted)] if constant else [])]).T
    weights, _, rank, _ = np.linalg.lstsq(matrix, wanted, rcond=1e-9)
    if rank < matrix.shape[1] or not np.isfinite(weights).all():
        return False
    off = np.abs(matrix @ weights - wanted)
    if (off > AS_FLOAT32 * np.abs(matrix * weights).max(axis=1)).any():
        return False
    of_parts = np.abs(weights[: len(columns)])
    return not even or bool((np.abs(of_parts - 1) < 1e-4).any())
