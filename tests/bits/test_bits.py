"""The public results are the recorded ones, to the last bit, where they can be compared."""

import subprocess
import sys
from pathlib import Path

import pytest

RECORD = Path(__file__).parent / "record.py"
ROOMS = sorted(path.stem for path in (RECORD.parent / "recorded").glob("*.json"))


def compared(*args: str) -> None:
    done = subprocess.run([sys.executable, RECORD, *args], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("room", ROOMS)
def test_a_tenth_of_the_cases_gives_the_recorded_bits(room):
    compared(room, "--share", "0.1")


@pytest.mark.long
@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("room", ROOMS)
def test_every_case_gives_the_recorded_bits(room, threads):
    compared(room, "--threads", threads)
