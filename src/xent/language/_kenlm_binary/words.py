"""The words of a KenLM binary: with their letters at its end, or found by their hashes alone."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language._kenlm_binary.header import Header
from xent.language._kenlm_binary.layout import Bytes, HashTable, Layout, damaged
from xent.language._kernels import murmur as kernels
from xent.language._kernels.text import SPACE
from xent.language._vocabulary import SPECIAL, UNKNOWN, Vocabulary

U32 = NDArray[np.uint32]


def read_words(
    data: Bytes, header: Header, parts: Layout, path: str
) -> tuple[Vocabulary, NDArray[np.uint32]]:
    """Return the vocabulary, and the file's number of each of its words.

    What the model does not know, be it ``<s>``, has the number of ``<unk>``, which is 0.
    """
    table: HashTable = data, header.hashed, parts.vocabulary, parts.hashes
    if not header.has_words:
        return _hidden(table, parts.bound)
    letters = np.array(data[parts.end :])
    ends = np.flatnonzero(letters == 0)
    if len(ends) != parts.bound or letters[-1] != 0 or ends[0] != len(SPECIAL[UNKNOWN]):
        raise damaged(f"{path!r} with {len(ends)} words at its end and {parts.bound} numbers")
    starts = np.concatenate([[0], ends + 1])
    numbers = np.empty(parts.bound, np.uint32)
    # The hash of a word with its NUL would be another one.
    blob = letters[letters != 0]
    bounds = starts - np.arange(len(starts))
    kernels.numbers_of(blob, bounds, table, numbers)
    numbers[UNKNOWN] = UNKNOWN
    if (numbers != np.arange(parts.bound)).any() or _spelt(blob, bounds, 0) != SPECIAL[UNKNOWN]:
        raise damaged(f"{path!r}, whose words are not those of its hashes")
    special = np.array([np.zeros(1, np.uint32), *(_number(table, w) for w in SPECIAL[1:])]).ravel()
    others = np.setdiff1d(np.arange(1, parts.bound, dtype=np.uint32), special)
    chosen = np.ones(parts.bound, np.bool_)
    chosen[special] = chosen[UNKNOWN] = False
    lengths = np.diff(bounds)
    head = [np.frombuffer(word.encode(), np.uint8) for word in SPECIAL]
    vocabulary = Vocabulary.of(
        {
            "blob": np.concatenate([*head, blob[np.repeat(chosen, lengths)]]),
            "lengths": np.concatenate([[len(word) for word in SPECIAL], lengths[chosen]]),
        }
    )
    return vocabulary, np.concatenate([special, others])


def _spelt(blob: Bytes, starts: NDArray[np.int64], word: int) -> str:
    return blob[starts[word] : starts[word + 1]].tobytes().decode("utf-8", "surrogateescape")


def _number(table: HashTable, word: str) -> U32:
    """Return the file's number of one word."""
    letters = np.frombuffer(word.encode("utf-8", "surrogateescape"), np.uint8)
    found = np.empty(1, np.uint32)
    kernels.numbers_of(letters, np.array([0, len(letters)]), table, found)
    return found


def _hidden(table: HashTable, bound: int) -> tuple[Vocabulary, NDArray[np.uint32]]:
    special = np.array([np.zeros(1, np.uint32), *(_number(table, w) for w in SPECIAL[1:])]).ravel()
    others = np.setdiff1d(np.arange(1, bound, dtype=np.uint32), special)
    numbers = np.concatenate([special, others])
    return HashedVocabulary(table, numbers, bound), numbers


class HashedVocabulary(Vocabulary):
    """Words of which the file keeps hashes alone: they are found, and cannot be listed."""

    def __init__(self, table: HashTable, numbers: U32, bound: int) -> None:
        # Nothing to list: the table that a `Vocabulary` keeps of its letters is empty.
        self.blob, self.starts = np.empty(0, np.uint8), np.zeros(1, np.int64)
        self.keys, self.slots = np.zeros(1, np.uint64), np.zeros(1, np.uint32)
        self.table = table
        self.numbers = numbers
        self.size = len(numbers)
        self.ids = np.zeros(bound, np.uint32)
        self.ids[numbers[1:]] = np.arange(1, len(numbers))
        self.ids[UNKNOWN] = UNKNOWN

    def __getstate__(self) -> dict[str, Any]:
        return {"table": self.table, "numbers": self.numbers, "bound": len(self.ids)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def encode(self, text: Bytes, lines: int, *, grow: bool) -> U32:
        """Return the ids of so many lines of text, the last of which ends with a line feed."""
        if grow:
            raise self._refused()
        ids = np.empty(len(text) // 2 + 2 * lines + 1, np.uint32)
        return ids[: kernels.encode(text, SPACE, self.table, self.ids, ids)]

    @property
    def index(self) -> Mapping[str, int]:  # type: ignore[override]
        """The id of each word that is asked for."""
        return _Index(self)

    def words(self, ids: Any = None) -> list[str]:
        """Refuse to list words."""
        raise self._refused()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Refuse to list words."""
        raise self._refused()

    packed = arrays

    def _refused(self) -> ValueError:
        because = "it was built without them (build_binary -v)"
        return _check.cannot("The words of the KenLM binary cannot be listed", because)


class _Index(Mapping[str, int]):
    """Word to id, by hash."""

    def __init__(self, vocabulary: HashedVocabulary) -> None:
        self.vocabulary = vocabulary

    def __getitem__(self, word: str) -> int:
        number = int(_number(self.vocabulary.table, word)[0])
        if not number and word != SPECIAL[UNKNOWN]:
            raise KeyError(word)
        return int(self.vocabulary.ids[number])

    def __len__(self) -> int:
        return len(self.vocabulary)

    def __iter__(self) -> Iterator[str]:
        return iter(self.vocabulary.words())
