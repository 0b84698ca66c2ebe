"""Files: notebooks, broken ones, folders, comments that silence, settings, and how reports look."""

import json
from pathlib import Path

import pytest

from children import xent
from xent.audit import AuditReport, Config, audit
from xent.audit._audit import ScriptsRead, without_baseline
from xent.audit._config import from_table, load
from xent.audit._finding import Finding
from xent.audit._formats import REPORT_FORMATS

WRONG = "import torch.nn.functional as F\nloss = F.nll_loss(F.softmax(z, dim=1), y)"


def rules(report):
    return [(one.rule, one.line) for one in report.findings]


def notebook(*cells, **metadata):
    made = [{"cell_type": kind, "source": text.splitlines(True)} for kind, text in cells]
    return json.dumps({"cells": made, "metadata": metadata, "nbformat": 4})


# ------------------------------------------------------------------ notebooks


def test_notebook_in_cell_order(tmp_path):
    path = tmp_path / "nb.ipynb"
    cells = [
        ("markdown", "# Title"),
        ("code", "%matplotlib inline\nimport torch\nimport torch.nn.functional as F"),
        ("code", "%%bash\nls | wc"),
        ("code", "!pip install torch\nlogits = net(x)\np = F.softmax(logits, dim=1)\np?"),
        ("code", "%%time\nfiles = !ls\n\nloss = F.cross_entropy(p, y)"),
    ]
    path.write_text(notebook(*cells))
    (found,) = audit(path).findings
    assert (found.rule, found.cell, found.line) == ("X101", 5, 4)
    assert found.where == f"{path}:cell 5:4"
    assert "line 3 of cell 4" in found.message


def test_a_broken_cell_does_not_hide_the_others(tmp_path):
    path = tmp_path / "nb.ipynb"
    path.write_text(notebook(("code", WRONG), ("code", "print 'x'"), ("code", "import os")))
    found = audit(path).findings
    assert [(one.rule, one.cell) for one in found] == [("X106", 1), ("X000", 2)]


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"cells": 3}', '{"cells": [3]}'])
def test_not_a_notebook(tmp_path, text):
    path = tmp_path / "nb.ipynb"
    path.write_text(text)
    assert [r for r, _ in rules(audit(path))] == ([] if text == "[]" else ["X000"])


# ------------------------------------------------------------------ broken files


@pytest.mark.parametrize(
    "raw", [b"print 'loss'\n", b"def f(:\n", b"x = '\xff'\n", b"# coding: no-such\n", b"a\x00b\n"]
)
def test_what_cannot_be_read_is_said(tmp_path, raw):
    path = tmp_path / "old.py"
    path.write_bytes(raw)
    assert [r for r, _ in rules(audit(path))] == ["X000"]


@pytest.mark.parametrize("name", ["a.py", "cell.ipynb", "a.ipynb"])
def test_what_no_person_writes_is_not_parsed(tmp_path, name):
    """Six megabytes of statements took 2.5 GB: a script's code has one at most."""
    code = WRONG + "\n" + "a = 1\n" * 180_000
    path = tmp_path / name
    path.write_text(code if name == "a.py" else notebook(("code", code)))
    if name == "a.ipynb":
        path.write_text(notebook(("markdown", "x" * (51 << 20)), ("code", WRONG)))
    (found,) = audit(path, tmp_path).findings
    assert (found.rule, found.line) == ("X000", 1)
    most = "50 MB is" if name == "a.ipynb" else "1 MB is"
    assert f"at most {most} read" in found.message
    path.write_text(WRONG if name == "a.py" else notebook(("code", WRONG)))
    assert [r for r, _ in rules(audit(path))] == ["X106"]


def test_an_empty_file_a_mark_and_windows_lines(tmp_path):
    (tmp_path / "a.py").write_bytes(b"")
    (tmp_path / "b.py").write_bytes(b"\xef\xbb\xbf" + WRONG.replace("\n", "\r\n").encode())
    assert rules(audit(tmp_path)) == [("X106", 2)]


