"""Commands run in this process and in a folder of their own: a child would load PyTorch each time."""

import sys
import warnings

import pytest

from xent import cli


@pytest.fixture
def xent(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder; give its exit code, and what it wrote to stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(line):
        monkeypatch.setattr(sys, "argv", ["xent", *line.split()])
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            with pytest.raises(SystemExit) as stop:
                cli.main()
        found = capsys.readouterr()
        return stop.value.code or 0, found.out, found.err

    return run
