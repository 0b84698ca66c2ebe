"""Which folders, files, cells and settings are read: links, other tools' folders, odd writings."""

import gc
import json
import os
import threading

import pytest

from xent.audit import Config, audit
from xent.audit._audit import without_baseline
from xent.audit._config import from_table, load
from xent.audit._formats import REPORT_FORMATS
from xent.audit._source import read

WRONG = "import torch.nn.functional as F\nloss = F.nll_loss(F.softmax(z, dim=1), y)"


def notebook(*cells, **metadata):
    made = [{"cell_type": "code", "source": text} for text in cells]
    return json.dumps({"cells": made, "metadata": metadata, "nbformat": 4})


def found(*paths, config=None):
    return [(one.path, one.rule) for one in audit(*paths, config=config or Config()).findings]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, *names, text=WRONG):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


# ------------------------------------------------------------------ links


def test_a_link_out_of_a_folder_is_judged_by_where_it_stands(here):
    """What it points to lies beyond the folder's own .gitignore and `exclude`."""
    write(here, "out/real.py", "in/own.py")
    (here / "in" / ".gitignore").write_text("old.py\n")
    for name in ("linked", "old", "left"):
        (here / "in" / f"{name}.py").symlink_to("../out/real.py")
    (here / "in" / "gone.py").symlink_to("nowhere.py")
    (here / "in" / "again").symlink_to("../in")  # a circle
    config = Config(exclude=("in/left.py",))
    assert found("in", config=config) == [("in/linked.py", "X106"), ("in/own.py", "X106")]


@pytest.mark.parametrize("absolute", [False, True])
def test_a_folder_may_be_named_in_any_way(here, absolute):
    """Patterns are of the folder itself, and of where one stands."""
    write(here, "real/a.py", "real/b.py", "real/c.py")
    (here / "real" / ".gitignore").write_text("/b.py\n")
    (here / "link").symlink_to("real")
    for name in ("real", "link"):
        folder = here / name if absolute else name
        assert found(folder, config=Config(exclude=("real/c.py",))) == [(f"{folder}/a.py", "X106")]
    # what is named by hand is read
    assert found("real/c.py", config=Config(exclude=("real/c.py",))) == [("real/c.py", "X106")]


def test_a_file_is_read_once_however_it_is_named(here):
    write(here, "a.py")
    assert audit(here / "a.py", "a.py", ".").sites == 1
    assert found("a.py", here / "a.py", ".") == [("a.py", "X106")]


# ------------------------------------------------------------------ folders


@pytest.mark.parametrize(
    "name",
    [
        "__pycache__", "node_modules", "lib/site-packages", ".ipynb_checkpoints", ".git", ".hg", ".tox",
        ".nox", ".venv", ".eggs", ".mypy_cache", ".ruff_cache", ".pytest_cache",
    ],
)  # fmt: skip
def test_what_tools_keep_beside_the_code_is_not_read(here, name):
    write(here, "a.py", f"{name}/b.py", "c.pyw", "d.txt")
    assert found(".") == [("a.py", "X106")]


def test_a_gitignore_above_counts_within_a_repository_alone(here):
    write(here, "top/sub/a.py", "top/sub/b.py")
    (here / ".gitignore").write_text("b.py\n")
    both = [("top/sub/a.py", "X106"), ("top/sub/b.py", "X106")]
    assert found("top/sub") == both
    (here / ".git").mkdir()
    assert found("top/sub") == both[:1]
    (here / "top" / "sub" / ".git").mkdir()  # a repository within one
    assert found("top/sub") == both


def test_a_gitignore_that_is_odd(here):
    write(here, "a.py", "b.py", "sub/b.py")
    (here / ".gitignore").write_bytes(b"# \xe9\nb.py\n")
    (here / "sub" / ".gitignore").mkdir()
    assert found(".") == [("a.py", "X106")]