def test_deep_nesting_ends(tmp_path):
    path = tmp_path / "deep.py"
    path.write_text("loss = " + "(" * 150 + "1" + ")" * 150 + "\nx = " + "-" * 3000 + "1\n")
    audit(path)


def test_recursion_and_circles_end(tmp_path):
    (tmp_path / "a.py").write_text(
        "from b import g\ndef f(loss):\n    return g(f(loss)) + f(loss)\n"
    )
    (tmp_path / "b.py").write_text("from a import f\ndef g(loss):\n    return f(g(loss))\n")
    (tmp_path / "c.py").write_text("x = 'loss'\nwhile True:\n    x = lambda: x()\n    x()\n")
    assert rules(audit(tmp_path)) == []


# ------------------------------------------------------------------ imports


def test_names_are_resolved_by_imports_not_by_folder(tmp_path):
    net = "import torch.nn as nn\nimport torch.nn.functional as F\n"
    net += "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    net += "        self.fc = nn.Linear(3, 4)\n    def forward(self, x):\n        return "
    (tmp_path / "good.py").write_text(net + "self.fc(x)\n")
    (tmp_path / "bad.py").write_text(net + "F.softmax(self.fc(x), dim=1)\n")
    script = "import torch.nn as nn\nfrom {} import Net\n"
    script += "loss = nn.CrossEntropyLoss()(Net()(x), y)\n"
    (tmp_path / "right.py").write_text(script.format("good"))
    (tmp_path / "wrong.py").write_text(script.format("bad"))
    found = audit(tmp_path).findings
    assert [(one.rule, one.path.rpartition("/")[2]) for one in found] == [("X101", "wrong.py")]
    assert "of bad.py" in found[0].message


@pytest.mark.parametrize(
    ("above", "packages", "mark", "seen"),
    [
        (0, 0, None, True),  # beside the script
        (1, 0, None, False),  # Python does not look there
        (1, 0, "README.md", True),  # but where a project is run from above, it does
        (2, 0, "setup.py", True),
        (4, 0, ".git", True),
        (5, 0, ".git", False),  # too far
        (1, 1, None, True),  # a script in a package
        (2, 1, None, False),
        (2, 2, None, True),
        (3, 2, None, False),
    ],
)
def test_files_are_looked_for_up_to_where_a_project_begins(above, packages, mark, seen, tmp_path):
    folders = [tmp_path.joinpath(*"abcdef"[:depth]) for depth in range(7)]
    script, top = folders[6] / "train.py", folders[6 - above]
    folders[6].mkdir(parents=True)
    for folder in folders[6 : 6 - packages : -1]:
        (folder / "__init__.py").touch()
    if mark is not None:
        (top / mark).touch()
    (top / "heads.py").write_text("def head(z):\n    return z.softmax(1)\n")
    script.write_text(
        "from heads import head\nimport torch.nn.functional as F\nF.nll_loss(head(net(x)), y)\n"
    )
    assert rules(audit(script)) == ([("X106", 3)] if seen else [])


# ------------------------------------------------------------------ folders


def test_all_names_of_a_module_of_ones_own_are_known(tmp_path):
    """Those that begin with an underscore stay where they are."""
    (tmp_path / "heads.py").write_text(
        "import torch.nn.functional as F\n"
        "def head(x): return F.softmax(x, dim=1)\n"
        "def _other(x): return F.softmax(x, dim=1)\n"
    )
    lines = ["from heads import *", "import torch.nn.functional as F", "z = net(x)"]
    for call, found in (("head(z)", [("X106", 4)]), ("z", []), ("_other(z)", [])):
        path = tmp_path / "t.py"
        path.write_text("\n".join([*lines, f"loss = F.nll_loss({call}, y)"]))
        assert rules(audit(path)) == found


