"""Rows that are scored a few at a time: those past the first few, with every option that goes along.

Of 512 classes the compiled rows cap 64 rows at once, and wake another thread at 64.
"""

import itertools

import pytest
import torch

import xent.losses as L

ROWS, CLASSES = 150, 512


def random(*shape, seed):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64)


LOGITS = random(ROWS, CLASSES, seed=0) * 2
HARD = torch.randint(0, CLASSES, (ROWS,), generator=torch.Generator().manual_seed(1))
HARD[[3, 70, 149]] = -100
SOFT = random(ROWS, CLASSES, seed=2).softmax(1)
ROW_WEIGHT, CLASS_WEIGHT = random(ROWS, seed=3).exp(), random(CLASSES, seed=4).exp()
UP = random(4, ROWS, seed=5)


def by_definition(x, target, weight, token, smoothing, z_loss, cap, temperature):
    """The loss of each row, and its log-normaliser, log-probability and entropy."""
    z = (x if cap is None else cap * torch.tanh(x / cap)) / temperature
    log_p, lse = z.log_softmax(1), z.logsumexp(1)
    kept = torch.ones(ROWS, dtype=torch.float64)
    t = target
    if not target.is_floating_point():
        kept = (target != -100).double()
        t = torch.nn.functional.one_hot(target.clamp_min(0), CLASSES) * kept.unsqueeze(1)
    spread = (t * (1 - smoothing) + smoothing / CLASSES) * kept.unsqueeze(1)
    told = spread if target.is_floating_point() else t
    weighed = spread * weight
    each = -(weighed * log_p).sum(1) + z_loss * weighed.sum(1) * lse**2
    entropy = -(log_p.exp() * log_p).sum(1)
    return each * token, lse, (told * log_p).sum(1), entropy


@pytest.mark.parametrize("cap", [None, 3.0])
@pytest.mark.parametrize("soft", [False, True])
def test_every_row_has_its_own_target_weight_and_slope(cap, soft):
    target, one = SOFT if soft else HARD, torch.ones((), dtype=torch.float64)
    options = itertools.product((None, CLASS_WEIGHT), (None, ROW_WEIGHT), (0.0, 0.2), (0.0, 0.1))
    for weight, token, smoothing, z_loss in options:
        o = {"weight": weight, "token_weight": token, "label_smoothing": smoothing,
             "z_loss": z_loss, "softcap": cap, "temperature": 0.7, "reduction": "none"}  # fmt: skip
        x, y = (LOGITS.clone().requires_grad_() for _ in range(2))
        loss, stats = L.cross_entropy(x, target, stats=True, **o)
        want = by_definition(
            y, target, one if weight is None else weight, one if token is None else token,
            smoothing, z_loss, cap, 0.7,
        )  # fmt: skip
        found = loss, stats.lse, stats.log_prob, stats.entropy
        for a, b in zip(found, want, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12, msg=str(o))
        sum((u * part).sum() for u, part in zip(UP, found, strict=True)).backward()
        sum((u * part).sum() for u, part in zip(UP, want, strict=True)).backward()
        torch.testing.assert_close(x.grad, y.grad, rtol=1e-10, atol=1e-12, msg=str(o))
        alone = x.detach().clone().requires_grad_()
        L.cross_entropy(alone, target, **o).backward(UP[0])
        (slope,) = torch.autograd.grad(
            by_definition(
                y, target, one if weight is None else weight, one if token is None else token,
                smoothing, z_loss, cap, 0.7,
            )[0], y, UP[0],
        )  # fmt: skip
        torch.testing.assert_close(alone.grad, slope, rtol=1e-10, atol=1e-12, msg=str(o))


@pytest.mark.parametrize("cap", [None, 3.0])
@pytest.mark.parametrize("rows", [(0,), (63,), (64,), (100, 140), (149,)])
def test_the_first_bad_row_is_named_wherever_it_stands(rows, cap):
    bad = SOFT.clone()
    bad[list(rows)] *= 2
    head = torch.eye(CLASSES, dtype=torch.float64)
    said = rf"`target` must sum to 1 over the classes, got 2 at \[{rows[0]}\]\."
    for call in (
        lambda: L.cross_entropy(LOGITS, bad, softcap=cap),
        lambda: L.cross_entropy(LOGITS, bad, softcap=cap, reduction="none"),
        lambda: L.cross_entropy(LOGITS, bad, softcap=cap, stats=True),
        lambda: L.linear_cross_entropy(LOGITS, head, bad, softcap=cap),
        lambda: L.focal_loss(LOGITS, bad, softcap=cap),
    ):
        with pytest.raises(ValueError, match=said):
            call()
    low = SOFT.clone()
    low[rows[-1], [5, 7]] += torch.tensor([-1.0, 1.0], dtype=torch.float64)
    with pytest.raises(ValueError, match=rf"non-negative, got -\S+ at \[{rows[-1]}, 5\] \(class"):
        L.cross_entropy(LOGITS, low, softcap=cap)
    index = HARD.clone()
    index[list(rows)] = CLASSES
    for call in (L.cross_entropy, lambda x, t: L.linear_cross_entropy(x, head, t)):
        with pytest.raises(ValueError, match=rf"below 512, .* got 512 at \[{rows[0]}\]\."):
            call(LOGITS, index)
    stacked = LOGITS.view(5, 30, CLASSES)
    at = rf"\[{rows[0] // 30}, {rows[0] % 30}\]"
    with pytest.raises(ValueError, match=rf"got 2 at {at}\."):
        L.cross_entropy(stacked, bad.view(5, 30, CLASSES), axis=-1, softcap=cap)


