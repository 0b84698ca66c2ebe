"""Names of PyTorch that mean one thing to a loss: PyTorch itself is asked which these are."""

import functools
import inspect
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import loss as losses

from xent.audit import Config, audit

PRELUDE = """\
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader
from somewhere import Net, data, other, rows, x, y

loader = DataLoader(data, batch_size=64)
model = Net()
"""
SUM = """\
total = 0.0
with torch.no_grad():
    for a, b in loader:
        total += {}
print(total / {})
"""
ARGUMENTS = (
    "",
    "0",
    "-1",
    "3",
    "0, 1",
    "1, 0",
    "4, 3",
    "1, (3, 1)",
    "torch.float64",
    "other",
    "short",
)
SHORT = torch.ones(2, 3)
NAMES = [name for name in dir(torch.Tensor) if not name.startswith("_") and name != "index"]
# Elementwise and quick: what stands for every value of a row from far below 0 to far above.
ROW = torch.linspace(-50, 50, 201).repeat(2, 1)


def quiet(function):
    """Call without warnings: PyTorch warns of names that it will drop."""

    @functools.wraps(function)
    def call(*args):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args)

    return call


def rules(code, folder):
    path = folder / "train.py"
    path.write_text(PRELUDE + code)
    return {found.rule for found in audit(path, config=Config()).findings}


def order(values, like):
    """Where each value of a tensor stands in another that has as many, all of them different."""
    if values.numel() != like.numel() or values.is_complex() or values.layout != torch.strided:
        return None
    gaps = (values.detach().double().reshape(-1, 1) - like.double().reshape(1, -1)).abs()
    nearest = gaps.argmin(1).tolist()
    exact = gaps.min(1).values.max() <= (0 if values.dtype == like.dtype else 0.05)
    return nearest if exact and len(set(nearest)) == len(nearest) else None


@quiet
def kept_by(name, *inputs):
    """Arguments with which a method only moves the values of a tensor, always in the same way."""
    found = None
    for arguments in ARGUMENTS:
        ways = []
        for like in (*inputs, torch.zeros_like(inputs[0])):
            known = {"it": like.clone(), "other": -like, "short": SHORT}
            try:
                got = eval(f"it.{name}({arguments})", {"torch": torch}, known)
            except Exception:
                continue
            if not isinstance(got, torch.Tensor):
                return None
            if like.any():
                ways.append(order(got, like))
            elif got.numel() != like.numel():
                return None
        if ways and (None in ways or any(way != ways[0] for way in ways)):
            return None
        if ways and found is None:
            found = arguments
    return found


VALUES = (torch.arange(12) * 0.37 - 2.1, torch.arange(12).flip(0) * 0.29 - 1.3)
NUMBERS = (torch.tensor([3, 1, 2, 9, 8, 4, 7, 6, 5, 12, 11, 10]), torch.arange(12))
KEPT = [(n, kept_by(n, *(v.reshape(4, 3) for v in VALUES))) for n in NAMES]
KEPT = [(name, arguments) for name, arguments in KEPT if arguments is not None]
OF_TARGETS = dict(KEPT).keys() - {"roll"} | {"long", "int"}
INTEGERS = [(n, kept_by(n, *(v.reshape(4, 3) for v in NUMBERS))) for n in sorted(OF_TARGETS)]
INTEGERS = [(name, arguments) for name, arguments in INTEGERS if arguments is not None]
SCALARS = [(n, kept_by(n, torch.tensor(1.7), torch.tensor(-2.6))) for n, _ in KEPT]
SCALARS = [(name, arguments) for name, arguments in SCALARS if arguments is not None]


def test_pytorch_has_such_names():
    assert {"ravel", "t", "view", "clone", "contiguous"} <= dict(KEPT).keys()
    assert not {"abs", "sort", "msort", "relu", "add", "clamp", "repeat"} & dict(KEPT).keys()


@pytest.mark.parametrize(("name", "arguments"), KEPT)
def test_a_softmax_is_seen_through_what_moves_values(name, arguments, tmp_path):
    code = f"F.cross_entropy(F.softmax(model(x), dim=1).{name}({arguments}), y)"
    assert rules(code, tmp_path) == {"X101"}
    assert rules(f"p = F.softmax(model(x), dim=1).{name}({arguments})", tmp_path) == set()