def test_folders_skip_what_git_ignores_and_environments(tmp_path):
    for name in ("keep", "ignored", "env/lib", "build/x", "notes"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.py").write_text(WRONG)
    (tmp_path / "notes" / "b_old.py").write_text(WRONG)
    (tmp_path / "notes" / "c_old.py").write_text(WRONG)
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / ".gitignore").write_text("ignored/\n/build\n*_old.py\n!c_old.py\n")
    seen = [one.path.removeprefix(f"{tmp_path}/") for one in audit(tmp_path).findings]
    assert seen == ["keep/a.py", "notes/a.py", "notes/c_old.py"]
    assert len(audit(tmp_path / "ignored" / "a.py").findings) == 1, "named by hand"


def test_paths_that_cannot_be(tmp_path):
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ValueError, match="`PATH` must exist"):
        audit(tmp_path / "none.py")
    with pytest.raises(ValueError, match=r"`PATH` must be a folder, a .py or an .ipynb file"):
        audit(tmp_path / "a.txt")


# ------------------------------------------------------------------ comments


def test_comments_silence(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(WRONG + "  # xent: ignore[X106]\n")
    assert rules(audit(path)) == []
    path.write_text(WRONG + "  # xent: ignore\n")
    assert rules(audit(path)) == []
    path.write_text("# xent: ignore-file[X106]\n" + WRONG)
    assert rules(audit(path)) == []
    path.write_text("# xent: ignore-file\n" + WRONG)
    assert rules(audit(path)) == []
    path.write_text("# xent: ignore-file[X101]\n" + WRONG)
    assert rules(audit(path)) == [("X106", 3)]


def test_comments_that_silence_nothing(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("loss = 1  # xent: ignore[X402, X501]\ntext = '# xent: ignore'\n")
    (found,) = audit(path).findings
    assert (found.rule, found.line) == ("X001", 1)
    assert "X402" in found.message
    assert "X501" not in found.message, "a run may see it"
    assert rules(audit(path, config=Config(ignore=("X4",)))) == []


# ------------------------------------------------------------------ settings


def test_settings(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(WRONG)
    settings = '[tool.xent.audit]\nlevels = {X106 = "note"}\nexclude = ["b/*"]\n'
    (tmp_path / "pyproject.toml").write_text(settings)
    (found,) = audit(path).findings
    assert found.level == "note"
    assert rules(audit(path, config=Config(ignore=("X1",)))) == []
    assert rules(audit(path, config=Config(select=("X4",)))) == []
    path.write_text('print "Python 2"')
    assert rules(audit(path, config=Config(select=("X4",)))) == [("X000", 1)]
    assert rules(audit(path, config=Config(ignore=("X0",)))) == []


def test_settings_are_those_of_the_nearest_folder_up_to_the_repository(tmp_path):
    within = tmp_path / "repository" / "src" / "deep"
    within.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.xent.audit]\nignore = ["X1"]\n')
    (tmp_path / "repository" / "pyproject.toml").write_text("[project]\n")
    assert load(within).ignore == ("X1",)  # the nearest that speaks of the audit
    (tmp_path / "repository" / ".git").mkdir()
    assert load(within) == Config()  # what stands above a repository is not its own
    (within.parent / "pyproject.toml").write_text('[tool.xent.audit]\nfail-on = "note"\n')
    assert load(within).fail_on == "note"
    assert load(tmp_path).ignore == ("X1",)
    (tmp_path / "repository" / "pyproject.toml").unlink()
    (within.parent / "pyproject.toml").unlink()
    assert load(within) == Config()  # nor where the repository has no pyproject.toml at all


@pytest.mark.parametrize("text", ["tool = 3", "[tool]\nxent = 3", "[tool.xent]\naudit = [1]"])
def test_settings_that_are_no_table(tmp_path, text):
    (tmp_path / ".git").mkdir()
    (tmp_path / "pyproject.toml").write_text(text)
    if "audit" in text:
        with pytest.raises(TypeError, match=r"`tool.xent.audit` must be a table, got \[1\]"):
            load(tmp_path)
    else:
        assert load(tmp_path) == Config()


@pytest.mark.parametrize(
    "magic", ["!ls \\\n  -l \\\n  -h", "%cd \\\n data", "x = !ls \\\n  -l", "x = %env \\\n  A"]
)
def test_a_magic_goes_on_after_a_backslash(tmp_path, magic):
    """As IPython's own transformer joins such lines; the lines below keep their numbers."""
    path = tmp_path / "nb.ipynb"
    path.write_text(notebook(("code", f"{magic}\n{WRONG}")))
    (found,) = audit(path).findings
    assert found.rule == "X106"
    assert found.line == magic.count("\n") + 1 + WRONG.rstrip().count("\n") + 1


def test_notebooks_that_are_none(tmp_path):
    path = tmp_path / "nb.ipynb"
    for text in ("{}", '{"worksheets": []}', "3"):
        path.write_text(text)
        (found,) = audit(path).findings
        assert (found.rule, found.message.endswith("not a notebook: it has no cells")) == (
            "X000",
            True,
        )
    path.write_text(
        notebook(("code", "x <- 1; y %>% z"), kernelspec={"language": "R", "name": "ir"})
    )
    (found,) = audit(path).findings
    assert "its cells are r, not Python" in found.message
    path.write_text(notebook(("code", WRONG), kernelspec={"language": "python"}))
    assert [rule for rule, _ in rules(audit(path))] == ["X106"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_script_in_another_encoding_says_what_to_do(tmp_path, encoding):
    (path := tmp_path / "a.py").write_bytes(("# \xe9\n" + WRONG).encode(encoding))
    (found,) = audit(path).findings
    assert found.rule == "X000"
    assert "save it as UTF-8" in found.message


def test_a_comment_for_a_rule_that_is_not_looked_for_is_not_idle(tmp_path):
    (path := tmp_path / "a.py").write_text("import torch\nloss = 1  # xent: ignore[X106, X402]\n")
    (found,) = audit(path, config=Config()).findings
    assert (found.rule, found.line, "X106, X402" in found.message) == ("X001", 2, True)
    for config in (Config(ignore=("X4",)), Config(select=("X1", "X001"))):
        (found,) = audit(path, config=config).findings
        assert ("X106" in found.message, "X402" in found.message) == (True, False)
    assert rules(audit(path, config=Config(ignore=("X4", "X1")))) == []
    assert rules(audit(path, config=Config(ignore=("X001",)))) == []


def test_sizes_and_criteria():
    config = from_table({"sizes": {"valid_set": 5000}, "criteria": {"mine": "mean"}})
    assert config.sizes == {"valid_set": 5000}
    assert config.criteria == {"mine": "mean"}


def test_sizes_make_batches_even(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(
        "import torch\nfrom data import valid_set\nmodel.eval()\ntotal = 0\n"
        "valid_loader = torch.utils.data.DataLoader(valid_set, batch_size=50)\n"
        "with torch.no_grad():\n    for x, y in valid_loader:\n        total += mine(model(x), y).item()\n"
        "print(total / len(valid_loader))\n"
    )
    config = Config(criteria={"mine": "mean"})
    assert rules(audit(path, config=config)) == [("X402", 9)]
    assert rules(audit(path, config=config.but(sizes={"valid_set": 5000}))) == []


@pytest.mark.parametrize(
    ("rows", "even"),
    [("range(100)", True), ("range(120)", False), ("range(50, 120)", False), ("rows", False)],
)
def test_a_part_of_a_data_set_is_as_long_as_its_range(tmp_path, rows, even):
    """Of a range that begins elsewhere the length is not its first number."""
    (path := tmp_path / "a.py").write_text(
        "import torch\nimport torch.nn.functional as F\nfrom torch.utils.data import DataLoader, "
        f"Subset\nfrom data import whole, rows\nloader = DataLoader(Subset(whole, {rows}), "
        "batch_size=50)\nmodel.eval()\ntotal = 0\nwith torch.no_grad():\n    for x, y in loader:\n"
        "        total += F.cross_entropy(model(x), y).item()\nprint(total / len(loader))\n"
    )
    assert rules(audit(path, config=Config())) == ([] if even else [("X402", 11)])


WINDOW = """\
import torch.nn.functional as F


def train(model, loader, optimizer):
    total, n = 0.0, {start}
    for i, (x, y) in enumerate(loader):
        n += 1
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item()
        if {every}:
            print(total / 10)
            total = 0.0
"""


@pytest.mark.parametrize(
    ("start", "every", "count"),
    [
        (0, "n % 10 == 0", None), (0, "(i + 1) % 10 == 0", None), (0, "i % 10 == 9", None),
        (0, "i % 10 == 0", "1"), (0, "i % 10 == 0 and i > 0", "10 + 1"),
    ],
)  # fmt: skip
def test_how_many_losses_are_in_the_first_window(tmp_path, start, every, count):
    """By an index or by a counter of the rounds: what it is in the first one decides."""
    (path := tmp_path / "a.py").write_text(WINDOW.format(start=start, every=every))
    found = [one for one in audit(path, config=Config()).findings if one.rule == "X403"]
    assert len(found) == (count is not None)
    for one in found:
        assert f"in the first window {count}" in one.message


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"selct": []}, "`tool.xent.audit` must be"),
        ({"select": ["Y1"]}, "`select` must name rules"),
        ({"select": "X1"}, "`select` must be a list of texts"),
        ({"levels": {"X101": "loud"}}, "must be 'note', 'warning' or 'error'"),
        ({"fail-on": "x"}, "`fail-on` must be"),
        ({"sizes": {"a": 0}}, "must be an integer of at least 1"),
        ({"criteria": {"a": "men"}}, "Did you mean 'mean'"),
        ({"sizes": 3}, "`sizes` must be a table"),
    ],
)
def test_settings_that_cannot_be(table, sentence):
    with pytest.raises((ValueError, TypeError), match=sentence):
        from_table(table)


# ------------------------------------------------------------------ reports


def report_of(tmp_path, text=WRONG):
    path = tmp_path / "train.py"
    path.write_text(text)
    return audit(path)


def test_text(tmp_path):
    lines = REPORT_FORMATS["text"](report_of(tmp_path), False).splitlines()
    assert lines[0].endswith(
        "train.py:2:8: error X106 not-log-into-nll: nll_loss takes log-probabilities, "
        "but gets probabilities (softmax)"
    )
    assert lines[1].startswith("  fix: use F.cross_entropy")
    assert lines[-1] == "1 finding; looked at 1 loss site; not followed: nothing"


def test_json_is_one_object_with_notes(tmp_path):
    code = "import torch.nn.functional as F\np = F.softmax(z)\n"
    report = json.loads(REPORT_FORMATS["json"](report_of(tmp_path, code), False))
    assert set(report) == {"schema", "findings", "sites", "not_followed"}
    assert report["schema"] == 1
    (found,) = report["findings"]
    keys = ["rule", "name", "level", "path", "line", "column", "cell", "message", "fix", "seen"]
    assert list(found) == keys
    assert found["level"] == "note"


def test_sarif(tmp_path):
    log = json.loads(REPORT_FORMATS["sarif"](report_of(tmp_path), False))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    (result,) = run["results"]
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert rule["id"] == result["ruleId"] == "X106"
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 2, "startColumn": 8}


def test_github(tmp_path):
    first, last = REPORT_FORMATS["github"](report_of(tmp_path), False).splitlines()
    assert last == "1 finding; looked at 1 loss site; not followed: nothing"
    assert first.startswith("::error file=")
    assert ",line=2,col=8,title=X106 not-log-into-nll::" in first


def found_at(level, path="a.py", line=1, message="m", cell=None):
    return Finding(path, cell, line, 2, "X101", "name", level, message, "f")


def test_github_by_its_own_rules():
    """What a command's property and its message must not hold is written out, each as GitHub says."""
    report = AuditReport(
        [
            found_at("error", "a,b:c%d.py", 3, "50 % of 1:2,3\nmore\rless"),
            found_at("warning"),
            found_at("note"),
        ],
        sites=1,
    )
    lines = REPORT_FORMATS["github"](report, True).splitlines()
    assert lines == [
        "::error file=a%2Cb%3Ac%25d.py,line=3,col=2,title=X101 name::"
        "50 %25 of 1:2,3%0Amore%0Dless Fix: f",
        "::warning file=a.py,line=1,col=2,title=X101 name::m Fix: f",
        "::notice file=a.py,line=1,col=2,title=X101 name::m Fix: f",
        "3 findings; looked at 1 loss site; not followed: nothing",
    ]
    *shown, hidden, last = REPORT_FORMATS["github"](report, False).splitlines()
    assert (shown, hidden) == (lines[:2], "1 note not shown (--notes)")
    assert last == "2 findings; looked at 1 loss site; not followed: nothing"


