"""What a back-off model can be asked, whatever its arrays look like: exact or compact."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xent.language._backoff.exact import Automaton, Ngrams

F64 = NDArray[np.float64]
U32 = NDArray[np.uint32]


class BackoffModel(Protocol):
    """A back-off model as arrays: node 0 is the empty history, level after level follows."""

    @property
    def order(self) -> int:
        """The longest n-gram."""

    @property
    def firsts(self) -> NDArray[np.int64]:
        """The node with which each level begins; one more for the end."""

    @property
    def rows(self) -> list[Ngrams]:
        """The n-grams of each order."""

    @property
    def states(self) -> list[U32]:
        """The state that each node leads to: itself where it has followers, else its suffix's."""

    @property
    def automaton(self) -> Automaton:
        """The hash table and the state arrays that the scoring kernels read."""

    @property
    def begin(self) -> int:
        """The state after ``<s>``."""

    def prepare(self) -> None:
        """Build once what scoring needs, before several threads ask for it."""

    def score(
        self,
        ids: U32,
        starts: NDArray[np.int64],
        *,
        lengths: bool = False,
        threads: int | None = None,
    ) -> tuple[F64, NDArray[np.int8]]:
        """Score sentences; return each token's log-probability and the length of its n-gram."""

    def after(self, history: list[int], alpha: float | None = None) -> F64:
        """Return the probability of every word after a history."""
