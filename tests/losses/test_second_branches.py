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


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (4, 3, 2, 2)])
def test_batchmean_divides_by_the_rows_of_the_first_axis(shape):
    log_q = torch.randn(shape, generator=torch.Generator().manual_seed(1)).log_softmax(1)
    p = torch.randn(shape, generator=torch.Generator().manual_seed(2)).softmax(1)
    found = L.kl_div(log_q, p, reduction="batchmean")
    torch.testing.assert_close(found, torch.nn.functional.kl_div(log_q, p, reduction="batchmean"))
    twice = L.kl_div(log_q, p, reduction="batchmean", token_weight=torch.full((4, *shape[2:]), 2.0))
    torch.testing.assert_close(twice, found)
