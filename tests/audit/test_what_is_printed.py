"""Every word of a report, in all its forms, and which files, comments and settings decide over it.

What git ignores is asked of git, what a notebook holds and a report says is written out by hand.
"""

import json
import shutil
import subprocess
from dataclasses import replace
from urllib.parse import unquote

import pytest

from xent.audit import AuditReport, Config, audit
from xent.audit._audit import without_baseline
from xent.audit._catalogue import RULES
from xent.audit._config import from_table, load
from xent.audit._finding import Finding, finding
from xent.audit._formats import REPORT_FORMATS
from xent.audit._source import read

WRONG = "import torch.nn.functional as F\nloss = F.nll_loss(F.softmax(z, dim=1), y)"
NLL = "nll_loss takes log-probabilities, but gets probabilities (softmax)"
ADVICE = "use F.cross_entropy on the logits, or F.log_softmax(logits, dim=1) in front of it"
OF_NLL = {"loss": "nll_loss", "fix": ADVICE}


def places(report):
    return [(one.rule, one.cell, one.line, one.column) for one in report.findings]


def notebook(*cells):
    made = [{"cell_type": "code", "source": text.splitlines(True)} for text in cells]
    return json.dumps({"cells": made, "nbformat": 4})


REPORT = AuditReport(
    [
        finding(
            "X106", "a b/ü#%.py", 3, 7, what="raw logits", seen="values from -2 to 3", **OF_NLL
        ),
        finding("X104", "nb.ipynb", 2, 5, cell=4, level="warning", activation="tanh", line=9,
                effect="they lie between -1 and 1"),
        finding("X001", "z.py", 12, 1, level="note", rules="X402, X501"),
    ],
    sites=1234,
    not_followed=["criterion (a.py:3)", "net (b.py:7)"],
)  # fmt: skip
CUT = REPORT.findings[1].message
LAST = "looked at 1,234 loss sites; not followed: criterion (a.py:3), net (b.py:7)"


def test_a_report_for_people_to_the_letter():
    first = [
        "a b/ü#%.py:3:7: error X106 not-log-into-nll: nll_loss takes log-probabilities, but gets "
        "raw logits",
        f"  fix: {ADVICE}",
        "  seen: values from -2 to 3",
        f"nb.ipynb:cell 4:2: warning X104 activation-on-logits: {CUT}",
        f"  fix: {REPORT.findings[1].fix}",
    ]
    note = [
        "z.py:12:1: note X001 unused-ignore: this comment silences nothing: there is no X402, X501 "
        "here",
        "  fix: delete the comment",
    ]
    assert REPORT_FORMATS["text"](REPORT, True).split("\n") == [
        *first, *note, f"3 findings; {LAST}",
    ]  # fmt: skip
    assert REPORT_FORMATS["text"](REPORT, False).split("\n") == [
        *first, "1 note not shown (--notes)", f"2 findings; {LAST}",
    ]  # fmt: skip
    assert str(REPORT) == REPORT_FORMATS["text"](REPORT, True)
    assert "tanh" in CUT
    assert "line 9" in CUT
    assert REPORT_FORMATS["text"](AuditReport(), False) == (
        "0 findings; looked at 0 loss sites; not followed: nothing"
    )


def test_the_last_line_names_twelve_that_were_not_followed():
    names = [f"criterion (f{number}.py:3)" for number in range(1013)]
    for count, end in ((12, ""), (13, " and 1 more"), (1013, " and 1,001 more")):
        said = REPORT_FORMATS["text"](AuditReport(not_followed=names[:count]), False)
        more = f"{end} (--format json lists them)" if end else ""
        assert said.endswith(f"not followed: {', '.join(names[:12])}{more}")
        assert AuditReport(not_followed=names[:count]).as_json()["not_followed"] == names[:count]


