"""Every place that a file leads to is followed once before it is used: it holds no checksums.

What is refused: a key that no search finds, words without a number, children out of order or
beyond their table, numbers that are not finite. A changed digit of a probability looks like another
model and cannot be noticed.
"""

from itertools import chain

import numpy as np
from numpy.typing import NDArray

from xent._compile.threads import in_blocks
from xent.language._kenlm_binary.header import Header
from xent.language._kenlm_binary.layout import Bytes, Layout, damaged
from xent.language._kernels import binary, murmur
from xent.language._kernels import binary_check as kernels

DAMAGE = {
    kernels.FULL: "a hash table without an empty bucket",
    kernels.MISPLACED: "a key where no search finds it",
    kernels.NOT_EMPTY: "an empty bucket that is not empty",
    kernels.NOT_FINITE: "a number that is not finite",
    kernels.CHILDREN_WRONG: "n-grams that lead beyond their table",
    kernels.WORDS_WRONG: "words out of order",
    kernels.ABOVE_ONE: "a probability above 1",
}


def check(data: Bytes, header: Header, parts: Layout, path: str) -> None:
    """Refuse a damaged file."""

    def refuse(wrong: int) -> None:
        if wrong:
            raise damaged(f"{path!r} with {DAMAGE[wrong]}")

    levels = parts.levels
    refuse(kernels.unigrams(data, header.hashed, levels[0]))
    if not header.hashed:
        if not kernels.ascending(data, parts.vocabulary, parts.hashes):
            raise damaged(f"{path!r} with hashes of words out of order")
        for n in range(1, header.order):
            above, longest = levels[n - 1], n + 1 == header.order
            if above[binary.HIGH]:
                refuse(kernels.highs(data, above))
            refuse(kernels.children(data, above, levels[n], n == 1, longest, parts.bound))
        return
    _check_hashed_words(data, parts, path)

    def look(low: int, high: int) -> list[tuple[int, int]]:
        places = [map(int, levels[n + 1, : binary.COUNT + 1]) for n in range(low, high)]
        return [kernels.buckets(data, at, r, size, (r - 8) // 4) for at, r, size in places]

    found = chain.from_iterable(in_blocks(look, header.order - 1))
    for n, (count, (wrong, taken)) in enumerate(zip(header.counts[1:], found, strict=True), 1):
        refuse(wrong)
        # N-grams that only end longer ones were added when the file was built, but to the longest.
        if taken < count or (n + 1 == header.order and taken != count):
            raise damaged(f"{path!r} with {taken} {n + 1}-grams, where its head says {count}")


def _check_hashed_words(data: Bytes, parts: Layout, path: str) -> None:
    wrong, taken = kernels.buckets(data, parts.vocabulary, murmur.BUCKET, parts.hashes, 0)
    if wrong:
        raise damaged(f"{path!r} with {DAMAGE[wrong]}")
    seen: NDArray[np.bool_] = np.zeros(parts.bound, np.bool_)
    numbered = kernels.word_buckets(data, parts.vocabulary, parts.hashes, parts.bound, seen)
    if not numbered or taken != parts.bound - 1:
        raise damaged(f"{path!r} with words without a number of their own")
