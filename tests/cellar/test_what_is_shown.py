"""What the cellar shows and writes, to the letter: progress, terminals, pages, installs, endings."""

import gzip
import html
import io
import json
import os
import re
import signal
import subprocess
import sys
import unicodedata
import warnings
from contextlib import ExitStack, suppress
from types import SimpleNamespace

import numpy as np
import pytest

from xent import _check, _lang, _leftovers, _optional, _page, _progress, _signals, _store
from xent._page import Page
from xent._terminal import (
    OBEYED,
    SPELT,
    as_typed,
    bar_of,
    cut,
    fitted,
    one_line,
    printable,
    right_in,
    width_of,
)

# ------------------------------------------------------------------ progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def bars(monkeypatch):
    """What every bar was told, on a terminal where a second passes with each look at the clock."""
    told, ticks = [], iter(range(10_000))

    class Bars:
        def __init__(self, unit):
            self.unit = unit

        def __enter__(self):
            told.append(("begin", self.unit))
            return self

        def __exit__(self, *_):
            told.append(("end", self.unit))

        def add_task(self, title, **rest):
            told.append((title, rest["total"]))
            return 7

        def update(self, task, **rest):
            told.append((task, rest["completed"], rest["rate"]))

    # Not sys.stderr itself: pytest puts its own there before each test.
    monkeypatch.setattr(_progress, "sys", SimpleNamespace(stderr=Terminal()))
    monkeypatch.setattr(_progress, "_bars", Bars)
    monkeypatch.setattr(_progress.time, "monotonic", lambda: float(next(ticks)))
    return told


def test_a_bar_says_how_far_and_how_fast(bars):
    """The clock is looked at when a stage begins, once until the bar is shown, and for each rate."""
    with _progress.stage("Reading", 3000, "rows") as done:
        done(1000)  # shown after 1 s, told at 2 s
        done(3000, "0.5 bits")  # at 3 s
    assert bars == [
        ("begin", "rows"), ("Reading", 3000), (7, 1000, "500 rows/s  "),
        (7, 3000, "1 k rows/s  0.5 bits"), ("end", "rows"),
    ]  # fmt: skip
    assert _progress._shown == []


def test_a_stage_within_a_stage_shows_no_bar_and_the_next_one_does(bars):
    with _progress.stage("Outer", None, "B") as outer:
        outer(1)
        with _progress.stage("Inner", 5, "rows") as inner:
            inner(1)
        outer(2)
    with _progress.stage("Next", 5, "rows") as after:
        after(1)
    with suppress(KeyError), _progress.stage("Fails", 5, "rows") as done:
        done(1)
        raise KeyError
    with _progress.stage("Last", 5, "rows") as done:
        done(1)
    titles = [one[0] for one in bars if isinstance(one[0], str)]
    assert titles == [
        "begin", "Outer", "end", "begin", "Next", "end", "begin", "Fails", "end", "begin", "Last",
        "end",
    ]  # fmt: skip


def test_what_is_hidden_is_shown_again_after(bars):
    with _progress.hidden(), _progress.stage("Hidden", 5, "rows") as done:
        done(1)
    with pytest.raises(KeyError), _progress.hidden():
        raise KeyError
    with _progress.stage("Off", 5, "rows", show=False) as done:
        done(1)
    assert bars == []
    with _progress.stage("Shown", 5, "rows") as done:
        done(1)
    assert bars[1] == ("Shown", 5)
    _progress.sys.stderr = io.StringIO()
    bars.clear()
    with _progress.stage("In a pipe", 5, "rows") as done:
        done(1)
    _progress.sys.stderr = None
    with _progress.stage("Closed", 5, "rows") as done:
        done(1)
    assert bars == []


def test_short_work_shows_no_bar(bars, monkeypatch):
    monkeypatch.setattr(_progress, "SHOWN_AFTER", 1.0)
    with _progress.stage("Short", 5, "rows") as done:
        done(1)  # after exactly as long as is not worth a bar
        assert bars == []
        done(2)
    assert bars[:2] == [("begin", "rows"), ("Short", 5)]


# ------------------------------------------------------------------ terminals


