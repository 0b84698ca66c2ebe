"""ARPA files, the text format that every n-gram toolkit reads and writes."""

import os
from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

from xent import _check, _store
from xent._compile.threads import in_blocks
from xent._table.files import compression
from xent.language._backoff import arpa
from xent.language._backoff.exact import Backoff, Ngrams
from xent.language._backoff.storage import Stored
from xent.language._kernels import arpa as kernels
from xent.language._kernels.text import SPACE
from xent.language._mixture import Mixture
from xent.language._model import NGramModel

U32 = NDArray[np.uint32]
PIECE = 1 << 14  # n-grams formatted at once: their text stays in the cache
FORMATTED_ROWS = 1 << 17  # n-grams formatted, by all threads, before they are written


def read_arpa(
    path: str | os.PathLike[str], *, unit: str | None = None, errors: str | None = None
) -> NGramModel:
    """Read a model from an ARPA file, as SRILM, KenLM and xent write it.

    Parameters
    ----------
    path : str or PathLike
        The file: plain, gzip, bzip2, xz or zstd, whatever its name.
    unit : str, optional
        What the tokens of a line are: ``"word"``, ``"character"`` or ``"byte"``. A file that xent
        wrote says so in a comment; others do not, and are of words where it is not given.
    errors : str, optional
        ``"strict"`` or ``"keep"``, as in `NGramModel`, for the texts that it will score.

    Returns
    -------
    NGramModel
        With ``smoothing=None``: how it was estimated is not in the file. A log-probability of -99
        or less is read as a probability of 0. Without ``<unk>``, also spelt ``<UNK>``, the
        vocabulary is closed. The beginning of an n-gram that is not listed is added with the
        probability that it backs off to.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an ARPA file or a damaged one; the sentence names the line. If ``unit`` is
        another one than the file says.

    Warns
    -----
    UserWarning
        If it has no ``</s>`` or no ``<s>``.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from xent.language import NGramModel, WittenBell
    >>> lm = NGramModel(2, WittenBell()).fit(["a b", "b a"])
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "lm.arpa"
    >>> write_arpa(lm, path)
    >>> float(read_arpa(path).score(["a"])[0] - lm.score(["a"])[0])
    0.0

    References
    ----------
    A. Stolcke (2002). SRILM, an extensible language modeling toolkit. ngram-format(5).
    """
    return read_model(path, unit, errors)


def read_model(
    path: str | os.PathLike[str], unit: str | None, errors: str | None, *, as_kenlm: bool = False
) -> NGramModel:
    """Read a model; ``as_kenlm`` gives what is impossible KenLM's numbers."""
    found = arpa.read(os.fspath(path), as_kenlm=as_kenlm)
    said = found.settings
    parts = Stored(
        order=len(found.levels.rows),
        smoothing=None,
        unknown="word" if found.has_unknown else "closed",
        min_counts=[1] * len(found.levels.rows),
        unit=said.get("unit", "word"),
        errors=said.get("errors", "strict"),
        vocabulary=found.vocabulary,
        backoff=Backoff(found.levels.rows),
    )
    model = NGramModel._of(parts)
    model.read_as(unit, errors)
    return model


def write_arpa(model: NGramModel | Mixture, path: str | os.PathLike[str]) -> None:
    """Write a model as an ARPA file, which KenLM and SRILM read too.

    Numbers have the digits that bring the same float32 back; a probability of 0 is written -99.
    What a token is, other than a word, is written too, in a comment that others pass over.

    Parameters
    ----------
    model : NGramModel or Mixture
        Of a mixture `Mixture.merged` is written.
    path : str or PathLike
        Compressed where it ends in ``.gz``, ``.bz2``, ``.xz`` or ``.zst``.

    Raises
    ------
    ValueError
        If the scores are no probabilities (`StupidBackoff`), a number is not finite, or a word
        holds white space.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from xent.language import WittenBell
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.arpa"
    ...     write_arpa(NGramModel(2, WittenBell()).fit(["a b", "a c"]), path)
    ...     "ngram 1=6" in path.read_text()  # a, b, c, <s>, </s> and <unk>
    True

    References
    ----------
    A. Stolcke (2002). SRILM, an extensible language modeling toolkit. ngram-format(5).
    """
    model, lengths = writable(model, "No ARPA file can be written")
    with _store.writing(path) as plain, compression.writing(plain, path) as file:
        _write(model, file, lengths)


