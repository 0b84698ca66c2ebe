"""Options of the losses in pairs."""

import pytest
import torch

import xent.losses as L

LOGITS = torch.tensor(
    [[3.0, 1, 0], [0, 2, 1], [0, 1, 5], [4, 0, 1], [0, 3, 0]], dtype=torch.float64
)


@pytest.mark.parametrize("ignored", [0, 1, 2, [0, 2], -100])
@pytest.mark.parametrize("head", [False, True])
def test_accuracy_knows_what_is_ignored(ignored, head):
    """Rows of an ignored class, 0 among them, count neither as right nor as wrong."""
    target = torch.tensor([0, 1, 1, 2, 1])
    if head:
        eye = torch.eye(3, dtype=torch.float64)
        _, stats = L.linear_cross_entropy(LOGITS, eye, target, ignore_index=ignored, stats=True)
    else:
        _, stats = L.cross_entropy(LOGITS, target, ignore_index=ignored, stats=True)
    kept = ~torch.isin(target, torch.as_tensor(ignored))
    right = (LOGITS.argmax(1) == target)[kept].double().mean()
    assert float(stats.accuracy) == pytest.approx(float(right))