def test_a_bad_row_of_several_heads_is_named_in_all_axes():
    x, heads = random(2, 3, 4, seed=8), random(6, 2, 4, seed=9)
    target = torch.zeros(2, 3, 2, dtype=torch.int64)
    target[1, 2, 1] = 6
    with pytest.raises(ValueError, match=r"below 6, .* got 6 at \[1, 2, 1\]\."):
        L.linear_cross_entropy(x, heads, target)
    soft = torch.full((2, 3, 6, 2), 1 / 6, dtype=torch.float64)
    soft[1, 0, :, 1] = 1 / 3
    with pytest.raises(ValueError, match=r"sum to 1 over the classes, got 2 at \[1, 0, 1\]\."):
        L.linear_cross_entropy(x, heads, soft)
    weight = torch.ones(2, 3, 2, dtype=torch.float64)
    weight[0, 1, 1] = -1
    with pytest.raises(ValueError, match=r"`token_weight` must be .* got -1 at \[0, 1, 1\]\."):
        L.linear_cross_entropy(x, heads, target.clamp_max(5), token_weight=weight)


@pytest.mark.parametrize("cap", [None, 2.0])
@pytest.mark.parametrize("ignored", [-100, 4, (4, -100)])
def test_log_probabilities_of_a_head_beside_their_statistics(cap, ignored):
    """Every option goes along where statistics are asked for, and changes no log-probability."""
    x, w, b = random(ROWS, 6, seed=10), random(9, 6, seed=11), random(9, seed=12)
    target = torch.arange(ROWS) % 9
    target[[0, 149]] = -100 if ignored != 4 else 4
    o = {"linear_bias": b, "temperature": 0.7, "softcap": cap, "ignore_index": ignored}
    plain = L.linear_log_prob(x, w, target, **o)
    beside, stats = L.linear_log_prob(x, w, target, stats=True, **o)
    z = x @ w.t() + b
    log_p = ((z if cap is None else cap * torch.tanh(z / cap)) / 0.7).log_softmax(1)
    kept = torch.tensor(
        [int(t) not in (ignored if ignored == (4, -100) else (ignored,)) for t in target]
    )
    want = log_p.gather(1, target.clamp_min(0).unsqueeze(1)).squeeze(1).where(kept, 0.0)
    for found in (plain, beside, stats.log_prob):
        torch.testing.assert_close(found, want, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(stats.entropy, -(log_p.exp() * log_p).sum(1), rtol=1e-11, atol=1e-12)
    assert torch.equal(stats.argmax, log_p.argmax(1))
    right = (log_p.argmax(1) == target)[kept].double().mean()
    torch.testing.assert_close(stats.accuracy, right)


@pytest.mark.parametrize(("dtype", "slack"), [(torch.float64, 1e-6), (torch.float32, 1.96e-6)])
def test_how_far_above_1_the_classes_of_a_teacher_may_sum(dtype, slack):
    """A millionth, and what rounding of two of them explains."""
    x, w = random(2, 6, seed=13).to(dtype), random(5, 6, seed=14).to(dtype)
    indices = torch.tensor([[0, 1], [3, 2]])
    for off, fits in ((0.5 * slack, True), (3 * slack, False), (30 * slack, False)):
        log_q = torch.tensor([[0.5, 0.5], [0.25, 0.75 + off]], dtype=torch.float64).log().to(dtype)
        if fits:
            assert L.linear_kl_div(x, w, teacher=(indices, log_q)) > 0
        else:
            with pytest.raises(ValueError, match=r"sum to at most 1, got 1\.0000\d+ at \[1\]"):
                L.linear_kl_div(x, w, teacher=(indices, log_q))


@pytest.mark.parametrize(("off", "advised"), [(0.003, True), (0.005, False)])
def test_the_advice_on_sums_looks_at_one_row_at_a_time(off, advised):
    """Each row is off by what half precision explains, or by more; not all of them together."""
    target = torch.full((4, 2), 0.5)
    target[:3, 1] += off
    with pytest.raises(ValueError, match="sum to 1 over the classes") as caught:
        L.kl_div(torch.full((4, 2), -0.7), target, axis=1, reduction="sum")
    assert ("logits.float().softmax(-1)" in str(caught.value)) == advised