@pytest.mark.parametrize(("name", "arguments"), SCALARS)
def test_a_loss_is_seen_through_what_keeps_it(name, arguments, tmp_path):
    loss = f"F.cross_entropy(model(a), b).{name}({arguments})"
    assert rules(SUM.format(loss, "len(loader)"), tmp_path) == {"X402"}


@pytest.mark.parametrize("name", ["item", "tolist", "mean", "sum"])
def test_a_loss_is_seen_through_its_number(name, tmp_path):
    assert rules(SUM.format(f"F.cross_entropy(model(a), b).{name}()", "len(loader)"), tmp_path) == {
        "X402"
    }


@pytest.mark.parametrize(("name", "arguments"), INTEGERS)
def test_padding_is_seen_through_what_moves_targets(name, arguments, tmp_path):
    target = f"pad_sequence(rows, batch_first=True).{name}({arguments})"
    assert rules(f"F.cross_entropy(model(x), {target})", tmp_path) == {"X503"}


@pytest.mark.parametrize("name", ["T", "mT", "H", "mH", "real", "data"])
def test_a_softmax_is_seen_through_attributes(name, tmp_path):
    assert order(getattr(VALUES[0].reshape(4, 3), name), VALUES[0]) is not None
    assert rules(f"F.cross_entropy(F.softmax(model(x), dim=1).{name}, y)", tmp_path) == {"X101"}


# ------------------------------------------------------------------ activations


@quiet
def squeezes(function):
    """Whether no logit can be far off, or the negative ones are moved toward 0."""
    low, high = (function(ROW)[0, i].item() for i in (0, -1))
    bounded = function(ROW * 1e4).abs().max() < 100
    return bounded or abs(low) < abs(high) / 2


@quiet
def layers():
    found = []
    for name in nn.modules.activation.__all__:
        for arguments in ("", "0.5, 0.0"):
            try:
                if getattr(nn, name)(*eval(f"({arguments})"))(ROW).shape == ROW.shape:
                    found.append((name, arguments))
                    break
            except Exception:
                continue
    return found


LAYERS = layers()
NAMES_OF_LAYERS = {name.lower() for name, _ in LAYERS}
FUNCTIONS = [
    (name, "0.5, 0.0" if name.startswith("threshold") else "")
    for name in dir(F)
    if not name.startswith("_") and name.replace("_", "") in NAMES_OF_LAYERS - {"prelu"}
]


@pytest.mark.parametrize(("name", "arguments"), LAYERS)
def test_an_activation_on_logits_is_told_where_it_squeezes_them(name, arguments, tmp_path):
    wrong = squeezes(getattr(nn, name)(*eval(f"({arguments})")))
    got = rules(f"F.cross_entropy(nn.{name}({arguments})(nn.Linear(4, 10)(x)), y)", tmp_path)
    assert bool(got & {"X101", "X103", "X104"}) == wrong


@pytest.mark.parametrize(("name", "arguments"), FUNCTIONS)
def test_an_activation_function_on_logits_is_told_where_it_squeezes_them(name, arguments, tmp_path):
    given = eval(f"({arguments})")
    wrong = squeezes(lambda z: getattr(F, name)(z.clone(), *given))
    code = f"F.cross_entropy(F.{name}(nn.Linear(4, 10)(x), {arguments}), y)"
    assert bool(rules(code, tmp_path) & {"X101", "X103", "X104"}) == wrong


# ------------------------------------------------------------------ layers and losses


def made(parameter):
    kinds = [n for n in dir(nn) if inspect.isclass(getattr(nn, n)) and not n.endswith("Loss")]
    return [n for n in kinds if parameter in inspect.signature(getattr(nn, n).__init__).parameters]


@pytest.mark.parametrize("name", made("out_features"))
def test_what_a_linear_layer_gives_are_logits(name, tmp_path):
    assert rules(f"F.nll_loss(nn.{name}(4, 4, out_features=9)(x), y)", tmp_path) == {"X106"}
    assert rules(f"F.cross_entropy(nn.{name}(out_features=1)(x), y)", tmp_path) == {"X108"}


