"""Losses of whole answers against their papers' formulas, written out token by token in mpmath."""

import itertools

import mpmath
import pytest
import torch

import xent.losses as L
from xent.losses._rows import _chunks

N, T, D, V = 4, 5, 3, 7  # two pairs


def random(*shape, seed):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64)


X, W, BIAS = random(N, T, D, seed=0), random(V, D, seed=1), random(V, seed=2)
Y = torch.randint(0, V, (N, T), generator=torch.Generator().manual_seed(3))
Y[0, :2] = Y[2, 4] = Y[3, 0] = -100
OLD, REF = -random(N, T, seed=4).exp(), -random(N, T, seed=5).exp()
SUMS, ADVANTAGE = random(N, seed=6) - 8, random(N, seed=7)
DESIRABLE = torch.tensor([True, False, False, True])


def tokens(x, temperature=1.0, softcap=None):
    """Each answer's tokens: log-probability and entropy, and where they stand."""
    answers = []
    for n in range(N):
        found = []
        for t in range(T):
            if Y[n, t] == -100:
                continue
            z = [mpmath.mpf(0)] * V
            for c in range(V):
                z[c] = mpmath.fsum(
                    mpmath.mpf(float(a)) * float(b) for a, b in zip(x[n, t], W[c], strict=True)
                )
                z[c] += float(BIAS[c])
                z[c] = z[c] if softcap is None else softcap * mpmath.tanh(z[c] / softcap)
                z[c] /= temperature
            lse = mpmath.log(mpmath.fsum(map(mpmath.exp, z)))
            entropy = -mpmath.fsum(mpmath.exp(v - lse) * (v - lse) for v in z)
            found.append((z[int(Y[n, t])] - lse, entropy, t))
        answers.append(found)
    return answers


def sigma(v):
    return 1 / (1 + mpmath.exp(-v))


def total(answer):
    return mpmath.fsum(p for p, _, _ in answer)


