"""Terminals that lack letters, names that are no text, streams that are closed, small memory."""

import json
import os
import sys
from xml.etree import ElementTree

import pytest

from screens import run
from xent import cli

NOT_UTF8 = os.fsdecode(b"\xff")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = ["target,p_猫,p_dog😀", "猫,0.5,0.5", "dog😀,0.25,0.75", "猫,0.75,0.25"]
    (tmp_path / "zh.csv").write_text("\n".join(lines), encoding="utf8")
    rows = [
        f"{colour},{i},{'猫😀' if i < 5 else '狗'}" for i, colour in enumerate("红红绿绿红绿红绿")
    ]
    (tmp_path / "t.csv").write_text("\n".join(["颜色,x,y", *rows]), encoding="utf8")
    (tmp_path / "a.txt").write_text("a b\nb a\n")
    return tmp_path


def test_what_gbk_lacks_is_spelt():
    code, out, err = run(["xent", "evaluate", "zh.csv"], "gbk")
    assert (code, err) == (0, b"")
    assert "  dog\\ud83d\\ude00" in out.decode("gbk")
    assert "█" in out.decode("gbk")
    code, out, _ = run(["xent", "evaluate", "zh.csv", "--json", "-"], "gbk")
    assert code == 0
    assert json.loads(out.decode("gbk"))["labels"] == ["猫", "dog😀"]
    code, _, err = run(["xent", "evaluate", "zh.csv", "--target", "😀"], "gbk")
    assert code == 2
    assert "got '\\ud83d\\ude00'" in err.decode("gbk")


def test_ascii_gets_utf8_and_latin_gets_plain_bars():
    code, out, _ = run(["xent", "rank", "t.csv", "--target", "y"], "ascii")
    assert code == 0
    assert "颜色" in out.decode()
    code, out, _ = run(["xent", "rank", "t.csv", "--target", "y"], "latin1")
    assert code == 0
    assert b"##########" in out
    assert b"\\u989c\\u8272" in out


def test_pictures_stay_pictures_and_sql_is_not_changed():
    words = ["xent", "tree", "fit", "t.csv", "--target", "y", "-o", "o.tree", "--pruning", "none"]
    assert run(words)[0] == 0
    code, out, _ = run(["xent", "tree", "show", "o.tree", "--as", "svg"], "latin1")
    assert code == 0
    assert "猫😀" in "".join(ElementTree.fromstring(out.decode("latin1")).itertext())
    code, out, err = run(["xent", "tree", "show", "o.tree", "--as", "sql"], "latin1")
    assert (code, out) == (2, b"")
    assert err.decode().endswith(
        "cannot write '\\u732b\\ud83d\\ude00'. Set PYTHONIOENCODING=utf-8.\n"
    )


def test_names_of_files_that_are_no_text(here):
    model = f"{NOT_UTF8}m.xent"
    try:
        fitted = run(["xent", "language", "fit", "a.txt", "--smoothing", "AddK(1)", "-o", model])
    except OSError:
        pytest.skip("file names are UTF-8 here")
    assert fitted[0] == 0
    assert b"written to '\\udcffm.xent'" in fitted[1]
    code, out, _ = run(["xent", "language", "evaluate", model, "a.txt", "--json"])
    assert code == 0
    assert [*json.loads(out)] == [model]
    (here / "zh.csv").rename(here / f"{NOT_UTF8}.csv")
    code, _, err = run(["xent", "evaluate", f"{NOT_UTF8}.csv"])
    assert code == 2
    assert b"`FILE` must have a name of UTF-8, or Arrow cannot open it, got '\\udcff.csv'." in err
    code, _, err = run(["xent", "rank", "t.csv", "--target", NOT_UTF8])
    assert code == 2
    assert b"`--target` must name a column of 't.csv', got '\\udcff'." in err


def test_a_closed_output_is_named(monkeypatch, capsys):
    words = ["xent", "language", "fit", "a.txt", "--smoothing", "AddK(1)", "-o", "m.xent"]
    assert run(words)[0] == 0
    monkeypatch.setattr(sys, "argv", ["xent", "language", "score", "m.xent", "a.txt"])
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "`--output` must name a file where standard output is closed" in capsys.readouterr().err


def test_no_columns_are_not_no_help(monkeypatch):
    monkeypatch.setenv("COLUMNS", "0")
    code, out, _ = run(["xent", "--help"])
    assert code == 0
    assert b"calibrate" in out


def test_a_library_without_room_is_one_sentence(monkeypatch):
    def small():
        try:
            raise OSError("libtorch_cpu.so: failed to map segment from shared object")
        except OSError as error:
            raise ImportError("torch cannot be loaded") from error

    monkeypatch.setattr(cli, "command", small)
    code, _, err = run(["xent", "demo"])
    assert code == 2
    assert err == b"There is not enough memory to load what this needs: torch cannot be loaded\n"


@pytest.mark.parametrize("action", ["ignore", "error"])
def test_doubts_are_said_whatever_is_done_with_warnings(here, action):
    (here / "d.csv").write_text("a;y\n1.234,5;x\n2.345,5;z\n")
    words = ["xent", "rank", "d.csv", "--target", "y", "--separator", ";", "--decimal", ","]
    code, _, err = run(words, doubts=action)
    assert code == 0
    assert b"has numbers with points between thousands in 2 of 2 rows of 'a'" in err


def test_a_folder_that_is_gone(here, monkeypatch):
    monkeypatch.chdir(here)
    (here / "gone").mkdir()
    os.chdir(here / "gone")
    (here / "gone").rmdir()
    for words in (["evaluate", "zh.csv"], ["rank", str(here / "t.csv"), "--target", "?"]):
        code, out, err = run(["xent", *words])
        assert (code, out) == (2, b"")
        assert err == b"The folder that this was started in is gone. Go to another one.\n"
    assert run(["xent", "rank", str(here / "t.csv"), "--target", "y"])[0] == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a file that is always full")
def test_the_exit_code_says_it_where_the_log_is_full(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["xent", "evaluate", "absent.csv"])
    full = open("/dev/full", "w", 1, encoding="utf8")  # noqa: SIM115
    monkeypatch.setattr(sys, "stderr", full)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    with pytest.raises(OSError, match="No space left"):
        full.close()
