"""What is said of a call that is wrong, word by word; the numbers in it are computed by hand.

test_boundaries.py asks where a rule begins, and the scripts which line it names.
"""

import math
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import tensor

from xent._signals import ENDING_SIGNALS, end
from xent.audit import Config, watch
from xent.audit._run import patches, program, settle
from xent.audit._run.frames import location
from xent.audit._run.rules import activations, averages, numerics
from xent.audit._run.rules.accumulation import Window
from xent.audit._run.sites import LossCall, Round, Site

IDS = tensor([[5, 6, 7, 0, 0, 0], [8, 9, 5, 6, 0, 0], [9, 8, 7, 6, 5, 3], [5, 7, 8, 0, 0, 0]])


def site(name="cross_entropy"):
    frame = sys._getframe()
    return Site(name, frame.f_code, location(frame.f_code, frame.f_lasti, 1), ())


def said(compute):
    with watch(config=Config()) as report:
        compute()
    return {f.rule: (f.level, f.message, f.fix, f.seen) for f in report.findings}


def shifted():
    torch.manual_seed(0)
    embed, fc = nn.Embedding(10, 4), nn.Linear(4, 10)
    return F.cross_entropy(fc(embed(IDS[:, :-1])).flatten(0, 1), IDS[:, 1:].flatten())


