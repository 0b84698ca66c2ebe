"""Counting text that is larger than memory: sorted runs on disk, which a folder keeps for later.

A run is the counts of a stretch of text that fits into memory, in one checksummed file that
appears whole or not at all. Beside its counts it holds a digest of the text up to its end, so a fit
that was killed reads the text again, finds the runs it has made, and counts only the rest. The
tasks of an executor make the runs of a file each, in folders of their own. `_merge` adds the runs
up, and no number depends on where they were cut.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fnmatch import fnmatch
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check, _store
from xent._leftovers import lock, scratch_folder
from xent._progress import stage
from xent.language._counting.levels import Levels, Places
from xent.language._counting.merge import merge_runs
from xent.language._counting.task import CountingTask, count_text, files_of, known_words, restrict
from xent.language._lines._text import Reader, longest_line
from xent.language._vocabulary import BEGIN, SPECIAL, Vocabulary
from xent.language.smoothing import JelinekMercer, Smoothing
from xent.language.smoothing._smoothing import Evidence

FORMAT, VERSION = "xent.language.run", 1
DEFAULT = 10**9  # bytes that counting takes where a folder is named and no memory
MIN_MEMORY = 64 * 10**6
LINE_SHARE = 12  # of the memory a line may take one part: what is made of it takes eight to ten
SHARE = 0.8  # of the memory that is planned with; the rest is for what nobody foresees
MODEL, WORKING, HISTORY, LEARNING = 20, 50, 45, 84  # bytes a row, measured
LEFT_BY_KILL = (".run-*.tmp", ".ids-*.tmp", ".words*.tmp", ".settings*.tmp")
U32 = NDArray[np.uint32]


def in_bytes(memory: int | str) -> int:
    """Return a memory limit in bytes: a number, or a str like "2GB", "500MB" or "1.5GiB"."""
    size = size_of("memory", memory)
    if size < MIN_MEMORY:
        advice = "Counting needs some room beside the program itself."
        raise _check.invalid("memory", f"be at least {shown(MIN_MEMORY)}", shown(size), advice)
    return size


def size_of(argument: str, given: int | str) -> int:
    """Read a number of bytes, or a str like "2GB"."""
    if not isinstance(given, str):
        return _check.integer(argument, given, least=1)
    found = re.fullmatch(r"\s*(\d+\.?\d*)\s*([KMGT]?)(i?)B?\s*", given, re.IGNORECASE)
    if not found:
        must = "be a number of bytes, or like '2GB' or '500MB'"
        raise _check.invalid(argument, must, repr(given))
    exponent = " KMGT".index(found[2].upper() or " ")
    unit: int = (1024 if found[3] else 1000) ** exponent
    return round(float(found[1]) * unit)


def shown(size: float) -> str:
    """Write a number of bytes as `in_bytes` reads it."""
    for unit, letter in ((10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if size >= 0.9995 * unit:  # 999,999 bytes are 1MB, not 1e+03KB
            return f"{size / unit:.3g}{letter}"
    return f"{size:.0f} bytes"


@contextmanager
def counted(
    task: CountingTask,
    text: Any,
    weights: Any,
    executor: Executor | None,
    memory: int | str | None,
    folder: str | os.PathLike[str] | None,
) -> Iterator[tuple[Vocabulary, Levels]]:
    """Count the n-grams of a text as `NGramModel.fit` was told; the levels last as long as this."""
    limit = None if memory is None else in_bytes(memory)
    if weights is not None:
        if not (executor is None and memory is None and folder is None):
            got = "weights beside `executor`, `memory` or `folder`"
            raise _check.invalid("weights", "be None where lines are counted elsewhere", got)
        yield task.count_weighted(text, weights)
    elif memory is None and folder is None:
        yield task.count(text) if executor is None else task.count_files(text, executor)
    else:
        with _spilled(task, text, executor, limit, folder) as found:
            yield found


@contextmanager
def _spilled(
    task: CountingTask,
    text: Any,
    executor: Executor | None,
    limit: int | None,
    folder: str | os.PathLike[str] | None,
) -> Iterator[tuple[Vocabulary, Levels]]:
    """Count by runs, in a temporary folder where none is given."""
    with ExitStack() as closing:
        if folder is None:
            made = closing.enter_context(scratch_folder("xent-"))
            place, temporary, limit = Path(made), True, limit or DEFAULT
        else:
            if not isinstance(folder, str | os.PathLike) or not str(folder):
                raise _check.wrong_kind("folder", "be the path of a folder", repr(folder))
            place, temporary = Path(folder), False
            limit = closing.enter_context(_kept(place, task, limit))
        if executor is not None:
            vocabulary, runs = _by_files(task, files_of(text), executor, limit, place)
        else:
            counting = _Counting(task, place, temporary, tokens_in(limit, task.order))
            with longest_line(limit // LINE_SHARE):
                counting.read(text)
            if counting.levels is not None:
                yield counting.vocabulary, counting.levels
                return
            vocabulary, runs = counting.vocabulary, counting.runs
        scratch = closing.enter_context(scratch_folder("merge-", place))
        room = int(SHARE * limit) // 2
        yield vocabulary, merge_runs(runs, len(vocabulary), task.order, room, Path(scratch))


def _by_files(
    task: CountingTask, files: list[Path], executor: Executor, limit: int, place: Path
) -> tuple[Vocabulary, list[Path]]:
    """Count files into runs in the tasks of an executor; all go by one vocabulary, so read twice.

    Its words stand as one process would have met them.
    """
    vocabulary = Vocabulary(task.words or ())
    given = 0 if task.words is None else len(vocabulary)
    times = np.zeros(len(vocabulary), np.int64)
    for waiting in [executor.submit(_words_in, task, file, limit) for file in files]:
        found, seen = waiting.result()
        ids = np.array([vocabulary.add(word) for word in found.words()], np.int64)
        times = np.concatenate([times, np.zeros(len(vocabulary) - len(times), np.int64)])
        times[ids] += seen
    known = known_words(len(vocabulary), given, times, task.least_words)
    vocabulary = vocabulary if known.all() else vocabulary.only(known)
    task = replace(task, least_words=1, words=vocabulary.words()[len(SPECIAL) :])
    mark, state = place / "words.xent", {"words": _digest(task.words), "files": len(files)}
    if not mark.exists():
        _store.save(mark, format=FORMAT, version=VERSION, state=state, arrays={})
    elif _store.load(mark, format=FORMAT, version=VERSION)[0] != state:
        raise _other_text(place)
    folders = [place / f"file-{number:05}" for number in range(len(files))]
    pairs = zip(files, folders, strict=True)
    counting = [executor.submit(_count_file, task, file, made, limit) for file, made in pairs]
    return vocabulary, [run for waiting in counting for run in waiting.result()]


def _words_in(task: CountingTask, file: Path, limit: int) -> tuple[Vocabulary, NDArray[np.int64]]:
    """Return the words of a file, those given first, and how often each stands there."""
    vocabulary = Vocabulary(task.words or ())
    reader = Reader(vocabulary, unit=task.unit, errors=task.errors, grow=True)
    times = np.zeros(len(vocabulary), np.int64)
    with longest_line(limit // LINE_SHARE):
        for ids in reader.ids(file):
            times = _added(times, np.bincount(ids, minlength=len(vocabulary)))
    return vocabulary, times


def _count_file(task: CountingTask, file: Path, folder: Path, limit: int) -> list[Path]:
    """Count a file into runs of its own folder, unless they are there."""
    with _kept(folder, task, limit) as kept:
        counting = _Counting(task, folder, False, tokens_in(kept, task.order))
        with longest_line(kept // LINE_SHARE):
            counting.read(file)
    return counting.runs


def check_memory(smoothing: Smoothing, evidence: Evidence, memory: int | str, folder: Any) -> None:
    """Refuse, before the work, to estimate a model that the memory cannot hold."""
    limit = in_bytes(memory)
    levels = evidence.levels
    sizes = [len(level) for level in levels]
    stand = [
        size if min_count <= 1 else int(np.count_nonzero(evidence.shown(order)))
        for order, (size, min_count) in enumerate(zip(sizes, evidence.min_counts, strict=True), 1)
    ]
    # Of the model itself, of the level that is estimated, and of the histories before its words.
    peak = max(
        MODEL * sum(stand[: n + 1]) + WORKING * size + HISTORY * (sizes[n - 1] if n else 0)
        for n, size in enumerate(sizes)
    )
    if isinstance(smoothing, JelinekMercer):
        peak += LEARNING * sum(sizes)
    if peak > limit:
        because = f"its {sum(stand):,} n-grams and the work on them take about {shown(1.01 * peak)}"
        advice = "Pass as much as " + _check.argument("memory") + ", a higher "
        advice += _check.setting("min_count") + ", or a lower order."
        if folder is not None:
            advice += " The counts are kept in " + _check.argument("folder") + "."
        raise _check.cannot(f"No model can be estimated in {shown(limit)}", because, advice)


def tokens_in(memory: int, order: int) -> int:
    """Return how many tokens can be counted at once: at most ``order`` n-grams end at each."""
    return int(SHARE * memory) // (40 + 16 * order)


class _Counting:
    """Reads a text once and counts it stretch by stretch."""

    def __init__(self, task: CountingTask, place: Path, temporary: bool, tokens: int) -> None:
        self.task, self.place, self.temporary, self.tokens = task, place, temporary, tokens
        self.vocabulary = Vocabulary(task.words or ())
        self.given = 0 if task.words is None else len(self.vocabulary)
        self.mark = blake2b(digest_size=16)
        self.marked = 0  # bytes of the vocabulary in the digest
        self.runs: list[Path] = []
        self.levels: Levels | None = None  # where the whole text was one stretch

    def read(self, text: Any) -> None:
        task = self.task
        reader = Reader(self.vocabulary, unit=task.unit, errors=task.errors, grow=True)
        rare = task.least_words > 1
        times = np.zeros(0, np.int64)
        waiting: list[Path] = []  # stretches that are counted when the rare words are known
        number = -1
        for number, (ids, last) in enumerate(stretches(reader.ids(text), self.tokens)):
            if last and number == 0 and self.temporary:
                self._count_at_once(ids)
                return
            self._mark(ids)
            if rare:
                times = _added(times, np.bincount(ids, minlength=len(self.vocabulary)))
                waiting.append(self._file("ids", number))
                if not self._made(waiting[-1]):
                    self._save(waiting[-1], {"ids": ids})
            else:
                self._run(number, ids, self._known(None))
        if number < 0:
            raise _check.invalid("text", "hold at least one line", "none")
        if (self._file("ids" if rare else "run", number + 1)).exists():
            raise _other_text(self.place)
        known = self._known(times if rare else None)
        if rare:
            title = "Counting without rare words"
            with stage(title, len(waiting), "stretches") as advance:
                for number, path in enumerate(waiting):
                    arrays = _store.load(path, format=FORMAT, version=VERSION)[1]
                    self._run(number, arrays["ids"], known)
                    advance(number + 1)
        if not known.all():
            self.vocabulary = self.vocabulary.only(known)

    def _known(self, times: NDArray[np.int64] | None) -> NDArray[np.bool_]:
        return known_words(len(self.vocabulary), self.given, times, self.task.least_words)

    def _count_at_once(self, ids: U32) -> None:
        times = None
        if self.task.least_words > 1:
            times = np.bincount(ids, minlength=len(self.vocabulary))
        known = self._known(times)
        places = Places(*restrict(ids, known, self.task.unknown), int(known.sum()))
        if not known.all():
            self.vocabulary = self.vocabulary.only(known)
        self.levels = count_text(places, self.task.order)

    def _run(self, number: int, ids: U32, known: NDArray[np.bool_]) -> None:
        """Count a stretch into a run, unless the folder holds it already."""
        path = self._file("run", number)
        self.runs.append(path)
        if self._made(path):
            return
        places = Places(*restrict(ids, known, self.task.unknown), int(known.sum()))
        levels = count_text(places, self.task.order)
        arrays = {"1.count": levels[0].count}
        for n, level in enumerate(levels[1:], 2):
            arrays |= {f"{n}.prefix": level.prefix, f"{n}.word": level.word}
            arrays |= {f"{n}.count": level.count}
        self._save(path, arrays)

    # ------------------------------------------------------------------ what the folder holds

    def _file(self, kind: str, number: int) -> Path:
        return self.place / f"{kind}-{number:05}.xent"

    def _mark(self, ids: U32) -> None:
        """Add a stretch, and the words that were new in it, to the digest of the text."""
        vocabulary = self.vocabulary
        end = int(vocabulary.starts[len(vocabulary)])
        self.mark.update(vocabulary.blob[self.marked : end].data)
        self.mark.update(np.ascontiguousarray(ids).data)
        self.marked = end

    def _save(self, path: Path, arrays: dict[str, NDArray[Any]]) -> None:
        state = {"text": self.mark.hexdigest()}
        _store.save(path, format=FORMAT, version=VERSION, state=state, arrays=arrays)

    def _made(self, path: Path) -> bool:
        """Whether a file is there and whole; refuse the file of another text."""
        if not path.exists():
            return False
        try:
            state = _store.load(path, format=FORMAT, version=VERSION)[0]
        except ValueError:
            return False  # damaged: it is made again
        if state["text"] != self.mark.hexdigest():
            raise _other_text(self.place)
        return True


def stretches(pieces: Iterator[U32], tokens: int) -> Iterator[tuple[U32, bool]]:
    """Cut a text at ends of sentences into stretches of so many tokens; say which is the last."""
    held: list[U32] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        while size > tokens:
            joined = np.concatenate(held)
            begins = np.flatnonzero(joined[: tokens + 1] == BEGIN)
            cut = int(begins[-1])
            if cut == 0:  # one sentence longer than a stretch
                later = np.flatnonzero(joined[tokens + 1 :] == BEGIN)
                if not len(later):
                    held = [joined]
                    break
                cut = tokens + 1 + int(later[0])
            held = [joined[cut:].copy()]
            size -= cut
            yield joined[:cut], False
            del joined
    if held:
        yield (np.concatenate(held) if len(held) > 1 else held[0]), True


def _added(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add counts of which the second knows more words."""
    b[: len(a)] += a
    return b


