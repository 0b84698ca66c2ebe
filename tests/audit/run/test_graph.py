"""What a node of autograd's graph is taken for."""

import pytest
import torch
from torch.nn import functional as F

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
