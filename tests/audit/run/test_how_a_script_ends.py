"""How a script begins and ends under a run: its hooks, its errors, its children, PyTorch's load."""

import os
import sys
import warnings
from importlib.machinery import SourceFileLoader

import pytest

from xent.audit import Config
from xent.audit._run import patches, program
from xent.audit._run.observer import Observer


def ran(code, folder):
    (script := folder / "train.py").write_text(code)
    return program.run(script, [], Config())


def test_a_hook_of_the_script_tells_its_error(tmp_path, capsys):
    hook = sys.excepthook
    done = ran(
        "import sys\n"
        "def tell(kind, error, trace):\n"
        "    print(kind.__name__, error, trace.tb_lineno)\n"
        "sys.excepthook = tell\n"
        "raise ValueError('no more')\n",
        tmp_path,
    )
    assert (done.code, done.interrupted) == (1, False)
    assert capsys.readouterr() == ("ValueError no more 5\n", "")
    assert sys.excepthook is hook


CHAINED = """\
import torch
import torch.nn.functional as F
try:
    F.cross_entropy(torch.zeros(3, 4), torch.tensor([1, 2, 4]))
except IndexError as error:
    raise ValueError("no more"){cause}
"""


@pytest.mark.parametrize(
    ("cause", "said"),
    [("", "During handling of the above"), (" from error", "was the direct cause")],
)
def test_no_frame_of_a_watcher_stands_in_a_traceback(cause, said, tmp_path, capsys):
    done = ran(CHAINED.format(cause=cause), tmp_path)
    assert (done.code, done.interrupted) == (1, False)
    told = capsys.readouterr().err
    assert said in told
    assert "ValueError: no more" in told
    assert "line 4, in <module>" in told
    assert not any(own in told for own in program.OWN_FILES)


def test_an_interrupted_script_is_told_from_one_that_broke(tmp_path, capsys):
    done = ran("raise KeyboardInterrupt\n", tmp_path)
    assert (done.code, done.interrupted) == (130, True)
    assert "KeyboardInterrupt" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_not_watched():
    with patches.watching(observer := Observer()), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which it does not use
        child = os.fork()
        if not child:
            os._exit(int(observer.on))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert observer.on


def test_the_watchers_are_put_when_pytorch_was_loaded(tmp_path, monkeypatch):
    """A module of its name stands for it; others are found as ever, before and after it."""
    for name in ("torch", "after_it", "zoo_beside_it"):
        (tmp_path / f"{name}.py").write_text("loaded = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    real = sys.modules["torch"]
    monkeypatch.delitem(sys.modules, "torch")
    then, before = [], list(sys.meta_path)
    try:
        with program._loads(lambda: then.append(sys.modules["torch"].loaded)):
            for name in ("after_it", "zoo_beside_it"):
                assert __import__(name).loaded
            assert not then
            import torch

            assert then == [True]
            assert sys.meta_path == before
            assert type(torch.__spec__.loader) is type(torch.__loader__) is SourceFileLoader
    finally:
        sys.modules["torch"] = real
        for name in ("after_it", "zoo_beside_it"):
            sys.modules.pop(name, None)


def test_what_never_loads_pytorch_leaves_no_finder(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch")
    before = list(sys.meta_path)
    with program._loads(pytest.fail):
        assert len(sys.meta_path) == len(before) + 1
    assert sys.meta_path == before