@contextmanager
def _kept(place: Path, task: CountingTask, memory: int | None) -> Iterator[int]:
    """Hold a folder that keeps runs, made with the same settings; give the memory of its runs."""
    if not place.exists():
        _store.check_target(place, argument="folder")
        place.mkdir()
    if not place.is_dir():
        raise _check.invalid("folder", "be a folder", f"the file {str(place)!r}")
    settings = place / "settings.xent"
    # Before anything is written or removed: a folder of the user's own stays as it is.
    if not settings.exists() and any(not _ours(path.name) for path in place.iterdir()):
        must = "be empty or hold the counts of an earlier fit"
        raise _check.invalid("folder", must, f"{str(place)!r} with other files")
    with _locked(place):
        wanted = {**vars(task), "words": _digest(task.words)}
        if settings.exists():
            state, _ = _store.load(settings, format=FORMAT, version=VERSION)
            _check_settings(place, state["task"], wanted)
            if memory is not None and memory < state["memory"]:
                must = f"be at least {shown(state['memory'])}, with which {str(place)!r} was begun"
                raise _check.invalid("memory", must, shown(memory))
            memory = state["memory"]
        else:
            memory = memory or DEFAULT
            state = {"task": wanted, "memory": memory}
            _store.save(settings, format=FORMAT, version=VERSION, state=state, arrays={})
        for pattern in LEFT_BY_KILL:
            for path in place.glob(pattern):
                path.unlink()
        for left in place.glob("merge-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield memory


def _check_settings(place: Path, there: dict[str, Any], wanted: dict[str, Any]) -> None:
    names = {"least_words": "min_count of words", "words": "vocabulary"}
    for name, value in wanted.items():
        if there.get(name) != value:
            what = names.get(name, name)
            got = "another" if name == "words" else f"{value!r} instead of {there.get(name)!r}"
            advice = "Name another folder, or fit as then."
            must = f"hold counts made with the same {what}"
            raise _check.invalid("folder", must, f"{str(place)!r} with {got}", advice)


LOCK = "in-use"


def _ours(name: str) -> bool:
    """Say whether a fit that was killed before it wrote its settings may have left this file."""
    return name == LOCK or fnmatch(name, LEFT_BY_KILL[-1])


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Keep other processes out of a folder; a process that dies lets go of it."""
    with open(place / LOCK, "ab") as file:
        try:
            lock(file)
        except BlockingIOError:
            because = "another process counts there"
            raise _check.cannot(f"{str(place)!r} cannot be used", because) from None
        yield


def _digest(words: list[str] | None) -> str | None:
    if words is None:
        return None
    return blake2b(json.dumps(words).encode(), digest_size=16).hexdigest()


def _other_text(place: Path) -> ValueError:
    advice = "Name another folder, or pass the text it was begun with."
    return _check.invalid(
        "folder", "hold counts of this text", f"{str(place)!r} of another", advice
    )
