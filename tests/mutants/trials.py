"""Which tests run a line, and those tests over a slip at it, each time in a fork of this process.

The tests of a room run once, watched by coverage.py, with the name of the test as its context;
children are followed, and carry the name in their environment. What a test file ran is kept under
the content of the library and of that file. A slip is then given to the tests that run its line,
the quickest first. A fork has the heavy libraries loaded and nothing of xent, so that a trial
costs the import of xent and the tests themselves.
"""

import ast
import gc
import hashlib
import importlib
import json
import os
import re
import select
import shutil
import signal
import sys
import threading
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "mutants"
TESTS = {"_table": "cellar"}
LEFT_OUT = {".git", ".venv", ".venv-oldest", ".venv-release", ".venv-site", "build", "dist"}
START = 300  # seconds until the first test begins; a test has 30, and 20 times what it took
FIXTURES = re.compile(r"scope=|^@.*cache", re.MULTILINE)  # what one test made, others use


class Ran(NamedTuple):
    """What the tests of a room took and ran: seconds a test, and tests a file and line."""

    seconds: dict[str, float]
    failed: list[str]
    lines: dict[str, dict[int, set[str]]]


def load_ahead() -> None:
    """Import what tests need and is not ours, once, for all forks."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as tests/conftest.py does
    from children import LOADED_AHEAD

    for name in ["pytest", *LOADED_AHEAD]:
        if not name.startswith("xent"):
            with suppress(ImportError):
                importlib.import_module(name)
    del sys.modules["children"]  # the copy has its own
    assert threading.active_count() == 1, threading.enumerate()
    gc.freeze()


def copied(copy: Path) -> None:
    """Copy the tree, with the machine code beside its sources."""
    for part in ROOT.iterdir():
        if part.name not in LEFT_OUT:
            (shutil.copytree if part.is_dir() else shutil.copy2)(part, copy / part.name)


class Watch:
    """What runs inside pytest: picks and orders the tests, limits each, and writes down its end."""

    def __init__(self, seconds=None, wanted=None, coverage=None, notes=None):
        self.seconds, self.wanted, self.coverage, self.notes = (
            seconds or {},
            wanted,
            coverage,
            notes,
        )

    def pytest_pycollect_makeitem(self, collector):
        examples = collector.path.is_relative_to(collector.config.rootpath / "src")
        return [] if examples else None  # a class `Tested` there is no test

    def pytest_collection_modifyitems(self, config, items):
        if self.wanted is not None:
            place = {name: i for i, name in enumerate(self.wanted)}
            kept = [item for item in items if item.nodeid in place]
            items[:] = sorted(kept, key=lambda item: place[item.nodeid])

    def pytest_runtest_logstart(self, nodeid):
        if self.coverage is not None:
            self.coverage.switch_context(nodeid)
            signal.alarm(1800)
        else:
            signal.alarm(30 + int(20 * self.seconds.get(nodeid, 1)))

    def pytest_runtest_logreport(self, report):
        self._note(report.nodeid, report.duration, report)

    def pytest_collectreport(self, report):
        if report.failed:
            self._note(report.nodeid, 0, report)

    def _note(self, name, duration, report):
        why = ""
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            why = crash.message if crash is not None else str(report.longrepr)
        print(json.dumps([name, duration, report.outcome, why[:300]]), file=self.notes, flush=True)


def forked(copy: Path, arguments: list[str], watch: Watch, config: Path | None) -> int:
    """Run pytest over the copy in a fork; return its exit code, or minus the signal that ended it."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        status = 3
        try:
            os.setsid()
            signal.alarm(START)
            status = _become(copy, arguments, watch, config)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what it left running
    return status


def _become(copy: Path, arguments: list[str], watch: Watch, config: Path | None) -> int:
    output = os.open(copy / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy / "src")
    sys.path[:] = [p for p in sys.path if not Path(p or ".").resolve().is_relative_to(ROOT)]
    sys.path[:0] = [str(copy / "src"), str(copy / "tests")]
    _serve_from_here()
    if config is None:
        os.environ["PYTHONDONTWRITEBYTECODE"], sys.dont_write_bytecode = "1", True
    else:
        import coverage

        os.environ["COVERAGE_PROCESS_START"] = str(config)
        watch.coverage = coverage.Coverage(config_file=str(config), data_suffix=True)
        watch.coverage.start()
    import pytest

    with (copy / "notes").open("w") as watch.notes:
        status = int(pytest.main(arguments, plugins=[watch]))
    if config is not None:
        watch.coverage.stop()
        watch.coverage.save()
    return status


