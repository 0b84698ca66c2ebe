"""Slips in what the audit reads with, tried against the small scripts of tests/audit alone.

Reading a script takes milliseconds, and what it says is recorded to the letter. So a slip costs
about a second instead of half a minute, and hundreds can be tried.
"""

import functools
import importlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mutants.trials import NO_END

LONGEST = 20  # seconds for a script that takes milliseconds
MOST = 400  # scripts for a slip; where more run its line, so many are drawn
Lines = dict[str, dict[str, list[int]]]


def ran(copy: Path) -> Lines:
    """Say of each file and line which scripts run it, the quickest first."""
    return _forked(copy, lambda: _ran(f"{copy}/"))


def noticed(copy: Path, path: Path, changed: str, line: int, lines: Lines) -> str:
    """Return the name of a script that a slip makes wrong, or an empty str."""
    numbers = lines.get(str(path), {}).get(str(line), [])
    if not numbers:  # made at import, or a default: whatever runs the file
        numbers = sorted({n for of in lines.get(str(path), {}).values() for n in of})
    if len(numbers) > MOST:
        quick, rest = numbers[: MOST // 4], numbers[MOST // 4 :]
        numbers = quick + random.Random(0).sample(rest, MOST - len(quick))
    target = copy / path
    before, kept = target.read_text(), target.stat()
    target.write_text(changed)
    try:
        return _forked(copy, lambda: _noticed(numbers))
    finally:
        target.write_text(before)
        os.utime(target, ns=(kept.st_atime_ns, kept.st_mtime_ns))  # its bytecode is good again


def _forked(copy: Path, work: Callable[[], Any]) -> Any:
    """Return what ``work`` says in a fork that imports the copy."""
    asked, answered = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            sys.path[:0] = [str(copy / "src"), str(copy / "tests")]
            sys.dont_write_bytecode = True
            os.write(answered, json.dumps(work()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(answered)
    with os.fdopen(asked) as pipe:
        told = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status in (0, -signal.SIGALRM):
        return json.loads(told) if told else NO_END
    raise SystemExit(f"a fork ended with {status}")


def _scripts() -> Any:
    importlib.import_module("audit.told").recorded = functools.cache(  # type: ignore[attr-defined]
        importlib.import_module("audit.told").recorded
    )
    return importlib.import_module("audit.test_scripts")


def _noticed(numbers: list[int]) -> str:
    signal.alarm(LONGEST)
    try:
        small = _scripts()
    except Exception as error:
        return f"import: {error!r}"
    for number in numbers:
        signal.alarm(LONGEST)
        if _wrong(small, number):
            return small.SCRIPTS[number][0]
    return ""


def _wrong(small: Any, number: int) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        try:
            small.test_script(*small.SCRIPTS[number], Path(folder))
        except (Exception, SystemExit):
            return True
    return False


def _ran(copy: str) -> Lines:
    small = _scripts()
    lines: Lines = defaultdict(lambda: defaultdict(list))
    seconds: dict[int, float] = {}

    def trace(frame, event, _):
        path = frame.f_code.co_filename
        if not path.startswith(f"{copy}src/xent/audit/"):
            return None
        of = lines[path.removeprefix(copy)][str(frame.f_lineno)]
        if number not in of[-1:]:
            of.append(number)
        return trace

    for number in range(len(small.SCRIPTS)):
        start = time.process_time()
        if _wrong(small, number):
            raise SystemExit(f"{small.SCRIPTS[number][0]!r} fails without any slip")
        seconds[number] = time.process_time() - start
        sys.settrace(trace)
        _wrong(small, number)
        sys.settrace(None)
    for found in lines.values():
        for of in found.values():
            of.sort(key=seconds.__getitem__)
    return lines
