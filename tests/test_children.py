"""A forked child is what a fresh process would be."""

import os
from pathlib import Path

import pytest

import children

TOLD = (
    "import os, sys, warnings\n"
    "print(sys.argv[1:], os.getcwd(), os.environ.get('TOLD'), __name__, sys.stdin.read())\n"
    "print('ü', file=sys.stderr)\nwarnings.warn('doubt')\nsys.exit(7)"
)


@pytest.mark.parametrize("start", [children.python, children.fresh])
def test_arguments_folder_environment_output_and_exit_code(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "ö"
    there.mkdir()
    given = {"TOLD": "so", "PYTHONWARNINGS": "ignore"}
    done = start(TOLD, "a b", 3, cwd=there, environment=given)
    assert done.returncode == 7
    assert done.stdout == f"['a b', '3'] {there} so __main__ \n"
    assert done.stderr == "ü\n"
    assert "TOLD" not in os.environ
    done = start("import warnings; warnings.warn('doubt')", cwd=there)
    assert (done.returncode, done.stdout) == (0, "")
    assert "UserWarning: doubt" in done.stderr


def test_a_child_leaves_nothing_to_the_next(tmp_path):
    done = children.python("import sys, torch; sys.lost = torch.lost = 1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = children.python("import sys; print(hasattr(sys, 'lost'))", cwd=tmp_path)
    assert done.stdout == "False\n"
    assert children.python("raise KeyError('x')", cwd=tmp_path).returncode == 1
    done = children.python("import sys; sys.exit('a sentence')", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "a sentence\n")
    assert children.python("import os; os.kill(os.getpid(), 9)", cwd=tmp_path).returncode == -9
    assert children.xent("--version", cwd=tmp_path).stdout.startswith("xent 0.")


def test_the_files_of_each_room_come_in_turns():
    from types import SimpleNamespace

    from conftest import rooms_in_turns

    root = Path(__file__).parents[1]
    names = ["bits/a", "losses/1", "losses/1", "losses/2", "trees/3", "trees/deep/4", "test_5"]
    paths = [root / "tests" / name for name in names] + [root / "src/xent/trees/b.py"] * 2
    found = rooms_in_turns(root, [SimpleNamespace(path=path) for path in paths])
    order = [str(item.path.relative_to(root)) for item in found]
    assert order == [
        *["tests/losses/1"] * 2, "tests/trees/3", "tests/losses/2", "tests/trees/deep/4",
        "tests/bits/a", "tests/test_5", *["src/xent/trees/b.py"] * 2,
    ]  # fmt: skip
