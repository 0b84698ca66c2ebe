"""Full disks, readers that leave, two writers at once: refused in a sentence, or done; nothing lost.

A disk is full where a file may not grow beyond a part of what shall be written (RLIMIT_FSIZE).
"""

import os
import random
import resource
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from torture import forks
from torture.commands import WRITING
from torture.kills import OLD, Bench

OTHERS = ("ended",)
FAULTS = ("lost", "leftovers", "wrong endings", "crashes", "hangs", "tracebacks", "long sentences")


class Tally:
    """What is counted of one kind of shortage."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes = name, notes
        self.told: Counter[str] = Counter()

    def count(self, what: str, is_so: bool, why: object = "") -> None:
        self.told[what] += is_so
        if is_so:
            self.notes.append(f"{what}: {self.name}: {why}")

    def ending(self, words: str, ending: forks.Ending, codes: set[int]) -> None:
        """Judge how one run ended."""
        self.told["cases"] += 1
        self.told["ended"] += ending.code == 2
        self.count("hangs", ending.hung, words)
        self.count("tracebacks", ending.traceback, (words, ending.err[-1500:]))
        self.count("crashes", ending.crashed, (words, ending.code))
        wrong = ending.code not in codes and not ending.crashed and not ending.hung
        self.count("wrong endings", wrong, (words, ending.code, ending.err[-500:]))
        self.count("long sentences", len(ending.err) > 2_000 and not ending.traceback, words)


def torture(
    given: Path, folder: Path, seed: int, cases: int, notes: list[str], only: str = ""
) -> Iterator[tuple[str, Counter[str]]]:
    """Yield a line of the table for each kind of shortage."""
    luck = random.Random(f"shortages {seed}")
    chosen = [command for command in WRITING if only in command.words]
    share = max(1, cases // (3 * len(chosen)))
    chosen = chosen if cases >= len(chosen) else luck.sample(chosen, cases)
    kinds = [Tally(name, notes) for name in ("full disk", "closed pipe", "two writers")]
    for i, command in enumerate(chosen):
        place = folder / f"shortages{i}"
        place.mkdir()
        bench = Bench(command, given, place)
        for _ in range(share):
            _full(bench, luck, kinds[0])
            _closed(bench, kinds[1])
            _two(bench, kinds[2])
        shutil.rmtree(place)
    for kind in kinds:
        yield kind.name, kind.told


def _full(bench: Bench, luck: random.Random, tally: Tally) -> None:
    bench.clean()
    words = bench.command.words
    most = max(map(len, bench.new.values()))
    room = int(luck.random() * most)

    def limit() -> None:
        # What the tool itself records is beyond any such limit: pipes and files already written.
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))

    ending = bench.run(limit=limit)
    if ending.code == 2:  # its sentence may have been cut by the limit, too
        named = any(name in ending.err for name in (*bench.command.writes, *bench.command.kept))
        tally.count("wrong endings", room > 300 and not named, (words, ending.err))
    tally.ending(f"{words} ({room} of {most} bytes)", ending, {2, bench.command.expected})
    _look(bench, tally, ended=ending.code != bench.command.expected)


def _closed(bench: Bench, tally: Tally) -> None:
    bench.clean()
    reader, writer = os.pipe()
    os.close(reader)
    ending = bench.run(out=writer)
    os.close(writer)
    tally.ending(bench.command.words, ending, {0, 1, 2, 141})
    _look(bench, tally, ended=True)


def _two(bench: Bench, tally: Tally) -> None:
    bench.clean()
    words = bench.command.words

    def both() -> int:
        first = os.fork()
        code = forks.command(words.split())
        if not first:
            os._exit(code)
        other = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
        # One of the two may be told that the other is at work.
        return bench.command.expected if bench.command.expected in (code, other) else max(code, 9)

    ending = bench.run(both)
    tally.ending(words, ending, {bench.command.expected})
    _look(bench, tally, ended=False)


def _look(bench: Bench, tally: Tally, *, ended: bool) -> None:
    for name, new in bench.new.items():
        path = bench.place / name
        found = path.read_bytes() if path.exists() else b"nothing"
        fine = found == new or (ended and found == OLD)
        tally.count("lost", not fine, (bench.command.words, name, len(found), len(new)))
    tally.count("leftovers", bool(bench.strangers()), (bench.command.words, bench.strangers()))
