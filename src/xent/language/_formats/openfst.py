"""A back-off model as a weighted automaton, in the text that OpenFst and Kaldi compile."""

import os
from collections.abc import Iterator
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xent import _check, _store
from xent._table.files import compression
from xent.language._backoff.exact import LOG_10
from xent.language._backoff.protocol import BackoffModel
from xent.language._formats.arpa import writable
from xent.language._mixture import Mixture
from xent.language._model import NGramModel

ARCS_AT_ONCE = 1 << 16
EPSILON = "<eps>"
UNKNOWN, BEGIN, END = 0, 1, 2  # ids of what every vocabulary begins with

Integers = NDArray[np.int64]


class Arcs(NamedTuple):
    """Arcs that were numbered but not yet written: ``END`` leads nowhere, it ends the text."""

    source: Integers
    target: Integers
    label: Integers  # a word's id, or -1: the shorter history
    weight: NDArray[np.float64]  # -log p, in nats


def write_openfst(
    model: NGramModel | Mixture,
    path: str | os.PathLike[str],
    symbols: str | os.PathLike[str],
    *,
    backoff_label: str = EPSILON,
) -> None:
    """Write a model as a weighted finite-state acceptor in OpenFst's text format.

    A state is a history. A word's arc has the weight -ln p, the arc to the shorter history -ln of
    the back-off weight, and the end of a text the final weight of ``</s>``. Compile it with
    ``fstcompile --acceptor --isymbols=SYMBOLS --keep_isymbols FILE``; for a recogniser's grammar
    in Kaldi say ``backoff_label="#0"``.

    Parameters
    ----------
    model : NGramModel or Mixture
        Of a mixture `Mixture.merged` is written.
    path : str or PathLike
        The arcs; compressed where it ends in ``.gz``, ``.bz2``, ``.xz`` or ``.zst``.
    symbols : str or PathLike
        The words and their numbers: ``<eps>`` is 0.
    backoff_label : str
        What stands on the arcs to shorter histories.

    Raises
    ------
    ValueError
        If the scores are no probabilities (`StupidBackoff`), a number is not finite, a word holds
        white space or is ``<eps>`` or ``backoff_label``, or an n-gram of several words has the
        probability 0, which an arc to a shorter history would pass by.

    Notes
    -----
    As in all such automata, a path may take the shorter history where the word has an arc of its
    own: the path of least weight is then at most as heavy as the model says. Where it must not,
    compile the arcs with a failure label (``phi``).

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from xent.language import NGramModel, WittenBell
    >>> lm = NGramModel(1, WittenBell()).fit(["a a b"])
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> write_openfst(lm, folder / "lm.fst.txt", folder / "words.txt")
    >>> (folder / "words.txt").read_text().split()[:4]
    ['<eps>', '0', '<unk>', '1']

    References
    ----------
    C. Allauzen, M. Mohri and B. Roark (2003). Generalized algorithms for constructing statistical
    language models. ACL.
    """
    failed = "No automaton can be written"
    model, _ = writable(model, failed)
    words = model.vocabulary.words()
    names = [EPSILON] + ([backoff_label] if backoff_label != EPSILON else [])
    if not backoff_label or backoff_label.split() != [backoff_label]:
        raise _check.invalid("backoff_label", "be one word", repr(backoff_label))
    for taken in names:
        if taken in words:
            raise _check.cannot(
                failed, f"{taken!r} is a word of the model", "Give it another name in the text."
            )
    for n, rows in enumerate(model.backoff.rows[1:], 2):
        if (rows.logp == -np.inf).any():
            because = f"a {n}-gram has the probability 0, which a shorter history would pass by"
            raise _check.cannot(failed, because, "Use a smoothing that gives all words some.")
    for given, name in ((path, "path"), (symbols, "symbols")):
        _store.check_target(given, argument=name)
    closed = model.is_closed
    with _store.writing(symbols, argument="symbols") as file:
        numbered = [f"{name} {number}\n" for number, name in enumerate([EPSILON, *words])]
        if backoff_label != EPSILON:
            numbered.append(f"{backoff_label} {len(numbered)}\n")
        file.write("".join(numbered).encode())
    labels = np.array([*words, backoff_label], dtype=object)
    with _store.writing(path) as plain, compression.writing(plain, path) as file:
        for arcs in _arcs(model.backoff, closed=closed):
            _write(arcs, labels, file)


def _arcs(backoff: BackoffModel, *, closed: bool) -> Iterator[Arcs]:
    """Yield the arcs of every state, those of the first state first."""
    levels, firsts = backoff.rows, backoff.firsts
    leads = [np.zeros(1, np.int64), *(states.astype(np.int64) for states in backoff.states)]
    flat = np.concatenate(leads)
    begin = int(backoff.begin)
    used = np.zeros(int(firsts[-1]), bool)
    used[flat] = True
    used[[0, begin]] = True
    for n, rows in enumerate(levels[1:]):
        used[firsts[n] + rows.prefix] = True
    # OpenFst starts where the first line does; the others follow in the order of their histories.
    numbers = np.cumsum(used) - 1
    numbers = np.where(numbers < numbers[begin], numbers + 1, numbers)
    numbers[begin] = 0
    found = []
    for n, rows in enumerate(levels):
        nodes = np.arange(firsts[n], firsts[n + 1])
        source = firsts[n - 1] + rows.prefix.astype(np.int64) if n else np.zeros(len(rows), int)
        label = rows.word.astype(np.int64)
        some = (label != BEGIN) & ~(closed & (label == UNKNOWN)) & (rows.logp > -np.inf)
        found.append(
            Arcs(
                numbers[source[some]],
                numbers[flat[nodes[some]]],
                label[some],
                -LOG_10 * rows.logp[some].astype(np.float64),
            )
        )
        if n + 1 < len(levels):
            some = used[nodes] & (rows.backoff > -np.inf)
            shorter = flat[rows.suffix[some]]
            weight = -LOG_10 * rows.backoff[some].astype(np.float64)
            back = np.full(len(shorter), -1)
            found.append(Arcs(numbers[nodes[some]], numbers[shorter], back, weight))
    first = [Arcs(*(part[arcs.source == 0] for part in arcs)) for arcs in found]
    rest = [Arcs(*(part[arcs.source != 0] for part in arcs)) for arcs in found]
    yield from first
    yield from rest


def _write(arcs: Arcs, labels: NDArray[np.object_], file: IO[bytes]) -> None:
    for low in range(0, len(arcs.source), ARCS_AT_ONCE):
        part = slice(low, low + ARCS_AT_ONCE)
        ends = arcs.label[part] == END
        each = zip(
            arcs.source[part].tolist(),
            arcs.target[part].tolist(),
            labels[arcs.label[part]],
            arcs.weight[part].tolist(),
            ends.tolist(),
            strict=True,
        )
        lines = [
            f"{source}\t{weight:.9g}\n" if end else f"{source}\t{target}\t{label}\t{weight:.9g}\n"
            for source, target, label, weight, end in each
        ]
        file.write("".join(lines).encode())
