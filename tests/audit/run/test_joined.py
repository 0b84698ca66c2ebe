"""What reading learns of a run: installed files, and the functions that calls led to."""

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
"""
SCRIPT = """\
import sys
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


def test_a_call_that_led_to_two_functions_says_nothing(tmp_path):
    file, calls = tmp_path / "losses.py", SeenCalls()
    file.touch()
    call = (str(tmp_path / "train.py"), 3, 9)
    calls.add(call, (str(file), "first"))
    assert calls.function(tmp_path / "train.py", 3, 9) == (file, "first")
    assert calls.function(tmp_path / "train.py", 3, 1) is None
    calls.add(call, (str(file), "second"))
    assert calls.function(tmp_path / "train.py", 3, 9) is None
