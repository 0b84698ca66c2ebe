"""Text larger than memory: the same bits from spilled runs, after any interruption, in bounds."""

import io
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from language.test_shards import Here, same
from language.test_smoothing import corpus
from xent import _progress, _store
from xent.language import JelinekMercer, Katz, KneserNey, NGramModel, WittenBell
from xent.language._counting import merge as counting_merge
from xent.language._counting import runs as counting_runs
from xent.language._counting.runs import in_bytes, stretches
from xent.language._lines import _text as text_module

LINES = [" ".join(s) for s in corpus(3, 200)]
MEMORY = 12_000  # bytes; a run of about a hundred tokens

pytestmark = pytest.mark.filterwarnings("ignore:.*discount:UserWarning")


@pytest.fixture
def small(monkeypatch):
    """Make runs small and buffers tiny, so that every boundary is met."""
    monkeypatch.setattr(counting_runs, "MIN_MEMORY", 1)
    monkeypatch.setattr("xent.language._model.check_memory", lambda *a: None)
    monkeypatch.setattr(counting_merge, "BUFFER_ROWS", (3, 5))
    monkeypatch.setattr(text_module, "LINES_AT_ONCE", 7)


@pytest.fixture
def saves(monkeypatch):
    """Record what is saved."""
    names = []
    save = _store.save

    def recording(path, **rest):
        save(path, **rest)
        names.append(Path(path).name)

    monkeypatch.setattr(_store, "save", recording)
    return names


OPTIONS = [
    {"smoothing": KneserNey()},
    {"smoothing": Katz(), "unknown": "open", "vocabulary": ["a", "b", "c"]},
    {"smoothing": Katz(k=3), "unknown": "removed", "vocabulary": ["a", "b", "c"]},
    {"smoothing": WittenBell(), "unknown": "closed", "vocabulary": ["c", "a"], "min_count": 2},
    {"smoothing": JelinekMercer(), "unit": "character"},
    {"smoothing": WittenBell(), "min_count": {1: 40}},
    {"smoothing": WittenBell(), "min_count": {1: 40, 3: 2, 4: 2}, "unknown": "open"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: repr(o["smoothing"]))
def test_same_bits(options, small, saves):
    for order in (1, 2, 4):
        expected = NGramModel(order, **options).fit(LINES)
        saves.clear()
        same(expected, NGramModel(order, **options).fit(iter(LINES), memory=MEMORY))
        runs = [name for name in saves if name.startswith("run-")]
        assert len(runs) > 3
        same(expected, NGramModel(order, **options).fit(LINES, memory=10**8))
    if "min_count" in options:
        assert sum(expected.counts()) < sum(NGramModel(4, WittenBell()).fit(LINES).counts())


@pytest.fixture
def files(tmp_path):
    """Three files, the second of one line."""
    found = [tmp_path / f"{i}.txt" for i in range(3)]
    for i, lines in enumerate((LINES[:90], LINES[90:91], LINES[91:])):
        found[i].write_text("".join(f"{line} only{i}\n" for line in lines))
    return found


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: repr(o["smoothing"]))
def test_same_bits_by_an_executor(options, small, saves, files):
    for order in (1, 3):
        expected = NGramModel(order, **options).fit(files)
        saves.clear()
        found = NGramModel(order, **options).fit(files, executor=Here(), memory=MEMORY)
        same(expected, found)
        assert len([name for name in saves if name.startswith("run-")]) > 3


def test_an_executor_goes_on(small, saves, files, tmp_path):
    folder = tmp_path / "counts"

    def fit(files):
        return NGramModel(3).fit(files, executor=Here(), memory=MEMORY, folder=folder)

    first = fit(files)
    runs = sorted(folder.glob("file-*/run-*"))
    runs[2].unlink()
    runs[-1].write_bytes(runs[-1].read_bytes()[:-9])
    saves.clear()
    same(first, fit(files))
    assert saves == [runs[2].name, runs[-1].name]
    for others in ([*files[:2], files[0]], files[:2], [*files, files[0]], files[::-1]):
        with pytest.raises(ValueError, match="`folder` must hold counts of this text, got"):
            fit(others)
    with pytest.raises(TypeError, match="`text` must be paths where `executor` is given"):
        fit([["a"]])


