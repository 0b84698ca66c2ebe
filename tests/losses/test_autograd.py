"""The losses in PyTorch: derivatives of every order, transforms, compilation, threads, layouts."""

import copy
import gc
import inspect
import itertools
import math
import mmap
import pickle
from collections import deque

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

import xent.losses as L
from xent.losses import _buffer

# torch's own forward mode and compiler call what torch deprecates
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

SOFT = torch.rand(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
HARD = torch.tensor([0, 3, -100])
TEACHER = torch.randn(3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
WEIGHT = torch.tensor([0.5, 1.0, 2.0, 0.0], dtype=torch.float64)
TOKEN = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)

LOSSES = {
    "hard": lambda x: L.cross_entropy(x, HARD),
    "hard, all": lambda x: L.cross_entropy(
        x, HARD, WEIGHT, label_smoothing=0.2, token_weight=TOKEN, temperature=0.7, softcap=3.0,
        z_loss=0.1,
    ),
    "soft, all": lambda x: L.cross_entropy(
        x, SOFT.softmax(1), WEIGHT, label_smoothing=0.2, token_weight=TOKEN, temperature=0.7,
        softcap=3.0, z_loss=0.1, reduction="none",
    ),
    "stats": lambda x: (lambda r: (r[0], *r[1][:3]))(L.cross_entropy(x, HARD, WEIGHT, stats=True)),
    "soft stats": lambda x: L.cross_entropy(
        x, SOFT.softmax(1), WEIGHT, label_smoothing=0.1, stats=True
    )[1][:3],
    "nll": lambda x: L.nll_loss(x, HARD, WEIGHT),
    "focal": lambda x: L.focal_loss(x, HARD, alpha=WEIGHT),
    "bce": lambda x: L.binary_cross_entropy_with_logits(x, SOFT, pos_weight=WEIGHT),
    "bce none": lambda x: L.binary_cross_entropy_with_logits(x, SOFT, WEIGHT, reduction="none"),
    "bce probabilities": lambda x: L.binary_cross_entropy(x.sigmoid(), SOFT),
    "multilabel": lambda x: L.multilabel_soft_margin_loss(x, SOFT),
    "kl": lambda x: L.kl_div(x.log_softmax(1), SOFT.softmax(1), reduction="batchmean"),
    "js": lambda x: L.js_div(x, TEACHER, beta=0.3),
    "js 0": lambda x: L.js_div(x, TEACHER, beta=0.0),
    "js 1": lambda x: L.js_div(x, TEACHER, beta=1.0, temperature=2.0),
    "info": lambda x: L.info_nce(x, TEACHER, temperature=0.5),
    "siglip": lambda x: L.siglip(x, TEACHER, scale=2.0, bias=-1.0),
    "mse": lambda x: L.mse_loss(x, SOFT),
}  # fmt: skip


def logits():
    g = torch.Generator().manual_seed(2)
    return torch.randn(3, 4, generator=g, dtype=torch.float64, requires_grad=True)


@pytest.mark.grid
@pytest.mark.parametrize("name", LOSSES)
def test_derivatives(name):
    assert gradcheck(LOSSES[name], logits())
    assert gradgradcheck(LOSSES[name], logits())


@pytest.mark.parametrize("name", ["hard", "hard, all", "bce", "js", "focal"])
def test_transforms(name):
    f, x = LOSSES[name], logits()
    assert gradcheck(f, x, check_forward_ad=True)
    (want,) = torch.autograd.grad(f(x), x)
    torch.testing.assert_close(torch.func.grad(f)(x.detach()), want)
    tangent = torch.ones_like(x) / 3
    value, push = torch.func.jvp(f, (x.detach(),), (tangent,))
    torch.testing.assert_close(value, f(x.detach()))
    torch.testing.assert_close(push, (want * tangent).sum())


def test_vmap():
    x, y = torch.randn(5, 3, 4, dtype=torch.float64), torch.randint(0, 4, (5, 3))
    got = torch.func.vmap(lambda a, b: L.cross_entropy(a, b, label_smoothing=0.1))(x, y)
    want = [F.cross_entropy(a, b, label_smoothing=0.1) for a, b in zip(x, y, strict=True)]
    torch.testing.assert_close(got, torch.stack(want))
    each = torch.func.vmap(torch.func.grad(lambda a, b: L.cross_entropy(a, b)))(x[0], y[0])
    torch.testing.assert_close(each, x[0].softmax(-1) - F.one_hot(y[0], 4))


def test_targets_and_weights_may_learn():
    x = logits()
    t = SOFT.softmax(1).requires_grad_()
    w, k = (WEIGHT + 0.1).requires_grad_(), TOKEN.clone().requires_grad_()
    want = F.cross_entropy(x, t, reduction="none", label_smoothing=0.1)
    torch.testing.assert_close(
        torch.autograd.grad(want.sum(), t)[0],
        torch.autograd.grad(L.cross_entropy(x, t, label_smoothing=0.1, reduction="sum"), t)[0],
    )
    assert gradcheck(lambda w, k: L.cross_entropy(x, HARD, w, token_weight=k, z_loss=0.1), (w, k))
    # the targets must stay distributions, so their slope is checked along softmax
    assert gradcheck(lambda s: L.cross_entropy(x, s.softmax(1), w), SOFT.clone().requires_grad_())


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_backward_twice(reduction):
    x = logits()
    loss = L.cross_entropy(x, HARD, reduction=reduction).sum()
    first = torch.autograd.grad(loss, x, retain_graph=True)[0].clone()
    second = torch.autograd.grad(loss, x, retain_graph=True)[0]
    third = torch.autograd.grad(loss, x)[0]
    assert torch.equal(first, second)
    assert torch.equal(first, third)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, x)
    loss = L.cross_entropy(x, HARD, reduction=reduction).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    torch.testing.assert_close(x.grad, 2 * first)