def _serve_from_here() -> None:
    """Let the server of tests/children.py be a fork as well, instead of loading all again."""
    import children

    asked, answered = os.pipe(), os.pipe()
    if not os.fork():
        for end, place in ((asked[0], 0), (answered[1], 1)):
            os.dup2(end, place)
        os.close(asked[1])
        become = children._become

        def watched(code, arguments, folder, environment, *rest):
            if "COVERAGE_PROCESS_START" in environment:
                import coverage

                os.environ.update(environment)  # it has the test's name
                coverage.process_startup(force=True)
            become(code, arguments, folder, environment, *rest)

        children._become = watched
        sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115
        select.select([0], [], [])  # loads nothing where no test asks
        try:
            children.serve()
        finally:
            os._exit(0)
    os.close(asked[0])
    os.close(answered[1])
    pipes = SimpleNamespace(stdin=os.fdopen(asked[1], "w"), stdout=os.fdopen(answered[0]))
    children._server = lambda _process: pipes


def notes(copy: Path) -> list[list]:
    return [json.loads(line) for line in (copy / "notes").read_text().splitlines()]


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
    base = hashlib.sha256(sys.version.encode())
    for path in sorted(shared):
        base.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    stores = {}
    for path in files:
        digest = base.copy()
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
        stores[path] = KEPT / f"{digest.hexdigest()[:32]}.json"
    new = [path for path in files if not stores[path].exists()]
    if new:
        for path, found in _measured(copy, room, new).items():
            stores[path].write_text(json.dumps(found))
    whole = Ran({}, [], {})
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


def _measured(copy: Path, room: str, files: list[Path]) -> dict[Path, dict]:
    from coverage import CoverageData

    config = copy / "coverage.ini"
    # `${}` is filled in by coverage.py in each child: its own test.
    config.write_text(
        f"[run]\nparallel = true\ndata_file = {copy}/ran\ninclude = {copy}/src/xent/{room}/*\n"
        "context = ${PYTEST_CURRENT_TEST-}\npatch = _exit\n[report]\nignore_errors = true\n"
    )
    names = [str(path.relative_to(ROOT)) for path in files]
    status = forked(copy, ["-m", "not long", "-p", "no:cacheprovider", *names], Watch(), config)
    if status not in (0, 1):
        end = (copy / "output").read_text()[-2000:]
        raise SystemExit(f"the tests of {room} ended with {status} without any slip:\n{end}")
    found = {path: {"tests": {}, "lines": {}} for path in files}
    place = {}
    for name, duration, outcome, _ in notes(copy):
        of = found[ROOT / name.partition("::")[0]]["tests"]
        entry = of.setdefault(name, [0, False])
        entry[:] = [round(entry[0] + duration, 3), entry[1] or outcome == "failed"]
    for path in files:
        place |= {name: (path, i) for i, name in enumerate(found[path]["tests"])}
    for part in copy.glob("ran.*"):
        data = CoverageData(str(part))
        with suppress(Exception):  # a process that was killed left half a file
            data.read()
        for source in data.measured_files():
            relative = str(Path(source).relative_to(copy))
            for line, contexts in data.contexts_by_lineno(source).items():
                for context in contexts:
                    name = re.sub(r" \((setup|call|teardown)\)$", "", context.strip("|"))
                    if name in place:
                        path, i = place[name]
                        lines = found[path]["lines"].setdefault(relative, {})
                        lines.setdefault(str(line), set()).add(i)
    for entry in found.values():
        for lines in entry["lines"].values():
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
    return set(range(nodes[0].lineno, nodes[-1].end_lineno + 1))


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
    found = tests(lines | {line})
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


def chosen(ran: Ran, room: str, path: Path, source: str, line: int) -> list[str]:
    """Return the tests for a slip, the quickest first, then those that share what these made."""
    hits = running(ran, room, path, source, line)
    if not hits:  # by what coverage does not see into: all that run anything of the file
        hits = set().union(*ran.lines.get(str(path), {}).values()) or set(ran.seconds)
    files = {name.partition("::")[0] for name in hits}
    sharing = {file for file in files if FIXTURES.search((ROOT / file).read_text())}
    rest = {name for name in ran.seconds if name.partition("::")[0] in sharing} - hits
    return [name for part in (hits, rest) for name in sorted(part, key=ran.seconds.__getitem__)]


def noticed(copy: Path, path: Path, changed: str, ran: Ran, tests: list[str]) -> str:
    """Run tests over a changed file; return what noticed it, or an empty str."""
    target = copy / path
    before, kept = target.read_text(), target.stat()
    target.write_text(changed)
    files = sorted({name.partition("::")[0] for name in tests})
    arguments = ["-x", "-m", "not long", "-p", "no:cacheprovider", *files]
    try:
        status = forked(copy, arguments, Watch(ran.seconds, tests), None)
        told = notes(copy)
    finally:
        target.write_text(before)
        os.utime(target, ns=(kept.st_atime_ns, kept.st_mtime_ns))  # its bytecode is good again
    if status == 0:
        return ""
    failed = [
        f"{name}: {why.splitlines()[0]}" for name, _, end, why in told if end == "failed" and why
    ]
    if status == 5:
        raise SystemExit(f"none of {tests} was found")
    return (
        failed[0][:200]
        if failed
        else {-signal.SIGALRM: "no end"}.get(status, f"exit code {status}")
    )
