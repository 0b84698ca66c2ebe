"""What reading learns of a run: installed files, and the functions that calls led to."""

from pathlib import Path

import pytest

from audit.run.test_run_scripts import PRELUDE
from xent.audit import Config
from xent.audit._follow.loaded import SeenCalls
from xent.audit._run import program

LIBRARY = """\
from torch.nn import Module, functional as F
class Whole(Module):
    def forward(self, a, b):
        return F.mse_loss(a, b, reduction="{}")
def wrong(model, loader):
    total = 0.0
    for x, y in loader:
        total += F.mse_loss(model(x), y).item()
    return total / len(loader.dataset)
def weighed(model, loader, criterion):
    total = 0.0
    for x, y in loader:
        total += criterion(model(x), y).item() * len(x)
    return total / len(loader.dataset)
"""
SCRIPT = """\
import sys
def weighed(model, loader, criterion):
    total = 0.0
    for x, y in loader:
        total += criterion(model(x), y).item() * len(x)
    return total / len(loader.dataset)
sys.path.append(sys.path[0] + "/site-packages")
from {name} import Whole
fc, criterion = nn.Linear(4, 3), Whole()
loader = DataLoader(TensorDataset(torch.randn(25, 4), torch.randn(25, 3)), batch_size=10)
total = 0.0
with torch.no_grad():
    for x, y in loader:
        total += criterion(fc(x), y).item()
print(total / len(loader.dataset))
"""


@pytest.mark.parametrize(("reduction", "found"), [("sum", []), ("mean", ["X401"])])
def test_an_installed_criterion_is_read_and_not_judged(reduction, found, tmp_path):
    folder, name = tmp_path / "site-packages", f"installed_{reduction}"
    folder.mkdir()
    (folder / f"{name}.py").write_text(LIBRARY.format(reduction))
    script = tmp_path / "train.py"
    script.write_text(PRELUDE + SCRIPT.format(name=name))
    report = program.run(script, [], Config()).report
    assert [one.rule for one in report.findings] == found
    assert not any(name in said for said in report.not_followed)
    assert [said for said in report.not_followed if "train.py" in said]  # the script's own


def test_a_call_that_led_to_two_functions_says_nothing(tmp_path):
    file, calls = tmp_path / "losses.py", SeenCalls()
    file.touch()
    call = (str(tmp_path / "train.py"), 3, 9)
    calls.add(call, (str(file), "first"))
    assert calls.function(tmp_path / "train.py", 3, 9) == (file, "first")
    assert calls.function(tmp_path / "train.py", 3, 1) is None
    calls.add(call, (str(file), "second"))
    assert calls.function(tmp_path / "train.py", 3, 9) is None


TRAINER = """\
import torch
class LightningModule(torch.nn.Module):
    pass
def fit(model, loader):
    step, end = "validation_step", "on_validation_epoch_end"
    with torch.no_grad():
        for i, batch in enumerate(loader):
            getattr(model, eval("step"))(batch, i)
        getattr(model, eval("end"))()
"""
STEPS = """\
import torch
from trainer_of_{n} import LightningModule
class Model(LightningModule):
    def __init__(self):
        super().__init__()
        self.fc, self.left = torch.nn.Linear(4, 3), []
    def validation_step(self, batch, i):
        x, y = batch
        loss = torch.nn.functional.mse_loss(self.fc(x), y)
        self.left.append(loss)
        return loss
    def on_validation_epoch_end(self):
        print(torch.stack(self.left).mean())
        self.left.clear()
"""


@pytest.mark.parametrize(("n", "found"), [(25, [("model_of_25.py", 13)]), (30, [])])
def test_steps_that_a_trainer_calls_in_an_imported_file(n, found, tmp_path):
    (tmp_path / f"trainer_of_{n}.py").write_text(TRAINER)
    (tmp_path / f"model_of_{n}.py").write_text(STEPS.format(n=n))
    script = tmp_path / "train.py"
    script.write_text(
        PRELUDE + f"from model_of_{n} import Model\nfrom trainer_of_{n} import fit\n"
        f"data = TensorDataset(torch.randn({n}, 4), torch.randn({n}, 3))\n"
        "fit(Model(), DataLoader(data, batch_size=10))\n"
    )
    report = program.run(script, [], Config()).report
    told = [one for one in report.findings if one.rule == "X402"]
    assert [(Path(one.path).name, one.line) for one in told] == found
    assert all(one.seen.startswith("2 batches of 10, 1 of 5") for one in told)