def test_levels_of_every_format():
    """The level of a finding is its own and not its rule's; at it and above it a report fails."""
    for level, fails in (
        ("note", ["note"]),
        ("warning", ["note", "warning"]),
        ("error", ["note", "warning", "error"]),
    ):
        report = AuditReport([found_at(level)])
        reached = [at for at in ("note", "warning", "error", "never") if report.reaches(at)]
        assert reached == fails
        assert f": {level} X101" in REPORT_FORMATS["text"](report, True)
        assert json.loads(REPORT_FORMATS["json"](report, False))["findings"][0]["level"] == level
        for notes in (True, False):
            (run,) = json.loads(REPORT_FORMATS["sarif"](report, notes))["runs"]
            assert [one["level"] for one in run["results"]] == [level] * (notes or level != "note")


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_findings_at_a_place_the_louder_is_kept(order):
    read = ScriptsRead()
    for level, line, cell in [("warning", 1, None), ("error", 1, None), ("note", 1, None),
                              ("note", 2, None), ("note", 1, 1)][::order]:  # fmt: skip
        read.add(found_at(level, line=line, cell=cell))
    kept = {(one.cell, one.line): one.level for one in read.found.values()}
    assert kept == {(None, 1): "error", (None, 2): "note", (1, 1): "note"}


def test_baseline(tmp_path):
    report = report_of(tmp_path)
    file = tmp_path / "before.json"
    file.write_text(REPORT_FORMATS["json"](report, False))
    assert without_baseline(report, file).findings == []
    twice = report_of(tmp_path, "\n" + WRONG + "\n" + WRONG.splitlines()[1])
    assert len(without_baseline(twice, file).findings) == 1
    for text in ("{}", "[" * 100_000):
        file.write_text(text)
        with pytest.raises(ValueError, match="`--baseline` must be a JSON report"):
            without_baseline(report, file)
    with pytest.raises(FileNotFoundError, match=r"There is no file 'none\.json'"):
        without_baseline(report, Path("none.json"))


def test_what_is_not_followed_is_said(tmp_path):
    code = "from library import make_loss\ncriterion = make_loss()\ndef step(model, criterion, x, y):\n"
    code += "    loss = criterion(model(x), y)\n    loss.backward()\n"
    report = report_of(tmp_path, code)
    assert any(said.startswith("criterion (") for said in report.not_followed)


def test_report_levels():
    assert not AuditReport().reaches("note")


# ------------------------------------------------------------------ the command