def test_what_is_not_followed_is_told_in_the_order_of_names(here):
    names = [f"{letter}.py" for letter in "hbgdfaec"]
    code = "from library import make\ncriterion = make()\ncriterion(model(x), y).backward()\n"
    write(here, *names, text=code)
    told = [said.partition("(")[2][:4] for said in audit(".").not_followed]
    assert told == sorted(names)


# ------------------------------------------------------------------ settings


def test_settings_of_a_folder_above_where_one_stands(here, monkeypatch):
    write(here, "deep/a.py")
    (here / "pyproject.toml").write_text('[tool.xent.audit]\nignore = ["X1"]\n')
    monkeypatch.chdir(here / "deep")
    assert not audit("a.py").findings
    assert not audit(".").findings
    (here / "deep" / "pyproject.toml").write_text("[tool.xent.audit]\n")  # as usual, it says
    assert len(audit("a.py").findings) == 1


def test_settings_are_those_of_the_first_path(here):
    write(here, "one/a.py", "two/b.py")
    write(here, "one/pyproject.toml", text='[tool.xent.audit]\nignore = ["X1"]\n')
    assert not audit("one/a.py", "two").findings
    assert not audit("one", "two").findings
    assert len(audit("two", "one").findings) == 2


@pytest.mark.parametrize("raw", [b"[tool", b"# \xe9\n"])
def test_settings_that_cannot_be_read(here, raw):
    (here / "pyproject.toml").write_bytes(raw)
    with pytest.raises(ValueError, match=r"pyproject\.toml cannot be read"):
        load(here)


def test_a_level_of_many_rules():
    """As everywhere, X4 stands for all that begin so; what says more decides."""
    for table in ({"X4": "note", "X402": "error"}, {"X402": "error", "X4": "note"}):
        levels = from_table({"levels": table}).levels
        assert (levels["X402"], levels["X403"], levels.get("X101")) == ("error", "note", None)


def test_a_level_of_many_rules_is_told(here):
    write(here, "a.py")
    (here / "pyproject.toml").write_text('[tool.xent.audit]\nlevels = {X1 = "note"}\n')
    assert [one.level for one in audit("a.py").findings] == ["note"]


