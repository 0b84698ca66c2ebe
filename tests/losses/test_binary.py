"""Binary cross-entropy of logits, every option with every other, against the formula in long double."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import xent.losses as L

WIDE = np.longdouble
DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
EPSILON = {torch.float64: 2.0**-52, torch.float32: 2.0**-23}
EPSILON |= {torch.float16: 2.0**-10, torch.bfloat16: 2.0**-7}
inf, nan = math.inf, math.nan

# What input and target look like in memory; all are made of (6, 50, 7) numbers.
LAYOUTS = {
    "plain": lambda a: a,
    "flat": lambda a: a.reshape(-1),
    "turned": lambda a: a.transpose(0, 2),
    "every other": lambda a: a[:, ::2],
    "scalar": lambda a: a[0, 0, 0],
    "nothing": lambda a: a[:, :0],
    "one row": lambda a: a[:1, :1, :1],
}
WEIGHTS = {
    "none": lambda shape, g: None,
    "number": lambda shape, g: torch.rand((), generator=g) + 0.5,
    "double": lambda shape, g: torch.rand((), generator=g, dtype=torch.float64) + 0.5,
    "last": lambda shape, g: torch.rand(shape[-1:], generator=g) * 3,
    "middle": lambda shape, g: (torch.rand(shape[-2:-1], generator=g) * 3).reshape(-1, 1)
    if len(shape) > 1 else None,
    "rows": lambda shape, g: torch.rand((*shape[:1], *(1 for _ in shape[1:])), generator=g) * 3,
    "all": lambda shape, g: (torch.rand(shape, generator=g) * 3).round(),
    "ends": lambda shape, g: torch.rand(shape[0], *(1 for _ in shape[1:-1]), shape[-1], generator=g)
    if len(shape) > 1 else None,
}  # fmt: skip


WEIGHTS["spread"] = lambda shape, g: (torch.rand((), generator=g) + 0.5).expand(
    (*shape[:1], *(1 for _ in shape[1:]))
)


def as_wide(a):
    return WIDE(1) if a is None else a.detach().double().numpy().astype(WIDE)


def truth(x, t, w, p, token, ignore, o):
    """Values, gradients and the larger terms of these; what the mean divides by."""
    z, t = as_wide(x), as_wide(t)
    kept = np.ones_like(t) if ignore is None else (t != ignore).astype(WIDE)
    t = np.where(kept > 0, t, 0)
    smoothing = WIDE(o.get("label_smoothing", 0.0))
    t = t * (1 - smoothing) + smoothing / 2
    cap, heat = o.get("softcap"), WIDE(o.get("temperature", 1.0))
    bent = np.tanh(z / WIDE(cap)) if cap else None
    slope = (1 - bent * bent if cap else WIDE(1)) / heat
    z = (bent * WIDE(cap) if cap else z) / heat
    each = kept * as_wide(token)
    no, yes = (1 - t) * as_wide(w) * each, t * as_wide(w) * as_wide(p) * each
    log = np.log1p(np.exp(-np.abs(z)))
    rise, fall = no / (1 + np.exp(-z)), yes / (1 + np.exp(z))
    value = no * (np.maximum(z, 0) + log) + yes * (np.maximum(-z, 0) + log)
    total = (each * np.ones_like(t)).sum()
    return value, (rise - fall) * slope, np.maximum(rise, fall), total


def check(
    dtype, layout, weight, positive, token, ignore, shaping, smoothing, soft, reduction, seed
):
    g = torch.Generator().manual_seed(seed)
    whole = torch.randn(6, 50, 7, generator=g) * 4
    x = LAYOUTS[layout](whole.to(dtype)).clone(memory_format=torch.preserve_format)
    leaf = x.detach().requires_grad_()
    t = torch.rand(6, 50, 7, generator=g)
    t = LAYOUTS[layout](t if soft else t.round())
    shape = x.shape
    w, p, token = (WEIGHTS[k](shape, g) for k in (weight, positive, token))
    if ignore is not None and t.numel():
        t = t.where(torch.rand(t.shape, generator=g) < 0.7, ignore)
    o = {"label_smoothing": smoothing} if smoothing else {}
    o |= {"softcap": 5.0, "temperature": 0.7} if shaping else {}
    if soft and ignore is None and (w is None or p is None):
        t = t.to(dtype)
    value, slope, larger, total = truth(x, t, w, p, token, ignore, o)
    got = L.binary_cross_entropy_with_logits(
        leaf, t, w, reduction=reduction, pos_weight=p, token_weight=token, ignore_index=ignore, **o
    )
    assert got.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    up = torch.rand(got.shape, generator=g, dtype=got.dtype) + 0.5
    got.backward(up)
    scale = as_wide(up)
    want = value
    if reduction != "none":
        want = value.sum()
    if reduction == "mean":
        want = want / total if total else WIDE(0)
        scale = scale / total if total else WIDE(0)
    loose = 40 if shaping or smoothing or token is not None else 4
    fine = 2.0**-52 if dtype == torch.float64 else 2.0**-23
    assert (np.abs(as_wide(got) - want) <= loose * fine * np.abs(want) + 1e-44).all()
    assert leaf.grad.shape == shape
    assert leaf.grad.dtype == dtype
    off = np.abs(as_wide(leaf.grad) - slope * scale)
    coarse = loose * fine + (EPSILON[dtype] if EPSILON[dtype] > fine else 0)
    tiny = 2.0**-24 if dtype == torch.float16 else 1e-40
    assert (off <= coarse * larger * np.abs(scale) / (0.7 if shaping else 1) + tiny).all()


CASES = list(
    itertools.product(
        DTYPES, LAYOUTS, WEIGHTS, WEIGHTS, ("none", "rows", "all"), (None, -1.0), (False, True),
        (0.0, 0.125), (False, True), ("mean", "sum", "none"),
    )
)  # fmt: skip


def few(case):
    """Leave out weights of float64, for which the loops of float32 would be compiled once more."""
    return "double" not in case or case[0] == torch.float64


@pytest.mark.grid
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_option_with_every_other(layout):
    for seed, case in enumerate(CASES):
        if case[1] == layout and seed * 7919 % 211 == 0 and few(case):
            check(*case, seed)


@pytest.mark.long
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_option_with_every_other_at_length(layout):
    for seed, case in enumerate(CASES):
        if case[1] == layout and seed * 7919 % 31 == 0:
            check(*case, seed)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_tangent_of_a_number(dtype):
    x, t = torch.tensor(0.7, dtype=dtype), torch.tensor(1.0)
    for softcap, temperature, reduction in itertools.product(
        (None, 3.0), (1.0, 2.0), ("mean", "sum", "none")
    ):
        o = {"softcap": softcap, "temperature": temperature, "reduction": reduction}
        value, push = torch.func.jvp(
            lambda x, o=o: L.binary_cross_entropy_with_logits(x, t, **o),
            (x,),
            (torch.ones_like(x),),
        )
        assert value.dtype == push.dtype
        z, slope = x.item(), 1.0
        if softcap:
            bent = math.tanh(z / softcap)
            z, slope = softcap * bent, 1 - bent * bent
        want = -slope / temperature / (1 + math.exp(z / temperature))
        assert abs(push.item() / want - 1) < 1e-6


def test_smoothing_answers_in_half_precision():
    # 0.95 is no bfloat16: what is smoothed must be wider.
    x = torch.tensor([2.0, -1.0])
    want = (0.95 * np.log1p(np.exp(-2.0)) + 0.05 * np.log1p(np.exp(2.0)),
            0.95 * np.log1p(np.exp(-1.0)) + 0.05 * np.log1p(np.exp(1.0)))  # fmt: skip
    t = torch.tensor([1.0, 0.0], dtype=torch.bfloat16)
    for given in (x, x.bfloat16()):
        got = L.binary_cross_entropy_with_logits(given, t, reduction="none", label_smoothing=0.1)
        np.testing.assert_allclose(got.numpy(), want, rtol=2e-7)
    head = torch.tensor([[2.0], [-1.0]])
    for o in ({}, {"softcap": 1e6}):
        hidden = torch.ones(1, 1, dtype=torch.bfloat16 if o else torch.float32)
        got = L.linear_binary_cross_entropy(
            hidden, head.to(hidden.dtype), t[None], reduction="sum", label_smoothing=0.1, **o
        )
        np.testing.assert_allclose(got.item(), sum(want), rtol=2e-6)


@pytest.mark.parametrize("how", ["weight", "token_weight", "ignore_index"])
@pytest.mark.parametrize("shaping", [{}, {"softcap": 5.0, "temperature": 2.0}], ids=["", "shaped"])
def test_what_weighs_nothing_is_nothing(how, shaping):
    # NaN, infinities and certainties of padding, in the loops and in torch's operations.
    t, z = torch.tensor([1.0, 0.0, 1.0, 0.0]), torch.tensor([nan, inf, -inf, 0.75])
    o = {how: torch.tensor([0.0, 0.0, 0.0, 2.0])}
    if how == "ignore_index":
        t, o = torch.tensor([-1.0, -1.0, -1.0, 0.0]), {how: -1}
    certain = torch.tensor([1.0, 1.0, 0.0, 0.25])

    def probabilities(p, **o):
        return L.binary_cross_entropy(p, t, **o)

    def answers(x, **o):
        return L.binary_cross_entropy_with_logits(x, t, **o, **shaping)

    for f, given in ((answers, z), (probabilities, certain)):
        leaf = given.clone().requires_grad_()
        loss = f(leaf, reduction="sum", **o)
        alone = given[3:].clone().requires_grad_()
        kept = {k: v[3:] if k != "ignore_index" else v for k, v in o.items()}
        last, t = t, t[3:]
        want = f(alone, reduction="sum", **kept)
        (slope,) = torch.autograd.grad(want, alone)
        t = last
        loss.backward()
        torch.testing.assert_close(loss, want)
        torch.testing.assert_close(leaf.grad, torch.cat([torch.zeros(3), slope]))
        again, value = torch.func.grad_and_value(lambda x, f=f: f(x, reduction="sum", **o))(given)
        torch.testing.assert_close(value, want)
        torch.testing.assert_close(again, leaf.grad)


@pytest.mark.parametrize("f", [
    lambda **o: L.binary_cross_entropy_with_logits(torch.zeros(2), torch.ones(2), **o),
    lambda **o: L.binary_cross_entropy(torch.ones(2), torch.ones(2), **o),
    lambda **o: L.multilabel_soft_margin_loss(torch.zeros(2), torch.ones(2), **o),
    lambda **o: L.linear_binary_cross_entropy(torch.zeros(1, 3), torch.zeros(2, 3), torch.ones(1, 2), **o),
], ids=["logits", "probabilities", "rows", "head"])  # fmt: skip
def test_what_cannot_be_ignored(f):
    with pytest.raises(TypeError, match="`ignore_index` must be a number, got 'yes'"):
        f(ignore_index="yes")
    with pytest.raises(ValueError, match="must be a number that a target can equal, got nan"):
        f(ignore_index=nan)


ROUNDED = [  # a dtype, and answers as far from 0 and 1 as its rounding explains
    (torch.float32, [1.00000036, -3e-7, 1.0, 0.5]),
    (torch.float64, [1.0 + 3e-7, -3e-7, 1.0, 0.5]),
    (torch.bfloat16, [1.0078125, -0.0078125, 1.0, 0.5]),
    (torch.float16, [1.0009765625, -0.0009765625, 1.0, 0.5]),
]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(("dtype", "answers"), ROUNDED, ids=lambda v: str(v)[:14])
def test_answers_that_rounding_left_beside_0_or_1(dtype, answers, smoothing):
    """An antialiased resize gives 1.00000036: the formula's value, and a limit where it is one."""
    t = torch.tensor(answers, dtype=dtype)
    for logits in ([2.0, -3.0, 1.0, 0.0], [40.0, 40.0, -40.0, 3.0]):
        x = torch.tensor(logits, dtype=dtype).requires_grad_()
        taken = t.clamp(0, 1) if dtype == torch.float16 else t  # as it is widened
        told = taken.double() * (1 - smoothing) + smoothing / 2
        z = x.detach().double().requires_grad_()
        truth = (1 - told) * F.softplus(z) + told * F.softplus(-z)
        (slope,) = torch.autograd.grad(truth.sum(), z)
        for reduction in ("none", "sum", "mean"):
            loss = L.binary_cross_entropy_with_logits(
                x, t, reduction=reduction, label_smoothing=smoothing
            )
            (grad,) = torch.autograd.grad(loss.sum(), x)
            want = {"none": truth, "sum": truth.sum(), "mean": truth.mean()}[reduction]
            atol = 1e-6 * max(map(abs, logits))
            torch.testing.assert_close(loss.double(), want, rtol=1e-6, atol=atol)
            count = 4 if reduction == "mean" else 1
            loose = 1e-2 if dtype.itemsize == 2 else 2e-6
            torch.testing.assert_close(grad.double(), slope / count, rtol=loose, atol=2e-7)
    if smoothing:
        return
    sure = torch.tensor([inf, -inf], dtype=dtype)
    for loss in (
        L.binary_cross_entropy_with_logits(sure, t[:2]),
        torch.func.vmap(L.binary_cross_entropy_with_logits)(sure[None], t[None, :2])[0],
        L.binary_cross_entropy(torch.tensor([1.0, 0.0], dtype=dtype), t[:2]),
        L.linear_binary_cross_entropy(sure[None].new_ones(1, 1), sure[:, None], t[None, :2]),
    ):
        assert loss == 0
    head = torch.randn(4, 3, dtype=dtype)
    h = torch.randn(2, 3, dtype=dtype)
    both = t.expand(2, 4)
    found = L.linear_binary_cross_entropy(h, head, both).double()
    want = L.binary_cross_entropy_with_logits((h @ head.t()).float(), both.float().clamp(0, 1))
    torch.testing.assert_close(
        found, want.double(), rtol=2e-2 if dtype.itemsize == 2 else 1e-6, atol=1e-6
    )


