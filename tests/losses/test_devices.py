"""Where a loss is computed: where its tensors are, whatever device is the default."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import xent.losses as L
from xent.losses._arguments import Options
from xent.losses._device._class import class_loss

HERE = Path(__file__).parent
ROWS, CLASSES = 6, 4


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


X, HEAD, THEIRS = normal(ROWS, CLASSES), normal(5, CLASSES, seed=1), normal(ROWS, CLASSES, seed=2)
Y = torch.tensor([0, 1, -100, 3, 2, 1])
P, WEIGHT = THEIRS.softmax(1), torch.tensor([1.0, 0.0, 2.0, 1.0, 1.0, 0.5])
CLASS_WEIGHT = torch.tensor([0.5, 0.0, 2.0, 1.0])
PAIRS, DENSE = torch.tensor([[0, 1], [3, 4]]), normal(ROWS, 5, seed=4).sigmoid()
ANSWERS, GAINS = Y[:, None], -normal(ROWS, seed=5).abs()
LABELS = torch.tensor([True, False, True, True, False, False])
SAMPLES, LOG_Q = torch.tensor([0, 2, 2, 4]), normal(5, seed=6).log_softmax(0)
IMAGE, MASK = normal(2, 3, 16, 16, seed=3), torch.zeros(2, 16, 16, dtype=torch.int64)


def _all_of(found):
    """The loss, and whatever of its statistics can be differentiated."""
    loss, stats = found
    return loss + sum((w * c).sum() for w, c in zip((0.3, 0.7, -0.4), stats[:3], strict=True))


# Of one input, with every option that makes tensors of its own.
CALLS = {
    "cross_entropy": (lambda x, f, **o: f(x, Y, **o), L.cross_entropy, X),
    "smoothed": (lambda x, f, **o: f(x, Y, label_smoothing=0.1, z_loss=0.1, **o), L.cross_entropy, X),
    "weighed": (lambda x, f, **o: f(x, Y, token_weight=WEIGHT, **o), L.cross_entropy, X),
    "soft": (lambda x, f, **o: f(x, P, **o), L.cross_entropy, X),
    "statistics": (lambda x, f, **o: f(x, Y, stats=True, **o)[0], L.cross_entropy, X),
    "statistics of P": (
        lambda x, f, **o: _all_of(f(x, P, label_smoothing=0.1, temperature=0.7, stats=True, **o)),
        L.cross_entropy, X,
    ),
    "statistics, capped": (
        lambda x, f, **o: _all_of(f(x, Y, softcap=3.0, z_loss=0.1, stats=True, **o)),
        L.cross_entropy, X,
    ),
    "capped": (
        lambda x, f, **o: f(x, Y, CLASS_WEIGHT, softcap=3.0, label_smoothing=0.2, **o),
        L.cross_entropy, X,
    ),
    "image": (lambda x, f, **o: f(x, MASK, **o), L.cross_entropy, IMAGE),
    "nll_loss": (lambda x, f, **o: f(x, Y, **o), L.nll_loss, X),
    "focal_loss": (lambda x, f, **o: f(x, Y, **o), L.focal_loss, X),
    "focal_loss of P": (
        lambda x, f, **o: f(x, P, gamma=0.5, temperature=0.7, softcap=5.0, **o), L.focal_loss, X
    ),
    "focal_loss, smoothed": (
        lambda x, f, **o: f(x, Y, label_smoothing=0.1, z_loss=0.1, alpha=CLASS_WEIGHT, **o),
        L.focal_loss, X,
    ),
    "bce": (lambda x, f, **o: f(x, P, **o), L.binary_cross_entropy_with_logits, X),
    "bce, weighed": (
        lambda x, f, **o: f(x, P, P, pos_weight=P, ignore_index=-1, label_smoothing=0.1, **o),
        L.binary_cross_entropy_with_logits, X,
    ),
    "bce, all": (
        lambda x, f, **o: f(
            x, P, P, pos_weight=P + 1, token_weight=WEIGHT[:, None], temperature=0.7, softcap=3.0, **o
        ),
        L.binary_cross_entropy_with_logits, X,
    ),
    "binary_cross_entropy": (lambda x, f, **o: f(x, P, **o), L.binary_cross_entropy, X.sigmoid()),
    "sigmoid_focal_loss": (lambda x, f, **o: f(x, P, weight=P, **o), L.sigmoid_focal_loss, X),
    "multilabel": (
        lambda x, f, **o: f(x, P, token_weight=WEIGHT, **o), L.multilabel_soft_margin_loss, X
    ),
    "kl_div": (lambda x, f, **o: f(x, P, token_weight=WEIGHT, **o), L.kl_div, X.log_softmax(1)),
    "js_div": (lambda x, f, **o: f(x, THEIRS, **o), L.js_div, X),
    "js_div, all": (
        lambda x, f, **o: f(
            x, THEIRS, beta=0.3, label_smoothing=0.1, z_loss=0.1, token_weight=WEIGHT, softcap=4.0, **o
        ),
        L.js_div, X,
    ),
    "js_div, 0": (lambda x, f, **o: f(x, THEIRS, beta=0.0, z_loss=0.1, **o), L.js_div, X),
    "js_div, 1": (lambda x, f, **o: f(x, THEIRS, beta=1.0, temperature=2.0, **o), L.js_div, X),
    "mse_loss": (lambda x, f, **o: f(x, THEIRS, **o), L.mse_loss, X),
    "info_nce": (lambda x, f, **o: f(x, THEIRS, temperature=0.5, **o), L.info_nce, X),
    "siglip": (lambda x, f, **o: f(x, THEIRS, scale=2.0, bias=0.1, **o), L.siglip, X),
    "head": (lambda x, f, **o: f(x, HEAD, Y, label_smoothing=0.1, **o), L.linear_cross_entropy, X),
    "head, pairs": (
        lambda x, f, **o: f(x, HEAD, PAIRS, **o),
        L.linear_binary_cross_entropy, X,
    ),
    "head, binary": (
        lambda x, f, **o: f(x, HEAD, DENSE, token_weight=WEIGHT, **o),
        L.linear_binary_cross_entropy, X,
    ),
    "head, weighed": (
        lambda x, f, **o: f(x, HEAD, Y, token_weight=WEIGHT, empty="nan", **o),
        L.linear_cross_entropy, X,
    ),
    "head, soft": (lambda x, f, **o: f(x, HEAD, DENSE.softmax(1), **o), L.linear_cross_entropy, X),
    "head, statistics": (
        lambda x, f, **o: f(x, HEAD, Y, stats=True, **o)[0], L.linear_cross_entropy, X,
    ),
    "head, kl": (lambda x, f, **o: f(x, HEAD, THEIRS, HEAD, **o), L.linear_kl_div, X),
    "head, js": (lambda x, f, **o: f(x, HEAD, THEIRS, HEAD, **o), L.linear_js_div, X),
    "log_prob": (lambda x, f, **o: f(x, HEAD, Y), L.linear_log_prob, X),
    "entropy": (lambda x, f, **o: f(x, HEAD), L.linear_entropy, X),
    "log_prob, capped": (lambda x, f, **o: f(x, HEAD, Y, softcap=2.0), L.linear_log_prob, X),
    "sampled": (
        lambda x, f, **o: f(x, HEAD, Y, SAMPLES, LOG_Q, **o), L.linear_sampled_cross_entropy, X
    ),
    "queue": (
        lambda x, f, **o: f(x, THEIRS, temperature=0.5, negatives=HEAD, **o), L.info_nce, X
    ),
    "dpo": (lambda x, f, **o: f(x[:, None], HEAD, ANSWERS, GAINS, **o), L.linear_dpo, X),
    "simpo": (lambda x, f, **o: f(x[:, None], HEAD, ANSWERS, **o), L.linear_simpo, X),
    "orpo": (lambda x, f, **o: f(x[:, None], HEAD, ANSWERS, **o), L.linear_orpo, X),
    "kto": (lambda x, f, **o: f(x[:, None], HEAD, ANSWERS, GAINS, LABELS, **o), L.linear_kto, X),
    "grpo": (
        lambda x, f, **o: f(
            x[:, None], HEAD, ANSWERS, GAINS, old=GAINS[:, None], reference=GAINS[:, None],
            beta=0.1, entropy_bonus=0.1, **o
        ),
        L.linear_grpo, X,
    ),
}  # fmt: skip


def scored(name, reduction, plain=False, twice=False):
    """Value and gradient; ``plain`` leaves out the door, where a mode is switched off."""
    call, loss, x = CALLS[name]
    x = x.clone().requires_grad_()
    value = call(x, loss.__wrapped__ if plain else loss, reduction=reduction)
    if twice:
        (grad,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        return value, *torch.autograd.grad(grad.sum(), x)
    value.sum().backward()
    return value, x.grad


@pytest.mark.grid
@pytest.mark.parametrize("plain", [False, True], ids=["called", "inside"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", CALLS)
def test_another_default_device(name, reduction, plain):
    truth = scored(name, reduction)
    with torch.device("meta"):
        found = scored(name, reduction, plain)
        if name not in ("nll_loss", "kl_div"):  # linear in what they take
            found += scored(name, reduction, plain, twice=True)
    assert {part.device.type for part in found} == {"cpu"}
    assert torch.equal(found[0], truth[0])
    assert torch.equal(found[1], truth[1])


def test_modules_and_classifiers_under_another_default_device():
    from xent.training import SoftmaxClassifier

    x, y = np.asarray(X), np.array([0, 1, 0, 1, 1, 0])
    truth = SoftmaxClassifier(epochs=2, random_state=0, device="cpu").fit(x, y).predict_proba(x)
    with torch.device("meta"):
        found = SoftmaxClassifier(epochs=2, random_state=0, device="cpu").fit(x, y)
        np.testing.assert_array_equal(found.predict_proba(x), truth)
        assert L.CrossEntropyLoss()(X, Y).device.type == "cpu"


def on_the_device(*jobs):
    """Run jobs of `device_worker.py`, a process of its own."""
    script = HERE / "device_worker.py"
    done = subprocess.run(
        [sys.executable, str(script), *jobs], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all right" in done.stdout


def test_a_simulated_accelerator():
    """Every loss there: the CPU's numbers, no wait for the device and no copy to or from it.

    What is launched, and what is alive at once, of logits and chunks that are a 256th of what the
    goal names.
    """
    on_the_device("calls", "corners", "refused", "launched", "memory")


@pytest.mark.grid
@pytest.mark.long
def test_some_of_the_grid_on_a_simulated_accelerator():
    """In one chunk and in many."""
    on_the_device("some")


@pytest.mark.long
def test_the_whole_grid_on_a_simulated_accelerator():
    on_the_device("grid")


@pytest.mark.long
def test_memory_on_a_simulated_accelerator():
    """2,048 rows of 32,000 classes: at most torch's own, in bfloat16 at most the logits."""
    on_the_device("large")


@pytest.mark.parametrize("soft", [False, True], ids=["indices", "probabilities"])
def test_nothing_on_a_device_depends_on_what_tensors_hold(soft):
    """Fake tensors have no values: whoever asks for one raises."""
    from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

    with FakeTensorMode():
        x = torch.empty(64, 1000, dtype=torch.bfloat16, requires_grad=True)
        y = x.detach().float() if soft else x.new_empty(64, dtype=torch.int64)
        token = torch.empty(64)
        loss = class_loss(x, y, None, token, 1, Options(label_smoothing=0.1 * soft), False)
        loss.backward()
        assert x.grad.shape == x.shape
        with pytest.raises(DataDependentOutputException):
            loss.item()


def test_every_line_of_what_runs_where_names_a_test_that_is_there():
    text = (HERE.parent.parent / "docs" / "losses.md").read_text()
    table = text.partition("### What runs where")[2].partition("**With Triton**")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(lines) >= 12
    assert "untested" not in text
    for line in lines:
        file, test = re.search(r"`(tests/\S+\.py)::(\w+)` \|$", line).groups()
        assert f"def {test}(" in (HERE.parent.parent / file).read_text(), line
