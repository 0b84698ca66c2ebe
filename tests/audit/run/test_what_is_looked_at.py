"""Which calls of a run are looked at, which kinds of losses, and what is said of the others.

A fault is put into one call alone: where that call is looked at, and nowhere else, it is told.
"""

import inspect
import re
import threading

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader

from xent.audit import Config, watch
from xent.audit._run import program

WRONG = torch.full((6, 3), 2.0)  # no probabilities: one call is enough


def rules(report):
    return [found.rule for found in report.findings]


def evaluated(at, calls, sizes=(6,), steps=None):
    """Compute so many losses without a graph; of one the targets are no probabilities."""
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    with watch(steps=steps, config=Config()) as report:
        for call in range(1, calls + 1):
            size = sizes[call % len(sizes)]
            target = WRONG[:size] if call == at else torch.ones(size, 3)
            F.binary_cross_entropy_with_logits(torch.zeros(size, 3), target)
    assert not optimizer.state
    return rules(report) == ["X201"]


@pytest.mark.parametrize(
    ("call", "looked_at"),
    [(1, True), (20, True), (21, False), (99, False), (100, True), (101, False), (200, True)],
)
def test_the_first_twenty_calls_of_a_line_and_one_in_a_hundred(call, looked_at):
    assert evaluated(call, 205) == looked_at


@pytest.mark.parametrize(
    ("call", "looked_at"),
    [(21, True), (22, True), (23, False), (27, False), (30, True), (31, False), (40, True)],
)
def test_batches_of_another_size_up_to_one_in_ten_more(call, looked_at):
    """Of n calls whose sizes change 20 + n // 10 are looked at."""
    assert evaluated(call, 45, sizes=(6, 5)) == looked_at


@pytest.mark.parametrize(("call", "looked_at"), [(3, True), (4, True), (5, False)])
def test_an_evaluation_ends_with_its_steps_where_no_step_is_made(call, looked_at):
    assert evaluated(call, 9, steps=3) == looked_at
    assert evaluated(call, 9)


def trained(at, steps, limit=None, optimizers=1):
    """Make steps of two losses each; in one the weights of the classes are not finite."""
    z = torch.zeros(6, 3, requires_grad=True)
    held = [torch.ones(1, requires_grad=True) for _ in range(optimizers)]
    several = [torch.optim.SGD([one], lr=0.1) for one in held]
    with watch(steps=limit, config=Config()) as report:
        for step in range(steps):
            F.mse_loss(z, torch.ones(6, 3)).backward()
            weight = torch.full((3,), float("nan") if step == at else 1.0)
            F.cross_entropy(z, torch.arange(6) % 3, weight).backward()
            several[step % optimizers].step()
    return rules(report) == ["X603"]


@pytest.mark.parametrize(
    ("step", "looked_at"),
    [(0, True), (19, True), (20, False), (24, False), (25, True), (26, False), (50, True)],
)
def test_the_first_twenty_steps_and_one_in_twenty_five(step, looked_at):
    assert trained(step, 52) == looked_at


@pytest.mark.parametrize("optimizers", [1, 2])
@pytest.mark.parametrize(
    ("step", "looked_at"),
    [(975, True), (999, False), (1000, True), (1025, False), (1099, False), (1100, True)],
)
def test_one_step_in_a_hundred_after_a_thousand(step, looked_at, optimizers):
    assert trained(step, 1102, optimizers=optimizers) == looked_at


@pytest.mark.parametrize(("limit", "looked_at"), [(59, False), (60, False), (61, True)])
def test_the_steps_end_where_they_are_only_counted(limit, looked_at):
    """Of steps 51 to 74 none is looked at; what is evaluated after the last of all is not."""
    z = torch.zeros(6, 3, requires_grad=True)
    optimizer = torch.optim.SGD([z], lr=0.1)
    with watch(steps=limit, config=Config()) as report:
        for _ in range(60):
            F.mse_loss(z, torch.ones(6, 3)).backward()
            optimizer.step()
        F.binary_cross_entropy_with_logits(torch.zeros(6, 3), WRONG)
    assert (rules(report) == ["X201"]) == looked_at


@pytest.mark.parametrize(("step", "looked_at"), [(0, True), (2, True), (3, False), (4, False)])
def test_no_more_steps_than_are_asked_for(step, looked_at):
    assert trained(step, 6, limit=3) == looked_at


def test_an_evaluation_after_a_step_is_looked_at_to_its_end():
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    with watch(steps=2, config=Config()) as report:
        optimizer.step()
        for call in range(9):
            F.binary_cross_entropy_with_logits(torch.zeros(6, 3), WRONG if call == 8 else WRONG / 2)
    assert rules(report) == ["X201"]


