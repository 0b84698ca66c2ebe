"""`xent audit run`: reports, exit codes, and how a script may end."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from xent.cli import app

ROOT = Path(__file__).parent.parent.parent.parent
SCRIPT = """
import sys
import torch, torch.nn.functional as F
torch.manual_seed(0)
print("out", sys.argv[1:])
F.cross_entropy(torch.randn(6, 3).softmax(1), torch.zeros(6).long())
if "--fail" in sys.argv:
    sys.exit(7)
if "--raise" in sys.argv:
    raise ValueError("no more")
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT)

    def run(*arguments):
        return CliRunner().invoke(app, ["audit", "run", *arguments])

    return run


@pytest.mark.parametrize(
    ("options", "given", "code"),
    [
        ([], [], 1),
        (["--fail-on", "never"], [], 0),
        ([], ["--fail"], 7),
        (["--strict"], ["--fail"], 1),
        (["--strict", "--fail-on", "never"], ["--fail"], 7),
        ([], ["--raise"], 1),
        (["--ignore", "X1"], [], 0),
    ],
)
def test_exit_codes(run, options, given, code):
    done = run(*options, "train.py", *given)
    assert done.exit_code == code
    assert done.stdout == f"out {given}\n"
    assert ("train.py:6:1: error X101" in done.stderr) == ("--ignore" not in options)
    assert ("ValueError: no more" in done.stderr) == ("--raise" in given)
    assert "looked at 1 loss site; not followed: nothing" in done.stderr


def test_report_is_written(run, tmp_path):
    done = run(
        "--report", "said.json", "--format", "json", "--steps", "3", "train.py", "--steps", "9"
    )
    assert done.stdout == "out ['--steps', '9']\n"
    assert not done.stderr
    said = json.loads((tmp_path / "said.json").read_text())
    assert said["schema"] == 1
    assert said["sites"] == 1
    (found,) = said["findings"]
    assert (found["rule"], found["line"], found["path"]) == ("X101", 6, "train.py")
    assert found["seen"].startswith("inputs of (6, 3), values from")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.py"], "`SCRIPT` must be a file that exists, got 'none.py'"),
        (["nb.ipynb"], "`SCRIPT` must be a Python script, got 'nb.ipynb'"),
        (["--report", "no/said.txt", "train.py"], "`--report` must lie in a folder that exists"),
        (["--format", "xml", "train.py"], "`--format` must be 'text', 'json', 'sarif' or 'github'"),
    ],
)
def test_refusals(run, arguments, said):
    done = run(*arguments)
    assert said in str(done.exception)


@pytest.mark.parametrize("where", ["", "deep"])
def test_settings_are_those_of_the_scripts_folder(run, tmp_path, where):
    """Wherever it is run from; what is typed goes before them, one by one."""
    folder = tmp_path / "project" / where
    folder.mkdir(parents=True)
    (folder / "train.py").write_text(SCRIPT)
    script = str(folder / "train.py")
    settings = '[tool.xent.audit]\nignore = ["X1"]\nfail-on = "never"\n'
    (tmp_path / "project" / "pyproject.toml").write_text(settings)
    (tmp_path / "pyproject.toml").write_text('[tool.xent.audit]\nselect = ["X4"]\n')
    done = run(script)
    assert (done.exit_code, "X101" in done.stderr) == (0, False)
    done = run("--ignore", "X2", script)  # in place of those of the file
    assert (done.exit_code, "X101" in done.stderr) == (0, True)
    done = run("--ignore", "X2", "--fail-on", "warning", script)
    assert (done.exit_code, "X101" in done.stderr) == (1, True)
    done = run("--select", "X1", script)
    assert (done.exit_code, "X101" in done.stderr) == (0, False)
    assert run("train.py").exit_code == 0  # of another folder: it looks for X4 alone


def test_a_script_without_pytorch(run, tmp_path):
    (tmp_path / "other.py").write_text("print('nothing')\n")
    done = run("other.py")
    assert done.exit_code == 0
    assert "0 findings; looked at 0 loss sites" in done.stderr


def test_lines_that_did_not_run_are_named(run, tmp_path):
    (tmp_path / "other.py").write_text(SCRIPT + "if len(sys.argv) > 5:\n    F.mse_loss(a, b)\n")
    done = run("--fail-on", "never", "other.py")
    assert "not followed: other.py:12 (not reached in this run)" in done.stderr


def test_comments_silence_what_a_run_sees(run, tmp_path):
    code = SCRIPT.replace("zeros(6).long())", "zeros(6).long())  # xent: ignore[X101]")
    (tmp_path / "other.py").write_text(code)
    assert run("other.py").exit_code == 0


def test_the_module_of_a_script_is_named_by_its_own_file(run, tmp_path):
    (tmp_path / "parts.py").write_text(
        "import torch.nn.functional as F\n\n\ndef loss(z, y):\n    return F.cross_entropy(z, y)\n"
    )
    main = "import torch, parts\nparts.loss(torch.rand(6, 3).softmax(1), torch.zeros(6).long())\n"
    (tmp_path / "main.py").write_text(main)
    try:
        done = run("main.py")
    finally:
        sys.modules.pop("parts", None)
    assert "parts.py:5:12: error X101" in done.stderr


def test_a_script_behind_a_link_is_named_as_it_was_given(run, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "own.py").write_text(SCRIPT)
    (tmp_path / "link.py").symlink_to("sub/own.py")
    (tmp_path / "folder").symlink_to("sub")
    for name in ("link.py", "folder/own.py", "./sub/../link.py"):
        said = run(name).stderr
        assert said.count("X101") == 1
        assert f"{Path(name)}:6:1: error X101" in said


@pytest.mark.long
def test_ctrl_c_reports_and_ends_as_python_does(tmp_path):
    code = SCRIPT + "import time\nprint('ready', flush=True)\ntime.sleep(60)\n"
    (tmp_path / "train.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, "-m", "xent", "audit", "run", "train.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    while "ready" not in process.stdout.readline():
        pass
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in err
    assert "X101 double-softmax" in err


BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "first", "name"),
    [("README.md", "nn.Softmax", "train.py"), ("docs/audit.md", "DataLoader(Tensor", "test.py")],
)
def test_what_a_page_shows_is_what_is_said(page, first, name, tmp_path, monkeypatch):
    blocks = BLOCK.findall((ROOT / page).read_text())
    at = next(i for i, (kind, text) in enumerate(blocks) if kind == "sh" and first in text)
    written, command = blocks[at][1].splitlines()
    monkeypatch.chdir(tmp_path)
    subprocess.run(written, shell=True, check=True)
    assert (tmp_path / name).exists()
    done = CliRunner().invoke(app, shlex.split(command)[1:])
    said = " ".join(done.stdout.split())
    if page == "README.md":  # a picture, whose text is what is said
        (shown,) = re.findall(r'alt="xent audit train.py: ([^"]*)"', (ROOT / page).read_text())
        assert all(part.strip(" .") in said for part in shown.split("fix:")), said
    else:
        assert blocks[at + 1][1] in (done.stdout, done.stderr)


def test_the_hook_is_the_command():
    yaml = pytest.importorskip("yaml")

    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"] == "xent audit"
    for kind, text in BLOCK.findall((ROOT / "docs" / "audit.md").read_text()):
        if kind == "yaml":
            assert "xent audit" in str(yaml.safe_load(text))
