"""`make torture` in short: a few of each case, and a fault is counted where there is one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def tortured(*words):
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    return subprocess.run(
        [sys.executable, "-m", "torture", *words, "--notes", os.devnull],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


needs_forks = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="forks, looks in /proc"
)


@pytest.mark.long  # CI runs a smaller part: see .ci/run
@needs_forks
def test_nothing_is_lost_or_silent_and_nothing_crashes():
    kinds = ("kills", "flips", "mutants", "shortages")  # bombs take minutes
    done = tortured(*kinds, "--scale", "0.02", "--seed", "7")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 faults" in done.stdout


PROOF = """
import os, sys
from collections import Counter
from pathlib import Path
from torture import forks, many

def act(i):
    if i == 3:
        os.kill(os.getpid(), 11)
    if i == 5:
        while True:
            pass
    if i == 7:
        raise KeyError("x")
    if i == 9:
        raise ValueError("x" * 3000)
    if i == 11:
        raise ValueError("a sentence")
    if i == 13:
        bytearray(b"x") * many.MEMORY * 2
    return "unchanged" if i % 2 else "silent"

forks.HANG, many.MEMORY = 0.5, 1 << 26
folder = Path(sys.argv[1])
notes = []
told = many.counted(act, folder, 16, "proof", notes)
assert told == Counter({
    "cases": 16, "silent": 8, "unchanged": 2, "crashes": 1, "hangs": 1, "tracebacks": 1,
    "long sentences": 1, "refused": 1, "too much memory": 1,
}), told
assert len(notes) == 13, notes
ending = forks.run(lambda: forks.command(["rank", "nothing.csv", "--target", "y"]), folder)
assert (ending.code, ending.err) == (2, "There is no file 'nothing.csv'.\\n"), ending
"""


@needs_forks
def test_every_fault_is_counted(tmp_path):
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    (tmp_path / "work").mkdir()
    subprocess.run(
        [sys.executable, "-c", PROOF, str(tmp_path / "work")],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )


STOPPED = """
import os, signal, sys, threading, time
from pathlib import Path
from torture import forks

folder = Path(sys.argv[1])

def act():
    other = os.fork()
    if other:
        (folder / "begun").write_text(f"{os.getpid()} {other}")
    time.sleep(100)

def stop():
    while not (folder / "begun").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=stop).start()
try:
    forks.run(act, folder, timeout=50)
except KeyboardInterrupt:
    time.sleep(0.5)
    for pid in (folder / "begun").read_text().split():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
        assert state == "Z", state  # dead, and nobody has asked for it
else:
    sys.exit("not stopped")
"""


@needs_forks
def test_ctrl_c_leaves_nothing_running(tmp_path):
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    subprocess.run(
        [sys.executable, "-c", STOPPED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )
