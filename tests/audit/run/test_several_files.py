"""Scripts of several files: a run tells at least what reading each by itself tells, if it is so."""

import re
import sys
from pathlib import Path

import pytest

from audit.run.test_run_scripts import PRELUDE, marked
from xent.audit import Config, audit
from xent.audit._run import program

HERE = Path(__file__).parent


def programs():
    for part in (HERE / "several_files.txt").read_text().split("### ")[1:]:
        name, *files = re.split(r"\n--- (?=\w+\.py\n)", part)
        codes = (each.partition("\n") for each in files)
        yield name.strip(), {file: PRELUDE + code for file, _, code in codes}


PROGRAMS = list(programs())


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """Write the files of a program, run it, and forget what it imported."""
    monkeypatch.chdir(tmp_path)

    def run(files):
        for file, code in files.items():
            (tmp_path / file).write_text(code)
            monkeypatch.delitem(sys.modules, Path(file).stem, raising=False)
        return program.run(Path("start.py"), [], Config())

    before = set(sys.modules)
    yield run
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent == tmp_path:
            del sys.modules[name]


@pytest.mark.parametrize(("name", "files"), PROGRAMS, ids=[name for name, _ in PROGRAMS])
def test_several_files(name, files, ran):
    result = ran(files)
    assert result.code == 0
    wanted = {(file, *mark) for file, code in files.items() for mark in marked(code)}
    told = [f for f in result.report.findings if f.level != "note"]
    assert {(f.path, f.line, f.rule) for f in told} == wanted
    assert "xent failed" not in " ".join(result.report.not_followed)


def test_numbers_of_a_part_are_not_given_as_those_of_the_whole(ran):
    files = dict(PROGRAMS)[
        "a penalty of another file, added to the mean of training and of validation"
    ]
    (told,) = (f for f in ran(files).report.findings if f.level != "note")
    assert told.seen == "2 batches of 8, 1 of 3"


def test_defaults_of_a_file_by_itself(ran, tmp_path):
    files = dict(PROGRAMS)["settings of the caller that are right where the defaults are not"]
    ran(files)
    assert {f.rule for f in audit(tmp_path / "fits.py").findings} == {"X101", "X401"}
