"""Runs the kernels of losses/_triton on the CPU; `test_triton.py` starts it as a process.

Triton decides at its import whether it interprets (TRITON_INTERPRET=1), so this is a process of its
own. The interpreter
takes operation after operation to NumPy: sums, products and comparisons are those of a GPU to the
last bit, but for fused products; half precision it cuts off where a GPU rounds.
"""

import contextlib
import os
import sys
import types
import warnings
from pathlib import Path

import mpmath
import numpy as np
import torch
import torch.nn.functional as F
import triton
import triton.language as tl

import xent.losses as L
from xent.losses import _class
from xent.losses._arguments import Options
from xent.losses._device._class import class_loss
from xent.losses._device._elements import binary_logits_loss
from xent.losses._heads._binary_rows import BinaryRows
from xent.losses._heads._class_rows import ClassRows
from xent.losses._triton import _calls, _launch, _launch_answers, _teacher, _use
from xent.losses._triton._kernels import answers, class_rows, teacher_rows
from xent.losses._triton._kernels.numerics import (
    LOG2E,
    LOG_2_HIGH,
    LOG_2_LOW,
    difference,
    log1p_series,
    scaled_exp,
)

sys.path.insert(0, str(Path(__file__).parent))
launched = 0  # kernels


def hurry():
    """Let the interpreter patch Triton's language once, not at every call of a function."""
    from triton.runtime import interpreter

    real, done = interpreter._patch_lang, set()

    def once(fn):
        languages = {"triton.language", "triton.language.core"}
        values = fn.__globals__.values()
        key = frozenset(languages & {v.__name__ for v in values if isinstance(v, types.ModuleType)})
        if key not in done:
            done.add(key)
            real(fn)
        return types.SimpleNamespace(restore=lambda: None)

    interpreter._patch_lang = once


@contextlib.contextmanager
def on_triton():
    """Let tensors of the CPU go through Triton, as those of a GPU do."""
    global launched
    device, fused, small = _class.runs_on_device, ClassRows.fused, _class.small_batch_loss
    _use.DEVICES.add("cpu")
    binary, BinaryRows.fused = BinaryRows.fused, BinaryRows._on_device
    rows_of_answers, rows_of_teachers = _launch_answers.score_rows, _teacher.on_device_of
    _class.runs_on_device, _class.small_batch_loss = lambda *_: True, lambda *_: None
    ClassRows.fused = ClassRows._on_device
    before = _launch._arguments

    def counted(call):
        global launched
        launched += 1
        return before(call)

    def answers_counted(*arguments):
        global launched
        launched += 1
        return rows_of_answers(*arguments)

    def teachers_counted(logits):
        global launched
        launched += 1
        return rows_of_teachers(logits)

    _launch_answers.score_rows, _teacher.on_device_of = answers_counted, teachers_counted
    _launch._arguments, launched = counted, 0
    try:
        yield
    finally:
        _use.DEVICES.discard("cpu")
        _class.runs_on_device, ClassRows.fused, _launch._arguments = device, fused, before
        _class.small_batch_loss, BinaryRows.fused = small, binary
        _launch_answers.score_rows, _teacher.on_device_of = rows_of_answers, rows_of_teachers


def generator(seed):
    return torch.Generator().manual_seed(seed)


