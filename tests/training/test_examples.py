"""The scripts of examples/ that train: each runs, where its library is there, and checks its own loss."""

import os
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
LIBRARIES = {
    "lightning": ("pytorch_lightning", "torchmetrics"),
    "accelerate": ("accelerate",),
    "transformers": ("transformers", "accelerate"),
}


def test_every_example_is_known():
    found = {path.stem.removeprefix("training_") for path in EXAMPLES.glob("training_*.py")}
    assert found == {"pytorch", *LIBRARIES}


def test_plain_pytorch(capsys):
    runpy.run_path(str(EXAMPLES / "training_pytorch.py"), run_name="__main__")
    assert "epoch 4: " in capsys.readouterr().out


@pytest.mark.parametrize("name", LIBRARIES)
def test_with(name, tmp_path):
    missing = [library for library in LIBRARIES[name] if find_spec(library) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"training_{name}.py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "bits" in done.stdout
    assert not list(tmp_path.iterdir())