def writable(model: NGramModel | Mixture, failed: str) -> tuple[NGramModel, NDArray[np.int64]]:
    """Return a back-off model that text can hold, and how many bytes each word has.

    Parameters
    ----------
    model : NGramModel or Mixture
        Of a mixture `Mixture.merged` is taken.
    failed : str
        Half a sentence: what cannot be done with a model that text cannot hold.

    Raises
    ------
    ValueError
        If it is no back-off model of probabilities, or a word holds white space.
    """
    if isinstance(model, Mixture):
        model = model.merged()
    if not model.is_distribution:
        because = "stupid back-off scores are no back-off probabilities"
        raise _check.cannot(failed, because, "Use another smoothing.")
    for n, rows in enumerate(model.backoff.rows, 1):
        for name, values in (("log-probability", rows.logp), ("back-off weight", rows.backoff)):
            if not (values < np.inf).all():  # -inf, a probability of 0, is written -99
                because = f"a {n}-gram has the {name} {values[~(values < np.inf)][0]}"
                raise _check.cannot(failed, because)
    vocabulary = model.vocabulary
    blob = vocabulary.blob[: vocabulary.starts[len(vocabulary)]]
    lengths = np.diff(vocabulary.starts[: len(vocabulary) + 1])
    if SPACE[blob].any() or (lengths == 0).any():
        spaces = set(map(chr, np.flatnonzero(SPACE)))
        word = next(w for w in vocabulary.words() if not w or spaces & set(w))
        because = f"the word {word!r} is or holds white space, which separates words there"
        advice = "Name it in the text, for example '_', or keep the model with save."
        raise _check.cannot(failed, because, advice)
    return model, lengths


def _write(model: NGramModel, file: IO[bytes], lengths: NDArray[np.int64]) -> None:
    levels = model.backoff.rows
    closed = model.is_closed
    counts = [len(rows) for rows in levels]
    counts[0] -= closed
    header = "".join(f"ngram {n}={count}\n" for n, count in enumerate(counts, 1))
    said = ""
    if (model.unit, model.errors) != ("word", "strict"):
        said = f"{arpa.COMMENT} unit={model.unit} errors={model.errors}\n"
    file.write(f"{said}\\data\\\n{header}".encode())
    vocabulary = model.vocabulary
    padded = np.concatenate([vocabulary.blob, np.zeros(16, np.uint8)])
    for n, rows in enumerate(levels, 1):
        file.write(f"\n\\{n}-grams:\n".encode())
        for low in range(int(closed and n == 1), len(rows), FORMATTED_ROWS):
            for piece in _formatted(padded, vocabulary.starts, lengths, levels[:n], low):
                file.write(piece.data)
    file.write(b"\n\\end\\\n")


def _formatted(
    blob: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    levels: list[Ngrams],
    low: int,
) -> Iterator[NDArray[np.uint8]]:
    """Yield the lines of a batch of the last level's n-grams, formatted on several threads."""
    rows, order = levels[-1], len(levels)
    count = min(FORMATTED_ROWS, len(rows) - low)

    def work(first: int, last: int) -> list[NDArray[np.uint8]]:
        found = []
        for at in range(low + first, low + last, PIECE):
            part = slice(at, min(at + PIECE, low + last))
            words = _words(levels, part)
            out = np.empty(int(lengths[words].sum()) + len(words) * (order + 64), np.uint8)
            wrote = kernels.write_rows(
                words, blob, starts, rows.logp[part], rows.backoff[part], out
            )
            found.append(out[:wrote])
        return found

    for pieces in in_blocks(work, count, least=PIECE):
        yield from pieces


def _words(levels: list[Ngrams], part: slice) -> U32:
    """Return the words of some n-grams, (n, order)."""
    columns = [levels[-1].word[part]]
    at = levels[-1].prefix[part]
    for rows in reversed(levels[:-1]):
        columns.append(rows.word[at])
        at = rows.prefix[at]
    return np.ascontiguousarray(np.column_stack(columns[::-1]))