@triton.jit
def exponentials(z, top, out, CAREFUL: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    d, lost = difference(tl.load(z + i), tl.load(top + i))
    tl.store(out + i, scaled_exp(d, lost, LOG2E, LOG_2_HIGH, LOG_2_LOW, 1.0, CAREFUL))


@triton.jit
def logarithms(u, out, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(out + i, log1p_series(tl.load(u + i)))


def numerics():
    """exp of differences of float32 to -104, and log1p: 0.9 units in the last place, to mpmath."""
    count, rng = 1 << 13, np.random.default_rng(0)
    top = (rng.normal(size=count) * 10.0 ** rng.uniform(-6, 3, size=count)).astype(np.float32)
    z = (top - 10.0 ** rng.uniform(-8, 2.0, size=count)).astype(np.float32)
    z, top = np.minimum(z, top), np.maximum(z, top)
    out = torch.empty(count)
    for careful, most in ((False, 0.9), (True, 0.6)):
        exponentials[(1,)](torch.from_numpy(z), torch.from_numpy(top), out, careful, count)
        worst = 0.0
        for a, b, found in zip(z.tolist(), top.tolist(), out.tolist(), strict=True):
            if a - b > -104:
                want = mpmath.exp(mpmath.mpf(a) - b) * 2**32
                worst = max(worst, float(abs(found - want) / np.spacing(np.float32(found))))
        print("exp", worst)
        assert 0.5 < worst <= most
    edge = torch.tensor([-np.inf, np.nan, 0.0, -1e30, -200.0, 0.0, 0.0, 0.0])
    exponentials[(1,)](edge, torch.zeros(8), out, False, 8)
    assert out[:5].nan_to_num(7.0).tolist() == [0.0, 7.0, 2.0**32, 0.0, 0.0]
    u = torch.from_numpy(10.0 ** rng.uniform(-30, 0, size=count)).float()
    logarithms[(1,)](u, out, count)
    worst = max(
        float(abs(found - mpmath.log1p(x)) / np.spacing(np.float32(found)))
        for x, found in zip(u.tolist(), out.tolist(), strict=True)
    )
    print("log1p", worst)
    assert worst <= 0.9


def accuracy():
    """The goals of the compiled rows of the CPU, over the same adversarial rows."""
    import test_accuracy as T

    def loss(x, target, reduction):
        return class_loss(x, target, None, None, 1, Options(reduction), False)

    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        with on_triton():
            found = T.worst(dtype, 60, (2, 3, 17, 1000, 9000), 0, loss)
        print(dtype, found, flush=True)
        assert launched == 2 * 5 * len(T.KINDS)
        assert found[0] <= 2
        assert found[1] <= 4


def grids():
    """Options in all sorts of company, to torch in float64: loss and gradient."""
    base = {"label_smoothing": 0.0, "temperature": 1.0, "softcap": None, "z_loss": 0.0}
    cases = [
        {}, {"temperature": 0.7}, {"softcap": 5.0}, {"z_loss": 0.1}, {"label_smoothing": 0.3},
        {"label_smoothing": 1.0}, {"softcap": 5.0, "temperature": 3.0},
        {"label_smoothing": 0.3, "z_loss": 0.1, "temperature": 0.7, "softcap": 8.0},
    ]  # fmt: skip
    seed = 0
    for options in cases:
        for weighs in ("", "w", "t", "wt"):
            for soft in (False, True):
                seed += 1
                dtype = (torch.float32, torch.bfloat16, torch.float16)[seed % 3]
                reduction = ("mean", "sum", "none")[seed % 3 - seed % 2]
                one_of_grid(seed, dtype, reduction, soft, weighs, base | options)


def one_of_grid(seed, dtype, reduction, soft, weighs, options):
    g = generator(seed)
    n, classes = 5, (2, 7, 50, 5000)[seed % 4]
    x = (torch.randn(n, classes, generator=g) * 4).to(dtype)
    y = torch.randint(0, classes, (n,), generator=g)
    y[1] = -100
    y = torch.randn(n, classes, generator=g).softmax(1) if soft else y
    w = torch.rand(classes, generator=g) if "w" in weighs else None
    t = torch.rand(n, generator=g) if "t" in weighs else None
    if t is not None:
        t[2], x[2, 0] = 0.0, float("nan")
        if soft:
            y[2, 0] = float("nan")
    wide = x.double().requires_grad_()
    truth = L.cross_entropy(
        wide, y.double() if soft else y, None if w is None else w.double(),
        token_weight=None if t is None else t.double(), reduction=reduction, **options,
    )  # fmt: skip
    up = torch.randn(truth.shape, generator=g).double()
    (want,) = torch.autograd.grad(truth, wide, up)
    narrow = x.clone().requires_grad_()
    with on_triton():
        found = L.cross_entropy(narrow, y, w, token_weight=t, reduction=reduction, **options)
        (grad,) = torch.autograd.grad(found, narrow, up.to(found.dtype))
    assert launched == 2, (launched, options)
    torch.testing.assert_close(found.double(), truth, rtol=1e-6, atol=1e-7, msg=str(options))
    off = (grad.double() - want).abs().amax(1) / want.abs().amax(1).clamp_min(1e-12)
    # half precision is cut off by the interpreter: a unit, not half of one
    limit = {torch.float32: 5e-6, torch.bfloat16: 2.0**-7, torch.float16: 2.0**-10}[dtype]
    assert off.max() < 1.05 * limit, (off, options, soft, weighs, dtype)


def statistics():
    """Statistics and their gradients, to float64: indices and probabilities."""
    for seed, soft in enumerate((False, True, False)):
        g = generator(seed)
        x = torch.randn(6, 300, generator=g) * 3
        y = torch.randint(0, 300, (6,), generator=g)
        y[4] = -100
        y = torch.randn(6, 300, generator=g).softmax(1) if soft else y
        options = {"reduction": "none", "label_smoothing": 0.1 * (seed != 2), "temperature": 0.7}
        ups = torch.randn(4, 6, generator=g).double()

        def run(x, y, options=options, ups=ups):
            x = x.clone().requires_grad_()
            loss, stats = L.cross_entropy(x, y, stats=True, **options)
            columns = (loss, stats.lse, stats.log_prob, stats.entropy)
            total = sum((c * up.to(c.dtype)).sum() for c, up in zip(columns, ups, strict=True))
            total.backward()
            return [c.detach().double() for c in columns], stats, x.grad.double()

        want, truth, slope = run(x.double(), y.double() if soft else y)
        with on_triton():
            found, stats, grad = run(x, y)
        for a, b in zip(found, want, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(grad, slope, rtol=1e-5, atol=2e-6)
        assert torch.equal(stats.argmax, truth.argmax)
        assert stats.accuracy == truth.accuracy


def corners():
    """Infinite and missing logits, ties, labels that are none, means of nothing."""
    inf, nan = float("inf"), float("nan")

    def run(rows, labels, **options):
        x = torch.tensor(rows).requires_grad_()
        with on_triton():
            loss = L.cross_entropy(x, torch.tensor(labels), reduction="none", **options)
            loss.sum().backward()
        return loss.detach(), x.grad

    rows = [[inf, 1.0, 2.0], [inf, 1.0, 2.0], [-inf, 1.0, -inf], [-inf] * 3, [nan, 0.0, 0.0],
            [nan, inf, 0.0], [2.0, 2.0, 2.0], [0.0, 80.0, 0.0]]  # fmt: skip
    loss, grad = run(rows, [0, 1, 1, 0, 1, -100, 1, 1])
    assert loss[0] == 0
    assert loss[1] == inf
    assert loss[2] == 0
    assert loss[3:5].isnan().all()
    assert loss[5] == 0
    torch.testing.assert_close(loss[6].item(), float(np.log(3)), rtol=1e-7, atol=0)
    torch.testing.assert_close(loss[7].item(), float(2 * np.exp(-80.0)), rtol=1e-6, atol=0)
    assert grad[0].tolist() == [0, 0, 0]
    assert grad[1].tolist() == [1, -1, 0]
    assert grad[2].tolist() == [0, 0, 0]
    assert grad[3:5].isnan().all()
    assert grad[5].tolist() == [0, 0, 0]
    torch.testing.assert_close(grad[7, 1].item(), float(-2 * np.exp(-80.0)), rtol=1e-6, atol=0)
    x = torch.tensor([[1.0, 2.0], [3.0, 1.0]]).requires_grad_()
    with on_triton():  # no upstream gradient reaches the loss of what counts for nothing
        ignored = torch.tensor([-100, -100])
        loss, stats = L.cross_entropy(x, ignored, reduction="none", stats=True)
        torch.autograd.backward([loss, stats.lse], [torch.tensor([inf, nan]), torch.ones(2)])
    torch.testing.assert_close(x.grad, x.softmax(1))
    # the largest comes block after block, and late; what was before it fades
    x = torch.arange(9000.0)[None] / 300
    wide = x.double()
    with on_triton():
        found = class_loss(x, torch.tensor([8999]), None, None, 1, Options(), False)
    want = wide[0].logsumexp(0) - wide[0, -1]
    torch.testing.assert_close(found.double(), want, rtol=2e-7, atol=0)
    with on_triton():
        bad = class_loss(x, torch.tensor([9000]), None, None, 1, Options(), False)
        few = x[:, :3]
        ignored = torch.tensor([-100])
        nothing = class_loss(few, ignored, None, None, 1, Options(), False)
        missing = class_loss(few, ignored, None, None, 1, Options(empty="nan"), False)
    assert bad.isnan()
    assert nothing == 0
    assert missing.isnan()


def shapes():
    """From 2 classes to 262,144, classes that lie last or are moved there, rows past 2^31."""
    for classes in (2, 262_144):
        x = torch.randn(1, classes, generator=generator(classes))
        y = torch.tensor([classes - 1])
        wide = x.double().requires_grad_()
        truth = torch.nn.functional.cross_entropy(wide, y)
        truth.backward()
        leaf = x.clone().requires_grad_()
        with on_triton():
            loss = class_loss(leaf, y, None, None, 1, Options(), False)
            loss.backward()
        torch.testing.assert_close(loss.double(), truth, rtol=2e-7, atol=0)
        torch.testing.assert_close(leaf.grad.double(), wide.grad, rtol=1e-6, atol=0)
    image = torch.randn(2, 3, 2, 2, generator=generator(1)).to(memory_format=torch.channels_last)
    mask = torch.randint(0, 3, (2, 2, 2), generator=generator(2))
    for x in (image, image.contiguous()):  # the second lies otherwise: torch's operations
        leaf, same = x.clone().requires_grad_(), x.double().requires_grad_()
        with on_triton():
            loss = class_loss(leaf, mask, None, None, 1, Options(), False)
            loss.backward()
            assert launched == (2 if x is image else 0)
        torch.nn.functional.cross_entropy(same, mask).backward()
        torch.testing.assert_close(leaf.grad.double(), same.grad, rtol=1e-5, atol=1e-7)
    stride = (1 << 30) + 64
    room = torch.empty(2 * stride + 8, dtype=torch.bfloat16)  # of which three pages are touched
    x = room.as_strided((3, 8), (stride, 1))
    x.copy_(torch.randn(3, 8, generator=generator(3)))
    y = torch.tensor([1, 2, 3])
    kept = x.float().clone()
    with on_triton():
        call = _calls.RowCall(x, y, None, None, Options("none"))
        loss = _launch.score_and_differentiate(call, 1.0, None).columns[0]
    wide = kept.double().requires_grad_()
    truth = torch.nn.functional.cross_entropy(wide, y, reduction="none")
    truth.sum().backward()
    torch.testing.assert_close(loss.double(), truth, rtol=2e-7, atol=0)
    torch.testing.assert_close(x.double(), wide.grad, rtol=2.0**-7, atol=0)


def autograd():
    """In place, twice, overwritten in between, and turned off."""
    x, y = torch.randn(4, 6, generator=generator(0)), torch.tensor([0, 5, -100, 2])
    wide = x.double().requires_grad_()
    (slope,) = torch.autograd.grad(L.cross_entropy(wide, y), wide, create_graph=True)
    (curve,) = torch.autograd.grad((slope * slope).sum(), wide)
    with on_triton():
        leaf = x.clone().requires_grad_()
        z = leaf * 1
        loss = L.cross_entropy(z, y, inplace_backward=True)
        (grad,) = torch.autograd.grad(loss, z, retain_graph=True)
        assert grad.data_ptr() == z.data_ptr()
        torch.testing.assert_close(grad.double(), slope.detach(), rtol=1e-5, atol=1e-7)
        with contextlib.suppress(RuntimeError):
            loss.backward()
            raise AssertionError("the logits are gone")
        leaf = x.clone().requires_grad_()
        (grad,) = torch.autograd.grad(L.cross_entropy(leaf, y), leaf, create_graph=True)
        (twice,) = torch.autograd.grad((grad * grad).sum(), leaf)
        torch.testing.assert_close(twice.double(), curve, rtol=1e-5, atol=1e-7)
        z = x.clone().requires_grad_() * 1
        loss = L.cross_entropy(z, y)
        z.mul_(2)
        with contextlib.suppress(RuntimeError):
            loss.backward()
            raise AssertionError("the logits have changed")
        assert launched == 4
        os.environ["XENT_TRITON"] = "0"
        L.cross_entropy(x, y)
        del os.environ["XENT_TRITON"]
        assert launched == 4


def heads():
    """Chunks of a head: losses, statistics, log-probabilities and entropies, and all gradients."""
    g = generator(0)
    x, w, b = (torch.randn(s, generator=g) for s in ((16, 6), (50, 6), (50,)))
    y = torch.randint(0, 50, (16,), generator=g)
    y[3] = -100
    soft = torch.randn(16, 50, generator=g).softmax(1)
    up = torch.randn(16, generator=g)
    options = {"label_smoothing": 0.1, "z_loss": 0.01, "softcap": 9.0, "temperature": 0.7}
    calls = {
        "mean": lambda x, w, b, s: L.linear_cross_entropy(x, w, y, linear_bias=b),
        "options": lambda x, w, b, s: L.linear_cross_entropy(x, w, y, linear_bias=b, **options),
        "soft": lambda x, w, b, s: L.linear_cross_entropy(x, w, s, linear_bias=b),
        "none": lambda x, w, b, s: (
            L.linear_cross_entropy(x, w, y, linear_bias=b, reduction="none") * up
        ).sum(),
        "statistics": lambda x, w, b, s: sum(
            (c * up).sum()
            for c in L.linear_cross_entropy(x, w, y, linear_bias=b, stats=True)[1][:3]
        ),
        "log_prob": lambda x, w, b, s: (L.linear_log_prob(x, w, y, linear_bias=b) * up).sum(),
        "entropy": lambda x, w, b, s: (L.linear_entropy(x, w, linear_bias=b) * up).sum(),
    }
    for name, call in calls.items():
        wide = [t.double().requires_grad_() for t in (x, w, b)]
        truth = call(*wide, soft.double())
        truth.backward()
        leaves = [t.clone().requires_grad_() for t in (x, w, b)]
        with on_triton():
            loss = call(*leaves, soft)
            loss.backward()
            assert launched == (1 if name in ("mean", "options", "soft") else 3 if name in ("statistics", "entropy") else 2), (name, launched)  # fmt: skip
        torch.testing.assert_close(loss.double(), truth, rtol=1e-5, atol=1e-6)
        for leaf, other in zip(leaves, wide, strict=True):
            torch.testing.assert_close(leaf.grad.double(), other.grad, rtol=1e-4, atol=1e-5)


def other_heads():
    """Chunks of heads of many labels and of students: losses and all gradients, to float64."""
    g = generator(0)
    x, w, b = (torch.randn(s, generator=g) for s in ((16, 6), (50, 6), (50,)))
    theirs, their_head = torch.randn(16, 6, generator=g), torch.randn(50, 6, generator=g)
    answers, token = torch.rand(16, 50, generator=g), torch.rand(16, generator=g)
    pairs = torch.tensor([[0, 3], [0, 7], [5, 49], [15, 0]])
    classes, up = torch.rand(50, generator=g).round(decimals=1), torch.randn(16, generator=g)
    token[2], answers[4, 5] = 0.0, -1.0
    weighs = {"weight": classes, "pos_weight": classes + 0.5, "token_weight": token}
    bent = {"label_smoothing": 0.1, "temperature": 0.7, "softcap": 9.0}
    beside = {"beta": 0.3, "token_weight": token, "z_loss": 0.01}
    calls = {
        "pairs": (L.linear_binary_cross_entropy, (pairs,), {}),
        "answers": (L.linear_binary_cross_entropy, (answers,), {"ignore_index": -1, **weighs}),
        "options": (L.linear_binary_cross_entropy, (answers.clamp(0), ), bent),
        "kl": (L.linear_kl_div, (theirs, their_head), {}),
        "kl, options": (L.linear_kl_div, (theirs, their_head), bent | {"z_loss": 0.01}),
        "reverse": (L.linear_js_div, (theirs, their_head), bent | {"beta": 1.0}),
        "js": (L.linear_js_div, (theirs, their_head), {}),
        "js, options": (L.linear_js_div, (theirs, their_head), bent | beside),
    }  # fmt: skip
    for name, (call, given, options) in calls.items():
        for reduction in ("mean", "none"):
            for dtype in (torch.float32, torch.bfloat16):
                results = []
                for real in (torch.float64, dtype):
                    parts = [t.to(dtype).to(real).clone().requires_grad_() for t in (x, w, b)]
                    others = [t.to(dtype).to(real) if t.is_floating_point() else t for t in given]
                    more = {k: v.to(real) if isinstance(v, torch.Tensor) and real == torch.float64
                            else v for k, v in options.items()}  # fmt: skip
                    wide = real == torch.float64
                    with contextlib.nullcontext() if wide else on_triton():
                        loss = call(
                            *parts[:2], *others, linear_bias=parts[2], reduction=reduction, **more
                        )
                        (loss * up.to(loss.dtype)).sum().backward()
                    results.append((loss.detach().double(), [p.grad.double() for p in parts]))
                assert launched == (1 if reduction == "mean" else 2), (name, launched)
                (truth, slopes), (found, grads) = results
                exact = dtype == torch.float32
                # the logits of half precision are rounded, and cut off by the interpreter
                torch.testing.assert_close(
                    found,
                    truth,
                    rtol=1e-5 if exact else 0.05,
                    atol=2e-6 if exact else 0.02,
                    msg=name,
                )
                for grad, slope in zip(grads, slopes, strict=True):
                    off = (grad - slope).abs().max() / slope.abs().max()
                    assert off < (2e-5 if exact else 0.03), (name, reduction, dtype, off)
    # what torch's operations say of rows that are sure, of ties and of impossible classes
    z = torch.tensor([[0.0, -80.0, 1.0], [3.0, 3.0, 3.0], [0.0, 50.0, -float("inf")]])
    q = torch.tensor([[0.0, -90.0, 2.0], [0.0, 1.0, -float("inf")], [0.0, 60.0, -float("inf")]])
    for beta in (0.0, 0.5, 1.0):
        wide = z.double().requires_grad_()
        truth = L.js_div(wide, q.double(), beta=beta, reduction="none")
        leaf = z.clone()
        with on_triton():
            found = _teacher.score_head_divergences(leaf, q, beta, None, Options(), 1.0, None)
        torch.testing.assert_close(found.double(), truth.detach(), rtol=1e-5, atol=1e-7)
        if truth.isfinite().all():
            truth.sum().backward()
            torch.testing.assert_close(leaf.double(), wide.grad, rtol=1e-5, atol=1e-6)
    for row in ([float("nan"), 0.0, 1.0], [-float("inf")] * 3):
        with on_triton():
            leaf = torch.tensor([row])
            bad = _teacher.score_head_divergences(leaf, q[:1], 0.5, None, Options(), 1.0, None)
        assert bad.isnan().all()
        assert leaf.isnan().all()


def binary():
    """Answers: to 80 bits where they are plain, to float64 under options."""
    import test_accuracy as T

    rng = np.random.default_rng(0)
    for dtype in (torch.float32, torch.bfloat16):
        for scale in (1e-6, 1.0, 10.0, 80.0):
            x = torch.from_numpy(rng.normal(size=5000) * scale).to(dtype)
            t = torch.from_numpy(rng.uniform(size=5000)).float()
            t[::2] = t[::2].round()
            leaf = x.clone().requires_grad_()
            with on_triton():
                each = binary_logits_loss(leaf, t, None, None, None, None, Options("none"))
                each.sum().backward()
                mean = binary_logits_loss(leaf, t, None, None, None, None, Options())
            z, yes = T.as_wide(x), T.as_wide(t)
            log = np.log1p(np.exp(-np.abs(z)))
            want = (1 - yes) * (np.maximum(z, 0) + log) + yes * (np.maximum(-z, 0) + log)
            rise, fall = (1 - yes) / (1 + np.exp(-z)), yes / (1 + np.exp(z))
            worst = T.ulps(T.as_wide(each), want, torch.float32)
            assert worst <= 2, worst
            assert T.ulps(T.as_wide(mean.reshape(1)), want.mean(keepdims=True), torch.float32) <= 2
            worst = T.ulps(T.as_wide(leaf.grad), rise - fall, dtype, np.maximum(rise, fall))
            assert worst <= 4, worst
    g = generator(1)
    x, t = torch.randn(6, 3, 5, generator=g) * 3, torch.rand(6, 3, 5, generator=g)
    t[0, 0, 0], t[1, 1, 1] = -1.0, 1.0
    weights = {"own": (6, 3, 5), "classes": (5,), "middle": (3, 1), "rows": (6, 1, 1), "one": ()}
    o = Options("sum", label_smoothing=0.1, temperature=0.7, softcap=4.0)
    for name, shape in weights.items():
        w = torch.rand(shape, generator=g).round(decimals=1)
        for which in range(3):
            three = [w if place == which else None for place in range(3)]
            for options in (Options("sum"), o, o._replace(reduction="mean")):
                wide = x.double().requires_grad_()
                weighing = [None if v is None else v.double() for v in three]
                truth = binary_logits_loss(wide, t.double(), *weighing, -1, options)
                truth.backward()
                leaf = x.clone().requires_grad_()
                with on_triton():
                    loss = binary_logits_loss(leaf, t, *three, -1, options)
                    loss.backward()
                torch.testing.assert_close(loss.double(), truth, rtol=1e-6, atol=0, msg=name)
                torch.testing.assert_close(leaf.grad.double(), wide.grad, rtol=2e-5, atol=1e-7)
    sure_and_silent_answers()


def sure_and_silent_answers():
    """At a temperature sure answers keep their digits; what weighs nothing may be no number."""
    x = torch.linspace(-40, 40, 200)
    t = (x > 0).float()
    with on_triton():
        found = binary_logits_loss(x, t, None, None, None, None, Options("none", temperature=0.7))
    want = torch.log1p(torch.exp(-(x.double() / 0.7).abs()))
    torch.testing.assert_close(found.double(), want, rtol=5e-7, atol=0)
    nan = float("nan")
    x, t = torch.tensor([1.0, nan, -2.0]), torch.tensor([1.0, nan, 0.5])
    seen = torch.tensor([1.0, 0.0, 1.0])
    want = F.binary_cross_entropy_with_logits(x[::2].double(), t[::2].double(), reduction="sum")
    for own, rows in ((seen, None), (None, seen)):
        leaf = x.clone().requires_grad_()
        with on_triton():
            loss = binary_logits_loss(leaf, t, own, None, rows, None, Options("sum"))
            loss.backward()
        torch.testing.assert_close(loss.double(), want, rtol=1e-6, atol=0)
        torch.testing.assert_close(
            leaf.grad.double(), torch.nan_to_num((x.sigmoid() - t).double()), rtol=1e-6, atol=0
        )


def compiles():
    """Machine code for NVIDIA's and AMD's processors, of every kernel, plain and with all flags."""
    from inspect import signature

    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    pointers = {
        "target": "*i64", "argmaxes": "*i64", "divisor": "*fp64", "x": "*bf16", "grad": "*bf16",
        "y": "*bf16",
    }  # fmt: skip
    floats = ("class_weight", "row_weight", "kept", "upstream", "stat_grads", "weight", "positive",
              "token", "out")  # fmt: skip
    wholes = ("stride", "count", "ignore_index", "step", "period")
    few = {"rows": "i32", "classes": "i32"}
    kernels = [class_rows.score_rows, class_rows.differentiate_rows,
               class_rows.score_and_differentiate_rows, answers.score_answers,
               answers.differentiate_answers, answers.score_answer_rows,
               teacher_rows.score_teacher_rows]  # fmt: skip
    for target in (
        GPUTarget("cuda", 80, 32),
        GPUTarget("cuda", 90, 32),
        GPUTarget("hip", "gfx942", 64),
    ):
        for kernel in kernels:
            for all_flags in (False, True):
                kinds, constants = {}, {}
                for name in signature(kernel.fn).parameters:
                    if name.isupper():
                        kinds[name] = "constexpr"
                        constants[name] = 2048 if name == "BLOCK" else all_flags
                        constants[name] = 2 * all_flags if name == "KIND" else constants[name]
                    elif name == "target" and (all_flags or "answer" in kernel.fn.__name__):
                        kinds[name] = "*bf16"
                    elif name in pointers or name in floats:
                        kinds[name] = pointers.get(name, "*fp32")
                    else:
                        whole = any(part in name for part in wholes)
                        kinds[name] = few.get(name, "i64" if whole else "fp32")
                source = ASTSource(kernel, kinds, constants)
                options = {"num_warps": 8, "enable_fp_fusion": True}
                made = triton.compile(source, target=target, options=options)
                code = made.asm.get("cubin") or made.asm["hsaco"]
                assert len(code) > 1000
    print("compiled", len(kernels), flush=True)


def main():
    warnings.simplefilter("ignore")  # NumPy's of infinities; Triton's of its own defaults
    if "compiles" not in sys.argv:
        hurry()
        with on_triton():
            assert _use.is_at_hand(torch.zeros(1))
    for job in sys.argv[1:]:
        globals()[job]()
    print("all right", flush=True)


if __name__ == "__main__":
    main()
