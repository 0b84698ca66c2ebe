"""`make mutants`: a seeded sample of small slips, one at a time, and how many the tests notice.

The slips are those of cosmic-ray's operators: another comparison, another sign, a number one off, a
branch turned round, a loop that is not run. Cosmic-ray's own sessions run all of them, days of
work; here a sample is drawn first. Each goes into a copy of the tree, so that nobody's files are
touched, and those of the room's everyday tests that run the changed line run there until one
fails. Kernels are left out, as compiling them anew takes minutes; so are annotations, which
nothing runs.
"""

import argparse
import ast
import difflib
import hashlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mutants import lines, reading, trials
from mutants.lines import KERNELS
from mutants.trials import NO_END, ROOT

ROOMS = (
    "measures",
    "losses",
    "training",
    "audit",
    "evaluation",
    "language",
    "trees",
    "cli",
    "_table",
)


class Mutant(NamedTuple):
    """One slip: a file, what cosmic-ray did to it, and the file before and after."""

    path: Path
    line: int
    operator: str
    source: str
    changed: str

    def lines(self) -> str:
        """The changed lines, before and after."""
        pair = self.source.splitlines(), self.changed.splitlines()
        return "\n".join(
            line
            for line in difflib.unified_diff(*pair, lineterm="", n=0)
            if line[:1] in "+-@" and line[:3] not in ("+++", "---")
        )


def running(source: str) -> set[int]:
    """Return the lines of a file that something runs: no docstring, no annotation alone."""
    tree = ast.parse(source)
    lines = {n.lineno for n in ast.walk(tree) if isinstance(n, ast.expr)}
    for node in ast.walk(tree):
        parts = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            parts.append(node)
        for part in parts:
            if isinstance(part, ast.AST):
                lines -= set(range(part.lineno, (part.end_lineno or part.lineno) + 1))
    return lines


def places(room: str) -> dict[tuple[Path, tuple[int, int]], list[tuple[str, int]]]:
    """Return every place of a room's plain modules where a slip can be made, and which."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    found: dict[tuple[Path, tuple[int, int]], list[tuple[str, int]]] = {}
    for path in sorted((ROOT / "src" / "xent" / room).rglob("*.py")):
        if set(path.parts) & set(KERNELS):
            continue
        source = path.read_text()
        shown, nodes = running(source), list(ast_nodes(get_ast(source)))
        for name in operator_names():
            if "Variable" in name:
                continue  # they are told which variable
            operator = get_operator(name)()
            starts = (start for node in nodes for start, _ in operator.mutation_positions(node))
            for occurrence, start in enumerate(starts):
                if start[0] in shown:
                    found.setdefault((path, start), []).append((name, occurrence))
    return found


def drawn(room: str, count: int, seed: int) -> tuple[list[Mutant], int]:
    """Draw places, and one slip at each; return also how many places there are."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    luck, found = random.Random(seed), places(room)
    sample = []
    for path, start in luck.sample(sorted(found), min(count, len(found))):
        source, choices, changed = path.read_text(), list(found[path, start]), ""
        while choices and not changed:
            choices.remove(choice := luck.choice(choices))
            with suppress(AttributeError):  # it cannot replace one of several exceptions
                changed = mutate_code(source, get_operator(choice[0])(), choice[1])
        if changed:
            sample.append(Mutant(path.relative_to(ROOT), start[0], choice[0], source, changed))
    return sample, len(found)


def caught(copy: Path, mutant: Mutant, seconds: dict[str, float], tests: list[str]) -> str:
    """Say what notices a slip: no test that fails without it, run after the same others."""
    while tests:
        what = trials.noticed(copy, mutant.path, mutant.changed, seconds, tests)
        name = next((name for name in tests if what.startswith(f"{name}: ")), None)
        if name is None:
            # On a busy machine tests are ended by the clock: without the slip, too.
            busy = what == NO_END and _without(copy, mutant, seconds, tests) == NO_END
            return "" if busy else what
        before = tests[: tests.index(name) + 1]
        if not _without(copy, mutant, seconds, before):
            return what
        tests = [test for test in tests if test != name]
    return ""


def _without(copy: Path, mutant: Mutant, seconds: dict[str, float], tests: list[str]) -> str:
    return trials.noticed(copy, mutant.path, mutant.source, seconds, tests)