def test_a_line_that_was_not_seen_is_not_told():
    seen = finding("X104", "a.py", 1, 1, activation="ReLU", line=7, effect="none can be negative")
    not_seen = finding(
        "X104", "a.py", 1, 1, activation="ReLU", line="?", effect="none can be negative"
    )
    for known, bare in ((seen.message, not_seen.message), (seen.fix, not_seen.fix)):
        assert bare == known.replace(" at line 7", "").replace(" of line 7", "")
    assert "?" not in not_seen.message + not_seen.fix
    facts = {"floor": "none", "layers": "Dropout", "effect": "drops"}
    for rule in ("X101", "X102", "X103", "X104"):
        said = finding(rule, "a.py", 1, 1, line="?", activation="ReLU", **facts)
        assert "?" not in said.message + said.fix


def test_a_report_for_githubs_log_says_the_cell():
    """The line of a cell is not that of the file, so the cell has to stand in the words."""
    lines = REPORT_FORMATS["github"](REPORT, False).split("\n")
    assert lines[0] == (
        "::error file=a b/ü#%25.py,line=3,col=7,title=X106 not-log-into-nll::nll_loss takes "
        f"log-probabilities, but gets raw logits Fix: {ADVICE}"
    )
    assert lines[1] == (
        "::warning file=nb.ipynb,line=2,col=5,title=X104 activation-on-logits::"
        f"In cell 4: {CUT} Fix: {REPORT.findings[1].fix}".replace("%", "%25")
    )
    assert lines[2:] == ["1 note not shown (--notes)", f"2 findings; {LAST}"]