@pytest.mark.parametrize("name", made("out_channels"))
def test_what_a_convolution_gives_are_logits(name, tmp_path):
    first = list(inspect.signature(getattr(nn, name).__init__).parameters)[1]
    size = "1, 1" if first == "out_channels" else "4, 1, 1"
    assert rules(f"F.nll_loss(nn.{name}({size})(x), y)", tmp_path) == {"X106"}
    assert rules(f"F.cross_entropy(nn.{name}({size})(x), y)", tmp_path) == set()
    assert rules(f"F.cross_entropy(nn.{name}({size})(x).view(64, 1), y)", tmp_path) == {"X108"}


@quiet
def differs(name):
    """Whether a layer does in training what it does not do in evaluation."""
    kind = getattr(nn, name)
    for arguments in ((), (4,), (4, 2)):
        for shape in ((6, 4), (6, 4, 8), (6, 4, 8, 8), (6, 4, 4, 4, 4)):
            torch.manual_seed(0)
            try:
                layer, given = kind(*arguments), torch.randn(shape)
                got = layer.train()(given), layer.eval()(given)
            except Exception:
                continue
            if all(isinstance(one, torch.Tensor) for one in got):
                return not torch.allclose(*got)
    return None


# Layers that are drawn in training alone: RReLU is an activation.
DIFFER = [(n, differs(n)) for n in dir(nn) if n[0].isupper() and inspect.isclass(getattr(nn, n))]
DIFFER = [(name, found) for name, found in DIFFER if found is not None and name != "RReLU"]


@pytest.mark.parametrize(("name", "found"), DIFFER)
def test_what_differs_in_training_must_be_put_into_evaluation(name, found, tmp_path):
    code = f"""
class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.{name}(4)
        self.fc = nn.Linear(4, 2)

    def forward(self, z):
        return self.fc(self.layer(z))

deep = Deep()
optimizer = torch.optim.SGD(deep.parameters(), lr=0.1)
for a, b in loader:
    optimizer.zero_grad()
    F.cross_entropy(deep(a), b).backward()
    optimizer.step()
right = 0
with torch.no_grad():
    for a, b in DataLoader(other):
        right += (deep(a).argmax(1) == b).sum()
"""
    assert rules(code.replace("DataLoader(other)", "test_loader"), tmp_path) == (
        {"X701"} if found else set()
    )


@pytest.mark.parametrize("name", losses.__all__)
def test_each_loss_averages_its_batch(name, tmp_path):
    mean, summed = f"nn.{name}()", f'nn.{name}(reduction="sum")'
    assert "X401" in rules(SUM.format(f"{mean}(model(a), b).item()", "len(data)"), tmp_path)
    assert rules(SUM.format(f"{summed}(model(a), b).item()", "len(data)"), tmp_path) == set()


@pytest.mark.parametrize(
    "name", [n for n in dir(F) if n.endswith(("_loss", "entropy", "_with_logits", "kl_div"))]
)
def test_each_loss_is_known_as_a_function(name, tmp_path):
    mean, summed = f"F.{name}(model(a), b)", f'F.{name}(model(a), b, reduction="sum")'
    assert "X401" in rules(SUM.format(f"{mean}.item()", "len(data)"), tmp_path)
    assert rules(SUM.format(f"{summed}.item()", "len(data)"), tmp_path) == set()


def test_names_that_everybody_uses_are_known_without_an_import(tmp_path):
    script = tmp_path / "cut.py"
    script.write_text(
        "from utils import *\n"
        "def evaluate(model, test_set):\n"
        "    losses, sums = [], 0.0\n"
        "    loader = DataLoader(test_set, batch_size=8)\n"
        "    for x, y in tqdm(loader):\n"
        "        with torch.no_grad():\n"
        "            losses.append(F.cross_entropy(model(x), y).item())\n"
        "            sums += F.cross_entropy(model(x), y, reduction='sum').item()\n"
        "    return np.mean(losses), sums / len(test_set)\n"
    )
    (found,) = audit(script, config=Config()).findings
    assert (found.rule, found.line) == ("X402", 9)
