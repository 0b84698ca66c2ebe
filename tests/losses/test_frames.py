"""From `cross_entropy` to a compiled loop: few frames of our own, so that a reader can follow them."""

import sys
from pathlib import Path

import pytest
import torch

import xent
import xent.losses as L
from xent.losses._rows import _calls, _scoring, _small_batch, _softmax

HERE = str(Path(xent.__file__).parent)
MOST = 5  # of which one lets subclasses of Tensor override, as torch's own losses do


def rows(count, classes, **options):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(count, classes, generator=g).requires_grad_()
    return x, torch.randint(0, classes, (count,), generator=g), options


def soft(count, classes, **options):
    x, _, _ = rows(count, classes)
    return x, x.detach().softmax(1), options


def image():
    x, y, _ = rows(4 * 64 * 64, 5)
    return x.detach().reshape(4, 64, 64, 5).movedim(-1, 1).contiguous(), y.reshape(4, 64, 64), {}


CALLS = {
    "small batch": (rows(64, 10), {"class_batch"}),
    "many classes": (rows(80, 2000), {"validate_classes", "class_rows", "compensated_sum"}),
    "many rows": (rows(80_000, 3), {"validate_classes", "class_rows"}),
    "smoothed": (rows(64, 10, label_smoothing=0.1), {"validate_classes", "class_rows"}),
    "probabilities": (soft(80, 2000), {"soft_rows", "compensated_sum"}),
    "statistics": (rows(80, 2000, stats=True), {"validate_classes", "class_rows"}),
    "image": (image(), {"validate_classes", "score_tiles"}),
    "unreduced": (rows(64, 10, reduction="none"), {"validate_classes", "class_rows"}),
    "capped": (soft(8, 20, softcap=3.0), {"softcap_rows", "soft_rows"}),
}


class Spy:
    """Stands for a compiled loop, and counts the frames of ours that lead to it."""

    def __init__(self, kernel, depths):
        self.kernel, self.depths = kernel, depths

    def __call__(self, *arguments):
        frame, depth = sys._getframe(1), 0
        while frame is not None:
            depth += frame.f_code.co_filename.startswith(HERE)
            frame = frame.f_back
        self.depths.append((self.kernel.py_func.__name__, depth))
        return self.kernel(*arguments)


@pytest.fixture
def depths(monkeypatch):
    """Kernel by kernel, how deep it was called."""
    found = []
    for module, names in {
        _small_batch: ["class_batch"],
        _softmax: ["validate_classes"],
        _calls: ["class_rows", "soft_rows", "softcap_rows"],
        _calls.class_major: ["score_tiles"],
        _scoring: ["compensated_sum"],
    }.items():
        for name in names:
            monkeypatch.setattr(module, name, Spy(getattr(module, name), found))
    return found


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", CALLS)
def test_few_frames_to_a_kernel(name, threads, depths):
    (x, target, options), expected = CALLS[name]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        L.cross_entropy(x, target, **options)
    finally:
        torch.set_num_threads(before)
    assert {kernel for kernel, _ in depths} >= expected
    assert max(depth for _, depth in depths) <= MOST, depths
