"""The README's commands on other people's files, with no option that a message did not name."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import strangers


@pytest.mark.parametrize("name", ["iris.data.csv", "cities.csv", "english.txt"])
def test_messages_lead_to_the_end(name):
    (story,) = strangers.told([name])
    assert story.ends == [], [step.err for step in story.steps]
    assert story.steps[-1].code == 0
    page = strangers.page_of([story])
    assert all(strangers.escape(step.line) in page for step in story.steps)


def test_advice_is_read_from_messages():
    said = "... because of '?'. If '?' means a missing value, pass --na '?'. If its decimals are commas, pass --decimal ','."
    assert strangers.advised(said, []) == ["--na", "?", "--decimal", ","]
    assert strangers.advised(said, ["--na", "?", "--decimal", ","]) == []
    assert strangers.advised("If it is no header, pass --no-header.", []) == ["--no-header"]
    assert strangers.advised("for two classes, pass --positive CLASS.", []) == []


def test_a_crash_is_told(monkeypatch):
    def broken():
        raise KeyError("x")

    monkeypatch.setattr(strangers, "main", broken)
    step = strangers.typed(["rank", "x.csv"])
    assert step.crashed
    assert "KeyError" in step.err
