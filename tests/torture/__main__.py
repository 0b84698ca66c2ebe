"""`make torture`: what a stranger's file, a kill or a full disk can do, counted.

Prints a table for each kind and ends with 1 where anything that shall be 0 is not.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = "1"

from torture import bombs, commands, flips, forks, kills, mutants, shortages
from xent import _signals

KINDS = {
    "kills": (kills, 500),
    "flips": (flips, 10_000),
    "mutants": (mutants, 10_000),
    "shortages": (shortages, 300),
    "bombs": (bombs, len(bombs.BOMBS)),
}


def warmed(folder: Path) -> Path:
    """Load everything once, run each cheap command once, and return the folder of their inputs."""
    from importlib import import_module

    for name in ("training", "trees", "language", "evaluation", "audit", "measures", "losses"):
        import_module(f"xent.{name}")
    import torch

    torch.set_num_threads(1)
    # Far more often than in earnest, so that kills meet a checkpoint that is being written.
    import_module("xent.cli._stream._run").SAVED_EVERY = 0.01
    given, trial = folder / "given", folder / "trial"
    given.mkdir()
    commands.inputs(given)
    os.chdir(given)
    with forks.Silence():
        for words in commands.MADE:
            assert forks.command(words.split()) == 0, words
        import shutil

        shutil.copytree(given, trial)
        os.chdir(trial)
        for one in commands.WRITING:
            if one.warm:
                forks.command(one.words.split())
    os.chdir(folder)
    return given


def table(
    title: str,
    others: tuple[str, ...],
    faults: tuple[str, ...],
    lines: Iterable[tuple[str, Counter[str]]],
) -> int:
    """Print a table, each line as it comes, and return the sum of what shall be 0."""
    columns = (*others, *faults)
    print(f"\n{title}\n| what | cases | " + " | ".join(columns) + " |")
    print("| --- |" + " ---: |" * (len(columns) + 1))
    whole: Counter[str] = Counter()
    for name, told in chain(lines, [("all", whole)]):
        cells = (f"{told[c]:,}" for c in columns)
        print(f"| {name} | {told['cases']:,} | " + " | ".join(cells) + " |", flush=True)
        if told is not whole:
            whole.update(told)
    return sum(whole[c] for c in faults)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="all where none is named")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of cases")
    parser.add_argument("--only", default="", help="lines of a table whose name has these letters")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--notes", default="torture.log", help="where each fault is told")
    given = parser.parse_args()
    given.notes = os.path.abspath(given.notes)
    begin, faults, notes = time.monotonic(), 0, []
    with _signals.heard(), tempfile.TemporaryDirectory(prefix="torture-") as name:
        folder = Path(name)
        inputs = warmed(folder)
        for kind in given.kinds or KINDS:
            room, count = KINDS[kind]
            cases = max(1, round(count * given.scale))
            lines = room.torture(inputs, folder, given.seed, cases, notes, given.only)
            faults += table(room.__doc__.splitlines()[0], room.OTHERS, room.FAULTS, lines)
        os.chdir("/")
    Path(given.notes).write_text("\n\n".join(notes))
    for note in notes[:20]:
        head, *_, last = [line for line in note.splitlines() if line.strip()] * 2
        print(f"{head[:200]} ... {last[-400:]}")
    print(f"\nseed {given.seed}, {time.monotonic() - begin:.0f} s, {faults} faults")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