def test_what_a_terminal_obeys_is_written_out_and_nothing_else():
    """Unicode's categories: controls, bidirectional formats, separators of lines, surrogates."""
    bidi = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    marks = {0x61C, 0x200E, 0x200F, 0xFEFF}
    for code in range(0x3000):
        letter = chr(code)
        obeyed = (
            (unicodedata.category(letter) == "Cc" and letter not in "\t\n")
            or unicodedata.bidirectional(letter) in bidi
            or unicodedata.category(letter) in ("Zl", "Zp")
            or code in marks
        )
        assert bool(OBEYED.fullmatch(letter)) == obeyed, hex(code)
        assert (printable(letter) != letter) == obeyed
    for code in (0xD800, 0xDFFF, 0xFEFF):
        assert printable(chr(code)) == f"\\u{code:04x}"
    assert one_line("a \t b\r\n\x0bc\u2028d\x1b") == "a b c d\\x1b"
    assert as_typed("a\nb c") == "'a\\nb c'"
    assert as_typed("plain.csv") == "plain.csv"


def test_columns_of_a_terminal():
    """Wide and full letters take two columns, marks that combine none (Unicode, UAX 11)."""
    for text, width in (
        ("", 0),
        ("é", 1),
        ("e\u0301", 1),
        ("比", 2),
        ("Ａ", 2),
        ("ｱ", 1),
        ("a比", 3),
    ):
        assert width_of(text) == width
    for text, width, short in (
        ("abcd", 4, "abcd"), ("abcde", 4, "abc…"), ("比特率", 6, "比特率"), ("比特率", 5, "比特…"),
        ("比特率", 4, "比…"), ("abc", 1, "…"),
    ):  # fmt: skip
        assert cut(text, width) == short
    assert fitted("比特率", 4) == "比… "
    assert right_in("比", 4) == "  比"


def test_bars_are_drawn_to_the_nearest_eighth():
    for share, bar in (
        (0, ""), (1, "█" * 4), (1.3, "█" * 4), (-1, ""), (-0.4, ""), (-0.03, ""), (1 / 32, "▏"), (1.4 / 32, "▏"), (1.6 / 32, "▎"),
        (7 / 32, "▉"), (8 / 32, "█"), (13 / 32, "█▋"), (0.5, "██"), (31.6 / 32, "████"),
    ):  # fmt: skip
        assert bar_of(share, 4) == bar


def test_letters_that_an_encoding_lacks():
    for text, written in (
        ("é█", "\\u00e9#"), ('["█é"]', '["\\u2588\\u00e9"]'), ('{"a": "…"}', '{"a": "\\u2026"}'),
        ("<b>é█</b>", "<b>&#233;&#9608;</b>"), ("1 × 2…", "1 x 2~"), ("😀", "\\ud83d\\ude00"),
    ):  # fmt: skip
        assert text.encode("ascii", SPELT).decode() == written
    assert json.loads('["😀"]'.encode("ascii", SPELT)) == ["😀"]
    assert html.unescape("<b>é</b>".encode("ascii", SPELT).decode()) == "<b>é</b>"
    with pytest.raises(UnicodeEncodeError):
        "CASE\nWHEN 'é'".encode("ascii", SPELT)


# ------------------------------------------------------------------ sentences


