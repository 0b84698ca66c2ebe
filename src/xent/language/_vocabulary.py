"""The words of a model: bytes one after the other, and a hash table that finds them again.

Ids 0, 1 and 2 are ``<unk>``, ``<s>`` and ``</s>``; the others follow in the order in which the
words were first met, so that shards read one after the other number them as one reader would.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.language._kernels import text as kernels

SPECIAL = ("<unk>", "<s>", "</s>")
UNKNOWN_NAMES = ("<unk>", "<UNK>")  # both are read as the first, as KenLM does
UNKNOWN, BEGIN, END = 0, 1, 2
WITHOUT_UNKNOWN = ("closed", "removed")  # values of unknown= for which unseen words are no events


class Vocabulary:
    """Words and their ids."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self.blob = np.zeros(1 << 12, np.uint8)
        self.starts = np.zeros(1 << 8, np.int64)
        self.size = 0
        self._rehash(1 << 10)
        self._index: dict[str, int] | None = None
        for word in SPECIAL:
            self.add(word)
        for word in words:
            self.add(word)

    def __len__(self) -> int:
        return self.size

    def __getstate__(self) -> dict[str, Any]:
        return {"blob": self.blob[: self.starts[self.size]], "starts": self.starts[: self.size + 1]}

    def __setstate__(self, state: dict[str, NDArray[Any]]) -> None:
        self.blob = state["blob"]
        if "lengths" in state:
            ends = np.cumsum(state["lengths"], dtype=np.int64)
            self.starts = np.concatenate([np.zeros(1, np.int64), ends])
        else:
            self.starts = state["starts"]
        self.size = len(self.starts) - 1
        self._index = None
        if "table" in state:  # another version of xent may have hashed to "keys"
            self.keys, self.slots = state["table"], state["slots"]
        else:
            self._rehash(1 << max(10, (4 * self.size).bit_length()))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything, ready to be stored and mapped again."""
        return {**self.__getstate__(), "table": self.keys, "slots": self.slots}

    def packed(self) -> dict[str, NDArray[Any]]:
        """Everything in little room: the hash table is made anew in no time."""
        lengths = np.diff(self.starts[: self.size + 1])
        small = lengths.astype(np.min_scalar_type(int(lengths.max())))
        return {"blob": self.blob[: self.starts[self.size]], "lengths": small}

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]]) -> "Vocabulary":
        """Take what `arrays` or `packed` gave, without copying it."""
        self = cls.__new__(cls)
        self.__setstate__(arrays)
        return self

    def _rehash(self, capacity: int) -> None:
        self.keys = np.zeros(capacity, np.uint64)
        self.slots = np.zeros(capacity, np.uint32)
        kernels.insert_words(self.blob, self.starts, 0, self.size, self.keys, self.slots)
        # The other name of <unk> leads to it, but where an older file has it as a word.
        other = np.frombuffer(UNKNOWN_NAMES[1].encode(), np.uint8)
        kernels.insert_words(other, np.array([0, len(other)]), 0, 1, self.keys, self.slots)

    def _room(self, length: int) -> None:
        """Make room for one more word of ``length`` bytes, and for many others."""
        if 2 * (self.size + 1) >= len(self.keys):
            self._rehash(4 * len(self.keys))
        if self.size + 2 >= len(self.starts):
            self.starts = np.concatenate([self.starts, np.zeros(len(self.starts) + 2, np.int64)])
        missing = int(self.starts[self.size]) + length - len(self.blob)
        if missing >= 0:
            more = np.zeros(max(missing, len(self.blob)) + 1, np.uint8)
            self.blob = np.concatenate([self.blob, more])

    def add(self, word: str) -> int:
        """Return the id of a word, a new one where it is new."""
        index = self.index
        if word == UNKNOWN_NAMES[1] and word not in index:
            return UNKNOWN
        if word not in index:
            letters = np.frombuffer(word.encode("utf-8", "surrogateescape"), np.uint8)
            self._room(len(letters))
            first = int(self.starts[self.size])
            self.blob[first : first + len(letters)] = letters
            self.starts[self.size + 1] = first + len(letters)
            new = self.size
            kernels.insert_words(self.blob, self.starts, new, new + 1, self.keys, self.slots)
            self.size += 1
            index[word] = new
        return index[word]

    def encode(self, text: NDArray[np.uint8], lines: int, *, grow: bool) -> NDArray[np.uint32]:
        """Return the ids of so many lines of text, the last of which ends with a line feed."""
        # A token takes two bytes at least; what is not written costs addresses and no memory.
        ids = np.empty(len(text) // 2 + 2 * lines, np.uint32)
        at, filled = 0, 0
        while at < len(text):
            table = (self.keys, self.slots, self.blob, self.starts)
            into = table if grow else tuple(np.empty(0, part.dtype) for part in table)
            done, wrote, size = kernels.encode(
                text[at:], kernels.SPACE, table, into, self.size, ids[filled:]
            )
            at, filled = at + done, filled + wrote
            if size != self.size:
                self.size, self._index = size, None
            if at < len(text):
                line = text[at:][: int(np.argmax(text[at:] == 10))]
                self._room(len(line))
        return ids[:filled]

    @property
    def index(self) -> dict[str, int]:
        """The id of each word, as a dictionary."""
        if self._index is None:
            self._index = {word: i for i, word in enumerate(self.words())}
        return self._index

    def words(self, ids: Sequence[int] | NDArray[Any] | None = None) -> list[str]:
        """Return the words with the given ids, or all of them."""
        blob, starts = self.blob[: self.starts[self.size]].tobytes(), self.starts
        chosen = range(self.size) if ids is None else ids
        return [blob[starts[i] : starts[i + 1]].decode("utf-8", "surrogateescape") for i in chosen]

    def only(self, chosen: NDArray[np.bool_]) -> "Vocabulary":
        """Return a vocabulary of some of the words, in the same order."""
        starts = self.starts[: self.size + 1]
        lengths = np.diff(starts)
        blob = self.blob[: starts[-1]][np.repeat(chosen, lengths)]
        return Vocabulary.of({"blob": blob, "lengths": lengths[chosen]})

    def same_words(self, other: "Vocabulary") -> bool:
        """Whether both hold the same words, in any order."""
        return self.size == other.size and set(self.words()) == set(other.words())
