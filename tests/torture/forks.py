"""Children that cost a fork: `xent` is imported once, and each case runs in a copy of this process.

A child runs in a folder of its own, with its own TMPDIR, and its ending is told: exit code or
signal, what it printed, how long it took, and the most memory it held.
"""

import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xent import _signals

HANG = 10.0  # seconds
SLOW = 12  # no command may take so many times longer, however busy the machine is
FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}
FILE_EVENTS |= {"fcntl.flock", "os.truncate", "os.chmod"}


@dataclass(frozen=True)
class Blow:
    """A signal, sent after so many seconds, or at the n-th thing done to a file."""

    signal: int
    seconds: float = 0.0
    event: int = 0


@dataclass
class Ending:
    """How a child ended. ``code`` is minus the signal where one ended it."""

    code: int
    out: str
    err: str
    seconds: float
    peak: int
    hung: bool
    faults: list[str] = field(default_factory=list)

    @property
    def crashed(self) -> bool:
        """Whether a signal ended it that was not ours."""
        return self.code < 0 and not self.hung

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.err


class Silence:
    """What the commands print goes nowhere."""

    def __enter__(self) -> None:
        sys.stdout.flush()
        self.kept = os.dup(1), os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)

    def __exit__(self, *error: object) -> None:
        sys.stdout.flush()
        os.dup2(self.kept[0], 1)
        os.dup2(self.kept[1], 2)


def command(words: Sequence[str]) -> int:
    """Run `xent` as typed, and return its exit code."""
    from xent import cli

    sys.argv = ["xent", *words]
    try:
        cli.main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def run(
    act: Callable[[], int | None],
    folder: Path,
    *,
    blow: Blow | None = None,
    limit: Callable[[], None] | None = None,
    timeout: float = HANG,
    out: int | None = None,
) -> Ending:
    """Run ``act`` in a fork, in ``folder``, and tell how it ended.

    The child leads a group of its own, which ends where the wait for it is broken off.
    ``limit`` is called in the child before ``act``; ``out`` is a descriptor to print to.
    """
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as said:
        start = time.monotonic()
        sys.stdout.flush()
        # A child that hears a signal as its parent would unwinds as its parent, and tidies up.
        ending = {signal.SIGINT, *_signals.ENDING_SIGNALS}
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
        pid = os.fork()
        os.setpgid(pid, pid)  # by both, since either may come first
        if not pid:
            to = printed.fileno() if out is None else out
            _child(act, folder, blow, limit, to, said.fileno(), unblocked)
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        try:
            hung, usage, status = _wait(pid, blow, timeout)
        except BaseException:  # Ctrl-C: what runs ends too, and what it has begun
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        seconds = time.monotonic() - start
        texts = []
        for file in (printed, said):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    code = os.waitstatus_to_exitcode(status)
    return Ending(code, *texts, seconds, usage.ru_maxrss * 1024, hung)


def _wait(pid: int, blow: Blow | None, timeout: float) -> tuple[bool, "os.struct_rusage", int]:
    hung = False
    handle = os.pidfd_open(pid)
    try:
        timed = blow is not None and not blow.event
        if timed and not select.select([handle], [], [], blow.seconds)[0]:
            os.kill(pid, blow.signal)
        # A busy machine is no hang: what counts is the time that the child had, or that it waits.
        begin = last = time.monotonic()
        had = 0.0
        while not select.select([handle], [], [], 0.5)[0]:
            now, has = time.monotonic(), _seconds_of(pid)
            last, had = (now, has) if has > had else (last, had)
            if max(had, now - last) > timeout or now - begin > SLOW * timeout:
                hung = True
                os.kill(pid, signal.SIGKILL)
                break
    finally:
        os.close(handle)
    _, status, usage = os.wait4(pid, 0)
    return hung, usage, status


def _seconds_of(pid: int) -> float:
    """Processor time of a process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _child(act, folder, blow, limit, out, err, unblocked) -> None:
    code = 1
    try:
        for number in _signals.ENDING_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        # A stream that was made for a file seeks, and a pipe cannot.
        sys.stdout, sys.stderr = (
            open(place, "w", 1, encoding="utf-8", closefd=False)  # noqa: SIM115
            for place in (1, 2)
        )
        os.chdir(folder)
        if blow is not None and blow.event:
            sys.addaudithook(_at(blow))
        if limit is not None:
            limit()
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        except KeyboardInterrupt:  # before the command began: none of it is to be heard
            os._exit(128 + signal.SIGINT)
        code = act() or 0
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stderr.flush()
            sys.stdout.flush()
        except BaseException:
            code = code or 1
        finally:  # whatever comes: this process must not go on as its parent
            os._exit(code)


def _at(blow: Blow) -> Callable[[str, tuple], None]:
    left = [blow.event]

    def look(event: str, args: tuple) -> None:
        if event in FILE_EVENTS:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), blow.signal)

    return look
