"""Exact sums: limbs where numbers are of a usual size, whole numbers of any length where not."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._kernels.predictions.figures import SPARE
from xent._kernels.predictions.sums import (
    CHUNK,
    FIRST_LIMB,
    LIMB_BITS,
    LIMBS,
    MORE_LIMBS,
    ROOM,
    add_all,
    carry,
    multiply,
    scatter,
)

SMALLEST = 1200  # `beyond` counts 2**-1200: every float64 is a whole number of them
HUGE = 1e300  # above which a product has no second half, and no sum
ADDED_SINGLY = 32  # numbers that are added one by one
_HALF = 26  # bits of the lower part of a mantissa
_HIGHEST = 1 << 60  # of a first limb, before it goes beyond

Numbers = NDArray[np.float64]
Slots = NDArray[np.int64]


class Sums:
    """So many sums, each exact, whatever comes in whatever order.

    Parameters
    ----------
    size : int
        How many.
    limbs : int
        Of each: `LIMBS` for `scatter`, `MORE_LIMBS` for `add`.
    """

    def __init__(self, size: int, limbs: int = LIMBS) -> None:
        self.limbs: NDArray[np.int64] = np.zeros((size, limbs), np.int64)
        self.beyond: dict[int, int] = {}
        self._since = 0  # numbers since the last carry

    def make_room(self, rows: int, size: int = 0) -> None:
        """Carry if so many more numbers might not fit, and grow to ``size`` sums."""
        if size > len(self.limbs):
            shape = max(size, 2 * len(self.limbs)), self.limbs.shape[1]
            grown = np.zeros(shape, np.int64)
            grown[: len(self.limbs)] = self.limbs
            self.limbs = grown
        self._since += rows
        if self._since > ROOM:
            self.carry()
            self._since = rows

    def carry(self) -> None:
        """Bring the limbs into their one form."""
        carry(self.limbs)
        for slot in np.flatnonzero(np.abs(self.limbs[:, 0]) >= _HIGHEST).tolist():
            self.add_whole(slot, int(self.limbs[slot, 0]) << (SMALLEST - FIRST_LIMB))
            self.limbs[slot, 0] = 0

    def scatter(self, slots: Slots, values: Numbers, rows: int, left: Numbers) -> None:
        """Add the first of some finite values, which have `SPARE` more, to their slots."""
        self.make_room(rows)
        if scatter(slots, values, rows, self.limbs, work_room(), left):
            self.add_left(slots[:rows], left[:rows])

    def add(self, slot: int, values: Numbers, rows: int, left: Numbers) -> None:
        """Add the first of some finite values, which have `SPARE` more, to one slot."""
        self.make_room(rows)
        if add_all(values, rows, self.limbs[slot], left):
            self.add_left(np.full(rows, slot), left[:rows])

    def add_left(self, slots: Slots, left: Numbers) -> None:
        """Add what does not fit the limbs, to the last bit."""
        some = np.flatnonzero(left)
        if some.size < ADDED_SINGLY:
            for slot, value in zip(slots[some].tolist(), left[some].tolist(), strict=True):
                above, below = value.as_integer_ratio()
                self.add_whole(slot, above << (SMALLEST + 1 - below.bit_length()))
            return
        mantissa, exponent = np.frexp(left[some])
        whole = np.ldexp(mantissa, 53).astype(np.int64)
        high = whole >> _HALF
        low = whole - (high << _HALF)
        key = slots[some] * 4096 + exponent + 2048
        found, place = np.unique(key, return_inverse=True)
        sums = [np.zeros(found.size, np.int64) for _ in range(2)]
        for total, part in zip(sums, (high, low), strict=True):
            np.add.at(total, place, part)
        for k, a, b in zip(found.tolist(), *(total.tolist() for total in sums), strict=True):
            slot, power = k // 4096, k % 4096 - 2048
            self.add_whole(slot, ((a << _HALF) + b) << (power - 53 + SMALLEST))

    def add_whole(self, slot: int, amount: int) -> None:
        """Add a whole number of 2**-`SMALLEST`."""
        total = self.beyond.get(slot, 0) + amount
        if total:
            self.beyond[slot] = total
        else:
            self.beyond.pop(slot, None)

    def merge(self, other: "Sums", places: Slots | None = None) -> None:
        """Add the sums of another, slot for slot, or each to a place of its own."""
        self.carry()
        other.carry()
        if places is None:
            self.limbs[: len(other.limbs)] += other.limbs
        else:
            for at in range(0, len(places), ROOM):  # which may be alike
                some = slice(at, min(at + ROOM, len(places)))
                np.add.at(self.limbs, places[some], other.limbs[some])
                carry(self.limbs)
        for slot, amount in other.beyond.items():
            self.add_whole(slot if places is None else int(places[slot]), amount)
        self.carry()

    @property
    def _shift(self) -> int:
        """How much smaller 2**-`SMALLEST` is than what the last limb counts, as a power of 2."""
        return SMALLEST - FIRST_LIMB - LIMB_BITS * (int(self.limbs.shape[1]) - 1)

    def chosen(self, slots: Slots) -> "Sums":
        """Return some of the sums, in this order."""
        self.carry()
        out = Sums(len(slots), int(self.limbs.shape[1]))
        out.limbs[:] = self.limbs[slots]
        if self.beyond:
            found = {slot: i for i, slot in enumerate(slots.tolist())}
            out.beyond = {found[s]: amount for s, amount in self.beyond.items() if s in found}
        return out

    def whole(self, slot: int) -> int:
        """Return a sum as a whole number of 2**-`SMALLEST`."""
        total = 0
        for limb in self.limbs[slot]:
            total = (total << LIMB_BITS) + int(limb)
        found: int = (total << self._shift) + self.beyond.get(slot, 0)
        return found

    def canonical(self, slot: int) -> tuple[list[int], int]:
        """Return a sum as limbs in their one form and, of 2**-`SMALLEST`, what does not fit."""
        whole = self.whole(slot)
        above, rest = divmod(whole, 1 << self._shift)
        count = int(self.limbs.shape[1])
        if not 0 <= above < _HIGHEST << LIMB_BITS * (count - 1):
            return [0] * count, whole
        limbs = []
        for _ in range(count - 1):
            above, low = divmod(above, 1 << LIMB_BITS)
            limbs.append(low)
        return [above, *reversed(limbs)], rest

    def total(self, slots: Any = None) -> int:
        """Return what several slots, all where not said, sum up to, as `whole`."""
        limbs = self.limbs if slots is None else self.limbs[slots]
        total = 0
        for k in range(limbs.shape[1]):
            high = limbs[:, k] >> _HALF  # in two, so that many of them fit
            low = limbs[:, k] - (high << _HALF)
            total = (total << LIMB_BITS) + (int(high.sum()) << _HALF) + int(low.sum())
        some = range(len(self.limbs)) if slots is None else slots
        beyond = sum(amount for slot, amount in self.beyond.items() if slot in some)
        return (total << self._shift) + beyond

    def values(self, count: int | None = None) -> Numbers:
        """Return the first sums, all where not said, none negative, to a unit of the last place."""
        self.carry()
        limbs = self.limbs[:count]
        out = np.zeros(len(limbs))
        for k in range(limbs.shape[1] - 1, -1, -1):
            out += limbs[:, k] * 2.0 ** (-FIRST_LIMB - LIMB_BITS * k)
        for slot in self.beyond:
            out[slot] = ratio(self.whole(slot), 1 << SMALLEST)
        return out


def ratio(above: int, below: int) -> float:
    """Return a quotient of whole numbers, rounded once; inf where it is too large."""
    try:
        return above / below
    except OverflowError:
        return math.inf if above > 0 else -math.inf


def exact_sum(values: Numbers) -> float:
    """Return the sum of numbers from 0 on, rounded once."""
    power = max(0, int(np.frexp(values.max(initial=0.0))[1]))
    total = Sums(1, MORE_LIMBS)
    for at in range(0, len(values), ROOM):
        some = with_spare(values[at : at + ROOM] * 2.0**-power)  # below 1: nothing is left
        total.add(0, some, len(some) - SPARE, np.empty_like(some))
    return ratio(total.whole(0) << power, 1 << SMALLEST)


def padded(rows: int, like: Any = np.float64) -> NDArray[Any]:
    """Return an array for so many rows, with what kernels read beyond."""
    return np.zeros(rows + SPARE, like)


def times(x: Numbers, y: Numbers, rows: int) -> Numbers:
    """Return the first products of x and y, rounded."""
    out = padded(rows)
    with np.errstate(over="ignore"):  # infinite, and counted so
        np.multiply(x[:rows], y[:rows], out=out[:rows])
    return out


def products(x: Numbers, y: Numbers, rows: int) -> tuple[Numbers, Numbers]:
    """Return the first products of x and y exactly, as two numbers each: 0 and 0 above `HUGE`."""
    high, low = padded(rows), padded(rows)
    multiply(x, y, rows, high, low)
    if high[:rows].max(initial=0.0) > HUGE:
        above = high > HUGE
        high[above] = low[above] = 0.0
    return high, low


def with_spare(values: NDArray[Any]) -> NDArray[Any]:
    """Return a copy that has what kernels read beyond."""
    out = padded(len(values), values.dtype)
    out[: len(values)] = values
    return out


def work_room() -> NDArray[np.int64]:
    """Return what kernels cut numbers in."""
    return np.empty((6, CHUNK), np.int64)