def test_nothing_is_left(small, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    NGramModel(2).fit(LINES, memory=MEMORY)
    assert list(tmp_path.iterdir()) == []


def test_a_model_outlives_its_folder(small, tmp_path):
    folder = tmp_path / "counts"
    model = NGramModel(3).fit(LINES, memory=MEMORY, folder=folder)
    for path in folder.iterdir():
        path.write_bytes(b"")
    same(model, NGramModel(3).fit(LINES))


@given(st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=5), max_size=6), st.integers(1, 9))
def test_stretches(pieces, tokens):
    """Whole sentences, in order, no longer than asked unless one alone is."""
    streams = [
        np.array([w for size in piece for w in [1, *[7] * (size - 1)]], np.uint32)
        for piece in pieces
    ]
    found = list(stretches(iter(streams), tokens))
    everything = np.concatenate([np.empty(0, np.uint32), *streams])
    assert np.concatenate([np.empty(0, np.uint32), *(s for s, _ in found)]).tolist() == (
        everything.tolist()
    )
    assert [last for _, last in found] == [False] * (len(found) - 1) + [True] * bool(found)
    for stretch, _ in found:
        assert stretch[0] == 1
        assert len(stretch) <= tokens or (stretch == 1).sum() == 1
    for a, b in pairwise(found):  # the next sentence would not have fitted
        following = np.flatnonzero(np.append(b[0][1:] == 1, True))[0] + 1
        assert len(a[0]) + following > tokens


# ------------------------------------------------------------------ stopped and taken up again


@pytest.mark.parametrize("least", [None, {1: 40}], ids=["all", "rare"])
def test_interrupted_anywhere(least, small, tmp_path, monkeypatch):
    """Stop before and after every file; what was made is not made again."""
    settings = {"min_count": least}
    expected = NGramModel(3, **settings).fit(LINES)
    save, made = _store.save, []

    class Stopped(BaseException):
        pass

    def saving(path, **rest):
        if stop == (len(made), False):
            raise Stopped
        save(path, **rest)
        made.append(Path(path).name)
        if stop == (len(made), True):
            raise Stopped

    monkeypatch.setattr(_store, "save", saving)
    for after in (False, True):
        folder = tmp_path / f"{after}"
        made.clear()
        times = 0
        while True:
            stop = times + after, after
            try:
                model = NGramModel(3, **settings).fit(LINES, memory=MEMORY, folder=folder)
            except Stopped:
                times += 1
                continue
            break
        assert times > 5
        same(model, expected)
        assert len(made) == len(set(made)), "no run is counted twice"


def test_another_smoothing_counts_nothing(small, saves, tmp_path):
    NGramModel(3, KneserNey()).fit(LINES, memory=MEMORY, folder=tmp_path)
    saves.clear()
    model = NGramModel(3, WittenBell()).fit(LINES, memory=10 * MEMORY, folder=tmp_path)
    assert saves == []
    same(model, NGramModel(3, WittenBell()).fit(LINES))


def test_a_damaged_run_is_counted_again(small, saves, tmp_path):
    NGramModel(3, WittenBell()).fit(LINES, memory=MEMORY, folder=tmp_path)
    for number, damage in ((1, lambda b: b[:-7]), (2, lambda b: b[:-7] + b"damaged")):
        path = tmp_path / f"run-{number:05}.xent"
        path.write_bytes(damage(path.read_bytes()))
    (tmp_path / ".run-00003.xent.abcd.tmp").write_bytes(b"half")
    saves.clear()
    model = NGramModel(3, WittenBell()).fit(LINES, memory=MEMORY, folder=tmp_path)
    assert saves == ["run-00001.xent", "run-00002.xent"]
    same(model, NGramModel(3, WittenBell()).fit(LINES))
    assert not list(tmp_path.glob(".*")) + list(tmp_path.glob("merge-*"))