def test_a_warning_stands_at_the_line_that_called(tmp_path, monkeypatch):
    """However deep in xent it is given, and where everything that called is xent's."""
    (tmp_path / "own.py").write_text(
        "def f(g):\n    return g()\n\n\ndef call():\n    from xent import _check\n\n"
        "    return f(lambda: _check.warn('doubt'))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import own

    deep = {"__name__": "xent.deep", "_check": _check}
    exec("def one():\n    two()\ndef two():\n    _check.warn('deep')\n", deep)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        own.call()
        own.f(deep["one"])
        deep["one"]()
    sys.modules.pop("own")
    own_file = str(tmp_path / "own.py")
    places = [(one.filename, one.lineno) for one in caught]
    assert places[:2] == [(own_file, 8), (own_file, 2)]
    assert places[2][0] == __file__


def test_options_are_spelt_by_the_command_within_and_without():
    with _check.spelling({"decimal": "--decimal"}):
        with _check.spelling({"na": "--na"}):
            assert (_check.typed("decimal"), _check.typed("na")) == ("--decimal", "--na")
        assert (_check.typed("decimal"), _check.typed("na")) == ("--decimal", None)
        with pytest.raises(KeyError), _check.spelling({"decimal": "--other"}):
            raise KeyError
        assert _check.typed("decimal") == "--decimal"
    assert _check.typed("decimal") is None
    for value, python, typed in (
        (True, "x=True", "--x"), (None, "x", "--x"), (1, "x=1", "--x 1"), (0, "x=0", "--x 0"),
        (False, "x=False", "--x False"), (1.0, "x=1.0", "--x 1.0"), ("", 'x=""', "--x"),
    ):  # fmt: skip
        mention = _check.setting("x", value)
        assert (str(mention).rstrip("="), mention.spelled({"x": "--x"})) == (python, typed)


def test_what_is_missing_is_installed_by_the_names_of_its_index(monkeypatch):
    """From what the package asks for; from a clone by the library's own name on the index."""
    lines = ["numpy>=1", 'torch<3,>=2 ; extra == "torch"', "safetensors>1; extra == 'torch'",
             'torchmetrics ; extra == "torchother"', 'pillow>=10; extra == "all"']  # fmt: skip
    monkeypatch.setattr("importlib.metadata.requires", lambda name: lines)
    assert _optional._install("torch", "torch") == 'pip install "torch<3,>=2" "safetensors>1"'
    assert _optional._install("PIL", "images") == 'pip install "pillow"'
    asked = []
    monkeypatch.setattr(_optional, "find_spec", asked.append)  # which finds none
    for module, title, package in (
        ("PIL", "Pillow", "pillow"), ("sklearn", "scikit-learn", "scikit-learn"),
        ("vl_convert", "vl-convert", "vl-convert-python"), ("no.part", "no.part", "no.part"),
    ):  # fmt: skip
        with pytest.raises(ImportError) as caught:
            _optional.need(module, extra="none", by="A use")
        said = f'A use needs {title}. Install it with: pip install "{package}"'
        assert str(caught.value) == said
    assert asked == ["PIL", "sklearn", "vl_convert", "no"]


def test_numbers_in_two_languages():
    for number in (0, 1, 999, 1000, 1_234_567):
        shown = f"{number:,}"
        with _lang.speaking("en"):
            assert _lang.say_count(number, "row") == f"{shown} row{'' if number == 1 else 's'}"
        with _lang.speaking("zh"):
            assert _lang.say_count(number, "row") == f"{shown} 行"
            assert _lang.say_count(number, "class") == f"{shown} 个类别"


# ------------------------------------------------------------------ pages


def page_of(tmp_path, build, lang="en"):
    pytest.importorskip("jinja2")
    page = Page("A <title>", "lead & more", "signed </script>")
    build(page)
    with _lang.speaking(lang):
        page.write(tmp_path / "p.html")
    return (tmp_path / "p.html").read_text(encoding="utf-8")


def test_a_page_says_its_language_and_escapes_all_text(tmp_path):
    hostile = "</script><script>alert(1)</script>\x1b\u202e"

    def build(page):
        page.cards([(hostile, "1", "note"), ("b", "2", hostile)])
        page.section(
            hostile, hostile, columns=[hostile, "b"], rows=[[hostile, "2"]], search=hostile
        )

    for lang, named in (("en", "en"), ("zh", "zh-CN")):
        text = page_of(tmp_path, build, lang)
        assert f'<html lang="{named}"' in text
        assert "<script>alert" not in text
        assert "A &lt;title&gt;" in text
        assert "lead &amp; more" in text
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", text)


def test_a_matrix_is_coloured_by_whole_percents(tmp_path):
    text = page_of(tmp_path, lambda page: page.section(
        "m", columns=["", "x", "y"], rows=[["a", "1", "2"], ["b", "3", "4"]],
        heat=[[0.0, 1.0], [0.256, 0.004]],
    ))  # fmt: skip
    cells = re.findall(r"<td [^>]*var\(--hot\) / (\d+)%\)\">(\d)</td>", text)
    assert cells == [("0", "1"), ("100", "2"), ("26", "3"), ("0", "4")]


def test_names_in_a_chart_cannot_close_its_script(tmp_path, monkeypatch):
    spec = {"data": "</script><b>"}
    bundle = SimpleNamespace(javascript_bundle=lambda: "a = '</SCRIPT>' < 1")
    need = _page.need
    monkeypatch.setattr(_page, "need", lambda m, **o: bundle if m == "vl_convert" else need(m, **o))
    monkeypatch.setattr(_page, "_styled", lambda chart: SimpleNamespace(to_dict=lambda: spec))
    text = page_of(tmp_path, lambda page: page.section("c", charts=[None, None]))
    assert "</script><b>" not in text
    assert "a = '<\\/SCRIPT>' < 1" in text
    (specs,) = re.findall(r'\{"chart0".*\}\}', text)
    assert json.loads(specs) == {"chart0": spec, "chart1": spec}


# ------------------------------------------------------------------ endings and files

CHILD = """
import os, signal, sys
from xent import _signals
signal.signal(signal.SIGHUP, signal.SIG_IGN)
seen = []
with _signals.heard():
    os.kill(os.getpid(), signal.SIGHUP)
    print("still here", flush=True)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except SystemExit as stop:
        print(stop.code, flush=True)
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal of POSIX")
def test_what_nohup_ignores_stays_ignored():
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("still here\n143\nTrue True\n", "")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal of POSIX")
def test_a_handler_of_the_program_is_kept(monkeypatch):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *a: heard.append(a[0]))
    try:
        with _signals.heard():
            os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_temporary_files_go_where_the_standard_library_puts_them(tmp_path, monkeypatch):
    """tempfile's order: TMPDIR, TEMP, TMP; a place that is none is passed over."""
    import tempfile

    places = {name: tmp_path / name for name in ("TMPDIR", "TEMP", "TMP")}
    for name, place in places.items():
        place.mkdir()
        monkeypatch.setenv(name, str(place))
    with ExitStack() as stack:
        for name in (*places, None):
            monkeypatch.setattr(tempfile, "tempdir", None)
            ours = _leftovers.temporary_place()
            assert str(ours) == tempfile.gettempdir()
            if name is not None:
                assert ours == places[name]
                places[name].rmdir()
                stack.callback(places[name].mkdir)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        assert _leftovers.temporary_place() == tmp_path


def test_sentences_of_the_store_to_the_letter(tmp_path):
    path = tmp_path / "a.xent"
    arrays = {"x": np.arange(3, dtype=np.int16), "y": np.ones((2, 2))}
    _store.save(path, format="xent.one", version=3, state={"k": 1}, arrays=arrays)
    from xent import __version__

    for given, sentence in (
        ({"format": "xent.two", "version": 3},
         f"`path` must be a xent.two file, got {str(path)!r}, which holds xent.one."),
        ({"format": "xent.one", "version": 2, "argument": "model"},
         f"{str(path)!r} cannot be read: it is version 3 of xent.one, written by xent "
         f"{__version__}, and this xent knows up to version 2. Read it with that version of xent, "
         "or a newer one."),
    ):  # fmt: skip
        with pytest.raises(ValueError) as caught:
            _store.load(path, **given)
        assert str(caught.value) == sentence
    for version in (3, 4):
        state, found = _store.load(path, format="xent.one", version=version)
        assert state == {"k": 1}
        assert {n: a.tolist() for n, a in found.items()} == {"x": [0, 1, 2], "y": [[1, 1], [1, 1]]}
    head = int.from_bytes(path.read_bytes()[:8], "little")
    assert head % 8 == 0  # so that what follows it is aligned
    import safetensors.numpy

    other = tmp_path / "b.safetensors"
    safetensors.numpy.save_file(arrays, other)
    with pytest.raises(ValueError, match=r"which holds something else\.$"):
        _store.load(other, format="xent.one", version=3)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_a_file_that_is_replaced_keeps_who_may_read_it(tmp_path, mode):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(mode)
    with _store.writing(path) as file:
        file.write(b"new")
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("new", mode)


def test_an_error_of_a_library_names_the_file(tmp_path):
    path = tmp_path / "a.bin"
    with pytest.raises(OSError, match="cannot be written: words of a library") as caught:  # noqa: SIM117
        with _store.writing(path):
            raise OSError("words of a library")
    assert str(caught.value) == f"{str(path)!r} cannot be written: words of a library"
    assert list(tmp_path.iterdir()) == []


def test_what_is_packed_does_not_know_the_time(tmp_path, monkeypatch):
    """The same table and the same text give the same bytes a year later."""
    import time

    from xent import _table
    from xent._table.files import compression

    written = []
    for now in (1.7e9, 1.73e9):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        path = tmp_path / "t.csv.gz"
        _table.write(path, {"a": [1, 2]})
        whole = io.BytesIO()
        with compression.writing(whole, "other.gz") as file:
            file.write(b"text")
        written.append((path.read_bytes(), whole.getvalue()))
        assert gzip.decompress(whole.getvalue()) == b"text"
    assert written[0] == written[1]
