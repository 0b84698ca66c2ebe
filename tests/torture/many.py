"""Thousands of damaged files, a hundred to a fork: one that ends the fork is counted, and the rest go on.

A case is a function of its number alone, so that it can be tried again.
"""

import resource
import shutil
import signal
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from torture import forks

FAULTS = ("crashes", "hangs", "tracebacks", "long sentences", "too much memory")
BATCH = 100
SENTENCE = 2_000  # letters
MEMORY = 512 << 20  # bytes that reading a small file may cost
WALL = 120  # seconds: a machine may be busy, and a lock that never opens costs no processor time
EXPECTED = (ValueError, TypeError, FileNotFoundError)


def copied(given: Path, place: Path) -> Path:
    shutil.copytree(given, place, dirs_exist_ok=True)
    return place


def prepared(act: Callable[[], object], place: Path) -> None:
    """Do something in a fork that must not fail, and may compile what it needs."""
    ending = forks.run(lambda: int(bool(act())), place, timeout=10 * WALL)
    if ending.code:
        raise AssertionError(ending.err)


def tried(act: Callable[[int], str], i: int) -> tuple[str, str]:
    """Return what became of a case, and why."""
    try:
        return act(i), ""
    except EXPECTED as error:
        said = str(error)
        return ("long sentences" if len(said) > SENTENCE else "refused"), said
    except BaseException:
        return "tracebacks", traceback.format_exc()


def counted(
    act: Callable[[int], str], place: Path, cases: int, name: str, notes: list[str]
) -> Counter[str]:
    """Try cases 0, 1, ... and count what becomes of them."""
    told: Counter[str] = Counter(cases=cases)
    record = place.parent / "record"
    done = 0
    while done < cases:
        end = min(cases, done + BATCH)
        record.write_text("")

        def batch(first: int = done, last: int = end) -> None:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            with open(record, "a", buffering=1) as file:
                for i in range(first, last):
                    signal.setitimer(signal.ITIMER_PROF, forks.HANG)
                    signal.alarm(WALL)
                    what, why = tried(act, i)
                    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
                    if peak > MEMORY:
                        what, why = "too much memory", f"{what} after {peak >> 20} MB: {why}"
                    file.write(f"{what}\t{why[-1800:]!r}\n")
                    if peak > MEMORY:
                        return

        ending = forks.run(batch, place, timeout=10 * WALL)
        lines = record.read_text().splitlines()
        for i, line in enumerate(lines, done):
            what, _, why = line.partition("\t")
            told[what] += 1
            if what in ("silent", *FAULTS):
                notes.append(f"{what}: {name}, case {i}: {eval(why)}")
        done += len(lines)
        if ending.code:
            hung = ending.hung or -ending.code in (signal.SIGALRM, signal.SIGPROF)
            what = "hangs" if hung else "crashes"
            told[what] += 1
            notes.append(f"{what}: {name}, case {done}: {ending.code} {ending.err[-1500:]}")
            done += 1
    return told