def test_sarif_by_its_own_rules():
    """SARIF 2.1.0: results point at their rule (3.27.6); a URI is a URI (RFC 3986); columns count
    what is said (3.14.17)."""
    from xent import __version__

    log = json.loads(REPORT_FORMATS["sarif"](REPORT, True))
    assert log["$schema"] == "https://json.schemastore.org/sarif-2.1.0.json"
    (run,) = log["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("xent audit", __version__)
    assert [rule["id"] for rule in driver["rules"]] == ["X001", "X104", "X106"]
    for rule in driver["rules"]:
        known = RULES[rule["id"]]
        assert rule == {
            "id": known.id,
            "name": known.name,
            "shortDescription": {"text": known.name.replace("-", " ")},
            "fullDescription": {"text": known.why.replace("\n", " ")},
            "help": {"text": known.page(), "markdown": known.page()},
            "defaultConfiguration": {"level": known.level},
        }
    assert len(run["results"]) == 3
    for result, one in zip(run["results"], REPORT.findings, strict=True):
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == one.rule
        assert result["level"] == one.level
        cell = "In cell 4: " if one.cell else ""
        assert result["message"] == {"text": f"{cell}{one.message}. Fix: {one.fix}"}
        ((place,),) = ([p["physicalLocation"] for p in result["locations"]],)
        assert place["region"] == {"startLine": one.line, "startColumn": one.column}
        uri = place["artifactLocation"]["uri"]
        assert uri.isascii()
        assert not set(uri) & set(" #?%") or uri == "a%20b/%C3%BC%23%25.py"
        assert unquote(uri) == one.path
    (run,) = json.loads(REPORT_FORMATS["sarif"](REPORT, False))["runs"]
    assert [one["ruleId"] for one in run["results"]] == ["X106", "X104"]
    assert [one["id"] for one in run["tool"]["driver"]["rules"]] == ["X104", "X106"]


def test_a_name_that_is_no_text_has_a_uri(tmp_path):
    (path := tmp_path / "b\udcff.py").write_text(WRONG)
    (run,) = json.loads(REPORT_FORMATS["sarif"](audit(path), False))["runs"]
    (place,) = run["results"][0]["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"].endswith("/b%FF.py")


def test_json_to_the_letter():
    said = json.loads(REPORT_FORMATS["json"](REPORT, False))
    assert said["sites"] == 1234
    assert said["not_followed"] == REPORT.not_followed
    assert said["findings"][1] == {
        "rule": "X104", "name": "activation-on-logits", "level": "warning", "path": "nb.ipynb",
        "line": 2, "column": 5, "cell": 4, "message": CUT, "fix": REPORT.findings[1].fix,
        "seen": None,
    }  # fmt: skip
    assert said["findings"][0]["seen"] == "values from -2 to 3"
    assert "ü" in REPORT_FORMATS["json"](REPORT, False)


# ------------------------------------------------------------------ what is left out


def test_a_baseline_forgives_as_many_as_it_has(tmp_path):
    """By file, rule and message; numbers in it may move, and each line of it forgives one."""

    def said(path, message, line=1, rule="X106"):
        return Finding(path, None, line, 1, rule, "name", "error", message, "fix")

    before = AuditReport([said("a.py", "line 3 of cell 4"), said("a.py", "line 5 of cell 4", 7)])
    file = tmp_path / "before.json"
    file.write_text(REPORT_FORMATS["json"](before, False))
    now = [
        said("a.py", "line 30 of cell 1", 99), said("a.py", "line 50 of cell 2", 100),
        said("a.py", "line 70 of cell 3", 101), said("b.py", "line 3 of cell 4"),
        said("a.py", "line 3 of file 4"), said("a.py", "line 3 of cell 4", rule="X101"),
    ]  # fmt: skip
    report = AuditReport(now, sites=5, not_followed=["x"])
    left = without_baseline(report, file)
    assert left.findings == now[2:]
    assert (left.sites, left.not_followed) == (5, ["x"])


def test_comments_in_cells_silence_their_own_line_alone(tmp_path):
    call = "loss = F.nll_loss(F.softmax(z, dim=1), y)"
    (path := tmp_path / "nb.ipynb").write_text(
        notebook("import torch.nn.functional as F\n" + call, call + "  # xent: ignore[X106]", call)
    )
    assert places(audit(path)) == [("X106", 1, 2, 8), ("X106", 3, 1, 8)]
    path.write_text(notebook("import torch\nx = 1", "loss = 1\ny = 2  # xent: ignore[X106]"))
    assert places(audit(path)) == [("X001", 2, 2, 8)]


def test_of_several_rules_in_a_comment_the_idle_ones_are_named(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(WRONG + "  # xent: ignore[X501, X402, X106, X101]\n")
    (found,) = audit(path, config=Config()).findings
    assert (found.rule, found.line, found.column) == ("X001", 2, 44)
    assert found.message == "this comment silences nothing: there is no X101, X402 here"
    path.write_text(WRONG + "  # xent: ignore[X106,X106]\n")
    assert not audit(path, config=Config()).findings
    path.write_text("import torch\nloss = 1  # xent: ignore[Y1]\nloss = 2  # xent: ignore\n")
    named, bare = audit(path, config=Config()).findings
    assert named.message == "this comment silences nothing: there is no Y1 here"
    assert bare.message == "this comment silences nothing: there is no finding here"


def test_levels_are_those_of_the_project_for_every_rule(tmp_path):
    """Also for what is told of files and comments."""
    (tmp_path / "a.py").write_text(WRONG + "\nx = 1  # xent: ignore[X402]\n")
    (tmp_path / "b.py").write_text("def f(:\n")
    usual = {"X106": "error", "X001": "warning", "X000": "warning"}
    for level in ("note", "warning", "error"):
        for rule in usual:
            config = from_table({"levels": {rule: level}})
            found = {one.rule: one.level for one in audit(tmp_path, config=config).findings}
            assert found == {**usual, rule: level}
    config = from_table({"levels": {"X106": "note", "X001": "error", "X000": "warning"}})
    found = {one.rule: one.level for one in audit(tmp_path, config=config).findings}
    assert found == {"X106": "note", "X001": "error", "X000": "warning"}


def test_settings_above_a_repository_are_not_its_own(tmp_path):
    """Whether or not it has a pyproject.toml itself."""
    within = tmp_path / "repository" / "src"
    within.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.xent.audit]\nignore = ["X1"]\n')
    assert load(within).ignore == ("X1",)
    (tmp_path / "repository" / ".git").mkdir()
    assert load(within) == Config()
    (tmp_path / "repository" / ".git").rmdir()
    (tmp_path / "repository" / ".git").write_text("gitdir: elsewhere\n")  # of a worktree
    assert load(within) == Config()
    assert load(tmp_path).ignore == ("X1",)


def test_which_rules_are_wanted():
    for select, ignore, wanted in (
        ((), (), ["X000", "X101", "X402", "X403"]), ((), ("X4",), ["X000", "X101"]),
        (("X4",), (), ["X000", "X402", "X403"]), (("X4",), ("X402",), ["X000", "X403"]),
        (("X402", "X1"), (), ["X000", "X101", "X402"]), (("X4",), ("X0",), ["X402", "X403"]),
    ):  # fmt: skip
        config = Config(select=select, ignore=ignore)
        assert [r for r in ("X000", "X101", "X402", "X403") if config.wants(r)] == wanted
    config = Config(select=("X1",), fail_on="error", exclude=("a",))
    same = config.but(select=None, ignore=None, fail_on=None)
    assert same == config
    assert config.but(fail_on="never") == replace(config, fail_on="never")


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["old"], ["a.py", "new/b.py", "new/old/c.py"]), (["old/"], ["a.py", "new/b.py", "new/old/c.py"]),
        (["old/*"], ["a.py", "new/b.py", "new/old/c.py"]), (["*/old/"], ["a.py", "new/b.py", "old/d.py"]),
        (["*.py"], []), (["a.py", "new"], ["old/d.py"]), (["?.py"], ["new/b.py", "new/old/c.py", "old/d.py"]),
    ],
)  # fmt: skip
def test_which_files_are_excluded(tmp_path, monkeypatch, patterns, left):
    monkeypatch.chdir(tmp_path)
    for name in ("a.py", "new/b.py", "new/old/c.py", "old/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(WRONG)
    report = audit(".", config=Config(exclude=tuple(patterns)))
    assert [one.path for one in report.findings] == left


FILES = ("a.py", "b.py", "sub/a.py", "sub/deep/a.py", "sub/deep/b.py", "build/a.py", "sub/build/c.py",
         "sub/build.py", "x/y/z/a.py", "old1.py", "old[1].py", "#a.py", "!a.py")  # fmt: skip


@pytest.mark.parametrize(
    ("root", "sub"),
    [
        ("a.py", ""), ("/a.py", ""), ("sub/a.py", ""), ("build/", ""), ("build", ""), ("build*", ""),
        ("**/deep", ""), ("sub/**", ""), ("sub/**/a.py", ""), ("x/**/a.py", ""), ("**/a.py", ""),
        ("*.py\n!b.py", ""), ("!b.py\n*.py", ""), ("*.py\n!sub/\n!a.py", ""), ("sub/*\n!sub/a.py", ""),
        ("old?.py", ""), ("old[0-9].py", ""), ("old[!0-9].py", ""),
        ("old\\[1\\].py", ""), ("\\#a.py", ""), ("\\!a.py", ""), ("# a.py\n\n  \nb.py   ", ""),
        ("", "a.py"), ("", "/a.py"), ("", "deep/"), ("a.py", "!a.py"), ("a.py", "!/a.py"),
        ("deep/a.py", "!deep/a.py"), ("x/*/z", ""), ("x/y", ""), ("y/z", ""), ("s?b/*.py", ""),
        ("sub/**/**/a.py", ""), ("s**b/a.py", ""), ("x/y/**/a.py", ""), ("old[^0-9].py", ""),
        ("old[]1].py", ""), ("sub[!x]a.py", ""), ("[", ""), ("a.py/", ""), ("/", ""),
    ],
)  # fmt: skip
def test_what_git_ignores_is_not_read(tmp_path, monkeypatch, root, sub):
    """As git says; a folder that is named by hand is read, whatever git says of itself."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(WRONG)
    (tmp_path / ".gitignore").write_text(root + "\n")
    (tmp_path / "sub" / ".gitignore").write_text(sub + "\n")
    git = ["git", "-c", "core.excludesFile=/dev/null", "-c", "core.quotePath=off"]
    subprocess.run([*git, "init", "-q", "."], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    given = ["ls-files", "--others", "--exclude-standard"]
    done = subprocess.run([*git, *given], cwd=tmp_path, check=True, capture_output=True, text=True)
    kept = sorted(name for name in done.stdout.splitlines() if name.endswith(".py"))
    for begin in (".", "sub", "sub/deep"):
        ignored = subprocess.run([*git, "check-ignore", "-q", begin], cwd=tmp_path).returncode == 0
        if ignored:
            continue
        report = audit(begin, config=Config())
        found = sorted(one.path for one in report.findings if one.rule == "X106")
        assert found == [name for name in kept if begin == "." or name.startswith(f"{begin}/")]


# ------------------------------------------------------------------ where a line stands


def test_older_notebooks_and_lists_of_cells(tmp_path):
    call = {"cell_type": "code", "input": WRONG.splitlines(True)}
    (path := tmp_path / "nb.ipynb").write_text(
        json.dumps(
            {"worksheets": [{"cells": [{"cell_type": "markdown"}, call]}, {"cells": [call]}]}
        )
    )
    assert places(audit(path)) == [("X106", 2, 2, 8)]
    path.write_text(json.dumps([call, {"cell_type": "raw", "source": WRONG}]))
    assert places(audit(path)) == [("X106", 1, 2, 8)]


def test_lines_of_cells_are_counted_past_what_is_not_python(tmp_path):
    call = "loss = F.nll_loss(F.softmax(z, dim=1), y)"
    cells = (
        '"""Text\n%not a magic\n!neither\n"""\nimport torch.nn.functional as F\n' + call,
        "\n\n%%bash --out x\nfor x in 1; do :; done", "%%time\n%load x\n\n" + call,
        "def f(:\n    pass", "x = 1\nx = (1\n", "'''\n%%\n\"\"\"\n%neither\n'''\n" + call,
        "files = !ls\na, b = %magic\nnp.mean?\n?x\n" + call + "\n",
    )  # fmt: skip
    (path := tmp_path / "nb.ipynb").write_text(notebook(*cells))
    assert places(audit(path)) == [
        ("X106", 1, 6, 8), ("X106", 3, 4, 8), ("X000", 4, 1, 7), ("X000", 5, 2, 5),
        ("X106", 6, 6, 8), ("X106", 7, 5, 8),
    ]  # fmt: skip
    text = read(path, "nb.ipynb").text
    assert "%not a magic" in text
    assert "\n%%\n" in text
    assert "\n%neither\n" in text


def test_columns_are_those_of_letters_in_every_kind_of_finding(tmp_path):
    path = tmp_path / "a.py"
    path.write_text('import torch\nx = "漢字"; loss = 1  # xent: ignore[X402]\n')
    assert places(audit(path, config=Config())) == [("X001", None, 2, 21)]
    path.write_text('x = "漢字"; y = = 2\n')
    (found,) = audit(path, config=Config()).findings
    with pytest.raises(SyntaxError) as caught:
        compile(path.read_text(), "a.py", "exec")
    assert (found.line, found.column) == (caught.value.lineno, caught.value.offset)


# https://ipython.readthedocs.io/en/stable/interactive/magics.html, and those of Cython, rpy2 and
# ipython-sql.
OTHER_LANGUAGES = [
    *("!", "HTML", "R", "SVG", "bash", "cmd", "cython", "file", "html", "javascript", "js"),
    *("latex", "markdown", "perl", "pypy", "python2", "ruby", "script", "sh", "sql", "svg"),
    *("sx", "system", "writefile"),
]
PYTHON = ["capture", "code_wrap", "debug", "prun", "python", "python3", "time", "timeit"]


@pytest.mark.parametrize("magic", OTHER_LANGUAGES + PYTHON)
def test_cells_of_another_language_are_not_read(tmp_path, magic):
    (path := tmp_path / "nb.ipynb").write_text(
        notebook(f"%%{magic} -x y\nthis is: no Python", WRONG)
    )
    told = [place[:3] for place in places(audit(path))]
    assert told == [("X000", 1, 2), ("X106", 2, 2)][magic in OTHER_LANGUAGES :]
