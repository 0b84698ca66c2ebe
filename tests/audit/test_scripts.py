"""Small scripts, half of them right in unusual ways: what is marked is found, and nothing else."""

import re
from pathlib import Path

import pytest

from audit import told
from xent.audit import Config, audit
from xent.audit._catalogue import RULES

HERE = Path(__file__).parent
RECORD = HERE / "told.txt"
ROOT = HERE.parent.parent
PRELUDE = """\
import math
import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader
from tqdm import tqdm

from somewhere import Net, action, advantage, data, onehot, other, soft, target, teacher
from somewhere import test_set, tokens, train_set

train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
test_loader = DataLoader(test_set, batch_size=64)
model = Net()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

"""


def scripts():
    for file in sorted((HERE / "scripts").glob("*.txt")):  # idioms.txt: of public scripts
        for part in file.read_text().split("### ")[1:]:
            name, _, code = part.partition("\n")
            yield name, PRELUDE + code


SCRIPTS = list(scripts())


def marked(code, mark="#!"):
    lines = enumerate(code.splitlines(), 1)
    return {(n, rule) for n, line in lines for rule in re.findall(mark + r" (X\d+)", line)}


def report_of(code, folder):
    script, (code, *others) = folder / "train.py", code.split("\n#> ")
    for other in others:  # files beside the script
        name, _, text = other.partition("\n")
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    script.write_text(code)
    return audit(script, config=Config())


def found(report, *, notes=False):
    return {(f.line, f.rule) for f in report.findings if (f.level == "note") == notes}


@pytest.mark.parametrize(("name", "code"), SCRIPTS, ids=[name for name, _ in SCRIPTS])
def test_script(name, code, tmp_path):
    report = report_of(code, tmp_path)
    assert found(report) == marked(code)
    assert marked(code, r"#\?") <= found(report, notes=True)  # what is no more than a note
    told.check(RECORD, name, report, tmp_path / "train.py")


def test_what_is_recorded_is_of_a_script():
    assert told.recorded(RECORD).keys() <= {name for name, _ in SCRIPTS}
    assert len({name for name, _ in SCRIPTS}) == len(SCRIPTS)


def measured(folder):
    """Recall and precision at error and warning, by hundreds of rules."""
    rows = {}
    for number, (_, code) in enumerate(SCRIPTS):
        own = folder / str(number)  # files beside another script are not beside this one
        own.mkdir()
        wanted, got = marked(code), found(report_of(code, own))
        for _, rule in wanted | got:
            rows.setdefault(rule[:2], [0, 0, 0])
        for place in wanted:
            rows[place[1][:2]][0] += 1
            rows[place[1][:2]][1] += place in got
        for place in got:
            rows[place[1][:2]][2] += place not in wanted
    return rows


def test_recall_and_precision_are_those_of_the_page(tmp_path):
    rows = measured(tmp_path)
    seeded, hits, false = (sum(row[i] for row in rows.values()) for i in range(3))
    assert hits / seeded >= 0.95
    assert hits / (hits + false) >= 0.98
    page = (ROOT / "docs" / "audit.md").read_text()
    for hundred, (all_, hit, wrong) in sorted(rows.items()):
        assert f"| {hundred}xx | {all_} | {hit} | {wrong} |" in page
    right = sum(not marked(code, "#[!?]") for _, code in SCRIPTS)
    assert f"{len(SCRIPTS)} scripts, {right} of them right" in page


def test_half_the_scripts_are_right():
    right = sum(not marked(code, "#[!?]") for _, code in SCRIPTS)
    assert len(SCRIPTS) >= 80
    assert 0.4 < right / len(SCRIPTS) < 0.6


def test_every_static_rule_has_a_script():
    seeded = {
        rule for _, code in SCRIPTS for mark in ("#!", r"#\?") for _, rule in marked(code, mark)
    }
    elsewhere = {"X000", "X001"}  # of files and comments: test_files.py
    assert {rule.id for rule in RULES.values() if rule.static} - elsewhere <= seeded


def test_pages_are_those_of_the_catalogue():
    pages = {path.stem: path.read_text() for path in (ROOT / "docs" / "audit").glob("*.md")}
    assert pages == {rule.id: rule.page() for rule in RULES.values()}, "run `make tables`"
    page = (ROOT / "docs" / "audit.md").read_text()
    for rule in RULES.values():
        line = f"| [{rule.id}](audit/{rule.id}.md) | {rule.name} | {rule.level} |"
        assert line in page, f"docs/audit.md, 'Rules', needs a line that begins {line}"
