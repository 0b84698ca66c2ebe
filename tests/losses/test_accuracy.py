"""How many units in the last place a loss and its gradient are off, against a wider arithmetic.

float32, bfloat16 and float16 are held against the 80-bit formula (which is checked against mpmath
here), float64 against mpmath. Rows are adversarial: spread up to 1e30, ties, one dominating, half
of them -inf.

Run as a program, this file prints the worst errors that docs/losses.md shows.
"""

import math

import mpmath
import numpy as np
import pytest
import torch
import torch.nn.functional as F

import xent.losses as L
from xent.losses._arguments import Options
from xent.losses._device._class import class_loss

WIDE = np.longdouble


def adversarial(rng, kind, rows, classes):
    x = rng.normal(size=(rows, classes))
    each = (rows, 1)
    first = np.arange(rows), rng.integers(classes, size=rows)
    if kind == "scales":
        x = x * 10.0 ** rng.uniform(-8, 3, size=each)
    elif kind == "spread":
        x = x * 10.0 ** rng.uniform(-8, 30, size=each)
    elif kind == "dominated":
        x[first] += rng.uniform(5, 100, size=rows)
    elif kind == "masked":
        x[rng.random(x.shape) < 0.5] = -np.inf
        x[first] = rng.normal(size=rows)
    elif kind == "ties":
        x = np.round(x)
    elif kind == "shifted":
        x = x * 1e-3 + rng.choice([1e3, 1e6, -1e6], size=each)
    elif kind == "tiny":
        x = rng.uniform(-100, -30, size=x.shape)
        x[first] = 0.3
    return x


KINDS = ["scales", "spread", "dominated", "masked", "ties", "shifted", "tiny"]


