"""Small scripts that run while they are watched: what is marked is found, and nothing else."""

import re
from pathlib import Path

import pytest

from audit import told
from xent.audit import Config
from xent.audit._catalogue import FINDING_LEVELS, RULES
from xent.audit._run import program

HERE = Path(__file__).parent
RECORD = HERE / "told.txt"
ROOT = HERE.parent.parent.parent
PRELUDE = """\
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
"""


MANY_ENDS = ("behind", "ends", "places", "rounds", "words")  # files whose scripts go many ways each


def scripts():
    for file in sorted((HERE / "scripts").glob("*.txt")):
        for part in file.read_text().split("### ")[1:]:
            name, _, code = part.partition("\n")
            yield file.stem, name, PRELUDE + code


FILES = {name: file for file, name, _ in scripts()}
SCRIPTS = [(name, code) for _, name, code in scripts()]


def marked(code, mark="#!"):
    lines = enumerate(code.splitlines(), 1)
    return {(n, rule) for n, line in lines for rule in re.findall(mark + r" (X\d+)", line)}


def report_of(code, folder):
    script = folder / "train.py"
    script.write_text(code)
    ran = program.run(script, [], Config())
    assert ran.code == 0  # a script that breaks off shows nothing
    return ran.report


def found(report, *, notes=False):
    return {(f.line, f.rule) for f in report.findings if (f.level == "note") == notes}


def cases():
    """All scripts: those of many ends run every day, and the first that shows a rule."""
    known = set()
    for name, code in SCRIPTS:
        rules = {rule for mark in ("#!", r"#\?") for _, rule in marked(code, mark)}
        daily = FILES[name] in MANY_ENDS or rules - known
        yield pytest.param(name, code, id=name, marks=() if daily else pytest.mark.grid)
        known |= rules


@pytest.mark.parametrize(("name", "code"), list(cases()))
def test_script(name, code, tmp_path, recwarn):
    report = report_of(code, tmp_path)
    assert found(report) == marked(code)
    assert marked(code, r"#\?") <= found(report, notes=True)  # what is no more than a note
    assert "X605" in code or not any(rule == "X605" for _, rule in found(report, notes=True))
    assert "xent failed" not in " ".join(report.not_followed)
    for said in re.findall(r"#= (.*)", code):
        assert said in " ".join(f.seen or "" for f in report.findings)
    told.check(RECORD, name, report, tmp_path / "train.py")


def test_what_is_recorded_is_of_a_script():
    assert told.recorded(RECORD).keys() <= {name for name, _ in SCRIPTS}
    assert len({name for name, _ in SCRIPTS}) == len(SCRIPTS)


def test_half_the_scripts_are_right():
    right = sum(not marked(code, "#[!?]") for _, code in SCRIPTS)
    assert len(SCRIPTS) >= 30
    assert 0.4 < right / len(SCRIPTS) < 0.6


def test_every_rule_of_a_run_has_a_script():
    seeded = {
        rule for _, code in SCRIPTS for mark in ("#!", r"#\?") for _, rule in marked(code, mark)
    }
    assert {rule.id for rule in RULES.values() if not rule.static} <= seeded


def test_the_page_counts_the_scripts():
    right = sum(not marked(code, "#[!?]") for _, code in SCRIPTS)
    seeded = sum(len(marked(code)) for _, code in SCRIPTS)
    page = (ROOT / "docs" / "audit.md").read_text()
    assert f"of {len(SCRIPTS)} scripts that were written for it, {right} of them right" in page
    assert f"all {seeded} seeded mistakes" in page


def test_a_run_on_a_stub_says_so(tmp_path):
    (code,) = (code for name, code in SCRIPTS if name == "batches that come out even")
    script = tmp_path / "train.py"
    script.write_text(code)
    (found,) = program.run(script, [], Config(sizes={"data": 1003})).report.findings
    assert found.rule == "X402"
    assert found.seen == "100 batches of 10, 1 of 3; in this run 3 batches of 10"


LEVELS = [
    ("training that unknown code does", "X402", "note"),
    ("evaluation that keeps the gradients", "X402", "warning"),
    ("one loop that trains and evaluates", "X402", "warning"),
    ("the model is given what it must say", "X501", "error"),
    ("a logarithm of 0", "X603", "error"),
    ("softmax of two dimensions, whose axis is guessed right", "X105", "note"),
    ("BatchNorm in evaluation", "X701", "warning"),
]


@pytest.mark.filterwarnings("ignore:Implicit dimension choice:UserWarning")
@pytest.mark.parametrize(("name", "rule", "level"), LEVELS)
def test_a_level_of_the_project_is_kept_and_others_are_those_of_the_run(
    name, rule, level, tmp_path
):
    (script := tmp_path / "train.py").write_text(dict(SCRIPTS)[name])
    told = {f.level for f in program.run(script, [], Config()).report.findings}
    assert told == {level}
    for other in FINDING_LEVELS:
        report = program.run(script, [], Config(levels={rule: other})).report
        assert {f.level for f in report.findings} == {other}
    assert not program.run(script, [], Config(ignore=(rule,))).report.findings