RANGE = "the targets of {} must lie in [0, 1], got {}"
BROADCAST = (
    "output {} against target {} is broadcast to {}: every prediction is compared with every target"
)
SQUEEZE = "squeeze the output, or unsqueeze the target, so that both are {}"
LEAST = f"{math.log(1 + 2 / math.e):.3f}"
CASES = {
    "soft targets of 2": (
        lambda: F.cross_entropy(torch.zeros(2, 2), tensor([[0.0, 2.0], [1.0, 0.0]])),
        "X201", "error", RANGE.format("cross_entropy", "0 to 2"),
        "divide the targets by 2, or use class indices", None,
    ),
    "answers of 9": (
        lambda: F.binary_cross_entropy_with_logits(torch.zeros(2), tensor([9.0, 1.0])),
        "X201", "error", RANGE.format("binary_cross_entropy_with_logits", "1 to 9"),
        "divide the targets by 9, or use cross_entropy with class indices", None,
    ),
    "answers of -1": (
        lambda: F.binary_cross_entropy_with_logits(torch.zeros(2), tensor([-1.0, 1.0])),
        "X201", "error", RANGE.format("binary_cross_entropy_with_logits", "-1 to 1"),
        "scale the targets to [0, 1]", None,
    ),
    "a column against a row": (
        lambda: F.mse_loss(torch.ones(6, 1), torch.arange(6.0)),
        "X203", "error", BROADCAST.format((6, 1), (6,), (6, 6)), SQUEEZE.format((6,)), None,
    ),
    "a row against a column": (
        lambda: F.l1_loss(torch.ones(6), torch.arange(6.0).unsqueeze(1)),
        "X203", "error", BROADCAST.format((6,), (6, 1), (6, 6)), SQUEEZE.format((6,)), None,
    ),
    "below the entropy": (  # 0.3 log(1 + e^-10) against -0.3 log 0.3
        lambda: F.cross_entropy(tensor([[10.0, 0.0]]), tensor([[0.3, 0.0]])),
        "X605", "note", "the loss, 1.36e-05, is below the least possible, 0.3612", None, None,
    ),
    "softmax twice": (
        lambda: F.cross_entropy(tensor([[0.25, 0.75, 0.0]]), tensor([1])),
        "X101", "error",
        f"cross-entropy takes logits, but softmax was applied to them: no loss below {LEAST} is "
        "reachable with 3 classes", None, "inputs of (1, 3), values from 0 to 0.75",
    ),
    "no target left": (
        lambda: F.cross_entropy(torch.zeros(2, 3), tensor([-100, -100])),
        "X603", "error", "the loss is nan; the first tensor that was not finite is the mean of no "
        "target: all 2 are ignored", None, None,
    ),
    "one output": (
        lambda: F.cross_entropy(torch.zeros(2, 1), tensor([0, 0])),
        "X108", "error", "cross-entropy over one class is always 0 and has no gradient", None, None,
    ),
    "probabilities in a divergence": (
        lambda: F.kl_div(tensor([[0.25, 0.75]]), tensor([[0.5, 0.5]]), reduction="sum"),
        "X301", "error", None, None, "values from 0.25 to 0.75",
    ),
    "a mean of a divergence": (
        lambda: F.kl_div(tensor([[0.25, 0.75]]).log(), tensor([[0.5, 0.5]]), reduction="mean"),
        "X302", "error", None, "reduction='batchmean'", "inputs of (1, 2)",
    ),
    "padding": (  # of the 20 targets 3 + 2 + 0 + 3 are zeros at an end
        shifted, "X503", "error", "padding is counted as a target: 0 ends the rows, and the loss "
        "ignores -100", "ignore_index=0", "40% of the targets are trailing 0",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*target size:UserWarning")
@pytest.mark.filterwarnings("ignore:reduction.*:UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_a_wrong_call_to_the_letter(name):
    compute, rule, *words = CASES[name]
    found = said(compute)[rule]
    for got, want in zip(found, words, strict=True):
        if rule == "X605" and want:
            got = got.replace("1.363e-05", "1.36e-05").replace("1.362e-05", "1.36e-05")
        assert want is None or got == want
    if rule in ("X603", "X605", "X201", "X203"):
        assert found[3] is None


def test_the_axis_that_softmax_takes_by_itself():
    """torch.nn.functional: 0 of 0, 1 or 3 dimensions, 1 of others."""
    for dimensions in range(5):
        here = site("softmax")
        activations.no_axis(here, dimensions)
        fact = here.facts["X105"]
        axis = 0 if dimensions in (0, 1, 3) else 1
        batch = ", the batch" if dimensions == 3 else ""
        assert fact.facts["effect"] == f"of {dimensions} dimensions it takes axis {axis}{batch}"


def test_a_negative_cross_entropy_is_told_with_its_least_value():
    here, values = site(), tensor([0.5, -1.23456, -0.25])
    options = {"input": torch.zeros(3, 2), "target": tensor([0, 1, 0])}
    numerics.signs(here, LossCall("nll_loss", options, values, "none", []))  # picks entries
    assert not here.facts
    numerics.signs(here, LossCall("cross_entropy", options, values, "none", []))
    assert here.facts["X604"].facts == {"value": "-1.235"}


def test_micro_batches_are_told_by_their_least_and_most_targets():
    window, at = Window(), site()
    for weight in (1500, 10, 30):
        window.loss(at, weight, 2.0)
        window.backward(2.0)
    window.step(False)
    assert at.facts["X409"].seen == "3 micro-batches of one step had 10 to 1,500 targets"


def test_losses_in_numpy_are_named_where_they_are_code(tmp_path):
    (script := tmp_path / "train.py").write_text(
        "import torch\nimport numpy as np\n\n\ndef score(p, y):\n    # loss = p.numpy()\n"
        "    loss = p.detach().numpy()\n    #loss = log_loss(y, p)\n    return log_loss(y, loss)\n"
    )
    told = program.run(script, [], Config()).report.not_followed
    assert [one for one in told if "NumPy" in one] == [
        f"{script}:7 (a loss in NumPy)", f"{script}:9 (a loss in NumPy)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "end",
    ["", "sys.exit(3)", "sys.exit(200)", "sys.exit(256 + 7)", "sys.exit(-1)", "sys.exit('no more')",
     "sys.exit(True)", "sys.exit((1, 2))", "raise SystemExit", "raise ValueError('é')", "1 / 0",
     "raise ExceptionGroup('two', [ValueError(1), KeyError(2)])", "raise ValueError(1) from KeyError()",
     "try: {}[1]\n    finally: {}[2]", "sys.excepthook = lambda *a: print(a[:2], a[2].tb_lineno); 1 / 0",
     "print(__name__, __file__ == sys.argv[0], sys.path[0], sys.modules['__main__'].last is last)",
     "import builtins; print(__builtins__ is builtins, __spec__, __cached__, __annotations__, __doc__)",
     "import signal; print(*map(signal.getsignal, (2, 15)), __loader__.__class__.__name__)"],
)  # fmt: skip
def test_a_script_ends_as_under_python(tmp_path, end, capfd):
    """Its exit code, what it prints and where, word by word."""
    (script := tmp_path / "train.py").write_text(
        f"import sys\nprint('out', *sys.argv)\n\n\ndef last():\n    {end or 'pass'}\n\n\nlast()\n"
    )
    done = subprocess.run([sys.executable, script, "a", "--b"], capture_output=True, text=True)
    code = program.run(script, ["a", "--b"], Config()).code
    seen = capfd.readouterr()
    assert (code, seen.out, seen.err) == (done.returncode, done.stdout, done.stderr)


def test_signals_and_warnings_are_pythons_own_while_a_script_runs(tmp_path, capfd):
    before = {number: signal.signal(number, end) for number in ENDING_SIGNALS}
    (script := tmp_path / "train.py").write_text(
        "import signal, sys, warnings\nprint(signal.getsignal(15) is signal.SIG_DFL)\n"
        "sys.excepthook, sys.argv, sys.path = None, [], []\nwarnings.showwarning = None\n"
    )
    held = sys.argv, sys.path[:], sys.excepthook, warnings.showwarning, sys.modules["__main__"]
    try:
        assert program.run(script, [], Config()).code == 0
        assert all(signal.getsignal(number) is end for number in ENDING_SIGNALS)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert capfd.readouterr().out == "True\n"
    after = sys.argv, sys.path[:], sys.excepthook, warnings.showwarning, sys.modules["__main__"]
    assert after == held


@pytest.mark.parametrize("where", ["put", "settled"])
def test_a_watcher_that_fails_is_told_and_stops_nothing(where, tmp_path, monkeypatch, capfd):
    (script := tmp_path / "train.py").write_text("import torch\nprint(torch.ones(1).item())\n")

    def fails(*given):
        raise KeyError("x")

    if where == "put":
        monkeypatch.setattr(patches.Patches, "put", fails)
    else:
        monkeypatch.setattr(settle, "settled", fails)
    ran = program.run(script, [], Config())
    assert (ran.code, capfd.readouterr().out) == (0, "1.0\n")
    (said,) = ran.report.not_followed
    assert said == "the run (xent failed: KeyError: 'x')"


def test_a_run_counts_evaluated_batches_and_steps():
    """A loss between two steps may be a look: of k batches in a row all are told."""
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def compute():
        for _ in range(2):
            F.cross_entropy(model(torch.ones(6, 4)), torch.arange(6) % 3).backward()
            optimizer.step()
        with torch.no_grad():
            for _ in range(5):
                F.cross_entropy(model(torch.ones(6, 4)), torch.arange(6) % 3)

    assert said(compute)["X701"][3] == "5 batches were evaluated so"


def test_a_report_lies_beside_what_is_run(tmp_path, monkeypatch):
    """Whatever the way to it is called."""
    from typer.testing import CliRunner

    from xent.cli import app

    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text("print(1)\n")
    (tmp_path / "link.py").symlink_to("train.py")
    for report in ("train.py", "./train.py", str(tmp_path / "train.py"), "link.py"):
        done = CliRunner().invoke(app, ["audit", "run", "--report", report, "train.py"])
        got = repr(str(Path(report)))
        assert f"`--report` must differ from what is run, got {got} for both" in str(done.exception)
    assert (tmp_path / "train.py").read_text() == "print(1)\n"
    done = CliRunner().invoke(app, ["audit", "run", "--steps", "0", "train.py"])
    assert "`--steps` must be an integer of at least 1, got 0" in str(done.exception)


def test_what_a_judge_fails_at_is_told_and_hides_no_other(monkeypatch):
    from xent.audit._run import judges

    def fails(site, call):
        raise KeyError("x")

    told, here = [], site()
    monkeypatch.setattr(judges, "_OF_PAIRS", (fails, *judges._OF_PAIRS))
    options = {"input": tensor([[0.25, 0.75]]), "target": tensor([1])}
    judges.judge(here, LossCall("cross_entropy", options, tensor(0.9), "mean", []),
                 lambda what, error: told.append((what, type(error))))  # fmt: skip
    assert told == [(f"fails at line {here.place.line}", KeyError)]
    assert here.facts["X101"].found == 1
    assert SimpleNamespace(**here.facts["X101"].facts).floor.endswith("with 2 classes")


def test_the_batches_of_a_loader_are_told_with_its_last():
    """10,000 = 78 * 128 + 16; three of 4 and one of 1."""
    for size, samples, told in (
        (128, 10_000, "78 batches of 128, 1 of 16"), (4, 13, "3 batches of 4, 1 of 1"),
        (2000, 4001, "2 batches of 2,000, 1 of 1"), (None, 9, ""), (4, None, ""),
    ):  # fmt: skip
        assert averages.from_loader(Round(size, samples)) == told
    assert averages.from_loader(None) == ""
