"""Running a script as Python does, with PyTorch watched from the moment that it is loaded."""

from __future__ import annotations

import builtins
import io
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from xent import _check
from xent._signals import ENDING_SIGNALS, end
from xent.audit._audit import ScriptsRead, reading
from xent.audit._config import Config
from xent.audit._follow.loaded import driven
from xent.audit._report import AuditReport
from xent.audit._run.loading import UNBLAMED, AfterLoading

if TYPE_CHECKING:
    from xent.audit._run.observer import Observer
    from xent.audit._run.patches import Patches

OWN_FILES = str(Path(__file__).parent), UNBLAMED


@dataclass
class Ran:
    """How a script ended, and what was seen of it."""

    report: AuditReport
    code: int
    interrupted: bool = False


@dataclass
class _Watch:
    """The watcher of a run, which begins when PyTorch is loaded."""

    steps: int | None
    observer: Observer | None = None
    patches: Patches | None = None
    failed: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Put the watchers; a failure is told in the report and stops nothing."""
        try:
            from xent.audit._run.observer import Observer
            from xent.audit._run.patches import Patches

            self.observer = Observer(self.steps)
            self.patches = Patches(self.observer)
            self.patches.put()
        except Exception as error:
            self.failed.append(f"the run (xent failed: {type(error).__name__}: {error})")

    def end(self) -> None:
        """Take the watchers away."""
        if self.observer is not None:
            self.observer.stop()
        if self.patches is not None:
            self.patches.take_away()


def run(script: Path, arguments: Sequence[str], config: Config, steps: int | None = None) -> Ran:
    """Run a script to its end and report; what it prints, returns and raises is its own."""
    if script.suffix == ".ipynb":
        advice = "Write it as a script first: jupyter nbconvert --to script NOTEBOOK"
        raise _check.invalid("SCRIPT", "be a Python script", repr(str(script)), advice)
    if not script.is_file():
        raise _check.invalid("SCRIPT", "be a file that exists", repr(str(script)))
    folder = Path.cwd()
    found = reading([script], config)
    watch, before = _Watch(steps), set(sys.modules)
    with _loads(watch.begin):
        code, interrupted = _as_main(script, arguments)
    watch.end()
    if watch.observer is not None:
        from xent.audit._run.settle import settled

        try:
            files = [script, *driven(set(sys.modules) - before)]
            found = _read_again(watch.observer, found, files, config, folder)
            found.not_followed |= dict.fromkeys(watch.failed)
            return Ran(settled(watch.observer, found, config, folder), code, interrupted)
        except Exception as error:
            watch.failed.append(f"the run (xent failed: {type(error).__name__}: {error})")
    elif not watch.failed:
        watch.failed.append("the run (it did not load PyTorch)")
    found.not_followed |= dict.fromkeys(watch.failed)
    return Ran(found.report(config), code, interrupted)


def _read_again(
    observer: Observer, before: ScriptsRead, files: list[Path], config: Config, folder: Path
) -> ScriptsRead:
    """Read a script that ran, with what it has loaded; as it was, if it left nothing to read."""
    now = os.getcwd()
    try:
        os.chdir(folder)
        return reading(files, config, ran=observer.seen_calls())
    except (OSError, ValueError):
        return before
    finally:
        os.chdir(now)


# ---------------------------------------------------------------------- as Python runs it


def _as_main(script: Path, arguments: Sequence[str]) -> tuple[int, bool]:
    """Run a file as ``python script arguments`` does; return its exit code."""
    file = os.path.abspath(script)
    main = ModuleType("__main__")
    main.__dict__.update(
        __file__=file,
        __builtins__=builtins,
        __cached__=None,
        __loader__=SourceFileLoader("__main__", file),
        __annotations__={},
    )
    with _in_place_of(main, file, [str(script), *arguments]):
        try:
            exec(_code(file), main.__dict__)
            return _flushed(0), False
        except SystemExit as stop:
            return _flushed(_exit_code(stop)), False
        except KeyboardInterrupt as error:
            _tell(error)
            return 130, True
        except BaseException as error:
            _tell(error)
            return _flushed(1), False


def _code(file: str) -> CodeType:
    with io.open_code(file) as opened:
        return compile(opened.read(), file, "exec", dont_inherit=True)


@contextmanager
def _in_place_of(main: ModuleType, file: str, argv: list[str]) -> Iterator[None]:
    """Set what a script sees of the interpreter, and set it back."""
    before = sys.modules["__main__"], sys.argv, sys.path[:]
    shown, hook = warnings.showwarning, sys.excepthook
    sys.excepthook = sys.__excepthook__
    sys.modules["__main__"], sys.argv = main, argv
    if not sys.flags.safe_path:
        sys.path[:1] = [os.path.dirname(os.path.realpath(file))]
    ours = [number for number in ENDING_SIGNALS if signal.getsignal(number) is end]
    for number in ours:
        signal.signal(number, signal.SIG_DFL)
    original: Any = getattr(warnings, "_showwarning_orig", None)
    if original is not None:
        warnings.showwarning = original
    try:
        yield
    finally:
        sys.modules["__main__"], sys.argv, sys.path[:] = before
        warnings.showwarning, sys.excepthook = shown, hook
        for number in ours:
            signal.signal(number, end)


def _exit_code(stop: SystemExit) -> int:
    if stop.code is None:
        return 0
    if isinstance(stop.code, int):
        return stop.code & 0xFF if os.name == "posix" else stop.code
    print(stop.code, file=sys.stderr)  # noqa: T201  # as Python does
    return 1


def _flushed(code: int) -> int:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return code


def _tell(error: BaseException) -> None:
    """Print a traceback as Python does, without the frames of what watches."""
    if sys.excepthook is not sys.__excepthook__:
        sys.excepthook(type(error), error, _without_ours(error.__traceback__))
        return
    shown = traceback.TracebackException.from_exception(error)
    for one in _chain(shown):
        one.stack[:] = [frame for frame in one.stack if not frame.filename.startswith(OWN_FILES)]
    for line in shown.format():
        sys.stderr.write(line)


def _chain(shown: Any) -> Iterator[Any]:
    todo = [shown]
    while todo:
        one = todo.pop()
        if one is not None:
            yield one
            todo += [one.__cause__, one.__context__, *(one.exceptions or ())]


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(OWN_FILES):
        trace = trace.tb_next
    return trace


def interrupt() -> None:
    """End as Python ends a program that Ctrl-C stopped."""
    _flushed(0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)


# ---------------------------------------------------------------------- when PyTorch is loaded


@contextmanager
def _loads(then: Callable[[], None]) -> Iterator[None]:
    """Call back when PyTorch is loaded, at once if it is."""
    if "torch" in sys.modules:
        then()
        yield
        return
    finder = AfterLoading({"torch"}, then)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
