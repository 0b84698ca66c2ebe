"""What a node of autograd's graph is taken for."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from xent.audit import Config, watch
from xent.audit._run.rules.graph import dropped


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        ([0.0, 2.0, 2.0], True),
        ([0.0, 0.5, 0.5], False),  # Dropout divides by what it keeps: its numbers are above 1
        ([0.0, 1.0, 1.0], False),
        ([0.0, 0.0, 0.0], False),
        ([0.0, 2.0, 3.0], False),
        ([-1.0, 0.0, 2.0], False),
        ([2.0, 2.0, 2.0], True),  # none was dropped, by chance
    ],
)
def test_a_product_is_dropout_where_its_numbers_are_0_and_one_above_1(noise, expected):
    x = torch.ones(3, requires_grad=True)
    assert dropped((x * torch.tensor(noise)).grad_fn) is expected
    assert dropped((x + torch.tensor(noise)).grad_fn) is False
    assert dropped((x * torch.tensor(noise).requires_grad_()).grad_fn) is False


def test_dropout_is_dropout():
    torch.manual_seed(0)
    x = torch.ones(64, requires_grad=True)
    assert dropped(F.dropout(x, 0.5).grad_fn)
    assert not dropped(F.dropout(x + 0, 0.5, training=False).grad_fn)
    assert not dropped((torch.ones(1, requires_grad=True) * torch.tensor([2.0])).grad_fn)


FIRST = torch.tensor([1, 0, 3])
MOVED = {
    "view": lambda p: p.view(2, 3, 4), "reshape": lambda p: p.T.reshape(-1),
    "squeeze": lambda p: p[:, None].squeeze(1), "unsqueeze": lambda p: p.unsqueeze(0),
    "transpose": lambda p: p.transpose(0, 1), "permute": lambda p: p.permute(1, 0),
    "t": lambda p: p.t(), "clone": lambda p: p.clone(), "contiguous": lambda p: p.T.contiguous(),
    "slice": lambda p: p[1:, ::2], "select": lambda p: p[:, 1], "index": lambda p: p[FIRST],
    "mask": lambda p: p[p > 0.3], "to": lambda p: p.double(), "expand": lambda p: p.expand(2, 6, 4),
    "as_strided": lambda p: p.as_strided((3, 4), (4, 1)), "split": lambda p: p.split(2)[1],
    "chunk": lambda p: p.chunk(2, 1)[0], "unbind": lambda p: p.unbind()[2],
    "narrow": lambda p: p.narrow(0, 1, 2), "flatten": lambda p: p.flatten(),
    "unflatten": lambda p: p.unflatten(0, (2, 3)), "movedim": lambda p: p.movedim(0, 1),
    "index_select": lambda p: p.index_select(0, FIRST), "flip": lambda p: p.flip(0),
    "gather": lambda p: p.gather(1, torch.zeros(6, 2).long()), "roll": lambda p: p.roll(1, 0),
    "masked_select": lambda p: p.masked_select(p > 0.3), "diagonal": lambda p: p.diagonal(),
    "unfold": lambda p: p.unfold(0, 2, 2), "repeat": lambda p: p.repeat(2, 1),
    "take": lambda p: p.take(FIRST), "rot90": lambda p: p.rot90(), "sort": lambda p: p.sort().values,
    "topk": lambda p: p.topk(2).values, "repeat_interleave": lambda p: p.repeat_interleave(2, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVED)
def test_what_only_moves_numbers_hides_no_sigmoid(name):
    """PyTorch is the judge: all that comes out went in."""
    torch.manual_seed(0)
    p = torch.randn(6, 4, requires_grad=True).sigmoid()
    moved = MOVED[name](p)
    assert torch.isin(moved.detach().float(), p.detach()).all()
    with watch(config=Config()) as report:
        F.binary_cross_entropy_with_logits(moved, torch.ones_like(moved))
    assert [found.rule for found in report.findings] == ["X102"]
    assert "values from" in report.findings[0].seen


@pytest.mark.parametrize("change", [torch.square, lambda p: p * 2, lambda p: p.sum(1), torch.logit])
def test_what_changes_numbers_does(change):
    moved = change(torch.randn(6, 4, requires_grad=True).sigmoid())
    with watch(config=Config()) as report:
        F.binary_cross_entropy_with_logits(moved, torch.ones_like(moved))
    assert not report.findings


@pytest.mark.parametrize("name", ["slice", "transpose", "split", "flip", "repeat"])
def test_what_moves_numbers_hides_no_weights(name):
    z = MOVED[name](nn.Linear(3, 4)(torch.ones(6, 3)))
    with watch(config=Config()) as report:
        F.nll_loss(z, torch.zeros(len(z)).long())
    assert "gets raw logits" in report.findings[0].message
