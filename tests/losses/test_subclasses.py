"""Subclasses of Tensor: torch's answer in kind, our numbers, our checks, the compiled rows."""

import pytest
import torch
import torch.nn.functional as F

import xent.losses as L
from xent.losses._rows import _calls, _small_batch

G = torch.Generator().manual_seed(0)
X, P = torch.randn(5, 3, generator=G), torch.rand(5, 3, generator=G).softmax(1)
Y = torch.tensor([0, 1, 2, 0, -100])
HEAD = torch.randn(4, 3, generator=G)


class Labelled(torch.Tensor):
    """Comes back from every function, as MONAI's MetaTensor does, and makes its own of its kind."""

    def new_empty(self, *args, **kwargs):
        raise AssertionError("inside a loss this is a plain tensor")

    numpy = new_full = new_zeros = new_empty


class Unwrapped(torch.Tensor):
    """Comes back from no function, as torchvision's tv_tensors."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            out = func(*args, **(kwargs or {}))
        if isinstance(out, tuple):
            return type(out)(part.as_subclass(torch.Tensor) for part in out)
        return out.as_subclass(torch.Tensor)


class Registered(torch.Tensor):
    """Overrides one function by name, as libraries do that keep a table of them."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return "overridden" if func is L.cross_entropy else NotImplemented


THEIRS = {
    "cross_entropy": (L.cross_entropy, F.cross_entropy, X, Y),
    "soft": (L.cross_entropy, F.cross_entropy, X, P),
    "nll_loss": (L.nll_loss, F.nll_loss, X.log_softmax(1), Y),
    "bce": (L.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits, X, P),
    "kl_div": (L.kl_div, lambda x, t, **o: F.kl_div(x, t, reduction="sum", **o), X, P),
    "mse_loss": (L.mse_loss, F.mse_loss, X, P),
}


@pytest.mark.parametrize("kind", [Labelled, Unwrapped], ids=lambda k: k.__name__)
@pytest.mark.parametrize("place", ["input", "target", "both"])
@pytest.mark.parametrize("name", THEIRS)
def test_the_kind_is_torchs(name, place, kind):
    ours, theirs, x, target = THEIRS[name]
    options = {"reduction": "sum"} if name == "kl_div" else {}
    truth = ours(x, target, **options)
    if place != "target":
        x = x.as_subclass(kind)
    if place != "input":
        target = target.as_subclass(kind)
    found = ours(x, target, **options)
    assert type(found) is type(theirs(x, target))
    assert torch.equal(found.as_subclass(torch.Tensor), truth)


@pytest.mark.parametrize("kind", [Labelled, Unwrapped], ids=lambda k: k.__name__)
def test_the_compiled_rows_are_taken(kind, monkeypatch):
    ran = []
    for module, name in ((_small_batch, "class_batch"), (_calls, "class_rows")):
        kernel = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, k=kernel: ran.append(k) or k(*a))
    L.cross_entropy(X.as_subclass(kind), Y)
    L.cross_entropy(X.as_subclass(kind), Y, label_smoothing=0.1)
    assert len(ran) == 2


@pytest.mark.parametrize("kind", [Labelled, Unwrapped], ids=lambda k: k.__name__)
def test_the_checks_are_on(kind):
    with pytest.raises(ValueError, match="`target` must be below 3, the number of classes, got 7"):
        L.cross_entropy(X.as_subclass(kind), torch.tensor([7, 0, 0, 0, 0]))
    with pytest.raises(ValueError, match="`target` must be between 0 and 1"):
        L.binary_cross_entropy_with_logits(X.as_subclass(kind), 5 * P)
    with pytest.raises(ValueError, match="`token_weight` must be finite"):
        L.cross_entropy(X, Y, token_weight=-torch.ones(5).as_subclass(kind))


@pytest.mark.parametrize("kind", [Labelled, Unwrapped], ids=lambda k: k.__name__)
def test_gradients_heads_statistics_and_modules(kind):
    x = X.clone().requires_grad_()
    L.cross_entropy(x.as_subclass(kind), Y).backward()
    z = X.clone().requires_grad_()
    L.cross_entropy(z, Y).backward()
    assert torch.equal(x.grad, z.grad)
    loss, stats = L.cross_entropy(X.as_subclass(kind), Y, stats=True)
    truth, whole = L.cross_entropy(X, Y, stats=True)
    assert isinstance(stats, L.Stats)
    for found, expected in zip((loss, *stats), (truth, *whole), strict=True):
        assert torch.equal(found.as_subclass(torch.Tensor), expected)
    plain = L.linear_cross_entropy(X, HEAD, Y)
    assert torch.equal(
        L.linear_cross_entropy(X.as_subclass(kind), HEAD, Y).as_subclass(torch.Tensor), plain
    )
    module = L.CrossEntropyLoss()
    assert type(module(X.as_subclass(kind), Y)) is type(F.cross_entropy(X.as_subclass(kind), Y))


def test_a_library_may_override_a_loss():
    assert L.cross_entropy(X.as_subclass(Registered), Y) == "overridden"
    with pytest.raises(TypeError, match="nll_loss"):
        L.nll_loss(X.as_subclass(Registered), Y)


def test_wrong_calls_are_pythons():
    with pytest.raises(TypeError, match="missing"):
        L.cross_entropy(X)
    with pytest.raises(TypeError, match="missing"):
        L.cross_entropy(X.as_subclass(Labelled))