def test_every_word_that_a_setting_may_be():
    for word in ("note", "warning", "error", "never"):
        assert from_table({"fail-on": word}).fail_on == word
    for word in ("mean", "sum", "none"):
        assert from_table({"criteria": {"a": word}}).criteria == {"a": word}
    assert from_table({"sizes": {"a": 1}}).sizes == {"a": 1}
    assert from_table({"exclude": ["a"]}).exclude == ("a",)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"ignore": [""]}, "`ignore` must name rules, such as X402 or X4, got ''. `xent audit rule` lists them."),
        ({"select": ["X9"]}, "`select` must name rules, such as X402 or X4, got 'X9'. `xent audit rule` lists them."),
        ({"levels": {"X9": "note"}}, "`levels` must name rules, such as X402 or X4, got 'X9'. `xent audit rule` lists them."),
        ({"Select": []}, "`tool.xent.audit` must be 'select', 'ignore', 'levels', 'exclude', 'fail-on', 'sizes' or 'criteria', got 'Select'. Did you mean 'select'?"),
        ({"exclude": [3]}, "`exclude` must be a list of texts, got [3]."),
    ],
)  # fmt: skip
def test_what_a_setting_that_cannot_be_is_told(table, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        from_table(table)
    assert str(caught.value) == sentence


def test_rules_of_files_and_comments_are_chosen_too():
    assert [r for r in ("X000", "X001") if Config(select=("X4",)).wants(r)] == ["X000"]
    assert Config(select=("X4",)).but(select=()).wants("X101")


# ------------------------------------------------------------------ scripts


@pytest.mark.parametrize(
    "comment", ["#xent:ignore[X106]", "#  xent:  ignore[ X106 ]", "# why # xent: ignore [X9]"]
)
def test_a_comment_may_be_written_in_many_ways(here, comment):
    write(here, "a.py", text=f"{WRONG}  {comment}\n")
    assert not found("a.py")


def test_a_comment_for_a_file_is_none_for_its_line(here):
    write(here, "a.py", text=f"{WRONG}  #xent:ignore-file[X101]\n")
    assert found("a.py") == [("a.py", "X106")]
    write(here, "a.py", text=f"{WRONG}  #xent:  ignore-file[X106]\n")
    assert not found("a.py")


def test_what_python_says_of_a_script_is_not_repeated(here, recwarn):
    write(here, "a.py", text="pattern = '\\d'\nassert (z, 'always')\n" + WRONG)
    assert found("a.py") == [("a.py", "X106")]
    assert not recwarn.list


def test_lines_are_those_of_python(here):
    """A form feed and U+2028 end none; the comment is of the line that Python counts."""
    write(here, "a.py", text=f"import os\n\f\nx = 'a\u2028b\x0b'\n{WRONG}  # xent: ignore[X106]\n")
    assert not found("a.py")
    (here / "b.ipynb").write_text(notebook(f"\f\nx = 'a\u2028b\x0b'\r\n{WRONG}\r\n", WRONG))
    places = [(one.cell, one.line, one.column) for one in audit("b.ipynb").findings]
    assert places == [(1, 4, 8), (2, 2, 8)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_many_ways(here, end):
    text = WRONG.replace("\nloss", "\nx = '漢字'; loss").replace("\n", end)
    (here / "a.py").write_bytes(text.encode())
    (one,) = audit("a.py").findings
    assert (one.line, one.column) == (2, 18)


def test_a_reason_with_a_full_stop_of_its_own_has_one(here):
    write(here, "a.py", text="x = " + "1" * 5000)
    (one,) = audit("a.py").findings
    assert "limit (4300" in one.message
    assert not one.message.endswith(".")


def test_a_script_says_its_encoding(here):
    (here / "a.py").write_bytes(b"# coding: latin-1\nx = '\xe9'; " + WRONG.encode())
    assert found("a.py") == [("a.py", "X106")]


def test_a_file_that_is_gone_when_it_is_read(here):
    ((line, column, reason),) = read(here / "a.py", "a.py").broken
    assert (line, column) == (1, 1)
    assert "No such file" in reason


def test_print_of_python_2_is_named(here):
    write(here, "a.py", text="print 'loss'\n")
    (one,) = audit("a.py").findings
    assert one.message.endswith("(Python 2?)")


@pytest.mark.parametrize(
    "line",
    [
        "F.kl_div(q, p)",
        "torch.log(torch.sigmoid(q))",
        "torch.log(torch.softmax(q, 1))",
        "make_Criterion()(m(x), y).backward()",
        "m.train(), make(m(x), y).backward()",
        "m.eval(), make(m(x), y).backward()",
    ],
)
def test_one_word_that_speaks_of_losses_is_enough(here, line):
    """Of a script with none of them nothing is told."""
    start = "import torch\nfrom torch.nn import functional as F\nfrom library import *\n"
    for script, told in ((line, True), ("make(m(x), y).backward()", False)):
        write(here, "a.py", text=start + script)
        report = audit("a.py")
        assert bool(report.findings or report.not_followed) == told


# ------------------------------------------------------------------ notebooks


@pytest.mark.parametrize("bad", ["x = '''abc", "if 1:\n        a\n    b", "x = (1", "print 'it"])
def test_comments_behind_a_broken_cell_count(here, bad):
    (here / "a.ipynb").write_text(notebook(bad, WRONG + "  # xent: ignore[X106]"))
    assert found("a.ipynb") == [("a.ipynb", "X000")]
    (here / "a.ipynb").write_text(notebook(bad, "# xent: ignore-file[X106]", WRONG))
    assert found("a.ipynb") == [("a.ipynb", "X000")]


@pytest.mark.parametrize(
    ("metadata", "read"),
    [
        ({"kernelspec": {"language": "Python"}}, True),
        ({"kernelspec": {"name": "python3"}, "language_info": {"name": "ipython"}}, True),
        ({"kernelspec": None, "language_info": None}, True),
        ({"kernelspec": {"name": "x"}, "language_info": {"name": "julia"}}, False),
        ({"language_info": {"name": "R"}}, False),
    ],
)
def test_the_language_of_a_notebook(here, metadata, read):
    (here / "a.ipynb").write_text(notebook(WRONG, **metadata))
    assert found("a.ipynb") == [("a.ipynb", "X106" if read else "X000")]


def test_a_notebook_with_a_mark_and_without_metadata(here):
    text = json.dumps({"cells": [{"cell_type": "code", "source": WRONG}], "metadata": None})
    (here / "a.ipynb").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert found("a.ipynb") == [("a.ipynb", "X106")]


def test_magics_stand_where_statements_do(here):
    """A block of magics alone is still a block, and a name that one gives is given."""
    cell = f"try:\n    !ls\nexcept OSError:\n    %cd ..\nfiles = !ls\nfiles\n{WRONG}"
    (here / "a.ipynb").write_text(notebook(cell))
    (one,) = audit("a.ipynb").findings
    assert (one.rule, one.line) == ("X106", 8)


def test_what_a_magic_gives_is_no_longer_what_the_name_was(here):
    lines = ["import torch.nn.functional as F", "p = F.softmax(z, dim=1)", "F.nll_loss(p, y)"]
    (here / "a.ipynb").write_text(notebook("\n".join(lines)))
    assert found("a.ipynb") == [("a.ipynb", "X106")]
    (here / "a.ipynb").write_text(notebook("\n".join([*lines[:2], "p = %run other.py", lines[2]])))
    assert not found("a.ipynb")


def test_a_notebook_that_nests_without_end(here):
    write(here, "a.ipynb", text="[" * 100_000)
    assert found("a.ipynb") == [("a.ipynb", "X000")]


def test_pictures_do_not_count_as_code(here):
    cells = [{"cell_type": "code", "source": WRONG, "outputs": ["x" * (2 << 20)]}]
    (here / "a.ipynb").write_text(json.dumps({"cells": cells}))
    assert found("a.ipynb") == [("a.ipynb", "X106")]


# ------------------------------------------------------------------ many files


def test_sites_and_what_is_not_followed_are_those_of_all_files(here):
    code = "from library import make\ncriterion = make()\ncriterion(model(x), y).backward()\n"
    write(here, "a.py", "c.py", text=f"{WRONG}\n{code}")
    report = audit(".")
    assert (len(report.findings), report.sites, len(report.not_followed)) == (2, 2, 2)


def test_idle_comments_are_told_of_the_files_that_are_given(here):
    write(here, "heads.py", text="def head(z):\n    return z.softmax(1)  # xent: ignore[X402]\n")
    call = "from heads import head\nimport torch.nn.functional as F\nF.nll_loss(head(z), y)\n"
    write(here, "train.py", text=call)
    assert found("train.py") == [("train.py", "X106")]
    assert found("heads.py", "train.py") == [("heads.py", "X001"), ("train.py", "X106")]


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_is_left_as_it_was(here, on):
    write(here, "a.py")
    before = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        audit("a.py")
        assert gc.isenabled() == on
    finally:
        (gc.enable if before else gc.disable)()


@pytest.mark.parametrize("text", ["[]", "3", '{"findings": [3]}', '{"findings": 3}'])
def test_a_baseline_that_is_none(here, text):
    write(here, "a.py")
    write(here, "before.json", text=text)
    with pytest.raises(ValueError, match="`--baseline` must be a JSON report of xent audit"):
        without_baseline(audit("a.py"), here / "before.json")


def test_a_baseline_may_come_from_a_pipe(here):
    """Of `--baseline <(command)`, a file that is no regular one."""
    write(here, "a.py")
    report = audit("a.py")
    os.mkfifo(here / "pipe")
    text = REPORT_FORMATS["json"](report, False)
    writer = threading.Thread(target=(here / "pipe").write_text, args=(text,), daemon=True)
    writer.start()
    assert not without_baseline(report, here / "pipe").findings
    writer.join()
