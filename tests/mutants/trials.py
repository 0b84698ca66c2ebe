"""Tests over a changed file, each time in a fork of this process.

A fork has the heavy libraries loaded and nothing of xent, so that a trial costs the import of xent
and the tests themselves.
"""

import gc
import importlib
import json
import os
import select
import shutil
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
LEFT_OUT = {".git", ".venv", ".venv-oldest", ".venv-release", ".venv-site", "build", "dist"}
NO_END = "no end"
START = 300  # seconds until the first test begins; a test has 30, and 20 times what it took


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
        self.seconds, self.wanted = seconds or {}, wanted
        self.coverage, self.notes = coverage, notes

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
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.alarm(START)
            status = _become(copy, arguments, watch, config)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what it left running


def _become(copy: Path, arguments: list[str], watch: Watch, config: Path | None) -> int:
    output = os.open(copy / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy / "src")
    ours = {ROOT, ROOT / "src", ROOT / "tests"}
    sys.path[:] = [p for p in sys.path if p and Path(p).resolve() not in ours]
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
    children._server = lambda *_: pipes


def notes(copy: Path) -> list[list]:
    """Return of each report its test, seconds, outcome, and why it failed."""
    return [json.loads(line) for line in (copy / "notes").read_text().splitlines()]


def noticed(
    copy: Path, path: Path, changed: str, seconds: dict[str, float], tests: list[str]
) -> str:
    """Run tests over a changed file; return what noticed it, or an empty str."""
    target = copy / path
    before, kept = target.read_text(), target.stat()
    target.write_text(changed)
    # Examples last, as where the tests were watched: pytest imports the file of an example that
    # nobody has imported yet once more, and its classes are then others.
    files = sorted({name.partition("::")[0] for name in tests}, key=lambda f: (f[:4] == "src/", f))
    arguments = ["-x", "-m", "not long", "-p", "no:cacheprovider", *files]
    try:
        status = forked(copy, arguments, Watch(seconds, tests), None)
        told = notes(copy)
    finally:
        target.write_text(before)
        os.utime(target, ns=(kept.st_atime_ns, kept.st_mtime_ns))  # its bytecode is good again
    if status == 0:
        return ""
    if status == 5:
        raise SystemExit(f"none of {tests} was found")
    failed = [(name, why) for name, _, outcome, why in told if outcome == "failed" and why]
    if failed:
        return ": ".join(failed[0]).splitlines()[0][:200]
    return NO_END if status == -signal.SIGALRM else f"exit code {status}"