def test_bad_weights_are_found_where_they_are_read():
    x, t = torch.zeros(40, 500), torch.ones(40, 500)
    good = torch.ones(500)
    for shape, value, name in itertools.product(
        [(), (500,), (40, 1), (40, 500)], (-1.0, -1e-30, nan, inf), ("weight", "pos_weight")
    ):
        bad = torch.ones(shape)
        bad.view(-1)[-1] = value
        other = "pos_weight" if name == "weight" else "weight"
        for beside, reduction in itertools.product(({}, {other: good}), ("mean", "none")):
            with pytest.raises(ValueError, match=f"`{name}` must be finite and non-negative, got"):
                L.binary_cross_entropy_with_logits(
                    x, t, reduction=reduction, **{name: bad}, **beside
                )
    assert L.binary_cross_entropy_with_logits(x, t, -torch.zeros(500)) == 0
    huge = torch.full((500,), 1e300, dtype=torch.float64)
    assert L.binary_cross_entropy_with_logits(x, t, huge).isinf()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_weighed_sums_do_not_know_the_threads(dtype):
    g = torch.Generator().manual_seed(1)
    x = torch.randn(300, 700, generator=g, dtype=dtype)
    t = (torch.rand(x.shape, generator=g) < 0.3).to(dtype)
    rows, classes = (torch.rand(n, generator=g, dtype=dtype) for n in ((300, 1), (700,)))
    found, threads = [], torch.get_num_threads()
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            for o in ({"weight": classes}, {"weight": rows, "pos_weight": classes}):
                leaf = x.clone().requires_grad_()
                loss = L.binary_cross_entropy_with_logits(leaf, t, **o)
                loss.backward()
                found.append((loss.detach(), leaf.grad))
    finally:
        torch.set_num_threads(threads)
    for one, three in zip(found[:2], found[2:], strict=True):
        assert all(map(torch.equal, one, three))


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_weighed_targets_that_rounding_left_beside_1(reduction):
    """They were scored again and again, until Python's stack was full."""
    x, t = torch.tensor([3.0, -2.0], requires_grad=True), torch.tensor([1.0000004, -3e-7])
    weight = torch.tensor([0.5, 2.0])
    loss = L.binary_cross_entropy_with_logits(x, t, weight, reduction=reduction)
    truth = torch.nn.functional.binary_cross_entropy_with_logits(x, t, weight, reduction=reduction)
    torch.testing.assert_close(loss, truth)
