"""Which tests of a room run a line, and which lines none runs.

The tests of a room run once, watched by coverage.py, with the name of the test as its context;
children are followed, and carry the name in their environment. What a test file ran is kept, as
soon as it has run, under the content of the library and of that file; so a run that was ended goes
on where it was.
"""

import ast
import hashlib
import json
import os
import re
import sys
from contextlib import suppress
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from mutants.trials import ROOT, Watch, forked, notes

KEPT = ROOT / "build" / "mutants"
TESTS = {"_table": "cellar"}
KERNELS = ("_kernels", "_triton")
FIXTURES = re.compile(r"scope=|^@.*cache", re.MULTILINE)  # what one test made, others use


class Ran(NamedTuple):
    """What the tests of a room took and ran: seconds a test, and tests a file and line.

    ``digest`` stands for the content of the library and of these tests.
    """

    digest: str
    seconds: dict[str, float]
    failed: list[str]
    lines: dict[str, dict[int, set[str]]]


def test_files(room: str) -> list[Path]:
    """Return the files of a room's tests, its examples in docstrings among them."""
    own = (ROOT / "tests" / TESTS.get(room, room)).rglob("test_*.py")
    told = (ROOT / "src" / "xent" / room).rglob("*.py")
    return sorted(own) + sorted(path for path in told if ">>>" in path.read_text())


def ran(copy: Path, room: str) -> Ran:
    """Say which tests of a room run which lines; those of changed files run now."""
    KEPT.mkdir(parents=True, exist_ok=True)
    folder, files = ROOT / "tests" / TESTS.get(room, room), test_files(room)
    shared = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").glob("*.py")]
    shared += [path for path in folder.rglob("*.py") if path not in set(files)]
    shared += [Path(__file__), Path(__file__).with_name("trials.py")]
    base = hashlib.sha256(sys.version.encode())
    for path in sorted(shared):
        base.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    stores = {}
    for path in files:
        digest = base.copy()
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
        stores[path] = KEPT / f"{digest.hexdigest()[:32]}.json"
    for path in files:
        if not stores[path].exists():
            keep(stores[path], json.dumps(_measured(copy, room, path)))
    names = "".join(store.name for store in stores.values())
    whole = Ran(hashlib.sha256(names.encode()).hexdigest(), {}, [], {})
    for path in files:
        found = json.loads(stores[path].read_text())
        names = list(found["tests"])
        for name, (seconds, failed) in found["tests"].items():
            whole.failed.append(name) if failed else whole.seconds.update({name: seconds})
        for source, lines in found["lines"].items():
            into = whole.lines.setdefault(source, {})
            for line, tests in lines.items():
                good = {names[i] for i in tests} - set(whole.failed)
                into.setdefault(int(line), set()).update(good)
    return whole


def keep(path: Path, text: str) -> None:
    """Write a file of ``KEPT`` whole or not at all."""
    new = path.with_suffix(f".{os.getpid()}")
    new.write_text(text)
    new.replace(path)


def _measured(copy: Path, room: str, path: Path) -> dict[str, dict]:
    from coverage import CoverageData

    config = copy / "coverage.ini"
    # `${}` is filled in by coverage.py in each child: its own test.
    config.write_text(
        f"[run]\nparallel = true\ndata_file = {copy}/ran\ninclude = {copy}/src/xent/{room}/*\n"
        "context = ${PYTEST_CURRENT_TEST-}\npatch = _exit\n[report]\nignore_errors = true\n"
    )
    for part in copy.glob("ran.*"):  # of the file before
        part.unlink()
    arguments = ["-m", "not long", "-p", "no:cacheprovider", str(path.relative_to(ROOT))]
    status = forked(copy, arguments, Watch(), config)
    if status not in (0, 1, 5):  # 5: all its tests are long
        end = (copy / "output").read_text()[-2000:]
        raise SystemExit(f"the tests of {path} ended with {status} without any slip:\n{end}")
    found: dict[str, dict] = {"tests": {}, "lines": {}}
    for name, duration, outcome, _ in notes(copy):
        entry = found["tests"].setdefault(name, [0, False])
        entry[:] = [round(entry[0] + duration, 3), entry[1] or outcome == "failed"]
    place = {name: i for i, name in enumerate(found["tests"])}
    for part in copy.glob("ran.*"):
        data = CoverageData(str(part))
        with suppress(Exception):  # a process that was killed left half a file
            data.read()
        for source in data.measured_files():
            lines = found["lines"].setdefault(str(Path(source).relative_to(copy)), {})
            for line, contexts in data.contexts_by_lineno(source).items():
                for context in contexts:
                    name = re.sub(r" \((setup|call|teardown)\)$", "", context.strip("|"))
                    if name in place:
                        lines.setdefault(str(line), set()).add(place[name])
    for lines in found["lines"].values():
        lines.update({line: sorted(tests) for line, tests in lines.items()})
    return found


Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def _functions(room: str) -> list[tuple[str, str, set[int]]]:
    """Return of each function of a room its file, its text, and the lines of its body."""
    found = []
    for path in sorted((ROOT / "src" / "xent" / room).rglob("*.py")):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, Function):
                text = ast.get_source_segment(source, node) or ""
                found.append((str(path.relative_to(ROOT)), text, _span(node.body)))
    return found


