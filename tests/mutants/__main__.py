"""`make mutants`: a seeded sample of small slips, one at a time, and how many the tests notice.

The slips are those of cosmic-ray's operators: another comparison, another sign, a number one off, a
branch turned round, a loop that is not run. Cosmic-ray's own sessions run all of them, days of
work; here a sample is drawn first. Each goes into a copy of the tree, so that nobody's files are
touched, and the room's everyday tests run there until one fails. Kernels are left out, as
compiling them anew takes minutes; so are annotations, which nothing runs.
"""

import argparse
import ast
import difflib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
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
TESTS = {"_table": "cellar"}
KERNELS = ("_kernels", "_triton")
LEFT_OUT = {".git", ".venv", ".venv-oldest"}
TIMEOUT = 900  # seconds for the tests of a room; a loop without end is noticed so


class Mutant(NamedTuple):
    """One slip: a file, what cosmic-ray did to it, and the file before and after."""

    path: Path
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
        name, occurrence = luck.choice(found[path, start])
        source = path.read_text()
        changed = mutate_code(source, get_operator(name)(), occurrence)
        sample.append(Mutant(path.relative_to(ROOT), name, source, changed))
    return sample, len(found)


def failing(copy: Path, room: str, python: str) -> list[str]:
    """Return the tests of a room that fail without any slip, such as those of what is installed."""
    command = [python, "-m", "pytest", "-q", "-n", "0", "-m", "not long", tests_of(room)]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    return [words[1] for words in lines if words[:1] in (["FAILED"], ["ERROR"])]


def tests_of(room: str) -> str:
    """Return the folder of a room's tests."""
    return f"tests/{TESTS.get(room, room)}"


def noticed(mutant: Mutant, copy: Path, room: str, python: str, left_out: list[str]) -> str:
    """Run the room's tests over a slip; return what noticed it, or an empty str."""
    target = copy / mutant.path
    target.write_text(mutant.changed)
    command = [python, "-m", "pytest", "-q", "-x", "-n", "0", "-m", "not long", tests_of(room)]
    command += [f"--deselect={test}" for test in left_out]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return "no end"
    finally:
        target.write_text(mutant.source)
    if done.returncode == 0:
        return ""
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0][:100] if failed else f"exit code {done.returncode}"


def tried(room: str, given: argparse.Namespace, copy: Path) -> None:
    """Try the slips of a room, and print each."""
    begin = time.monotonic()
    sample, size = drawn(room, given.count, given.seed)
    for part in ROOT.iterdir():
        if part.name not in LEFT_OUT:
            (shutil.copytree if part.is_dir() else shutil.copy2)(part, copy / part.name)
    left_out = failing(copy, room, given.python)
    if left_out:
        print(f"{room}: left out, as they fail without any slip: {', '.join(left_out)}", flush=True)
    lived = 0
    for mutant in sample:
        what = noticed(mutant, copy, room, given.python, left_out)
        lived += not what
        head = f"{'caught' if what else 'LIVES'}: {mutant.path}, {mutant.operator}"
        print(f"{head}\n{mutant.lines()}\n  {what}", flush=True)
    caught, seconds = len(sample) - lived, time.monotonic() - begin
    print(
        f"\n{room}: {caught} of {len(sample)} noticed ({caught / len(sample):.0%}), drawn from "
        f"{size:,} places with seed {given.seed}, {seconds:.0f} s",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("rooms", nargs="*", help=f"of {', '.join(ROOMS)}; all where none is named")
    parser.add_argument("--count", type=int, default=20, help="slips of a room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--python", default=sys.executable, help="runs the tests")
    given = parser.parse_args()
    for room in given.rooms or ROOMS:
        with tempfile.TemporaryDirectory(prefix="mutants-") as name:
            tried(room, given, Path(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