def in_rounds(at):
    """Train twice over a loader of 30 batches, each time followed by 3 with gradients alone.

    In the given call, counted from 0 over all, the targets are no probabilities.
    """
    z = torch.zeros(6, 3, requires_grad=True)
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    training, others = DataLoader(range(30)), DataLoader(range(3))
    calls = iter(range(99))

    def goes_over(loader, learns):
        for _ in loader:
            target = WRONG if next(calls) == at else WRONG / 2
            loss = F.binary_cross_entropy_with_logits(z, target)
            if learns:
                loss.backward()
                optimizer.step()

    with watch(config=Config()) as report:
        for _ in range(2):
            goes_over(training, True)
            goes_over(others, False)
    return rules(report) == ["X201"]


@pytest.mark.parametrize(
    ("call", "looked_at"),
    [
        *((19, True), (20, False), (25, True), (29, False)),  # training
        *((30, True), (32, True)),  # the batches after it
        *((33, True), (34, False), (52, False), (53, True), (54, False), (63, True), (65, True)),
    ],
)
def test_rounds_without_a_step_are_looked_at_to_their_ends(call, looked_at, monkeypatch):
    """Steps 20 to 24 and 26 to 29 are not looked at, nor what follows the first of a new round."""
    monkeypatch.setattr("xent.audit._run.observer.ONE_CALL_IN", 1)
    assert in_rounds(call) == looked_at


# ------------------------------------------------------------------ every loss and every layer

PROBABILITIES = torch.full((6, 3), 0.5)
ARGUMENTS = {  # of losses that take something else than two arrays of one shape
    "cross_entropy": (torch.zeros(6, 3), torch.arange(6) % 3),
    "nll_loss": (PROBABILITIES.log(), torch.arange(6) % 3),
    "multi_margin_loss": (torch.zeros(6, 3), torch.arange(6) % 3),
    "multilabel_margin_loss": (torch.zeros(6, 3), torch.zeros(6, 3, dtype=torch.long)),
    "gaussian_nll_loss": (torch.zeros(6), torch.zeros(6), torch.ones(6)),
    "margin_ranking_loss": (torch.zeros(6), torch.zeros(6), torch.ones(6)),
    "cosine_embedding_loss": (torch.ones(6, 3), torch.ones(6, 3), torch.ones(6)),
    "triplet_margin_loss": (torch.ones(6, 3), torch.ones(6, 3), torch.zeros(6, 3)),
    "triplet_margin_with_distance_loss": (torch.ones(6, 3), torch.ones(6, 3), torch.zeros(6, 3)),
    "ctc_loss": (
        torch.zeros(9, 2, 5).log_softmax(2), torch.ones(2, 3, dtype=torch.long),
        torch.tensor([9, 9]), torch.tensor([3, 3]),
    ),
    "soft_margin_loss": (torch.zeros(6, 3), torch.ones(6, 3)),
    "hinge_embedding_loss": (torch.zeros(6, 3), torch.ones(6, 3)),
    "linear_cross_entropy": (torch.zeros(6, 4), torch.zeros(3, 4), torch.arange(6) % 3),
}  # fmt: skip


