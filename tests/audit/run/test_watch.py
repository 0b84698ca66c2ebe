"""Losses watched in code that runs here, on one batch, and under a test of pytest."""

import builtins
import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from xent.audit import Config, check, check_model, watch

pytest_plugins = ()


def rules(report):
    return [(found.rule, found.level) for found in report.findings]


def test_watch_quantifies_what_reading_finds():
    fc = nn.Linear(4, 3)
    data = torch.utils.data.TensorDataset(torch.randn(25, 4), torch.randint(0, 3, (25,)))
    loader = torch.utils.data.DataLoader(data, batch_size=10)
    with watch(config=Config()) as report, torch.no_grad():
        total = 0.0
        for x, y in loader:
            total += F.cross_entropy(fc(x), y).item()
        average = total / len(loader.dataset)
    (found,) = report.findings
    assert (found.rule, found.level) == ("X401", "error")
    assert found.seen.startswith("2 batches of 10, 1 of 5; shown ")
    shown, right = (float(part.split()[-1]) for part in found.seen.split("; ")[1].split(", "))
    assert shown == pytest.approx(average, rel=1e-2)
    whole = F.cross_entropy(fc(data.tensors[0]), data.tensors[1]).item()
    assert right == pytest.approx(whole, rel=1e-2)


def test_watch_reports_after_an_error():
    with pytest.raises(IndexError), watch(config=Config()) as report:
        F.cross_entropy(torch.randn(3, 4), torch.tensor([1, 2, 4]))
    assert rules(report) == [("X201", "error")]
    assert "got 1 to 4" in report.findings[0].message


def test_watch_stops_after_its_steps():
    fc = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(fc.parameters(), lr=0.1)
    with watch(steps=2, config=Config()) as report:
        for step in range(4):
            z = fc(torch.randn(6, 4))
            z = z.softmax(1) if step > 1 else z
            F.cross_entropy(z, torch.randint(0, 3, (6,))).backward()
            optimizer.step()
    assert not report.findings
    with (
        pytest.raises(ValueError, match="`steps` must be an integer of at least 1"),
        watch(steps=0),
    ):
        pass


def test_watches_within_watches():
    held = [
        (F, "cross_entropy"),
        (np, "savez"),
        (json, "dump"),
        (torch, "save"),
        (builtins, "open"),
    ]
    before = [getattr(*one) for one in held]
    with watch(config=Config()) as outer:
        with watch(config=Config()) as inner:  # the outer's first pass begins in it
            F.cross_entropy(torch.randn(6, 3).softmax(1), torch.zeros(6).long())
        F.cross_entropy(torch.randn(6, 3), torch.zeros(6).long())
    assert [getattr(*one) for one in held] == before
    assert rules(inner) == [("X101", "error")]
    assert outer.sites == 2


@pytest.mark.parametrize("loss", [nn.MSELoss(), lambda a, b: (a - b).abs().sum()])
def test_check_finds_broadcasts(loss):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        report = check(loss, torch.randn(8, 1), torch.randn(8), config=Config())
    assert rules(report) == [("X203", "error")]
    assert "(8, 8)" in report.findings[0].message
    assert not check(loss, torch.randn(8), torch.randn(8), config=Config()).findings


def test_check_lets_a_loss_of_ones_own_reshape():
    loss = lambda a, b: (a.squeeze(1) - b).square().mean()  # noqa: E731
    assert not check(loss, torch.randn(8, 1), torch.randn(8), config=Config()).findings


def test_check_lets_a_loss_compare_means():
    loss = lambda a, b: (a.mean() - b.mean()).abs()  # noqa: E731
    for shape in ((8, 1), (8,)):
        assert not check(loss, torch.randn(shape), torch.randn(8), config=Config()).findings
    column = lambda a, b: (a[:, 0:1] - b).abs().mean()  # noqa: E731
    assert rules(check(column, torch.randn(8, 1), torch.randn(8), config=Config())) == [
        ("X203", "error")
    ]


def test_check_calls_a_loss_once_where_the_shapes_are_alike():
    calls = []
    loss = lambda a, b: calls.append(1) or (a - b).abs().mean()  # noqa: E731
    assert not check(loss, torch.randn(8), torch.randn(8), config=Config()).findings
    assert len(calls) == 1


@pytest.mark.parametrize("n", [2, 3])
def test_check_needs_outputs_whose_order_says_something(n):
    loss = lambda a, b: (a - b).abs().sum()  # noqa: E731
    found = check(loss, torch.arange(float(n))[:, None], torch.arange(float(n)), config=Config())
    assert rules(found) == ([("X203", "error")] if n > 2 else [])
    for output, target in (
        (torch.ones(n, 1), torch.arange(float(n))),
        (torch.arange(float(n))[:, None], torch.ones(n)),
    ):
        assert not check(loss, output, target, config=Config()).findings


