"""What a run leaves out: whose code it is not, what comes after its steps, what tells too little."""

import logging
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import tensor
from torch.utils.data.dataloader import _BaseDataLoaderIter

from xent.audit import Config, check, watch
from xent.audit._run import patches, program
from xent.audit._run.frames import is_users
from xent.audit._run.observer import Observer
from xent.audit._run.rules import padding, reductions, tokens


def rules(report):
    return [found.rule for found in report.findings]


@pytest.mark.parametrize(
    "file",
    ["<frozen runpy>", "<__array_function__ internals>", "<eval_with_key>.0", torch.__file__],
)
def test_code_that_is_nobodys_is_not_the_users(file):
    assert not is_users(file)
    assert is_users("/home/me/train.py")
    assert is_users("<string>")


def softmax_of_no_axis():
    with pytest.warns(UserWarning, match="Implicit dimension"):
        F.softmax(torch.randn(6, 3, 2), dim=None)


def backward_of_no_number():
    lost = tensor([float("inf")], requires_grad=True)
    (lost.log() * 0).sum().backward()


def softmax_twice():
    F.cross_entropy(torch.randn(6, 3).softmax(1), torch.zeros(6).long())


@pytest.mark.parametrize(
    ("compute", "rule"),
    [
        (softmax_of_no_axis, "X105"),
        (backward_of_no_number, "X603"),
        (softmax_twice, "X101"),
    ],
)
def test_nothing_is_looked_at_after_the_steps_that_were_asked_for(compute, rule):
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    for steps, found in ((2, [rule]), (1, [])):
        with watch(steps=steps, config=Config()) as report:
            optimizer.step()
            compute()
        assert rules(report) == found


def test_outputs_are_counted_not_compared_as_objects():
    """Python keeps one object of each small number alone."""
    loss = lambda a, b: (a - b).abs().sum()  # noqa: E731
    report = check(loss, torch.randn(300, 1), torch.randn(300), config=Config())
    assert rules(report) == ["X203"]


def test_targets_below_0_are_not_divided():
    with watch(config=Config()) as report:
        F.binary_cross_entropy_with_logits(torch.zeros(2), tensor([-0.5, 2.0]))
    (found,) = report.findings
    assert "got -0.5 to 2" in found.message
    assert "scale the targets" in found.fix


def test_ids_that_count_up_are_positions():
    for ids, count in (
        ([[0, 1, 2], [5, 6, 7]], True),
        ([[0, 1], [3, 4]], True),
        ([[0, 1, 2], [5, 6, 8]], False),
        ([[0, 2, 4]], False),
        ([[0], [1]], False),
    ):
        assert tokens._is_count(tensor(ids)) is count
    assert tokens.distinct(tensor([])) == 0
    assert tokens.distinct(tensor([3, 1, 3])) == 2


def test_ids_below_the_padding_are_words():
    rows = tensor([[5, 1, 6, 2, 2], [7, 8, 1, 3, 2]])  # padded with 2; 1 is a word like others
    assert padding._inside(rows, 2) == 0
    rows[0, 1] = 2
    assert padding._inside(rows, 2) == 0  # the other row ends without one inside
    rows[1, 2] = 2
    assert padding._inside(rows, 2) == 2


@pytest.mark.parametrize("shape", [(4, 1), (4, 3), (4, 3, 2)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_batch_of_any_shape_is_given_twice(shape, reduction, monkeypatch):
    monkeypatch.setitem(reductions.ORIGINALS, "mse_loss", F.mse_loss)
    options = {"input": torch.ones(shape), "target": torch.zeros(shape), "reduction": reduction}
    call = SimpleNamespace(name="mse_loss", options=options, result=F.mse_loss(**options))
    assert reductions.real(call) == ("" if reduction == "none" else reduction)


def test_embeddings_after_the_steps_leave_no_ids():
    """A model that goes on after its steps: no later loss is compared with what it reads."""
    embed, fc = nn.Embedding(20, 8), nn.Linear(8, 20)
    ids = torch.randint(0, 20, (4, 12))
    optimizer = torch.optim.SGD(fc.parameters(), lr=0.1)
    for steps, found in ((2, ["X501"]), (1, [])):
        with watch(steps=steps, config=Config()) as report:
            optimizer.step()
            F.cross_entropy(fc(embed(ids)).flatten(0, 1), ids.flatten())
        assert rules(report) == found


class Own:
    """What takes over PyTorch's functions, and answers with no tensor."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return 0.5


def test_a_loss_that_is_no_tensor_is_none_of_pytorchs():
    with watch(config=Config()) as report:
        assert F.mse_loss(Own(), torch.zeros(3)) == 0.5
    assert (report.sites, report.not_followed) == (0, [])


def test_most_steps_are_passed_over():
    """Of a step that is not looked at as many losses are not counted as the one before had."""
    z = torch.zeros(6, 3, requires_grad=True)
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    y = torch.zeros(6, dtype=torch.long)
    with patches.watching(observer := Observer()):
        for _ in range(30):
            for _ in range(2):
                F.cross_entropy(z, y).backward()
            optimizer.step()
    (site,) = observer.sites.values()
    assert (site.calls, observer.steps) == (2 * (20 + 1), 30)  # the first twenty, and step 25


def test_all_is_put_back():
    """Also what stood in the way of what was watched twice, one watch in another."""
    names = ("mean", "sum", "item", "tolist", "numpy", "detach", "cpu", "__float__")
    held = lambda: (  # noqa: E731
        [torch.Tensor.__dict__.get(name) for name in names],
        [torch.mean, torch.sum, torch.autograd.backward, F.cross_entropy, F.embedding, F.dropout],
        _BaseDataLoaderIter.__next__, BaseProcess.start,
        logging.Logger.callHandlers, F.warnings,
    )  # fmt: skip
    before = held()
    with watch(config=Config()):
        within = held()
    assert held() == before
    with watch(config=Config()), watch(config=Config()):
        pass
    assert held() == before
    assert not any(new is old for new, old in zip(within[1], before[1], strict=True))
    assert not any(new is old for new, old in zip(within[0], before[0], strict=True))


def test_a_loss_that_was_tried_keeps_no_warning_back():
    """Of the first call of a line the audit finds out by calls of its own how it reduces."""
    with watch(config=Config()):
        F.mse_loss(torch.zeros(4, 1), torch.ones(4, 1))
        with pytest.warns(UserWarning, match="target size"):
            F.mse_loss(torch.zeros(4), torch.ones(4, 1))


def test_code_that_stands_in_no_file_is_named_as_it_is_compiled(tmp_path, monkeypatch):
    """It is another line than that of the script, though it has the same number."""
    monkeypatch.chdir(tmp_path)
    (script := Path("train.py")).write_text(
        "import torch\nimport torch.nn.functional as F\nmade = '\\n' * 3\n"
        "F.mse_loss(torch.zeros(3), torch.ones(3))\n"
        "made += 'F.cross_entropy(torch.rand(6, 3).softmax(1), torch.zeros(6).long())'\n"
        "exec(compile(made, '<made>', 'exec'))\n"
    )
    report = program.run(script, [], Config()).report
    ((path, line),) = {(found.path, found.line) for found in report.findings}
    assert (path, line) == ("<made>", 4)
    assert report.sites == 2


@pytest.mark.parametrize("given", [(None,), (None, None), (None, None, -100)])
def test_what_is_ignored_may_be_given_by_its_place(given):
    """(input, target, weight, size_average, ignore_index)"""
    y = tensor([0, 1, -100, 2])
    with watch(config=Config()) as report:
        F.cross_entropy(torch.zeros(4, 3), y, *given)
    assert not report.not_followed