def of_torch(parameter):
    """Return the public functions of torch.nn.functional that take a parameter."""
    return [
        name
        for name, function in vars(F).items()
        if name[0] != "_" and inspect.isfunction(function)
        and parameter in inspect.signature(function).parameters
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore:reduction.*:UserWarning")
@pytest.mark.parametrize("name", of_torch("reduction"))
def test_every_loss_of_pytorch_is_seen(name):
    given = ARGUMENTS.get(name, (PROBABILITIES, PROBABILITIES))
    with watch(config=Config()) as report:
        getattr(F, name)(*given)
    assert report.sites == 1
    assert not report.not_followed


class Net(nn.Module):
    """A layer, and a function that differs in training; both ways that PyTorch is given its mode."""

    def __init__(self, function, dimensions=0, by_name=False, p=0.5):
        super().__init__()
        self.fc, self.last = nn.Linear(4, 3), nn.Linear(3, 3)
        self.function, self.given = function, {"dimensions": dimensions, "by_name": by_name, "p": p}

    def forward(self, x):
        z = self.fc(x).view(6, 3, *[1] * self.given["dimensions"])
        function, p = getattr(F, self.function), self.given["p"]
        if self.function == "batch_norm":
            z = function(z, torch.zeros(3), torch.ones(3), None, None, self.training)
        elif self.given["by_name"]:
            z = function(z, p=p, training=self.training)
        else:
            z = function(z, p, self.training)
        return self.last(z.flatten(1))


DIMENSIONS = {"dropout1d": 1, "dropout2d": 2, "dropout3d": 3, "feature_alpha_dropout": 2}
RANDOM_OR_COUNTED = [
    name
    for name in of_torch("training")
    # A random slope is no Dropout, and attention calls Dropout's function itself.
    if name not in ("rrelu", "multi_head_attention_forward")
]


def modes_of(net, evaluate, train=None):
    """Train, and compute three losses without a graph; ``evaluate`` and ``train`` set the mode."""
    optimizer, y = torch.optim.SGD(net.parameters(), lr=0.1), torch.arange(6) % 3
    with watch(config=Config()) as report:
        for step in range(3):
            net.train(train is None or train(step))
            F.cross_entropy(net(torch.ones(6, 4)), y).backward()
            optimizer.step()
        net.train(not evaluate)
        with torch.no_grad():
            for _ in range(3):
                F.cross_entropy(net(torch.ones(6, 4)), y)
    layers = [re.findall(r"its (\w+) still", f.message) for f in report.findings]
    return [(f.rule, layer, f.seen) for f, layer in zip(report.findings, layers, strict=True)]


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("name", RANDOM_OR_COUNTED)
def test_every_layer_that_differs_in_training_is_seen(name, by_name):
    layer = "BatchNorm" if name == "batch_norm" else "Dropout"
    net = Net(name, DIMENSIONS.get(name, 0), by_name)
    assert modes_of(net, evaluate=False) == [("X701", [layer], "3 batches were evaluated so")]
    assert not modes_of(net, evaluate=True)
    if layer == "Dropout":
        net = Net(name, DIMENSIONS.get(name, 0), by_name, p=0.0)
        assert not modes_of(net, evaluate=False)


def test_a_model_that_is_trained_in_evaluation_mode():
    net = Net("dropout")
    ((rule, _, seen),) = modes_of(net, True, train=lambda step: step == 0)
    assert (rule, seen) == ("X702", "2 steps were made so")
    assert not modes_of(net, True, train=lambda step: step < 2)
    assert not modes_of(net, True, train=lambda step: False)  # it is meant: a frozen model


# ------------------------------------------------------------------ what is not followed


def loss(z):
    return F.cross_entropy(z, torch.arange(6, device=z.device) % 3)


class Named(torch.Tensor):
    pass


def in_a_thread():
    thread = threading.Thread(target=loss, args=(torch.zeros(6, 3),))
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    ("compute", "said"),
    [
        (lambda: loss(torch.zeros(6, 3)), []),
        (lambda: loss(nn.Parameter(torch.zeros(6, 3))), []),
        (lambda: loss(torch.zeros(6, 3, device="meta")), ["losses without numbers (device meta)"]),
        (lambda: loss(torch.zeros(6, 3).as_subclass(Named)), ["losses of Named"]),
        (in_a_thread, ["losses in other threads"]),
        (lambda: torch.func.vmap(loss)(torch.zeros(2, 6, 3)),
         ["losses inside torch.func transforms (vmap)"]),
        (lambda: F.mse_loss(torch.zeros(6), torch.zeros(6).as_subclass(Named)), ["losses of Named"]),
    ],
)  # fmt: skip
def test_what_is_not_followed_is_named(compute, said):
    with watch(config=Config()) as report:
        compute()
    assert report.not_followed == said


def test_a_run_sees_what_few_calls_led_to(tmp_path):
    """Under pytest a script has many callers, from the command line few: a thread has as few."""
    (script := tmp_path / "train.py").write_text(
        "import torch\nfrom torch.nn import functional as F\nend = eval('torch.softmax')\n"
        "F.cross_entropy(end(torch.randn(6, 3), 1), torch.zeros(6).long())\n"
    )
    ran = []
    thread = threading.Thread(target=lambda: ran.append(program.run(script, [], Config())))
    thread.start()
    thread.join()
    assert rules(ran[0].report) == ["X101"]
    assert not ran[0].report.not_followed


def test_ids_of_another_thread_are_not_those_of_the_model():
    embed, fc = nn.Embedding(20, 8), nn.Linear(8, 20)
    ids, other = torch.randint(0, 20, (2, 4, 12))
    for computed, rule in ((ids, []), (other, ["X501"])):
        with watch(config=Config()) as report:
            out = fc(embed(other)).flatten(0, 1)
            thread = threading.Thread(target=embed, args=(ids,))
            thread.start()
            thread.join()
            F.cross_entropy(out, computed.flatten())
        assert rules(report) == rule