def test_command(tmp_path):
    (tmp_path / "train.py").write_text(WRONG)
    done = xent("audit", "train.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("train.py:2:8: error X106")
    assert xent("audit", "train.py", "--fail-on", "never", cwd=tmp_path).returncode == 0
    done = xent("audit", "--format", "json", "train.py", cwd=tmp_path)
    assert json.loads(done.stdout)["findings"][0]["path"] == "train.py"
    (tmp_path / "before.json").write_text(done.stdout)
    assert xent("audit", "train.py", "--baseline", "before.json", cwd=tmp_path).returncode == 0
    assert xent("audit", "train.py", "--ignore", "X106", cwd=tmp_path).returncode == 0
    assert " audit [OPTIONS] {PATH}..." in xent("audit", "--help", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none.py"], "`PATH` must exist, got 'none.py'."),
        (["--format", "xml", "."], "`--format` must be 'text', 'json', 'sarif' or 'github'"),
        (["--select", "Y", "."], "`--select` must name rules"),
        (["rule", "X999"], "`ID` must be"),
    ],
)
def test_command_refuses_with_2(tmp_path, arguments, sentence):
    done = xent("audit", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stdout == ""


def test_command_explains_rules(tmp_path):
    page = xent("audit", "rule", "x402", cwd=tmp_path).stdout
    assert page.startswith("# X402 mean-of-batch-means")
    assert "## Silent when" in page
    assert "X101  error   double-softmax" in xent("audit", "rule", cwd=tmp_path).stdout


def test_a_file_that_xent_fails_on_does_not_hide_the_others(tmp_path, monkeypatch):
    from xent.audit import _audit

    (tmp_path / "a.py").write_text(WRONG)
    (tmp_path / "b.py").write_text(WRONG)
    follow = _audit.follow

    def fails_on_a(source, sources, config, **rest):
        if source.path.name == "a.py":
            raise KeyError("x")
        return follow(source, sources, config, **rest)

    monkeypatch.setattr(_audit, "follow", fails_on_a)
    report = audit(tmp_path)
    assert [one.path.rpartition("/")[2] for one in report.findings] == ["b.py"]
    assert "a.py (xent failed: KeyError" in report.not_followed[0]


def test_lists_that_grow_while_they_are_gone_over_and_keys_that_hold_one_another_come_to_an_end(
    tmp_path,
):
    code = """
from collections import defaultdict
import torch.nn.functional as F


def grouped(stats, model):
    kinds = defaultdict(list)
    for stat in stats:
        kinds[stat.kind].append(stat)
    for one in kinds[model]:
        kinds[one.kind].append(model(order=one.order))
    names = {f: {f: kinds} for f in kinds}
    for _ in range(3):
        for key in list(names):
            names[names[key]] = {key: names, **{names: key for key in names}}
    return kinds, names


F.nll_loss(F.softmax(z, 1), grouped([1], 2))
"""
    script = tmp_path / "train.py"
    script.write_text(code)
    assert [one.rule for one in audit(script).findings] == ["X106"]


def test_columns_are_counted_in_letters_and_not_in_bytes(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(
        'import torch.nn.functional as F\nx = "éß漢"; F.nll_loss(F.softmax(z, dim=1), y)\n'
    )
    (found,) = audit(path).findings
    assert (found.rule, found.line, found.column) == ("X106", 2, 12)


def test_a_script_that_is_run_cell_by_cell_may_have_magics(tmp_path):
    path = tmp_path / "cells.py"
    path.write_text(
        "%reset -f\nimport torch.nn.functional as F\n!ls\nF.nll_loss(F.softmax(z, 1), y)\n"
    )
    (found,) = audit(path).findings
    assert (found.rule, found.line) == ("X106", 4)
    path.write_text("%reset -f\nimport torch\nprint 'old'\n")  # what is told of it as it stands
    (found,) = audit(path).findings
    assert (found.rule, found.line) == ("X000", 1)
