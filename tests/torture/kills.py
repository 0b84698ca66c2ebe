"""Commands ended at random moments: what stood there stands, or the new, and the next run tidies up.

Half of the signals come after a random time, half at a random thing done to a file, which is where
a half-written one would be seen.
"""

import os
import random
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torture import forks
from torture.commands import WRITING, Command

SIGNALS = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9}
BEGIN = 0.05  # seconds; a fork of its own has to come to its command
OLD = b"what stood here before\n"
OTHERS = ("ended",)
FAULTS = ("lost", "leftovers", "wrong endings", "crashes", "hangs", "tracebacks")


class Bench:
    """A folder in which one command is ended again and again."""

    def __init__(self, command: Command, given: Path, folder: Path) -> None:
        self.command, self.folder = command, folder
        self.place, self.scratch = folder / "work", folder / "scratch"
        shutil.copytree(given, self.place)
        self.scratch.mkdir()
        self.given = set(self.names())
        whole = self.run(timeout=600)  # it may compile
        if whole.code != command.expected:
            raise AssertionError(f"{command.words}: {whole.code} {whole.err}")
        self.seconds = whole.seconds
        self.new = {name: (self.place / name).read_bytes() for name in command.writes}
        self.rounds = 0
        self.clean()

    def names(self) -> list[str]:
        return sorted(path.name for path in self.place.iterdir())

    def clean(self) -> None:
        """Take away what goes on from a run, and put the old files where the new shall stand."""
        for name in self.command.kept:
            path = self.place / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for name in self.command.writes:
            (self.place / name).write_bytes(OLD)

    def run(
        self, act: Callable[[], int] | None = None, timeout: float = forks.HANG, **how: Any
    ) -> forks.Ending:
        """Run the command, or something else of its folder, as `forks.run` does."""

        def child() -> int:
            os.environ["TMPDIR"] = str(self.scratch)
            tempfile.tempdir = None
            return act() if act else forks.command(self.command.words.split())

        return forks.run(child, self.place, timeout=timeout, **how)

    def strangers(self) -> list[str]:
        """What lies there that no command was asked to write."""
        known = self.given | set(self.command.writes) | set(self.command.kept)
        extra = [name for name in self.names() if name not in known]
        for name in self.command.kept:
            if (self.place / name).is_dir():
                extra += [p.name for p in (self.place / name).rglob("*.tmp")]
        return extra + [path.name for path in self.scratch.iterdir()]

    def one(self, luck: random.Random, told: Counter[str], notes: list[str]) -> None:
        """End the command once, and look; every other time let it run to its end after that."""
        number, before = luck.choice(SIGNALS), set(self.strangers())
        if luck.random() < 0.5:
            blow = forks.Blow(number, seconds=luck.random() * self.seconds * 1.1)
        else:
            blow = forks.Blow(number, event=1 + int(luck.random() ** 2 * 60))
        ending = self.run(blow=blow)
        done = ending.code == self.command.expected
        told["cases"] += 1
        told["ended"] += not done
        note = f"{self.command.words} [{signal.Signals(number).name} {blow}]"

        def count(what: str, is_so: bool, why: object = "") -> None:
            told[what] += is_so
            if is_so:
                notes.append(f"{what}: {note}: {why}")

        count("hangs", ending.hung)
        count("tracebacks", ending.traceback, ending.err[-1500:])
        if not done and not ending.hung:
            # Before a command has begun the signal itself ends it, for a shell with the same code.
            at_once = 0.0 < blow.seconds < BEGIN and ending.code == -number
            wrong = ending.code != CODES[number] and not at_once
            count("crashes", wrong and ending.crashed, ending.code)
            count("wrong endings", wrong and not ending.crashed, (ending.code, ending.err[-500:]))
        self.look(count, ended=not done)
        if number != signal.SIGKILL:
            new = set(self.strangers()) - before
            count("leftovers", bool(new), new)
        if luck.random() < 0.5:
            again = self.run()
            count("lost", again.code != self.command.expected, (again.code, again.err[-1500:]))
            self.look(count, ended=False)
            count("leftovers", bool(self.strangers()), self.strangers())
            self.clean()

    def look(self, count, *, ended: bool) -> None:
        for name, new in self.new.items():
            path = self.place / name
            found = path.read_bytes() if path.exists() else b"nothing"
            fine = found == new or (ended and found == OLD)
            count("lost", not fine, (name, len(found), len(new)))


def torture(
    given: Path, folder: Path, seed: int, kills: int, notes: list[str], only: str = ""
) -> Iterator[tuple[str, Counter[str]]]:
    """Yield a line of the table for each command."""
    luck = random.Random(f"kills {seed}")
    chosen = [command for command in WRITING if only in command.words]
    share = max(1, kills // len(chosen))
    chosen = chosen if kills >= len(chosen) else luck.sample(chosen, kills)
    for i, command in enumerate(chosen):
        place = folder / f"kills{i}"
        place.mkdir()
        bench = Bench(command, given, place)
        told: Counter[str] = Counter()
        for _ in range(share):
            bench.one(luck, told, notes)
        yield command.name, told
        shutil.rmtree(place)