def test_check_finds_what_is_not_finite():
    loss = lambda a, b: (a.log() * b).sum()  # noqa: E731
    output = torch.tensor([0.0, 1.0], requires_grad=True)
    report = check(loss, output, torch.ones(2), config=Config())
    assert rules(report) == [("X603", "error")]
    assert "the result of log of 0" in report.findings[0].message
    with pytest.raises(TypeError, match="`target` must be a tensor, got list"):
        check(loss, output, [1, 0])


def test_check_model_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Softmax(dim=1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    x, y = torch.randn(6, 4), torch.randint(0, 8, (6,))
    torch.set_rng_state(state)
    report = check_model(model, x, y, nn.CrossEntropyLoss(), config=Config())
    assert rules(report) == [("X101", "error")]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    with pytest.raises(ValueError, match="`target` must come with `loss`"):
        check_model(model, x, y)


class Speaker(nn.Module):
    """A language model that takes labels, as those of transformers do."""

    def __init__(self, shift):
        super().__init__()
        self.embed, self.fc, self.shift = nn.Embedding(20, 8), nn.Linear(8, 20), shift

    def forward(self, input_ids, labels):
        z = self.fc(self.embed(input_ids))
        if self.shift:
            z, labels = z[:, :-1], labels[:, 1:]
        return F.cross_entropy(z.flatten(0, 1), labels.flatten())


def test_check_model_with_labels():
    ids = torch.arange(40).reshape(2, 20) * 7 % 20
    inputs = {"input_ids": ids, "labels": ids}
    assert rules(check_model(Speaker(False), inputs, config=Config())) == [("X501", "error")]
    assert not check_model(Speaker(True), inputs, config=Config()).findings


TEST = """
import torch, torch.nn.functional as F

def test_right(xent_audit):
    F.cross_entropy(torch.randn(6, 3), torch.zeros(6).long())

def test_wrong(xent_audit):
    F.cross_entropy(torch.randn(6, 3).softmax(1), torch.zeros(6).long())

def test_the_plugin_makes_no_start_slow():
    # Where pytest rewrites the asserts of a module, its loader is pytest's own.
    from importlib.machinery import SourceFileLoader
    import xent.losses
    assert type(xent.losses.__loader__) is SourceFileLoader
"""


def test_the_fixture_fails_a_test(tmp_path):
    (tmp_path / "test_it.py").write_text(TEST)
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    from importlib.metadata import entry_points

    plugin = "xent.audit._run.pytest_plugin"
    if not any(point.value == plugin for point in entry_points(group="pytest11")):
        command += ["-p", plugin]
    done = subprocess.run(
        [sys.executable, *command, "test_it.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "3 passed, 1 error" in done.stdout, done.stdout
    assert "X101 double-softmax" in done.stdout


def test_an_error_inside_a_rule_is_a_line_of_the_report(monkeypatch):
    from xent.audit._run import judges

    def broken_rule(site, call):
        raise KeyError("its own fault")

    monkeypatch.setattr(judges, "_OF_PAIRS", (broken_rule, *judges._OF_PAIRS))
    with watch(config=Config()) as report:
        F.cross_entropy(torch.randn(6, 3).softmax(1), torch.zeros(6).long())
    assert rules(report) == [("X101", "error")]
    (said,) = report.not_followed
    assert "broken_rule" in said
    assert "xent failed: KeyError: 'its own fault'" in said


def test_a_loss_after_the_training_is_seen():
    fc = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(fc.parameters(), lr=0.1)
    with watch(config=Config()) as report:
        for _ in range(30):
            F.cross_entropy(fc(torch.randn(6, 4)), torch.randint(0, 3, (6,))).backward()
            optimizer.step()
        for _ in range(2):  # of the shape that is passed over in training
            F.cross_entropy(fc(torch.randn(6, 4)).relu(), torch.randint(0, 3, (6,)))
    assert rules(report) == [("X104", "error")]
    assert report.sites == 2


FORKED = """
import os, signal
import torch
from xent.audit import watch

torch.set_num_threads(2)
with watch():
    x = torch.zeros(16, 3, requires_grad=True)
    torch.nn.functional.cross_entropy(x, torch.zeros(16, dtype=torch.long)).backward()
    total = torch.ones(1000, 1000).exp().sum()
child = os.fork()
if not child:
    signal.alarm(60)  # ends a child that waits for ever
    torch.ones(1000, 1000).exp().sum()
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), torch.get_num_threads())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_is_forked_after_a_watch_does_not_wait_for_threads():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED], capture_output=True, text=True
    )
    assert done.stdout.split()[-2:] == ["0", "2"], done.stderr
