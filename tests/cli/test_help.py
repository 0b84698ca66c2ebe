"""What a stranger reads first: help, examples, versions, and what the Tab key offers."""

import os
import re
import shlex
import subprocess
import sys
from importlib import import_module

import pytest
import typer

from test_house import SRC
from xent import cli
from xent.cli import _help

ROOT = SRC.parent.parent
TREE = cli.command()
LEAVES = [c for c in _help.commands(TREE) if not getattr(c, "commands", None)]


def paths(group, before=()):
    for name, command in group.commands.items():
        below = getattr(command, "commands", None)
        yield from paths(command, (*before, name)) if below else [(*before, name)]


def test_every_command_has_an_example_that_it_takes():
    """The line `Example: xent ...` of a docstring parses: its options are there, with their kinds."""
    assert len(LEAVES) > 18
    for command in LEAVES:
        examples = _help.EXAMPLE.findall(command.help or "")
        assert examples, f"the docstring of `{command.name}` needs a line `Example: xent ...`"
        for example in examples:
            assert examples[0] in TREE.epilog
            words, at = shlex.split(example)[1:], TREE
            while getattr(at, "commands", None):
                at = at.commands[words.pop(0) if words[0] in at.commands else "files"]
            assert at is command, example
            with at.make_context(command.name, words):
                pass


def parameters():
    for command in (TREE, *_help.commands(TREE)):
        for param in command.get_params(command.context_class(command)):
            yield command.name, param


def test_every_line_of_help_is_a_sentence():
    for command, param in parameters():
        said = param.help or ""
        assert re.match(r"\[?[A-Za-z]", said), (command, param.name, "needs help")
        assert said.endswith((".", "...")), (command, param.name, said)
        assert len(said) > 15, (command, param.name, said)


def test_flags_are_shown_without_a_value():
    flags = [param for _, param in parameters() if getattr(param, "is_flag", False)]
    assert len(flags) > 20
    assert {param.metavar for param in flags} == {""}


# An option that takes one of some words, of one command where others have it too; and where the
# library keeps the words that it takes.
WORDS = {
    "files --format": lambda: import_module("xent.audit._formats").REPORT_FORMATS,
    "--score": lambda: import_module("xent.measures.tables._rank_column").SCORES,
    "--tree": lambda: import_module("xent.cli._trees._options").TREES,
    "--pruning": lambda: [how or "none" for how in import_module("xent.trees").TreeClassifier._prunings],
    "train --optimizer": lambda: import_module("xent.training._fit.plan").OPTIMIZERS,
    "--unknown": lambda: import_module("xent.language._model").UNKNOWNS,
    "--unit": lambda: import_module("xent.language._lines._text").TOKEN_UNITS,
    "--interval": lambda: import_module("xent.evaluation._compare._records").INTERVALS,
    "--pairs": lambda: import_module("xent.evaluation._compare._compare").PAIRS,
    "--first": lambda: import_module("xent.evaluation._kinds._token_report").FIRST_TOKEN,
    "--errors": lambda: import_module("xent.language._lines._text").ERROR_POLICIES,
}  # fmt: skip


@pytest.mark.parametrize("option", WORDS)
def test_what_is_offered_is_what_is_taken(option):
    accepted = sorted(WORDS[option]())
    *command, option = option.split()
    found = [(name, p) for name, p in parameters() if option in p.opts and command in ([], [name])]
    assert found
    for name, param in found:
        context = typer.Context(typer.main.get_command(cli.app))
        offered = [item.value for item in param.shell_complete(context, "")]
        assert sorted(offered) == accepted, (
            f"`{option}` of `xent {name}` takes {accepted}: give it autocompletion=one_of(...) with "
            "these words, or, if it means something else, another name"
        )


def test_the_tab_key_completes_commands_and_choices(tmp_path):
    def offered(line):
        asked = {"_XENT_COMPLETE": "complete_bash", "COMP_WORDS": line,
                 "COMP_CWORD": str(len(line.split(" ")) - 1)}  # fmt: skip
        code = "import sys; sys.argv[0] = 'xent'; from xent.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **asked},
                              cwd=tmp_path, capture_output=True, text=True)  # fmt: skip
        return done.stdout.split()

    assert "evaluate" in offered("xent ev")
    assert offered("xent rank t.csv --score info") == ["information_gain"]
    assert offered("xent audit rule X10")[0] == "X101"


def test_version_names_what_xent_stands_on():
    lines = _help.versions().splitlines()
    assert re.fullmatch(r"xent \d+\.\d+\.\d+\S*", lines[0])
    assert lines[1].startswith("Python 3.")
    assert {"numpy", "scipy", "numba", "llvmlite"} <= set(re.findall(r"([\w-]+) \d", lines[2]))


def test_compiled_code_can_be_removed(tmp_path):
    code = "from xent.cli import main; main()"
    kept = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept")}
    folder = tmp_path / "kept" / "distributions_0"
    folder.mkdir(parents=True)
    (folder / "xent._kernels.a.cpython-311.0.1.nbc").write_bytes(b"12345")
    (folder / "another.nbc").write_bytes(b"1")
    from unittest import mock

    from xent._compile import kept as module

    places = (None, [str(tmp_path)])
    with mock.patch.object(module.numba_private, "home", return_value=places):
        assert module.remove(None) == (1, 5)
    assert (folder / "another.nbc").exists(), "what is not ours stays"
    done = subprocess.run([sys.executable, "-c", code, "warm-up", "--clear", "losses"], env=kept,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 2
    assert "`ROOM` must be left out with --clear" in done.stderr


def test_make_asks_for_the_python_before_it_downloads():
    said = subprocess.run(["make", "-n", "-B", "setup"], cwd=ROOT, capture_output=True, text=True)
    assert said.stdout.index("sys.version_info < (3, 11)") < said.stdout.index("pip install")
    old = subprocess.run(["make", "-s", "-B", "setup", "PYTHON=false"], cwd=ROOT,
                         capture_output=True, text=True)  # fmt: skip
    assert old.returncode
    assert "needs Python 3.11 or newer" in old.stdout
    declared = (ROOT / "pyproject.toml").read_text()
    assert 'requires-python = ">=3.11"' in declared
