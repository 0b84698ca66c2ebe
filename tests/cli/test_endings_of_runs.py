"""How a command ends that is told to: its half-written files go, and its exit code says why."""

import inspect
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from xent import _signals

FIT = ("language", "fit", "text.txt", "--order", "4", "--output", "m.xent", "--memory", "400MB")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_command_that_is_ended_leaves_nothing(tmp_path, number, code):
    lines = [" ".join(f"w{(7 * i + 3 * j * j) % 997}" for j in range(12)) for i in range(60_000)]
    (tmp_path / "text.txt").write_text("\n".join(lines))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "xent", *FIT]
    child = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "TMPDIR": str(scratch)}, stderr=subprocess.PIPE
    )
    while not list(scratch.iterdir()) and child.poll() is None:
        pass
    child.send_signal(number)
    said = child.communicate(timeout=120)[1].decode()
    assert child.returncode == code, said
    assert said.endswith(f"Ended by {number.name}.\n")
    assert "Traceback" not in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scratch", "text.txt"]
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_without_a_terminal_to_write_to(tmp_path, closed):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n")
    sign = {"stdout": ">&-", "stderr": "2>&-"}[closed]
    command = f"exec {sys.executable} -m xent rank t.csv --target b {sign}"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


CLOSED = """
import os, sys
from contextlib import suppress
from xent import _store, cli
open_locked = _store.open_locked

def opened(path):
    file = open_locked(path)
    for number in (1, 2):  # as OpenMP does, which knows no Python: into whatever has this number
        with suppress(OSError):
            os.write(number, b"a warning")
    return file

_store.open_locked = opened
sys.argv = ["xent", "rank", "t.csv", "--target", "y", "--json", "o.json"]
cli.main()
"""


def test_what_is_printed_into_closed_streams_goes_into_no_file(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n1,u\n2,v\n")
    (tmp_path / "run.py").write_text(CLOSED)
    command = f"exec {sys.executable} run.py >&- 2>&-"
    assert subprocess.run(command, shell=True, cwd=tmp_path).returncode == 0
    assert json.loads((tmp_path / "o.json").read_text())[0]["name"] == "a"


def test_links_in_a_circle(tmp_path):
    (tmp_path / "a.csv").symlink_to(tmp_path / "b.csv")
    (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
    command = [sys.executable, "-m", "xent", "rank", "a.csv", "--target", "b"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "There is no file 'a.csv'.\n")


def test_a_key_pressed_before_the_options_are_read(tmp_path):
    """Ctrl-C while Typer still builds the command."""
    code = "from xent import cli; import typer.main as m, sys\n"
    code += "def stop(*a, **k): raise KeyboardInterrupt\n"
    code += "m.get_command = stop; cli.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


WORKERS = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import getpid
from xent._signals import end_with_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        print(pool.submit(getpid).result(), flush=True)
        time.sleep(600)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for a process in /proc")
def test_workers_end_with_a_command_that_is_killed(tmp_path):
    """A worker that waits for its next task holds the pipe open itself, and waited for good."""
    script = tmp_path / "pool.py"
    script.write_text(WORKERS)
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([sys.executable, script], **pipe) as child:
        worker = int(child.stdout.readline())
        assert os.path.isdir(f"/proc/{worker}")
        child.kill()
    until = time.monotonic() + 30
    while os.path.isdir(f"/proc/{worker}") and time.monotonic() < until:
        time.sleep(0.05)
    assert not os.path.isdir(f"/proc/{worker}")


def test_every_pool_of_workers_ends_with_its_command():
    from xent.cli._stream import _run
    from xent.cli._stream._options import StreamOptions
    from xent.cli._warm_up import _quiet

    assert "end_with_parent()" in inspect.getsource(_quiet)
    options = StreamOptions(workers=1, dask=None, checkpoint=None)
    with _run._executor(options) as pool:  # begins no process before its first task
        assert pool._initializer is _signals.end_with_parent
