"""Triton's kernels, each a process of its own: interpreted on the CPU, and compiled for GPUs.

`triton_worker.py` holds what is asserted. Without Triton (`pip install --group triton`) the long
ones are skipped; what the switch decides is asked every day.
"""

import os
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from xent.losses._arguments import Options
from xent.losses._device._class import class_loss
from xent.losses._triton import _use
from xent.losses._triton._class import rows_view

HERE = Path(__file__).parent
JOBS = ["numerics", "accuracy", "grids", "statistics", "corners", "shapes", "autograd", "heads",
        "other_heads", "binary", "compiles"]  # fmt: skip


@pytest.mark.long
@pytest.mark.skipif(find_spec("triton") is None, reason="needs triton")
@pytest.mark.parametrize("job", JOBS)
def test_kernels(job, tmp_path):
    script = HERE / "triton_worker.py"
    environment = os.environ | {
        "TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": str(int(job != "compiles")),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(script), job], capture_output=True, text=True, check=False,
        env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all right" in done.stdout


def test_who_is_taken(monkeypatch):
    """CUDA's tensors where Triton is and is not turned off; a CPU's and a Mac's never."""
    asked = []
    monkeypatch.setattr(_use, "_works", lambda device: asked.append(device.type) or True)

    class Tensor:
        def __init__(self, kind):
            self.device = torch.device(kind)

    monkeypatch.delenv("XENT_TRITON", raising=False)
    assert [_use.is_at_hand(Tensor(kind)) for kind in ("cuda", "cpu", "mps", "xpu")] == [
        True, False, False, False,
    ]  # fmt: skip
    monkeypatch.setenv("XENT_TRITON", "0")
    assert not _use.is_at_hand(Tensor("cuda"))
    assert asked == ["cuda"]


def test_where_triton_does_not_work_a_sentence_says_so_once(monkeypatch):
    """And torch's operations answer."""
    monkeypatch.setattr(_use, "DEVICES", {"cpu"})
    monkeypatch.delenv("XENT_TRITON", raising=False)
    monkeypatch.setattr(_use, "find_spec", lambda name: True)
    module = type(sys)("xent.losses._triton._launch")

    def fail(device):
        raise RuntimeError("no C compiler")

    module.try_kernel = fail
    monkeypatch.setitem(sys.modules, module.__name__, module)
    _use._works.cache_clear()
    x, y = torch.randn(3, 4), torch.tensor([0, 1, 2])
    with pytest.warns(UserWarning, match="Triton does not work on cpu.*XENT_TRITON=0.*no C comp"):
        loss = class_loss(x, y, None, None, 1, Options(), False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert class_loss(x, y, None, None, 1, Options(), False) == loss
    _use._works.cache_clear()
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(x, y))


def test_rows_are_seen_without_a_copy_or_not_at_all():
    x = torch.randn(2, 3, 4, 5)
    assert rows_view(x, 3).data_ptr() == x.data_ptr()
    assert rows_view(x.to(memory_format=torch.channels_last), 1).shape == (40, 3)
    assert rows_view(x, 1) is None
    assert rows_view(x[:, :, :, :4], 3).stride() == (5, 1)
    assert rows_view(x[:, :2], 3) is None
    assert rows_view(x[:0], 3) is None


def test_the_bench_says_where_there_is_no_gpu():
    from bench import cuda

    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert cuda.run() == cuda.MISSING


def test_the_bench_measures_with_what_it_has(monkeypatch):
    """Its truth, and a sentence in the place of a rival that is not there or fails."""
    from bench import cuda

    monkeypatch.setattr(cuda, "ROWS", 4)
    x, y = torch.randn(4, 9, requires_grad=True), torch.tensor([0, 8, 3, 1])
    want = cuda.truth([x, y])
    torch.nn.functional.cross_entropy(x, y).backward()
    torch.testing.assert_close(x.grad.double(), want)
    hidden, w = torch.randn(4, 3, requires_grad=True), torch.randn(9, 3)
    torch.nn.functional.cross_entropy(hidden @ w.t(), y).backward()
    torch.testing.assert_close(hidden.grad.double(), cuda.truth([hidden, w, y]))
    absent = cuda._rival("no_such_library", "loss")
    assert absent == "not run: No module named 'no_such_library'"
    rows = cuda.rows_of("work", {"a": absent, "b": lambda *_: 1 / 0}, [x, y])
    assert rows == [
        "| work | a | not run: No module named 'no_such_library' | | | |",
        "| work | b | not run: ZeroDivisionError: division by zero | | | |",
    ]
