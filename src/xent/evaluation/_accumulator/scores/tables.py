"""Tables in which rows are counted by cells, those of all columns side by side."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_IN_FINEST = 1 << 24  # rows up to which cells are the finest: of more each weighs less
PARTS_IN_FINEST = 64  # of a table, from the first to the last with a row: so memory has a bound


@dataclass(frozen=True)
class CellLayout:
    """How wide cells are, and how an entry of a table is laid out.

    Parameters
    ----------
    coarser : int
        Cells are 2^coarser times as wide as the finest.
    bits : int
        Of an entry: 8, of which 5 count all rows of a cell and 3 those that are yes; 16, of 10 and
        6; or 32, of 20 and 12.
    """

    coarser: int
    bits: int

    @property
    def dtype(self) -> Any:
        """The type of an entry."""
        return np.dtype(f"uint{self.bits}")

    @property
    def row_bits(self) -> int:
        """How many bits of an entry, the lower ones, count all rows of a cell."""
        return self.bits * 5 // 8

    @property
    def yes_bits(self) -> int:
        """How many bits of an entry, the upper ones, count those that are yes."""
        return self.bits - self.row_bits


def layout_for(rows: int, parts: int, columns: int) -> CellLayout:
    """Return the layout for so many rows that lie in so many parts: of more it is no finer.

    The cells of several columns are wider than those of one, and soon fill the smallest entries.
    """
    far = rows > MOST_IN_FINEST
    coarser = (1 if parts > PARTS_IN_FINEST else 0) + (2 if far else 0)
    return CellLayout(coarser, 32 if far else 16 if columns > 1 else 8)


class CellTables:
    """Tables of one size, one for each of so many columns, made when the first is wanted.

    They are cut into parts: first stand the first parts of all columns, then the second ones. Most
    rows lie in few parts, and what no row touches takes no memory.

    Parameters
    ----------
    columns : int
        How many there are.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.members: list[Any] = []  # `ScoreCells` whose rows are counted here
        self.reach = (1 << 62, -1)  # the first and the last part with a row
        self.begin(layout_for(0, 0, columns))

    def begin(self, layout: CellLayout) -> None:
        """Count in tables of this layout from now on, which are empty."""
        self.layout = layout
        self.table: NDArray[Any] = np.zeros(0, layout.dtype)
        self.parts: NDArray[Any] = np.zeros((0, self.columns, 1), layout.dtype)

    def of_size(self, parts: int, part: int) -> None:
        """Make the tables if there are none, each of so many parts of so many cells."""
        if not self.table.size:
            self.table = np.zeros(parts * self.columns * part, self.layout.dtype)
            self.parts = self.table.reshape(parts, self.columns, part)

    def reach_out(self, low: int, high: int) -> None:
        """Remember that these parts hold rows; go on in wider cells where they are many."""
        if low <= high:
            self.reach = min(self.reach[0], low), max(self.reach[1], high)
        rows = max((member.rows for member in self.members), default=0)
        layout = layout_for(rows, self.reach[1] - self.reach[0] + 1, self.columns)
        if layout.coarser > self.layout.coarser:
            before = CellTables.__new__(CellTables)  # no copy, which would be of all entries
            before.__dict__.update(self.__dict__)
            self.begin(layout)
            for member in self.members:
                member.move(before)

    def __getstate__(self) -> dict[str, Any]:
        near = range(self.reach[0], min(self.reach[1] + 1, len(self.parts)))
        some = np.array([k for k in near if self.parts[k].any()], np.int64)
        state = self.__dict__ | {"table": None, "parts": self.parts[some]}
        return state | {"some": some, "size": self.parts.shape}

    def __setstate__(self, state: dict[str, Any]) -> None:
        parts, _, part = size = state.pop("size")
        some, held = state.pop("some"), state["parts"]
        self.__dict__.update(state)
        self.begin(self.layout)
        if size[0]:
            self.of_size(parts, part)
            self.parts[some] = held