def dpo(x, *, beta=0.1, label_smoothing=0.0, **o):
    gain = [total(a) - float(r) for a, r in zip(tokens(x, **o), SUMS, strict=True)]
    margins = [beta * (gain[i] - gain[i + N // 2]) for i in range(N // 2)]
    e = label_smoothing
    return [-(1 - e) * mpmath.log(sigma(m)) - e * mpmath.log(sigma(-m)) for m in margins]


def simpo(x, *, beta=2.0, gamma=1.0, **o):
    mean = [total(a) / len(a) for a in tokens(x, **o)]
    return [-mpmath.log(sigma(beta * (mean[i] - mean[i + N // 2]) - gamma)) for i in range(N // 2)]


def orpo(x, *, beta=0.1, **o):
    p = [mpmath.exp(total(a) / len(a)) for a in tokens(x, **o)]
    odds = [v / (1 - v) for v in p]
    return [
        -mpmath.log(p[i]) - beta * mpmath.log(sigma(mpmath.log(odds[i] / odds[i + N // 2])))
        for i in range(N // 2)
    ]


def kto(x, *, divergence=0.0, beta=0.1, desirable_weight=1.0, undesirable_weight=1.0, **o):
    values, z = [], max(0.0, float(divergence))
    for a, reference, yes in zip(tokens(x, **o), SUMS, DESIRABLE, strict=True):
        r = total(a) - float(reference)
        if yes:
            values.append(desirable_weight * (1 - sigma(beta * (r - z))))
        else:
            values.append(undesirable_weight * (1 - sigma(beta * (z - r))))
    return values


def grpo(x, *, old=None, reference=None, clip=0.2, beta=0.0, entropy_bonus=0.0, ratio="token",
         mean_over="answers", **o):  # fmt: skip
    low, high = clip if isinstance(clip, tuple) else (clip, clip)
    sums = []
    for n, answer in enumerate(tokens(x, **o)):
        # Without `old` the ratio is 1, and its gradient that of the log-probability.
        before = {t: frozen[n][t] if old is None else float(old[n, t]) for _, _, t in answer}
        changes = [p - before[t] for p, _, t in answer]
        each = []
        for (p, h, t), change in zip(answer, changes, strict=True):
            change = mpmath.fsum(changes) / len(answer) if ratio == "sequence" else change
            rho, a = mpmath.exp(change), float(ADVANTAGE[n])
            value = -min(rho * a, min(max(rho, 1 - low), 1 + high) * a) - entropy_bonus * h
            if reference is not None:
                gap = float(reference[n, t]) - p
                value += beta * (mpmath.exp(gap) - gap - 1)
            each.append(value)
        sums.append((mpmath.fsum(each), len(each)))
    if mean_over == "tokens":
        return sums
    return [s / count for s, count in sums]


frozen = [{t: p for p, _, t in answer} for answer in tokens(X)]
BENT = {"temperature": (1.0, 0.7), "softcap": (None, 3.0)}
CASES = {
    "linear_dpo": (dpo, (SUMS,), {"beta": (0.1, 2.0), "label_smoothing": (0.0, 0.2), **BENT}),
    "linear_simpo": (simpo, (), {"beta": (2.0,), "gamma": (0.0, 1.0), **BENT}),
    "linear_orpo": (orpo, (), {"beta": (0.0, 0.7), **BENT}),
    "linear_kto": (kto, (SUMS, DESIRABLE), {
        "divergence": (0.0, -1.0, torch.tensor(2.0)), "beta": (0.5,), "desirable_weight": (1.0, 3.0),
        "undesirable_weight": (2.0,)}),
    "linear_grpo": (grpo, (ADVANTAGE,), {
        "old": (None, OLD), "clip": (0.2, (0.1, 0.3)), "entropy_bonus": (0.0, 0.1),
        "ratio": ("token", "sequence"), "mean_over": ("answers", "tokens")}),
    "linear_grpo near the reference": (grpo, (ADVANTAGE,), {
        "old": (OLD,), "reference": (REF,), "beta": (0.04,), "ratio": ("token", "sequence"), **BENT}),
}  # fmt: skip


@pytest.mark.grid
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", CASES)
def test_the_papers_formula(name, reduction, monkeypatch):
    monkeypatch.setattr(_chunks, "_CHUNK_ROWS", 6)
    monkeypatch.setattr(_chunks, "_CHUNK_BYTES", 0)
    truth, given, options = CASES[name]
    loss = getattr(L, name.split()[0])
    for values in itertools.product(*options.values()):
        o = dict(zip(options, values, strict=True))
        got = loss(X, W, Y, *given, linear_bias=BIAS, reduction=reduction, **o)
        want = truth(X, **o)
        if want and isinstance(want[0], tuple):
            whole, count = (mpmath.fsum(part) for part in zip(*want, strict=True))
            sums = [s / n for s, n in want]
            want = {"none": sums, "sum": [whole], "mean": [whole / count]}[reduction]
        elif reduction != "none":
            want = [mpmath.fsum(want) / (len(want) if reduction == "mean" else 1)]
        assert got.shape == ((len(want),) if reduction == "none" else ())
        want = torch.tensor([float(v) for v in want], dtype=torch.float64)
        torch.testing.assert_close(got.reshape(-1), want, rtol=1e-11, atol=1e-12, msg=str(o))


@pytest.mark.grid
@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    _, given, options = CASES[name]
    o = {option: values[-1] for option, values in options.items()}
    loss = getattr(L, name.split()[0])
    leaves = [t.clone().requires_grad_() for t in (X, W, BIAS)]
    assert torch.autograd.gradcheck(
        lambda x, w, b: loss(x, w, Y, *given, linear_bias=b, **o), leaves
    )


def test_a_policy_s_first_step_is_the_policy_gradient():
    """Where the sampler is the policy itself: the slope of the mean of A log π (Williams 1992)."""
    x = X.clone().requires_grad_()
    L.linear_grpo(x, W, Y, ADVANTAGE).backward()
    y = X.clone().requires_grad_()
    log_prob = L.linear_log_prob(y, W, Y)
    each = log_prob.sum(-1) / (Y != -100).sum(-1) * ADVANTAGE
    each.mean().neg().backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_what_does_not_count_may_hold_anything():
    old, reference = OLD.clone(), REF.clone()
    old[Y == -100] = float("nan")
    reference[Y == -100] = float("inf")
    o = {"reference": reference, "beta": 0.1, "ratio": "sequence"}
    x = X.clone().requires_grad_()
    loss = L.linear_grpo(x, W, Y, ADVANTAGE, old=old, **o)
    loss.backward()
    assert loss.isfinite()
    assert x.grad.isfinite().all()
    empty = torch.full_like(Y, -100)
    for name in ("linear_simpo", "linear_dpo", "linear_grpo"):
        given = {"linear_dpo": (SUMS,), "linear_grpo": (ADVANTAGE,)}.get(name, ())
        assert getattr(L, name)(X, W, empty, *given).isfinite()


@pytest.mark.parametrize(("call", "sentence"), [
    (lambda: L.linear_dpo(X[:3], W, Y[:3], SUMS[:3]), "as many answers that are preferred as others"),
    (lambda: L.linear_dpo(X[0], W, Y[0], SUMS), r"`input` must have the shape \(N, T, D\)"),
    (lambda: L.linear_dpo(X, W, Y, SUMS[:2]), r"`reference` must have one entry an answer, \(4,\)"),
    (lambda: L.linear_dpo(X, W, Y, SUMS, label_smoothing=0.7), "between 0 and 1/2"),
    (lambda: L.linear_kto(X, W, Y, SUMS, SUMS), "`desirable` must be a tensor of booleans"),
    (lambda: L.linear_grpo(X, W, Y, ADVANTAGE, beta=0.1),
     "`reference` must be given where `beta` is not 0, and there alone, got none"),
    (lambda: L.linear_grpo(X, W, Y, ADVANTAGE, reference=REF),
     "`reference` must be given where `beta` is not 0, and there alone, got beta=0"),
    (lambda: L.linear_grpo(X, W, Y, ADVANTAGE, old=SUMS), "`old` must have one entry a token"),
    (lambda: L.linear_grpo(X, W, Y, ADVANTAGE, ratio="words"), "`ratio` must be"),
    (lambda: L.linear_grpo(X, W, Y, ADVANTAGE, clip=1.5), "`clip` must be at most 1 below, got 1.5"),
    (lambda: L.linear_grpo(X, W, Y, ADVANTAGE, clip=(0.1, 0.2, 0.3)),
     "`clip` must be one number or two, got 3 numbers"),
    (lambda: L.linear_grpo(X, W, Y, ADVANTAGE, entropy_bonus=-0.1),
     "`entropy_bonus` must be non-negative and finite, got -0.1"),
])  # fmt: skip
def test_sentences(call, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        call()


def test_where_the_options_of_answers_end():
    """At its end an option is one: half the pairs the wrong way round, ratios cut at 0 from below."""
    flat = L.linear_dpo(X, W, Y, SUMS, linear_bias=BIAS, label_smoothing=0.5)
    want = mpmath.fsum(dpo(X, label_smoothing=0.5)) / 2
    torch.testing.assert_close(float(flat), float(want), rtol=1e-11, atol=0.0)
    for clip in (1, (1.0, 3.0), 0.0):
        found = L.linear_grpo(X, W, Y, ADVANTAGE, old=OLD, linear_bias=BIAS, clip=clip)
        want = mpmath.fsum(grpo(X, old=OLD, clip=clip)) / N
        torch.testing.assert_close(float(found), float(want), rtol=1e-11, atol=0.0)


@pytest.mark.parametrize("point", [-0.75, 0.0, 0.75])
def test_a_reference_point_is_a_number_that_nothing_learns(point):
    """A tensor as a number, below 0 too; the divergence is an estimate, of which none is learnt."""
    z = torch.tensor(point, requires_grad=True)
    x = X.clone().requires_grad_()
    o = {"linear_bias": BIAS, "reduction": "none"}
    found = L.linear_kto(x, W, Y, SUMS, DESIRABLE, divergence=z, **o)
    want = torch.tensor([float(v) for v in kto(X, divergence=point)], dtype=torch.float64)
    torch.testing.assert_close(found, want, rtol=1e-11, atol=1e-12)
    assert torch.equal(found, L.linear_kto(X, W, Y, SUMS, DESIRABLE, divergence=point, **o))
    found.sum().backward()
    assert z.grad is None
    assert x.grad.any()