def truth(x, y):
    """Loss and gradient of class indices in 80 bits, the largest logit out of the sum."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        x = x.astype(WIDE)
        rows = np.arange(len(x))
        k = x.argmax(1)
        top = x[rows, k]
        e = np.exp(x - top[:, None])
        e[rows, k] = 0
        others = e.sum(1)
        loss = (top - x[rows, y]) + np.log1p(others)
        e[rows, k] = 1
        p = e / (1 + others)[:, None]
        grad = p.copy()
        grad[rows, y] -= 1
        sure = y == k
        grad[rows[sure], k[sure]] = -(others / (1 + others))[sure]
    return loss, grad, p


def ulps(got, want, dtype, larger=None):
    """Error in units of the last place of the truth, where the dtype can hold that."""
    info = torch.finfo(dtype)
    size = np.abs(want if larger is None else larger)
    good = (np.abs(want) >= info.tiny) & (np.abs(want) <= info.max)
    unit = np.exp2(np.floor(np.log2(np.where(good, size, 1.0))).astype(WIDE)) * WIDE(info.eps)
    assert np.isfinite(got[good].astype(float)).all(), "not finite where the truth is"
    return float((np.abs(got[good].astype(WIDE) - want[good]) / unit[good]).max(initial=0.0))


def as_wide(tensor):
    return tensor.detach().double().numpy().astype(WIDE)


def worst(dtype, rows, sizes, seed, cross_entropy=L.cross_entropy):
    rng = np.random.default_rng(seed)
    loss_ulp = grad_ulp = 0.0
    for kind in KINDS:
        for classes in sizes:
            count = max(1, rows // classes)
            x = torch.from_numpy(adversarial(rng, kind, count, classes))
            if dtype == torch.float16:
                x = x.where(x.isinf(), x.clamp(-65504, 65504))
            x = x.to(dtype).requires_grad_()
            y = rng.integers(classes, size=count)
            sure = rng.random(count) < 0.6
            wide = as_wide(x)
            y[sure] = wide.argmax(1)[sure]
            y[np.isinf(wide[np.arange(count), y])] = 0
            target = torch.from_numpy(y)
            got = cross_entropy(x, target, reduction="none")
            got.sum().backward()
            loss, grad, _ = truth(wide, y)
            loss_ulp = max(loss_ulp, ulps(as_wide(got), loss, torch.float32))
            grad_ulp = max(grad_ulp, ulps(as_wide(x.grad), grad, dtype))
    return loss_ulp, grad_ulp


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_class_indices(dtype):
    loss, grad = worst(dtype, 40_000, (2, 3, 17, 256, 1000), seed=0)
    assert loss <= 2
    assert grad <= 4


# 458,710 rows, among them 7 of a vocabulary of 128k
LONG = 60_000, (2, 3, 5, 17, 128_000), 1


@pytest.mark.long
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_class_indices_long(dtype):
    loss, grad = worst(dtype, *LONG)
    assert loss <= 2
    assert grad <= 4


def on_device(x, target, reduction):
    """What accelerators run, here on the CPU's arithmetic."""
    return class_loss(x, target, None, None, 1, Options(reduction), False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_class_indices_on_a_device(dtype):
    """Logits that lie 80 below the largest, subtracted in float32, are off by 40 units."""
    loss, grad = worst(dtype, 10_000, (2, 3, 17, 1000), 0, on_device)
    assert 2 < loss <= 80
    assert grad <= (80 if dtype == torch.float32 else 0.51)


def exact_row(x, y):
    values = [mpmath.mpf(float(v)) for v in x]
    k = int(np.argmax(x))
    e = [mpmath.exp(v - values[k]) if mpmath.isfinite(v) else mpmath.mpf(0) for v in values]
    others = mpmath.fsum(v for i, v in enumerate(e) if i != k)
    loss = values[k] - values[y] + mpmath.log1p(others)
    grad = [v / (1 + others) for v in e]
    grad[y] = -others / (1 + others) if y == k else grad[y] - 1
    return loss, grad


def off(got, want):
    if not (mpmath.mpf(2) ** -1022 <= abs(want) < mpmath.mpf(2) ** 1023):
        return 0.0
    return float(
        abs(mpmath.mpf(float(got)) - want) / mpmath.mpf(float(np.spacing(abs(float(want)))))
    )


def worst_float64(rows, seed):
    rng = np.random.default_rng(seed)
    loss_ulp = grad_ulp = 0.0
    with mpmath.workprec(200):
        for i in range(rows):
            classes = int(rng.choice([2, 3, 7, 20]))
            x = adversarial(rng, KINDS[i % len(KINDS)], 1, classes)
            y = int(x.argmax()) if i % 3 else int(rng.integers(classes))
            if np.isinf(x[0, y]):
                continue
            logits = torch.from_numpy(x).requires_grad_()
            got = L.cross_entropy(logits, torch.tensor([y]))
            got.backward()
            loss, grad = exact_row(x[0], y)
            loss_ulp = max(loss_ulp, off(got.detach(), loss))
            pairs = zip(logits.grad[0].tolist(), grad, strict=True)
            grad_ulp = max(grad_ulp, *(off(a, b) for a, b in pairs))
    return loss_ulp, grad_ulp


def test_float64():
    loss, grad = worst_float64(700, seed=2)
    assert loss <= 4
    assert grad <= 4


@pytest.mark.long
def test_float64_long(repeats):
    loss, grad = worst_float64(repeats(100_000), seed=3)
    assert loss <= 4
    assert grad <= 4


def test_float64_wide_rows():
    rng = np.random.default_rng(4)
    with mpmath.workprec(200):
        for kind in ("tiny", "dominated", "scales"):
            x = adversarial(rng, kind, 1, 3000)
            y = int(x.argmax())
            logits = torch.from_numpy(x)
            assert off(L.cross_entropy(logits, torch.tensor([y])), exact_row(x[0], y)[0]) <= 4


def test_the_80_bit_truth_is_the_truth():
    rng = np.random.default_rng(5)
    with mpmath.workprec(200):
        for kind in KINDS:
            x = adversarial(rng, kind, 3, 9).astype(np.float32)
            y = x.argmax(1)
            loss, grad, _ = truth(x, y)
            for r in range(3):
                exact, slopes = exact_row(x[r].astype(float), y[r])
                if exact > 1e-300:
                    assert abs(float(loss[r]) / float(exact) - 1) < 1e-15
                for got, want in zip(grad[r], slopes, strict=True):
                    if abs(want) > 1e-300:
                        assert abs(float(got) / float(want) - 1) < 1e-15


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_differences_are_as_good_as_their_larger_term(dtype):
    # With smoothing or soft targets a gradient is p minus something.
    rng = np.random.default_rng(6)
    for kind in ("scales", "dominated", "ties", "tiny"):
        for classes in (2, 19, 700):
            count = max(1, 20_000 // classes)
            x = torch.from_numpy(adversarial(rng, kind, count, classes)).to(dtype).requires_grad_()
            y = rng.integers(classes, size=count)
            loss = L.cross_entropy(x, torch.from_numpy(y), reduction="sum", label_smoothing=0.125)
            loss.backward()
            _, _, p = truth(as_wide(x), y)
            share = np.full(p.shape, WIDE(0.125) / classes)
            share[np.arange(count), y] += WIDE(0.875)
            want = p - share
            larger = np.maximum(p, share)
            assert ulps(as_wide(x.grad), want, dtype, larger) <= 4
            soft = torch.from_numpy(rng.dirichlet(np.ones(classes), size=count)).float()
            x.grad = None
            L.cross_entropy(x, soft, reduction="sum").backward()
            share = as_wide(soft)
            want = p * share.sum(1, keepdims=True) - share
            assert ulps(as_wide(x.grad), want, dtype, np.maximum(p, share)) <= 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_binary(dtype):
    rng = np.random.default_rng(7)
    for scale in (1e-6, 1.0, 10.0, 80.0):
        x = torch.from_numpy(rng.normal(size=20_000) * scale).to(dtype).requires_grad_()
        t = torch.from_numpy(rng.integers(0, 2, size=20_000)).to(dtype)
        got = L.binary_cross_entropy_with_logits(x, t, reduction="none")
        got.sum().backward()
        z, side = as_wide(x), as_wide(t)
        with np.errstate(over="ignore", under="ignore"):
            s = np.where(side == 1, -z, z)
            want = np.maximum(s, 0) + np.log1p(np.exp(-np.abs(s)))
            slope = np.where(s > 0, 1 / (1 + np.exp(-s)), np.exp(s) / (1 + np.exp(s)))
        assert ulps(as_wide(got), want, torch.float32) <= 2
        assert ulps(as_wide(x.grad), np.where(side == 1, -slope, slope), dtype) <= 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_answers_between_yes_and_no(dtype):
    # The gradient is the difference of what says no and what says yes.
    rng = np.random.default_rng(9)
    for scale in (1e-3, 1.0, 20.0):
        for positive in (None, 3.7):
            x = torch.from_numpy(rng.normal(size=20_000) * scale).to(dtype).requires_grad_()
            t = torch.from_numpy(rng.uniform(size=20_000)).float()
            t[::2] = 10.0 ** -(10 * t[::2])
            each = None if positive is None else torch.tensor(positive)
            got = L.binary_cross_entropy_with_logits(x, t, reduction="none", pos_weight=each)
            got.sum().backward()
            z, yes = as_wide(x), as_wide(t) * (as_wide(each) if positive else 1)
            no = 1 - as_wide(t)
            log = np.log1p(np.exp(-np.abs(z)))
            want = no * (np.maximum(z, 0) + log) + yes * (np.maximum(-z, 0) + log)
            assert ulps(as_wide(got), want, torch.float32) <= 2
            rise, fall = no / (1 + np.exp(-z)), yes / (1 + np.exp(z))
            assert ulps(as_wide(x.grad), rise - fall, dtype, np.maximum(rise, fall)) <= 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("weights", ["w", "p", "w p", "w of all", "w of rows, p"])
def test_weighed_answers(weights, dtype):
    # Tables of the classes' weights, weights of every answer and of rows; alone and summed.
    rng = np.random.default_rng(12)
    shape = (40, 500)

    def draw(*size):
        return torch.from_numpy(10 ** rng.uniform(-2, 2, size=size)).float()

    w = draw(*(shape if "all" in weights else (40, 1) if "rows" in weights else (500,)))
    w = w if "w" in weights else None
    p = draw(500) if "p" in weights else None
    up = draw(*shape)
    for scale in (1e-3, 1.0, 20.0):
        x = torch.from_numpy(rng.normal(size=shape) * scale).to(dtype).requires_grad_()
        z, heavy = as_wide(x), WIDE(1) if w is None else as_wide(w)
        log = np.log1p(np.exp(-np.abs(z)))
        for hard in (True, False):
            t = torch.from_numpy(rng.uniform(size=shape)).float()
            t = t.round() if hard else torch.where(t < 0.5, 10.0 ** (-20 * t), t)
            no = heavy * (1 - as_wide(t))
            yes = heavy * (1 if p is None else as_wide(p)) * as_wide(t)
            want = no * (np.maximum(z, 0) + log) + yes * (np.maximum(-z, 0) + log)
            rise, fall = no / (1 + np.exp(-z)), yes / (1 + np.exp(z))
            each = L.binary_cross_entropy_with_logits(x, t, w, pos_weight=p, reduction="none")
            assert ulps(as_wide(each), want, torch.float32) <= 2
            whole = L.binary_cross_entropy_with_logits(x, t, w, pos_weight=p)
            mean = np.array([want.mean()])
            assert ulps(as_wide(whole.reshape(1)), mean, torch.float32) <= 2
            for loss, pull, by in ((each, up, as_wide(up)), (whole, None, WIDE(1) / want.size)):
                x.grad = None
                loss.backward(pull)
                larger = np.maximum(rise, fall) * by
                assert ulps(as_wide(x.grad), (rise - fall) * by, dtype, larger) <= 4


def test_weights_that_float32_cannot_multiply_by():
    # Weights and gradients past float32's middle, beside ordinary ones; infinite and NaN logits.
    inf, nan = math.inf, math.nan
    x = torch.tensor([-90.0, 3.0, 0.5, -2.0, 1.0, inf, -inf, nan, nan, inf, 3e38])
    t = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.25, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    w = torch.tensor([1e36, 1e-30, 2.0, 1e-38, 1e25, 3.0, 3.0, 1.0, 0.0, 0.0, 0.5])
    p = torch.tensor([1.0, 1e-12, 1e20, 1.0, 1e-30, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    for up in (1.0, 1e12, 1e-13, -3.0):
        leaf = x.clone().requires_grad_()
        each = L.binary_cross_entropy_with_logits(leaf, t, w, pos_weight=p, reduction="none")
        each.backward(torch.full_like(each, up) * torch.linspace(1, 1.5, len(x)))
        grad = leaf.grad
        with np.errstate(all="ignore"):
            z, no, yes = (
                as_wide(x),
                as_wide(w) * (1 - as_wide(t)),
                as_wide(w) * as_wide(p) * as_wide(t),
            )
            log = np.log1p(np.exp(-np.abs(z)))
            want = np.where(no > 0, no * (np.maximum(z, 0) + log), 0)
            want = want + np.where(yes > 0, yes * (np.maximum(-z, 0) + log), 0)
            low = np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z)))
            slope = no * np.where(z > 0, 1 - low, low) - yes * np.where(z > 0, low, 1 - low)
        slope *= up * as_wide(torch.linspace(1, 1.5, len(x)))
        slope[8:10], want[7] = 0, nan
        np.testing.assert_allclose(each.detach().numpy(), want.astype(float), rtol=3e-7, atol=2e-45)
        shown = np.abs(slope) > 2.0**-126
        np.testing.assert_allclose(grad.numpy()[shown], slope[shown].astype(float), rtol=5e-7)
        assert grad[7].isnan()
        assert grad[8] == grad[9] == 0


@pytest.mark.parametrize("kind", [torch.float32, torch.float64], ids=str)
def test_a_weighed_answer_knows_no_neighbours(kind):
    # The same bits beside soft and infinite ones, in any order and any batch.
    g = torch.Generator().manual_seed(13)
    x = torch.randn(100, 1000, generator=g).to(kind) * 4
    t = (torch.rand(x.shape, generator=g) < 0.3).to(kind)
    w, p = (torch.rand(1000, generator=g).to(kind) + 0.5 for _ in range(2))

    def run(x, t, w, p):
        x = x.clone().requires_grad_()
        each = L.binary_cross_entropy_with_logits(x, t, w, pos_weight=p, reduction="none")
        (grad,) = torch.autograd.grad(each.sum(), x)
        return each.detach(), grad

    for heavy, often in ((w, None), (None, p), (w, p)):
        plain = run(x, t, heavy, often)
        mixed_x, mixed_t = x.clone(), t.clone()
        mixed_x[::3, ::7], mixed_t[::2, ::5] = math.inf, 0.3
        kept = torch.ones(x.shape, dtype=torch.bool)
        kept[::3, ::7] = kept[::2, ::5] = False
        mixed = run(mixed_x, mixed_t, heavy, often)
        order = torch.randperm(100, generator=g)
        turned = run(x[order], t[order], heavy, often)
        part = run(x[17:23], t[17:23], heavy, often)
        for ours, other, moved, few in zip(plain, mixed, turned, part, strict=True):
            assert torch.equal(ours[kept], other[kept])
            assert torch.equal(ours[order], moved)
            assert torch.equal(ours[17:23], few)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_sums_of_answers(dtype):
    # Sums take one logarithm for many answers: tails, confident ones, ones that are all alike.
    rng = np.random.default_rng(11)
    for size, scale, shift in ((7, 1, 0), (300, 1e-6, 0), (9000, 3, -5), (9000, 0, -40), (5000, 20, 0),
                               (4096, 0, 0), (4097, 0, -0.7), (9000, 0, 3.3), (8192, 5, -80)):  # fmt: skip
        x = torch.from_numpy(rng.normal(size=size) * scale + shift).to(dtype).requires_grad_()
        z = as_wide(x)
        for answers in (rng.random(size) < 0.1, rng.random(size) < 0, rng.random(size)):
            t = torch.from_numpy(answers.astype(np.float32))
            x.grad = None
            got = L.binary_cross_entropy_with_logits(x, t, reduction="sum")
            got.backward()
            no, yes = 1 - as_wide(t), as_wide(t)
            log = np.log1p(np.exp(-np.abs(z)))
            want = np.array([(no * np.maximum(z, 0) + yes * np.maximum(-z, 0) + log).sum()])
            assert ulps(as_wide(got.reshape(1)), want, torch.float32) <= 2
            rise, fall = no / (1 + np.exp(-z)), yes / (1 + np.exp(z))
            assert ulps(as_wide(x.grad), rise - fall, dtype, np.maximum(rise, fall)) <= 4


def test_sums_of_infinite_and_huge_answers():
    inf = math.inf
    for x, t, want in (
        ([inf, -inf, 0.0], [1.0, 0.0, 0.0], math.log(2)),
        ([inf, 1.0], [0.5, 0.0], inf),
        ([-inf, 1.0], [1e-30, 0.0], inf),
        ([math.nan, 1.0], [0.0, 0.0], math.nan),
        ([3e38] * 4096, [0.0] * 4096, 4096 * float(np.float32(3e38))),
    ):
        logits = torch.tensor(x, requires_grad=True)
        loss = L.binary_cross_entropy_with_logits(logits, torch.tensor(t))
        loss.backward()
        np.testing.assert_allclose(loss.item(), want / len(x), rtol=1e-7)
        assert torch.equal(logits.grad.isnan(), logits.isnan())
    # in place, in a head, the gradient takes the place of the logits
    hidden = torch.tensor([[inf], [-inf]])
    head = torch.ones(300, 1)
    pairs = torch.tensor([[0, c] for c in range(300)])
    assert L.linear_binary_cross_entropy(hidden, head, pairs).item() == 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_penalty_and_cap(dtype):
    rng = np.random.default_rng(10)
    for kind in ("scales", "dominated", "ties"):
        for classes in (2, 19, 700):
            count = max(1, 20_000 // classes)
            x = torch.from_numpy(adversarial(rng, kind, count, classes)).to(dtype).requires_grad_()
            y = rng.integers(classes, size=count)
            rows = np.arange(count)
            got = L.cross_entropy(x, torch.from_numpy(y), reduction="none", z_loss=0.125)
            got.sum().backward()
            z = as_wide(x)
            loss, _, p = truth(z, y)
            lse = loss + z[rows, y]
            assert ulps(as_wide(got), loss + WIDE(0.125) * lse * lse, torch.float32) <= 2
            pushed = p * (1 + WIDE(0.25) * lse)[:, None]
            own = np.zeros_like(p)
            own[rows, y] = 1
            terms = np.maximum(np.maximum(p, own), np.abs(pushed - p))
            assert ulps(as_wide(x.grad), pushed - own, dtype, terms) <= 4
            x.grad = None
            got = L.cross_entropy(x, torch.from_numpy(y), reduction="none", softcap=30.0)
            got.sum().backward()
            bent = np.tanh(z / 30)
            loss, grad, _ = truth(30 * bent, y)
            assert ulps(as_wide(got), loss, torch.float32) <= 2
            # 1 - tanh**2 would cancel
            slope = 4 / (np.exp(z / 30) + np.exp(-z / 30)) ** 2
            assert ulps(as_wide(x.grad), grad * slope, dtype) <= 4


def test_never_worse_than_the_plain_formula():
    rng = np.random.default_rng(8)
    for kind in ("scales", "dominated", "ties", "shifted"):
        x = torch.from_numpy(adversarial(rng, kind, 2000, 50)).float()
        y = torch.from_numpy(rng.integers(50, size=2000))
        want = truth(as_wide(x), y.numpy())[0]
        ours = ulps(as_wide(L.cross_entropy(x, y, reduction="none")), want, torch.float32)
        plain = ulps(as_wide(F.cross_entropy(x, y, reduction="none")), want, torch.float32)
        assert ours <= plain


def test_the_measure_of_error_can_fail():
    x, y = np.array([[1.0, 2.0, 3.0]]), np.array([0])
    loss, grad, _ = truth(x, y)
    assert ulps(0 * loss, loss, torch.float32) > 1e6
    assert ulps(2 * loss, loss, torch.float32) > 1e6
    assert ulps(grad * 3, grad, torch.bfloat16) > 100  # a dropped 1/N


if __name__ == "__main__":
    for kind in (torch.float32, torch.bfloat16, torch.float16):
        print(kind, "loss, gradient:", worst(kind, *LONG))
    for kind in (torch.float32, torch.bfloat16):
        print("torch's own,", kind, worst(kind, *LONG, F.cross_entropy))
    for kind in (torch.float32, torch.bfloat16, torch.float16):
        print("on a device,", kind, worst(kind, *LONG, on_device))
    print("torch.float64, 100,000 rows:", worst_float64(100_000, seed=3))