@pytest.mark.parametrize("name", LOSSES)
def test_graph_kept_accumulated_and_deterministic(name):
    def total(x):
        found = LOSSES[name](x)
        return sum(t.sum() for t in found) if isinstance(found, tuple) else found.sum()

    x = logits()
    loss = total(x)
    loss.backward(retain_graph=True)
    once = x.grad.clone()
    torch.use_deterministic_algorithms(True)
    try:
        loss.backward()
        total(x).backward()
    finally:
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(x.grad, 3 * once)


def test_logits_may_be_overwritten_after_the_loss():
    leaf = logits()
    x = leaf * 1
    loss = L.cross_entropy(x, HARD)
    with torch.no_grad():
        x.zero_()
    (got,) = torch.autograd.grad(loss, leaf)
    torch.testing.assert_close(got, torch.autograd.grad(F.cross_entropy(leaf, HARD), leaf)[0])


def test_accumulation_and_scaling():
    x = logits()
    for part in (slice(0, 1), slice(1, 3)):
        (L.cross_entropy(x[part], HARD[part], reduction="sum") / 2).backward()
    want = torch.autograd.grad(F.cross_entropy(x, HARD), x)[0]
    torch.testing.assert_close(x.grad, want)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("classes", [2, 19, 33])
def test_planes_and_rows_give_the_same_bits(dtype, classes):
    g = torch.Generator().manual_seed(5)
    x = (torch.randn(2, classes, 20, 30, generator=g) * 8).to(dtype)
    x[0, :, 0, 0] = x[0, :1, 0, 0]  # all tied
    y = torch.randint(0, classes, (2, 20, 30), generator=g)
    y[0, 3], x[0, 1, 3] = 255, math.nan
    x[1, 0, 5], x[1, 1, 6], x[1, :, 7] = -math.inf, math.inf, -math.inf
    weight = torch.rand(classes, generator=g)
    token = torch.rand(2, 20, 30, generator=g)
    for options in (
        {},
        {"weight": weight, "token_weight": token, "z_loss": 0.1, "temperature": 0.7},
    ):
        for reduction in ("sum", "none"):
            shared = {"ignore_index": 255, "reduction": reduction, **options}
            a = x.clone().requires_grad_()
            b = x.movedim(1, -1).contiguous().requires_grad_()
            one = L.cross_entropy(a, y, **shared)
            two = L.cross_entropy(b, y, axis=-1, **shared)
            torch.testing.assert_close(one, two, rtol=0, atol=0, equal_nan=True)
            one.sum().backward()
            two.sum().backward()
            slopes = b.grad.movedim(-1, 1)
            torch.testing.assert_close(a.grad, slopes, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_same_bits_for_any_split_layout_and_threads(dtype):
    g = torch.Generator().manual_seed(4)
    x = (torch.randn(24, 700, 2, 2, generator=g) * 3).to(dtype)
    y = torch.randint(0, 700, (24, 2, 2), generator=g)

    def run(x, y, axis=None, **options):
        x = x.detach().requires_grad_()
        values = L.cross_entropy(x, y, reduction="none", axis=axis, **options)
        values.sum().backward()
        return values.detach(), x.grad

    for options in ({}, {"label_smoothing": 0.1, "z_loss": 0.01}):
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(1)
            values, grad = run(x, y, **options)
            total = L.cross_entropy(x, y, **options)
            torch.set_num_threads(3)
            again, slopes = run(x, y, **options)
            assert torch.equal(values, again)
            assert torch.equal(grad, slopes)
            assert torch.equal(total, L.cross_entropy(x, y, **options))
        finally:
            torch.set_num_threads(before)
        last, slopes = run(x.movedim(1, -1).contiguous(), y, axis=-1, **options)
        assert torch.equal(values, last)
        assert torch.equal(grad.movedim(1, -1), slopes)
        strided, slopes = run(torch.stack([x, x], -1)[..., 0], y, **options)
        assert torch.equal(values, strided)
        assert torch.equal(grad, slopes)
        parts = [run(x[n : n + 5], y[n : n + 5], **options) for n in range(0, 24, 5)]
        assert torch.equal(values, torch.cat([v for v, _ in parts]))
        assert torch.equal(grad, torch.cat([s for _, s in parts]))


SPLIT = {
    "bce": lambda x, t: L.binary_cross_entropy_with_logits(x, t, reduction="none"),
    "bce, all": lambda x, t: L.binary_cross_entropy_with_logits(
        x, t, reduction="none", pos_weight=torch.tensor(2.5), temperature=0.7, label_smoothing=0.1
    ),
    "soft": lambda x, t: L.cross_entropy(x, t / t.sum(1, keepdim=True), reduction="none"),
    "soft, all": lambda x, t: L.cross_entropy(
        x,
        t / t.sum(1, keepdim=True),
        reduction="none",
        label_smoothing=0.1,
        softcap=5.0,
        z_loss=0.1,
    ),
    "kl": lambda x, t: L.kl_div(x.log_softmax(1), t / t.sum(1, keepdim=True), reduction="none"),
    "focal": lambda x, t: L.focal_loss(x, t.argmax(1), reduction="none"),
}


@pytest.mark.grid
@pytest.mark.parametrize("name", SPLIT)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_other_losses_have_the_same_bits_too(name, dtype):
    g = torch.Generator().manual_seed(6)
    x = (torch.randn(31, 1500, generator=g) * 3).to(dtype)
    t = torch.rand(31, 1500, generator=g) * 0.9 + 0.05
    if dtype == torch.float64:
        t = t.double()  # for targets less exact than logits whole loops would be compiled again

    def run(x, t):
        x = x.detach().requires_grad_()
        values = SPLIT[name](x, t)
        values.sum().backward()
        return values.detach(), x.grad

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one, slopes = run(x, t)
        torch.set_num_threads(3)
        two, again = run(x, t)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(one, two)
    assert torch.equal(slopes, again)
    two, again = run(x.t().contiguous().t(), t)
    assert torch.equal(one, two)
    assert torch.equal(slopes, again)
    parts = [run(x[n : n + 7], t[n : n + 7]) for n in range(0, 31, 7)]
    assert torch.equal(one, torch.cat([v for v, _ in parts]))
    assert torch.equal(slopes, torch.cat([s for _, s in parts]))


@pytest.mark.parametrize("kind", ["class", "soft"])
def test_large_gradients_in_memory_used_again(kind):
    # Past the caches, written beside the next row, odd rows that start at no cache line, ignored
    # ones at all places, and a piece of memory taken twice.
    g = torch.Generator().manual_seed(7)
    classes = 60_001
    x = torch.randn(160, classes, generator=g).requires_grad_()
    y = torch.randint(0, classes, (160,), generator=g)
    y[[1, 2, 78, 80, 159]] = -100
    if kind == "soft":
        y = torch.randn(160, classes, generator=g).softmax(1)
    for _ in range(2):
        x.grad = None
        L.cross_entropy(x, y, reduction="sum").backward()
        kept = x.grad
        rows = [0, 1, 2, 3, 77, 79, 80, 158, 159]
        few = x.detach()[rows].requires_grad_()
        L.cross_entropy(few, y[rows], reduction="sum").backward()
        assert torch.equal(few.grad, kept[rows])
    # What is still held is not given away.
    held, before = x.grad, x.grad[5].clone()
    x.grad = None
    L.cross_entropy(x, y, reduction="mean").backward()
    assert held.data_ptr() != x.grad.data_ptr()
    assert torch.equal(held[5], before)


@pytest.mark.parametrize("refused", ["MADV_HUGEPAGE", "MADV_FREE", "mmap"])
def test_large_gradients_where_the_kernel_refuses(refused, monkeypatch):
    # Built without huge pages, all pages locked, or no address space left.
    real = mmap.mmap
    if refused != "mmap" and not hasattr(mmap, refused):
        pytest.skip("this system has no such advice")

    class Refusing(real):
        def __new__(cls, *args, **options):
            if refused == "mmap":
                raise OSError(12, "Cannot allocate memory")
            return super().__new__(cls, *args, **options)

        def madvise(self, option, *rest):
            if option == getattr(mmap, refused):
                raise OSError(22, "Invalid argument")
            super().madvise(option, *rest)

    monkeypatch.setattr(mmap, "mmap", Refusing)
    monkeypatch.setattr(_buffer, "_warm", deque(maxlen=1))
    monkeypatch.setattr(_buffer, "_kept", deque(maxlen=1))
    x = torch.linspace(-3, 3, 2_000_000).reshape(20, -1).requires_grad_()
    y = torch.arange(20)
    for _ in range(2):
        x.grad = None
        L.cross_entropy(x, y).backward()
        want = x.detach().double().softmax(1)
        want[y, y] -= 1
        torch.testing.assert_close(x.grad.double(), want / 20)
    x.grad = None
    assert len(_buffer._warm) == (refused != "mmap" and _buffer._CAN_KEEP)
    # What is asked for next does not fit it, so the kernel may have its pages.
    large = torch.linspace(-3, 3, 3_000_000).reshape(1, -1).requires_grad_()
    L.cross_entropy(large, y[:1]).backward()
    assert len(_buffer._warm) == 0
    assert len(_buffer._kept) == (refused == "MADV_HUGEPAGE" and _buffer._CAN_KEEP)


def test_only_so_much_memory_keeps_its_pages(monkeypatch):
    if not _buffer._CAN_KEEP:
        pytest.skip("this system has no such advice")
    monkeypatch.setattr(_buffer, "_warm", deque(maxlen=1))
    monkeypatch.setattr(_buffer, "_kept", deque(maxlen=1))
    one, two = _buffer.reused_bytes(5 << 20), _buffer.reused_bytes(5 << 20)
    places = one.ctypes.data, two.ctypes.data
    del one
    assert len(_buffer._warm) == 1
    del two  # freed last, so it is the one to stay
    assert len(_buffer._warm) == len(_buffer._kept) == 1
    one, two = _buffer.reused_bytes(5 << 20), _buffer.reused_bytes(5 << 20)
    assert (two.ctypes.data, one.ctypes.data) == places
    monkeypatch.setattr(_buffer, "_WARM", 1 << 20)
    del one, two
    assert not _buffer._warm


def test_kinds_of_targets_and_autocast():
    x = torch.randn(5, 4)
    y = torch.tensor([0, 1, 2, 3, 1])
    want = L.cross_entropy(x, y)
    for dtype in (torch.int8, torch.uint8, torch.int16, torch.int32):
        assert torch.equal(L.cross_entropy(x, y.to(dtype)), want)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = torch.nn.functional.linear(x, torch.eye(4))
        assert z.dtype == torch.bfloat16
        assert L.cross_entropy(z, y).dtype == torch.float32
        hidden = L.linear_cross_entropy(x, torch.eye(4), y)
        torch.testing.assert_close(hidden, L.cross_entropy(z, y))


def test_no_gradient_is_no_work():
    x = logits()
    with torch.no_grad():
        assert not L.cross_entropy(x, HARD).requires_grad
    assert not L.cross_entropy(x.detach(), HARD).requires_grad
    assert not L.binary_cross_entropy_with_logits(x.detach(), SOFT).requires_grad


def test_deterministic_mode():
    torch.use_deterministic_algorithms(True)
    try:
        L.cross_entropy(logits(), HARD).backward()
        L.linear_cross_entropy(logits(), torch.eye(4, dtype=torch.float64), HARD).backward()
    finally:
        torch.use_deterministic_algorithms(False)


def test_statistics():
    x = logits()
    loss, stats = L.cross_entropy(x, HARD, stats=True)
    torch.testing.assert_close(loss, F.cross_entropy(x, HARD))
    p = x.softmax(1)
    torch.testing.assert_close(stats.lse, x.logsumexp(1))
    torch.testing.assert_close(stats.entropy, -(p * p.log()).sum(1))
    torch.testing.assert_close(stats.log_prob[:2], p.log()[[0, 1], HARD[:2]])
    assert stats.log_prob[2] == 0
    assert torch.equal(stats.argmax, x.argmax(1))
    assert stats.accuracy == (x.argmax(1)[:2] == HARD[:2]).double().mean()


CLASS_WEIGHT = torch.tensor([0.8, 0.1, 1.0, 0.3])
MODULES = [
    (L.CrossEntropyLoss, torch.nn.CrossEntropyLoss, {"weight": CLASS_WEIGHT, "ignore_index": 1}),
    (L.BCEWithLogitsLoss, torch.nn.BCEWithLogitsLoss, {"pos_weight": CLASS_WEIGHT}),
    (L.KLDivLoss, torch.nn.KLDivLoss, {"reduction": "batchmean"}),
    (L.NLLLoss, torch.nn.NLLLoss, {"weight": CLASS_WEIGHT, "ignore_index": 1}),
    (L.BCELoss, torch.nn.BCELoss, {"weight": CLASS_WEIGHT}),
]


@pytest.mark.parametrize(
    ("ours", "theirs", "options"), MODULES, ids=lambda m: getattr(m, "__name__", "")
)
def test_modules(ours, theirs, options):
    x = torch.rand(3, 4) if ours is L.BCELoss else torch.randn(3, 4)
    indices = ours in (L.CrossEntropyLoss, L.NLLLoss)
    t = torch.tensor([0, 1, 3]) if indices else torch.rand(3, 4)
    mine, its = ours(**options), theirs(**options)
    assert isinstance(mine, theirs)
    assert list(mine.state_dict()) == list(its.state_dict())
    torch.testing.assert_close(mine(x, t), its(x, t))
    its.load_state_dict(mine.state_dict())
    for twin in (copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        assert torch.equal(twin(x, t), mine(x, t))
    with pytest.raises(ValueError, match="`size_average` must be None"):
        ours(size_average=True)


TENSORS = [
    (L.CrossEntropyLoss, "weight", (), True), (L.NLLLoss, "weight", (), True),
    (L.FocalLoss, "weight", (), True), (L.FocalLoss, "alpha", (), True),
    (L.LinearCrossEntropyLoss, "weight", (5, 4), True), (L.BCELoss, "weight", (), True),
    (L.BCELoss, "pos_weight", (), False), (L.BCEWithLogitsLoss, "weight", (), True),
    (L.BCEWithLogitsLoss, "pos_weight", (), True),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name", "sizes", "stored"), TENSORS)
def test_tensors_of_a_module_go_where_it_goes(module, name, sizes, stored):
    """They are buffers: moved, widened and stored with it, and none that is trained."""
    options = set(inspect.signature(module).parameters) & {"weight", "pos_weight", "alpha"}
    assert options == {other for kind, other, *_ in TENSORS if kind is module}
    made = module(*sizes, **{name: CLASS_WEIGHT})
    assert dict(made.named_buffers())[name] is CLASS_WEIGHT
    assert name not in dict(made.named_parameters())
    assert (name in made.state_dict()) == stored
    assert made.double().kept()[name].dtype == torch.float64
    assert made.to("meta").kept()[name].is_meta
    assert module(*sizes).kept()[name] is None


OTHERS = {
    "temperature": 2.0, "softcap": 1.5, "z_loss": 0.3, "axis": 0, "empty": "nan", "stats": True,
    "label_smoothing": 0.2, "ignore_index": 1, "reduction": "sum", "log_target": True,
    "weight": torch.tensor([0.5, 2.0, 1.0, 3.0]), "pos_weight": torch.tensor([0.5, 2.0, 1.0, 3.0]),
    "inplace_backward": True, "gamma": 0.5, "alpha": torch.tensor([0.5, 2.0, 1.0, 3.0]),
}  # fmt: skip


@pytest.mark.parametrize("module", [
    L.CrossEntropyLoss, L.BCEWithLogitsLoss, L.KLDivLoss, L.LinearCrossEntropyLoss, L.NLLLoss,
    L.BCELoss, L.FocalLoss,
], ids=lambda m: m.__name__)  # fmt: skip
def test_an_option_that_is_set_later_is_obeyed(module):
    """As `m.temperature = 4.0` in an epoch's schedule: the module is as one made so."""
    sizes = (4, 4) if module is L.LinearCrossEntropyLoss else ()
    taken = set(inspect.signature(module).parameters) - {
        "size_average", "reduce", "options", "device", "dtype", "bias", "in_features",
        "num_classes", "out_features",
    }  # fmt: skip
    assert taken <= OTHERS.keys()
    x, other = torch.randn(4, 4).softmax(1).log(), 0.6 * torch.eye(4) + 0.1
    x = x.exp() if module is L.BCELoss else x
    answers = module in (L.BCEWithLogitsLoss, L.KLDivLoss, L.BCELoss)
    target = other if answers else torch.tensor([0, 1, 1, 3])
    for name in taken:
        late, early = module(*sizes), module(*sizes, **{name: OTHERS[name]})
        late.load_state_dict(early.state_dict(), strict=False)
        setattr(late, name, OTHERS[name])
        rows = x[:0] if name == "empty" else x
        batch = target[:0] if name == "empty" else target
        if name == "axis" and module in (L.CrossEntropyLoss, L.NLLLoss, L.FocalLoss):
            batch = batch.flip(0)
        found, truth = (m(rows, batch) for m in (late, early))
        for a, b in zip(
            *((v if isinstance(v, tuple) else (v,)) for v in (found, truth)), strict=True
        ):
            parts = zip(a, b, strict=True) if isinstance(a, tuple) else [(a, b)]
            assert all(torch.equal(p.nan_to_num(9), q.nan_to_num(9)) for p, q in parts), name
    if module is L.LinearCrossEntropyLoss:
        late.options = {"chunk": 1}
        with pytest.raises(ValueError, match="`options` must be None"):
            late(x, target)


@pytest.mark.grid
@pytest.mark.parametrize("how", ["checkpoint", "hooks", "offloaded"])
@pytest.mark.parametrize("name", ["cross_entropy", "soft", "binary", "head"])
def test_what_is_kept_for_backward_is_seen_by_saved_tensor_hooks(name, how):
    """Nothing as large as the logits stays behind them: checkpointing frees it, hooks move it."""
    rows, classes = 64, 500
    h, w = torch.randn(rows, 8).requires_grad_(), torch.randn(classes, 8).requires_grad_()
    y, p = torch.randint(0, classes, (rows,)), torch.rand(rows, classes).softmax(1)
    loss = {
        "cross_entropy": lambda h, w: L.cross_entropy(h @ w.t(), y, label_smoothing=0.1),
        "soft": lambda h, w: L.cross_entropy(h @ w.t(), (h @ w.t()).detach().softmax(1)),
        "binary": lambda h, w: L.binary_cross_entropy_with_logits(h @ w.t(), p),
        "head": lambda h, w: L.linear_cross_entropy(h, w, y),
    }[name]
    large = min(w.numel(), rows * classes) * 4

    def held():
        gc.collect()
        found = [t for t in gc.get_objects() if type(t) is torch.Tensor]
        found = [t for t in found if t.layout is torch.strided and t.is_cpu]
        sizes = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in found}
        return sum(size for size in sizes.values() if size >= large)

    truth = torch.autograd.grad(loss(h, w), (h, w))
    before, moved = held(), []
    if how == "checkpoint":
        value = torch.utils.checkpoint.checkpoint(loss, h, w, use_reentrant=False)
        assert held() <= before
    elif how == "hooks":

        def pack(t):
            moved.append(t.numel() * 4)
            return t

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: 1 * t):
            value = loss(h, w)
        assert max(moved) >= large
    else:
        with torch.autograd.graph.save_on_cpu():
            value = loss(h, w)
    for found, expected in zip(torch.autograd.grad(2 * value, (h, w)), truth, strict=True):
        torch.testing.assert_close(found, 2 * expected)


def test_linear_module():
    torch.manual_seed(0)
    mine = L.LinearCrossEntropyLoss(5, 7, bias=True, label_smoothing=0.1)
    x, y = torch.randn(3, 5), torch.tensor([0, 6, 2])
    if hasattr(torch.nn, "LinearCrossEntropyLoss"):
        its = torch.nn.LinearCrossEntropyLoss(5, 7, bias=True, label_smoothing=0.1)
        assert isinstance(mine, torch.nn.LinearCrossEntropyLoss)
        its.load_state_dict(mine.state_dict())
        torch.testing.assert_close(mine(x, y), its(x, y))
    want = F.cross_entropy(mine.linear(x), y, label_smoothing=0.1)
    torch.testing.assert_close(mine(x, y), want)


@pytest.mark.parametrize("bias", [False, True])
def test_linear_module_with_a_head_for_each_position(bias):
    torch.manual_seed(0)
    mine = L.LinearCrossEntropyLoss(5, 7, out_features=(2, 3), bias=bias)
    x, y = torch.randn(4, 5), torch.randint(0, 7, (4, 2, 3))
    logits = mine.linear(x).reshape(4, 7, 2, 3)
    torch.testing.assert_close(mine(x, y), F.cross_entropy(logits, y))
    mine(x, y).backward()
    assert mine.linear.weight.grad.shape == (42, 5)
    if hasattr(torch.nn, "LinearCrossEntropyLoss"):
        its = torch.nn.LinearCrossEntropyLoss(5, 7, out_features=(2, 3), bias=bias)
        its.load_state_dict(mine.state_dict())
        torch.testing.assert_close(mine(x, y), its(x, y))


@pytest.mark.long
def test_compiled():
    g = torch.Generator().manual_seed(6)
    x = torch.randn(6, 5, generator=g, requires_grad=True)
    y = torch.randint(0, 5, (6,), generator=g)
    soft = torch.rand(6, 5, generator=g).softmax(1)
    w, k = torch.rand(5, generator=g), torch.rand(6, generator=g)
    cases = itertools.product(("mean", "sum", "none"), (y, soft), (None, w))
    for reduction, target, weight in cases:

        def step(x, target=target, weight=weight, reduction=reduction):
            return L.cross_entropy(
                x * 2, target, weight, reduction=reduction, label_smoothing=0.1, token_weight=k,
                temperature=0.7, softcap=4.0, z_loss=0.01,
            ).sum()  # fmt: skip

        torch._dynamo.reset()
        want = torch.autograd.grad(step(x), x)[0]
        compiled = torch.compile(step, fullgraph=True)
        torch.testing.assert_close(torch.autograd.grad(compiled(x), x)[0], want)
    head = torch.randn(5, 5, generator=g)
    others = [
        lambda x: L.binary_cross_entropy_with_logits(x, soft),
        lambda x: L.nll_loss(x, y),
        lambda x: L.focal_loss(x, y),
        lambda x: L.js_div(x, soft),
        lambda x: L.kl_div(x, soft),
        lambda x: L.mse_loss(x, soft),
        lambda x: L.linear_cross_entropy(x, head, y),
        lambda x: L.info_nce(x, soft, temperature=0.5),
    ]
    for loss in others:
        torch._dynamo.reset()
        compiled = torch.compile(loss, fullgraph=True)
        want = torch.autograd.grad(loss(x), x)[0]
        torch.testing.assert_close(torch.autograd.grad(compiled(x), x)[0], want)


def test_compiled_short():
    x, y = torch.randn(6, 5, requires_grad=True), torch.tensor([0, 1, 2, 3, 4, -100])
    compiled = torch.compile(lambda x: L.cross_entropy(x, y), fullgraph=True, backend="aot_eager")
    got = torch.autograd.grad(compiled(x), x)[0]
    torch.testing.assert_close(got, torch.autograd.grad(L.cross_entropy(x, y), x)[0])