def _span(nodes) -> set[int]:
    above = [each.lineno for each in getattr(nodes[0], "decorator_list", [])]
    return set(range(min([nodes[0].lineno, *above]), nodes[-1].end_lineno + 1))


def running(ran: Ran, room: str, path: Path, source: str, line: int) -> set[str]:
    """Return the tests that run a line, or that run what uses what is made there at import."""
    of, tree = ran.lines.get(str(path), {}), ast.parse(source)

    def tests(lines):
        return set().union(*(of.get(one, set()) for one in lines))

    holders = [n for n in ast.walk(tree) if isinstance(n, ast.stmt) and line in _span([n])]
    functions = [n for n in holders if isinstance(n, Function)]
    inside = functions and line in _span(functions[-1].body)
    if functions and not inside:  # a default, a decorator
        return tests(_span(functions[-1].body))
    if not functions:
        names = {n.id for n in ast.walk(holders[0]) if isinstance(n, ast.Name)} & {
            n.id
            for h in holders
            for n in ast.walk(h)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        names |= {h.name for h in holders if isinstance(h, ast.ClassDef)}
        found = _users(ran, room, names)
        return found or tests(of)
    last = holders[-1]
    body = getattr(last, "body", None)
    lines = set(range(last.lineno, body[0].lineno)) if isinstance(body, list) else _span([last])
    # What coverage sees nobody run may run in a child that was killed, with what is beside it.
    found = tests(lines | {line}) or tests(_span(functions[-1].body))
    kept = [f.name for f in functions if any("cache" in ast.unparse(d) for d in f.decorator_list)]
    return found | _users(ran, room, set(kept))  # run once, used by all


def _users(ran: Ran, room: str, names: set[str]) -> set[str]:
    word = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b")
    found: set[str] = set()
    for path, text, lines in _functions(room) if names else []:
        if word.search(text):
            of = ran.lines.get(path, {})
            found.update(*(of.get(line, set()) for line in lines))
    return found


def never_run(ran: Ran, room: str) -> list[str]:
    """Return the functions, and the branches inside others, that no test of a room runs."""
    found = []
    for path in sorted((ROOT / "src" / "xent" / room).rglob("*.py")):
        source = path.read_text()
        name, rows = str(path.relative_to(ROOT)), source.splitlines()
        if set(path.parts) & set(KERNELS):
            continue
        run = {line for line, tests in ran.lines.get(name, {}).items() if tests}
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, Function):
                continue
            body = node.body[ast.get_docstring(node) is not None :]
            inside = (part for n in ast.walk(node) for part in _branches(n))
            for part in [body] if body and not _span(body) & run else inside:
                if not _span(part) & run:
                    line = part[0].lineno
                    found.append(f"{name}:{line}: {node.name}: {rows[line - 1].strip()}")
    return found


def _branches(node: ast.AST) -> list[list[ast.stmt]]:
    if not isinstance(node, ast.If | ast.For | ast.While | ast.ExceptHandler | ast.With):
        return []
    parts = [node.body, getattr(node, "orelse", [])]
    return [part for part in parts if part and not isinstance(part[0], ast.If)]


def chosen(
    ran: Ran, room: str, path: Path, source: str, line: int, most: float
) -> tuple[list[str], int]:
    """Return the tests for a slip, the quickest first, then those that share what these made.

    Those past ``most`` seconds are only counted: a slip that they alone notice counts as one that
    lives.
    """
    hits = running(ran, room, path, source, line)
    if not hits:  # by what coverage does not see into: all that run anything of the file
        hits = set().union(*ran.lines.get(str(path), {}).values()) or set(ran.seconds)
    files = {name.partition("::")[0] for name in hits}
    sharing = {file for file in files if FIXTURES.search((ROOT / file).read_text())}
    rest = {name for name in ran.seconds if name.partition("::")[0] in sharing} - hits
    tests = [name for part in (hits, rest) for name in sorted(part, key=ran.seconds.__getitem__)]
    spent = accumulate(ran.seconds[name] for name in tests)
    number = max(1, sum(seconds <= most for seconds in spent))
    return tests[:number], len(tests) - number