def test_refusals(small, tmp_path, monkeypatch):
    fit = NGramModel(3, WittenBell()).fit
    here = tmp_path / "counts"
    fit(LINES, memory=MEMORY, folder=here)
    other = "`folder` must hold counts of this text, got .* of another. Name another folder, or"
    for text in ([*LINES, "a"], LINES[:-1], LINES[:40], ["z" + LINES[0], *LINES[1:]]):
        with pytest.raises(ValueError, match=other):
            fit(text, memory=MEMORY, folder=here)
    with pytest.raises(ValueError, match=r"counts made with the same order, got .* with 2 instead"):
        NGramModel(2, WittenBell()).fit(LINES, memory=MEMORY, folder=here)
    with pytest.raises(ValueError, match=r"with the same vocabulary, got .* with another"):
        NGramModel(3, vocabulary=["a"]).fit(LINES, memory=MEMORY, folder=here)
    with pytest.raises(ValueError, match=r"`memory` must be at least 12KB, with which .* was beg"):
        fit(LINES, memory=MEMORY // 2, folder=here)
    with pytest.raises(ValueError, match="`folder` must be empty or hold the counts of an earlier"):
        fit(LINES, folder=tmp_path)
    mine = tmp_path / "merge-requests"
    mine.mkdir()
    with pytest.raises(ValueError, match="`folder` must be empty or hold the counts of an earlier"):
        fit(LINES, folder=tmp_path)
    assert sorted(tmp_path.iterdir()) == [here, mine]  # nothing of the user's, nothing of ours
    for wrong in (5, "", ["counts"]):
        with pytest.raises(TypeError, match="`folder` must be the path of a folder, got"):
            fit(LINES, folder=wrong)
    with pytest.raises(ValueError, match="`folder` must be a folder, got the file"):
        fit(LINES, folder=here / "settings.xent")
    with pytest.raises(ValueError, match="`folder` must lie in a folder that exists"):
        fit(LINES, folder=tmp_path / "no" / "where")
    with pytest.raises(ValueError, match="`text` must hold at least one line, got none"):
        fit([], memory="1GB")
    monkeypatch.undo()
    with pytest.raises(
        ValueError, match=r"`memory` must be at least 64MB, got 1MB. Counting needs"
    ):
        fit(LINES, memory="1MB")


def test_no_room_for_the_model(small, monkeypatch, tmp_path):
    monkeypatch.setattr("xent.language._model.check_memory", counting_runs.check_memory)
    said = (
        r"No model can be estimated in 12KB: its [\d,]+ n-grams and the work on them take about "
        r"[\d.]+KB. Pass as much as `memory`, .* The counts are kept in `folder`."
    )
    model = NGramModel(4, WittenBell())
    with pytest.raises(ValueError, match=said):
        model.fit(LINES, memory=MEMORY, folder=tmp_path)
    same(model.fit(LINES, memory="1GB", folder=tmp_path), NGramModel(4, WittenBell()).fit(LINES))


@pytest.mark.skipif(sys.platform == "win32", reason="no fcntl")
def test_one_process_at_a_time(small, tmp_path):
    with (
        counting_runs._locked(tmp_path),
        pytest.raises(ValueError, match="cannot be used: another process counts there"),
    ):
        NGramModel(2).fit(LINES, memory=MEMORY, folder=tmp_path)


def test_sizes():
    assert in_bytes("2GB") == 2 * 10**9
    assert in_bytes("1.5 GiB") == 3 * 2**29
    assert in_bytes("70m") == in_bytes(70_000_000) == 70 * 10**6
    for wrong in ("2 giga", "GB", "-1GB", "50%"):
        with pytest.raises(ValueError, match="`memory` must be a number of bytes, or like '2GB'"):
            in_bytes(wrong)
    with pytest.raises(TypeError, match="`memory` must be an integer"):
        in_bytes(1.5)


def test_numbers_that_do_not_fit():
    with pytest.raises(ValueError, match=r"seen more than 4 billion times. Fit on a part"):
        counting_merge._check_counts(np.array([2**32], np.uint64))


def test_a_folder_remembers_its_memory(small, saves, tmp_path):
    NGramModel(2).fit(LINES, memory=MEMORY, folder=tmp_path)
    saves.clear()
    NGramModel(2).fit(LINES, folder=tmp_path)
    assert saves == []


def test_progress(small, tmp_path, monkeypatch):
    """Every stage shows what it does and how fast, on a terminal alone and one at a time."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    text = tmp_path / "t.txt"
    text.write_text("\n".join(LINES) + "\n")
    monkeypatch.setattr(_progress, "SHOWN_AFTER", -1)
    monkeypatch.setattr(text_module, "PIECE_BYTES", 100)
    monkeypatch.setattr(sys, "stderr", Terminal())
    NGramModel(3).fit(text, memory=MEMORY)
    shown = sys.stderr.getvalue()
    for title in ("Reading t.txt", "Merging counts", "Estimating"):
        assert title in shown
    assert "B/s" in shown
    assert "n-grams/s" in shown
    reading = shown[: shown.index("Merging")]
    assert reading.count("\x1b[?25l") <= 3, "a stage within the reading shows no bar of its own"
    NGramModel(3).fit(LINES)
    assert "Counting" in sys.stderr.getvalue()
    quiet = io.StringIO()
    monkeypatch.setattr(sys, "stderr", quiet)
    NGramModel(3).fit(text, memory=MEMORY)
    assert quiet.getvalue() == ""


# ------------------------------------------------------------------ in processes of their own

CHILD = """
import os, signal, sys, warnings
warnings.simplefilter("ignore")
from xent.language import NGramModel, _model
from xent.language._counting import runs
runs.MIN_MEMORY = 1
_model.check_memory = lambda *a: None
text, folder, stop = sys.argv[1], sys.argv[2], int(sys.argv[3])
replace, done = os.replace, 0
def replacing(*names):
    global done
    done += folder in str(names[1])  # kernels are kept on disk so, too
    if done == stop:  # the file is written, and has not appeared
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*names)
os.replace = replacing
lm = NGramModel(3).fit(text, memory=2_000_000, folder=folder)
lm.save(folder + ".model")
"""


def killed(text: Path, folder: Path, stop: int, seconds: float | None = None) -> bool:
    command = [sys.executable, "-c", CHILD, str(text), str(folder), str(stop)]
    with subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}) as child:
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
    assert child.returncode in (0, -signal.SIGKILL)
    return child.returncode != 0


def many_lines(path: Path, lines: int) -> None:
    luck = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(300)])
    with open(path, "w") as file:
        for _ in range(lines):
            file.write(" ".join(words[luck.zipf(1.4, 8) % 300]) + "\n")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_kill_9(tmp_path):
    text, folder = tmp_path / "t.txt", tmp_path / "counts"
    many_lines(text, 6000)
    assert killed(text, folder, 3)
    assert any(p.name.startswith(".run-") for p in folder.iterdir()), "a half file was left"
    assert not killed(text, folder, 0)
    same(NGramModel(3).fit(text), NGramModel.load(str(folder) + ".model"))


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_kill_9_at_any_moment(tmp_path):
    text, folder = tmp_path / "t.txt", tmp_path / "counts"
    many_lines(text, 120_000)
    assert not killed(text, tmp_path / "first", 0)  # a child that compiles is not killed at it
    kills, seconds = 0, 0.5
    while killed(text, folder, 0, seconds):
        kills += 1
        seconds += 0.1  # reading again up to where it was takes longer each time
    assert kills > 3
    same(NGramModel(3).fit(text), NGramModel.load(str(folder) + ".model"))


PEAK = """
import sys, warnings
warnings.simplefilter("ignore")
from xent.language import NGramModel
from xent.language._counting import runs
def peak():
    with open("/proc/self/status") as file:  # a child's ru_maxrss begins with its parent's
        return 1024 * int(next(x for x in file if x.startswith("VmHWM")).split()[1])
runs.MIN_MEMORY = 1
model = NGramModel(3, min_count={1: int(sys.argv[3])})
model.fit(["a b c d"] * 4000, memory=2_000_000)  # kernels are loaded
before = peak()
model.fit(sys.argv[1], memory=sys.argv[2])
print(peak() - before)
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("least", [1, 9])
def test_memory_is_honoured(tmp_path, least):
    text = tmp_path / "t.txt"
    many_lines(tmp_path / "part.txt", 100_000)
    part = (tmp_path / "part.txt").read_bytes()
    with open(text, "wb") as file:
        while file.tell() < 260_000_000:
            file.write(part)
    run = [sys.executable, "-c", PEAK, str(text), "64MB", str(least)]
    done = subprocess.run(run, check=True, capture_output=True, text=True)
    assert 10_000_000 < int(done.stdout) < 64_000_000
