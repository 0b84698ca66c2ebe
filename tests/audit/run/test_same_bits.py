"""What a script prints, learns, draws, warns of and returns is the same, watched or not."""

import io
import json
import re
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch.nn import functional
from torch.optim import optimizer

from audit.run.test_run_scripts import PRELUDE, SCRIPTS
from xent.audit import Config
from xent.audit._run import program

HERE = Path(__file__).parent
EPILOGUE = """
import gc, hashlib
sums = hashlib.sha256(torch.get_rng_state().numpy().tobytes())
for name, value in list(globals().items()):
    for tensor in value.state_dict().values() if isinstance(value, nn.Module) else ():
        sums.update(tensor.numpy().tobytes())
    for tensor in value.parameters() if isinstance(value, nn.Module) else ():
        sums.update(b"" if tensor.grad is None else tensor.grad.numpy().tobytes())
print(sums.hexdigest())
"""


def unusual():
    for part in (HERE / "same_bits.txt").read_text().split("### ")[1:]:
        name, _, code = part.partition("\n")
        yield name, PRELUDE + code


UNUSUAL = list(unusual())
ALL = UNUSUAL + SCRIPTS


def ran(run, script):
    """Run a script; return all that it shows of itself."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings(record=True) as said:
        warnings.resetwarnings()
        warnings.simplefilter("default")
        result = run(script)
    warned = [(str(w.message), w.category, w.filename, w.lineno) for w in said]
    return out.getvalue(), err.getvalue(), warned, result


def plainly(script):
    return program._as_main(script, ["--lr", "0.1"])[0]


@pytest.mark.grid
@pytest.mark.parametrize(("name", "code"), ALL, ids=[name for name, _ in ALL])
def test_same_bits(name, code, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(code + EPILOGUE)
    reports = []

    def watched(script):
        ran = program.run(script, ["--lr", "0.1"], Config())
        reports.append(ran.report)
        return ran.code

    assert ran(watched, script) == ran(plainly, script)
    (report,) = reports
    said = " ".join(report.not_followed)
    assert "xent failed" not in said
    for missed in re.findall(r"#~ (.*)", code):
        assert missed in said
    if (name, code) in UNUSUAL:
        assert not [f for f in report.findings if f.level != "note"]


def test_nothing_stays_behind(tmp_path):
    held = {
        name: value for name, value in vars(functional).items() if name != "__warningregistry__"
    }
    backward, hooks = torch.autograd.backward, optimizer._global_optimizer_post_hooks
    handed = open, io.open, json.dump, torch.save, mock.CallableMixin.__call__, sys.meta_path[:]
    script = tmp_path / "train.py"
    script.write_text(
        PRELUDE
        + "from torch.nn.functional import cross_entropy\nfrom json import dump\nkept = open\n"
    )
    program.run(script, [], Config())
    after = {
        name: value for name, value in vars(functional).items() if name != "__warningregistry__"
    }
    assert held == after
    assert torch.autograd.backward is backward
    assert not hooks
    after = open, io.open, json.dump, torch.save, mock.CallableMixin.__call__, sys.meta_path
    assert handed == after


SEEN_OUTSIDE = """
import os
os.environ["OMP_NUM_THREADS"] = "1"
import sys, warnings
print("torch" in sys.modules)
import torch, torch.nn.functional as F
print(sys.argv, __file__, sys.path[0], torch.__spec__.loader, torch.__loader__)
warnings.warn("look out")
torch.manual_seed(0)
print(torch.get_num_threads(), torch.rand(2))
F.mse_loss(torch.ones(3, 1), torch.ones(1, 1))
sys.exit(F.cross_entropy(torch.zeros(2, 10), torch.tensor([3, 99])))
"""


def test_a_process_of_its_own(tmp_path):
    (tmp_path / "train.py").write_text(SEEN_OUTSIDE)
    (tmp_path / "pyproject.toml").write_text("[tool.xent.audit]\nfail-on = 'error'\n")

    def process(*command):
        return subprocess.run(
            [sys.executable, *command, "train.py", "--lr", "0.1"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    plain = process()
    watched = process("-m", "xent", "audit", "run", "--report", "said.txt", "--notes")
    loader = r"object at 0x\w+"
    assert re.sub(loader, "", watched.stdout) == re.sub(loader, "", plain.stdout)
    assert watched.stderr == plain.stderr
    assert watched.returncode == plain.returncode == 1
    assert "X201 target-range" in (tmp_path / "said.txt").read_text()