def verdict(
    copy: Path, mutant: Mutant, ran: lines.Ran, tests: list[str], most: float
) -> tuple[str, float]:
    """Say what notices a slip and in how many seconds: as kept from a run before, where one is."""
    told = f"{ran.digest} {most} {mutant.path}\n{mutant.changed}"
    store = lines.KEPT / f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.slip.json"
    if not store.exists():
        start = time.monotonic()
        what = caught(copy, mutant, ran.seconds, tests)
        lines.keep(store, json.dumps([what, time.monotonic() - start]))
    what, seconds = json.loads(store.read_text())
    return what, seconds


def tried(room: str, given: argparse.Namespace, copy: Path) -> str:
    """Try the slips of a room, print each, and return the row of a table."""
    begin = time.monotonic()
    trials.copied(copy)
    ran = lines.ran(copy, room)
    if given.never_run:
        print(*lines.never_run(ran, room), sep="\n", flush=True)
    sample, size = drawn(room, given.count, given.seed)
    print(f"{room}: {len(ran.seconds):,} tests, {time.monotonic() - begin:.0f} s", flush=True)
    if ran.failed:
        print(f"left out, as they fail without any slip: {', '.join(ran.failed)}", flush=True)
    lived, count = 0, 0
    for number, mutant in enumerate(sample):
        if given.only and number not in given.only:
            continue
        tests, left = lines.chosen(ran, room, mutant.path, mutant.source, mutant.line, given.most)
        what, seconds = verdict(copy, mutant, ran, tests, given.most)
        lived, count = lived + (not what), count + 1
        head = f"{number} {'caught' if what else 'LIVES'}: {mutant.path}, {mutant.operator}"
        tail = what or f"none of {len(tests)} tests" + f", and {left} not tried" * (left > 0)
        print(f"{head}\n{mutant.lines()}\n  {tail} ({seconds:.0f} s)", flush=True)
    seconds = time.monotonic() - begin
    return f"| {room} | {size:,} | {count} | {count - lived} | {seconds:.0f} s |"


def read(room: str, given: argparse.Namespace, copy: Path) -> str:
    """Try slips of what reads scripts on the small scripts of the audit, and print those that live."""
    begin = time.monotonic()
    trials.copied(copy)
    ran = reading.ran(copy)
    sample, size = drawn(room, given.count, given.seed)
    lived = 0
    for number, mutant in enumerate(sample):
        if given.only and number not in given.only:
            continue
        if not reading.noticed(copy, mutant.path, mutant.changed, mutant.line, ran):
            lived += 1
            print(f"{number} LIVES: {mutant.path}, {mutant.operator}\n{mutant.lines()}", flush=True)
    count, seconds = len(given.only or sample), time.monotonic() - begin
    return f"| {room} | {size:,} | {count} | {count - lived} | {seconds:.0f} s |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("rooms", nargs="*", help=f"of {', '.join(ROOMS)}; all where none is named")
    parser.add_argument("--count", type=int, default=20, help="slips of a room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--never-run", action="store_true", help="list what no test runs, too")
    parser.add_argument("--most", type=float, default=600, help="seconds of tests for a slip")
    parser.add_argument("--only", type=int, nargs="*", help="the slips of these numbers alone")
    parser.add_argument(
        "--scripts",
        action="store_true",
        help="try slips in audit/_follow, or a folder in it, on the audit's small scripts alone",
    )
    given = parser.parse_args()
    if given.scripts and not all(room.startswith("audit/_follow") for room in given.rooms or [""]):
        parser.error("--scripts is for audit/_follow and folders in it")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # its children end, its copy goes
    trials.load_ahead()
    rows = ["| room | places | slips | noticed | time |", "| --- | ---: | ---: | ---: | ---: |"]
    for room in given.rooms or ROOMS:
        # Not a TemporaryDirectory: a fork that runs the functions of an exit would take it away.
        copy = Path(tempfile.mkdtemp(prefix="mutants-")).resolve()
        try:
            rows.append((read if given.scripts else tried)(room, given, copy))
        finally:
            shutil.rmtree(copy, ignore_errors=True)
    print(f"\nseed {given.seed}", *rows, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
