"""The least and the largest that an option takes mean what they say; the next number is refused."""

import math

import pytest
import torch
from torch.nn import functional

import xent.losses as L


def random(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X, OTHER, W = random(4, 3, seed=1), random(4, 3, seed=2), torch.eye(3, dtype=torch.float64)
Y, P = torch.tensor([0, 2, 1, 2]), random(4, 3, seed=3).sigmoid()
LOG_P, LOG_Q = X.log_softmax(1), OTHER.log_softmax(1)
EVEN, NO = -LOG_P.mean(), -functional.logsigmoid(-X)
HALF = functional.binary_cross_entropy_with_logits(X, torch.full_like(X, 0.5))
# Two pairs of answers of one token each, and what they gain over a reference.
HIDDEN, TOKENS = X.unsqueeze(1), Y.unsqueeze(1)
SUMS, ADVANTAGE = random(4, seed=4), torch.tensor([1.0, -1.0, 0.5, -2.0], dtype=torch.float64)
GAIN = LOG_P.gather(1, TOKENS).squeeze(1) - SUMS
MARGIN = 0.1 * (GAIN[:2] - GAIN[2:])
OLD = LOG_P.gather(1, TOKENS) - torch.tensor([[1.0], [-1.0], [2.0], [-2.0]])
RATIO = torch.tensor([1.0, -1, 2, -2], dtype=torch.float64).exp()


def clipped(low, high):
    return -torch.minimum(RATIO * ADVANTAGE, RATIO.clamp(1 - low, 1 + high) * ADVANTAGE).mean()


def divergence(log_p, log_q):
    return (log_p.exp() * (log_p - log_q)).sum(1).mean()


def focal(alpha):
    return L.sigmoid_focal_loss(X, P, alpha, reduction="mean")


def weighed(alpha):
    cost = P * functional.softplus(-X) + (1 - P) * functional.softplus(X)
    missed = P * torch.sigmoid(-X) + (1 - P) * torch.sigmoid(X)
    return (cost * missed**2 * (alpha * P + (1 - alpha) * (1 - P))).mean()


def grpo(clip):
    return L.linear_grpo(HIDDEN, W, TOKENS, ADVANTAGE, old=OLD, clip=clip)


S = "label_smoothing"
PLAIN = functional.cross_entropy(X, Y)
ENDS = {  # the option, its loss, an end, what it gives there, and what is refused
    "cross_entropy, all": (S, lambda v: L.cross_entropy(X, Y, label_smoothing=v), 1, EVEN, 1.001),
    "cross_entropy, none": (S, lambda v: L.cross_entropy(X, Y, label_smoothing=v), 0, PLAIN, -0.1),
    "shares": (S, lambda v: L.cross_entropy(X, OTHER.softmax(1), label_smoothing=v), 1, EVEN, 1.001),
    "nll_loss": (S, lambda v: L.nll_loss(LOG_P, Y, label_smoothing=v), 1, EVEN, 1.001),
    "head": (S, lambda v: L.linear_cross_entropy(X, W, Y, label_smoothing=v), 1, EVEN, 1.001),
    "binary": (
        S, lambda v: L.binary_cross_entropy_with_logits(X, P, label_smoothing=v), 1, HALF, 1.001),
    "probabilities": (
        S, lambda v: L.binary_cross_entropy(X.sigmoid(), P, label_smoothing=v), 1, HALF, 1.001),
    "dpo": (
        S, lambda v: L.linear_dpo(HIDDEN, W, TOKENS, SUMS, label_smoothing=v), 0.5,
        -(functional.logsigmoid(MARGIN) + functional.logsigmoid(-MARGIN)).mean() / 2, 0.501),
    "z_loss": ("z_loss", lambda v: L.cross_entropy(X, Y, z_loss=v), 0, PLAIN, -0.1),
    "gamma": ("gamma", lambda v: L.focal_loss(X, Y, gamma=v), 0, PLAIN, -0.1),
    "alpha of yes": ("alpha", focal, 1, weighed(1), 1.001),
    "alpha of no": ("alpha", focal, 0, weighed(0), -0.001),
    "alpha": ("alpha", lambda v: L.focal_loss(X, Y, alpha=v), 0, torch.tensor(0.0).double(), -0.1),
    "beta 0": ("beta", lambda v: L.js_div(X, OTHER, beta=v), 0, divergence(LOG_Q, LOG_P), -0.001),
    "beta 1": ("beta", lambda v: L.js_div(X, OTHER, beta=v), 1, divergence(LOG_P, LOG_Q), 1.001),
    "clip, none": ("clip", grpo, 0, clipped(0, 0), -0.1),
    "clip, all": ("clip", grpo, 1, clipped(1, 1), 1.001),
    "clip, two": ("clip", grpo, (0.5, 1.5), clipped(0.5, 1.5), (1.001, 0.5)),
    "clip, one side": ("clip", grpo, (1.0, 4.0), clipped(1, 4), (1.001, 4.0)),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_an_option_at_its_end(name):
    option, call, end, want, beyond = ENDS[name]
    torch.testing.assert_close(call(end), want, rtol=1e-10, atol=1e-12)
    if not isinstance(end, tuple):
        torch.testing.assert_close(call(float(end)), want, rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match=f"`{option}` must be"):
        call(beyond)
    if not isinstance(end, tuple):
        with pytest.raises(ValueError, match=f"`{option}` must be"):
            call(math.nan)
