"""Every command prints what is recorded: `XENT_RECORD_SCREENS=1 pytest tests/cli/screens` records.

What is recorded has been looked at once, and the figures in it are computed anew, by other means,
in the other tests of this folder.
"""

import os

import pytest

from screens import HERE, play, scenes

SCENES = scenes()


@pytest.mark.parametrize(("name", "scene"), SCENES, ids=[" ".join(names) for names in SCENES])
def test_screen(name, scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XENT_LANG", raising=False)
    lines = play(SCENES[name, scene], tmp_path)
    if os.environ.get("XENT_RECORD_SCREENS"):
        SCENES[name, scene] = lines
        parts = ["\n".join([f"== {s}", *SCENES[n, s], ""]) for n, s in SCENES if n == name]
        (HERE / f"{name}.txt").write_text("\n".join(parts), encoding="utf8")
    assert lines == SCENES[name, scene]
