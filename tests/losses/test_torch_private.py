"""Without torch's private names the losses are slower at worst: hide each, and nothing changes."""

import importlib
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import xent.losses as L
from xent.losses import _torch_private

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

X = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 3, 4, 0])
NAMES = [
    "_C._are_functorch_transforms_active",
    "_C._is_tracing",
    "_C._len_torch_dispatch_stack",
    "_C._get_dispatch_mode",
    "_C._TorchDispatchModeKey",
    "_C._autograd._top_saved_tensors_default_hooks",
    "autograd.forward_ad._current_level",
    "__config__.parallel_info",
]


@pytest.fixture
def hide(monkeypatch):
    """Read the module anew without a name of torch; put both back in the end."""

    def without(path):
        with monkeypatch.context() as hidden:
            owner, _, name = f"torch.{path}".rpartition(".")
            if path.startswith("_C."):  # looked up as the module is read, and then held
                hidden.delattr(eval(owner, {"torch": torch}), name)
                importlib.reload(_torch_private)
                return
        _torch_private.gomp_parallel.cache_clear()
        if name == "parallel_info":
            monkeypatch.setattr(torch.__config__, name, lambda: "no OpenMP here")
        else:
            monkeypatch.delattr(torch.autograd.forward_ad, name)

    yield without
    monkeypatch.undo()
    importlib.reload(_torch_private)


def gradient(loss, x):
    z = x.clone().requires_grad_()
    value = loss(z, Y)
    value.backward()
    return torch.cat([value.detach().reshape(1), z.grad.reshape(-1)])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_speed_hangs_on_a_private_name(name, hide):
    hide(name)
    weight = torch.rand(7, 5, generator=torch.Generator().manual_seed(1))
    for smoothing in (0.0, 0.1):
        found = gradient(lambda z, y, s=smoothing: L.cross_entropy(z, y, label_smoothing=s), X)
        truth = gradient(lambda z, y, s=smoothing: F.cross_entropy(z, y, label_smoothing=s), X)
        torch.testing.assert_close(found, truth)
    head = gradient(lambda z, y: L.linear_cross_entropy(z, weight, y), X)
    torch.testing.assert_close(head, gradient(lambda z, y: F.cross_entropy(z @ weight.t(), y), X))
    binary = gradient(lambda z, y: L.binary_cross_entropy_with_logits(z, F.one_hot(y).float()), X)
    truth = gradient(lambda z, y: F.binary_cross_entropy_with_logits(z, F.one_hot(y).float()), X)
    torch.testing.assert_close(binary, truth)
    if "forward_ad" not in name:
        slopes = torch.func.vmap(torch.func.grad(lambda z, y: L.cross_entropy(z[None], y[None])))
        truth = X.softmax(1) - F.one_hot(Y)
        torch.testing.assert_close(slopes(X, Y), truth)
        _, tangent = torch.func.jvp(lambda z: L.cross_entropy(z, Y), (X,), (torch.ones_like(X),))
        torch.testing.assert_close(tangent, torch.zeros(()), atol=1e-6, rtol=0)


def test_the_names_are_all_there_is():
    """No file of the room but this one touches what torch keeps to itself."""
    room = Path(_torch_private.__file__).parent
    private = re.compile(r"torch\.[\w.]*(?<=\.)_\w+|torch\._\w+|libgomp\*|forward_ad\._")
    for path in room.rglob("*.py"):
        found = private.findall(path.read_text())
        assert bool(found) == (path.name == "_torch_private.py"), (path.name, found)
    named = set(re.findall(r'_private\("([\w.]+)"', Path(_torch_private.__file__).read_text()))
    assert named <= {*NAMES, "jit.is_tracing"}
