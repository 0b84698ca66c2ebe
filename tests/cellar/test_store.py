"""State reaches the disk whole or not at all, and comes back as it was, or with a clear refusal."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xent import _store
from xent._leftovers import scratch_folder

ARRAYS = {
    "f8": np.array([[0.1, np.nan], [np.inf, -0.0]]),
    "f2": np.arange(3, dtype=np.float16),
    "i8": np.array([2**62, -1]),
    "u1": np.arange(256, dtype=np.uint8),
    "flag": np.array([True, False]),
    "none": np.empty((0, 3)),
    "single": np.array(7.0),
}
STATE = {"classes": ["α", "<b>", ""], "depth": 3, "nested": {"x": [1, 2.5, None]}}


def write(path, **changes):
    given = {"format": "xent.test", "version": 2, "state": STATE, "arrays": ARRAYS, **changes}
    _store.save(path, **given)


@pytest.mark.parametrize("mmap", [False, True])
def test_round_trip(tmp_path, mmap):
    write(tmp_path / "a.xent")
    state, arrays = _store.load(tmp_path / "a.xent", format="xent.test", version=2, mmap=mmap)
    assert state == STATE
    assert set(arrays) == set(ARRAYS)
    for name, expected in ARRAYS.items():
        assert arrays[name].dtype == expected.dtype
        assert arrays[name].shape == expected.shape
        assert arrays[name].tobytes() == expected.tobytes()


def test_big_endian_and_strided_arrays_keep_their_values(tmp_path):
    odd = {"be": np.arange(4, dtype=">f8"), "strided": np.arange(12).reshape(3, 4)[:, ::2]}
    write(tmp_path / "a", arrays=odd)
    _, arrays = _store.load(tmp_path / "a", format="xent.test", version=2)
    for name in odd:
        np.testing.assert_array_equal(arrays[name], odd[name])


def test_the_same_state_gives_the_same_bytes(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", arrays=dict(reversed(ARRAYS.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_safetensors_reads_the_file(tmp_path):
    from safetensors.numpy import load_file

    write(tmp_path / "a")
    np.testing.assert_array_equal(load_file(tmp_path / "a")["f8"], ARRAYS["f8"])


def test_mapped_arrays_cannot_be_written(tmp_path):
    write(tmp_path / "a")
    _, arrays = _store.load(tmp_path / "a", format="xent.test", version=2, mmap=True)
    with pytest.raises(ValueError, match="read-only"):
        arrays["i8"][0] = 1


def test_older_versions_are_read_and_newer_refused(tmp_path):
    write(tmp_path / "a", version=1)
    assert _store.load(tmp_path / "a", format="xent.test", version=2)[0] == STATE
    write(tmp_path / "b", version=3)
    with pytest.raises(
        ValueError, match=r"knows up to version 2\. Read it with that version of xent"
    ):
        _store.load(tmp_path / "b", format="xent.test", version=2)


def test_other_formats_are_refused(tmp_path):
    write(tmp_path / "a", format="xent.trees")
    with pytest.raises(ValueError, match=r"must be a xent.test file, got .* holds xent.trees"):
        _store.load(tmp_path / "a", format="xent.test", version=2)
    (tmp_path / "b").write_bytes(b"PK\x03\x04 not one of ours")
    with pytest.raises(ValueError, match=r"must be a xent\.test file"):
        _store.load(tmp_path / "b", format="xent.test", version=2)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        _store.load(tmp_path / "c", format="xent.test", version=2)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "good"
    write(path)
    return path.read_bytes()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_is_noticed(good, tmp_path_factory, data):
    """Any one bit flipped, any cut: refused with a sentence, or nothing that counts has changed."""
    path = tmp_path_factory.mktemp("bad") / "bad"
    if data.draw(st.booleans()):
        broken = good[: data.draw(st.integers(0, len(good) - 1))]
    else:
        at = data.draw(st.integers(0, len(good) - 1))
        broken = bytearray(good)
        broken[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(broken))
    try:
        state, arrays = _store.load(path, format="xent.test", version=2)
    except ValueError as error:
        assert "`path` must" in str(error) or "cannot be read" in str(error)  # noqa: PT017
    else:
        assert state == STATE
        assert all(np.array_equal(arrays[k], v, equal_nan=True) for k, v in ARRAYS.items())


def test_damage_is_noticed_in_what_is_mapped(good, tmp_path):
    """Checksums are computed of mapped arrays too."""
    broken = bytearray(good)
    broken[-3] ^= 1
    (tmp_path / "bad").write_bytes(broken)
    with pytest.raises(ValueError, match="its checksums do not match"):
        _store.load(tmp_path / "bad", format="xent.test", version=2, mmap=True)


def test_what_fails_at_the_end_is_named_by_its_own_name(tmp_path):
    """Not by that of the hidden file, of which nothing is left."""
    path = tmp_path / "a.xent"
    with pytest.raises(OSError, match=r"a\.xent") as caught, _store.writing(path) as file:  # noqa: PT012
        file.write(b"x")
        path.mkdir()
    assert caught.value.filename == str(path)
    assert ".tmp" not in str(caught.value)
    assert [left.name for left in tmp_path.iterdir()] == ["a.xent"]
    with pytest.raises(FileNotFoundError, match="other"), _store.writing(tmp_path / "b"):
        (tmp_path / "other").read_bytes()  # what is read keeps its name


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [("f8", "shape", [4, 1]), ("f8", "shape", [1, 4]), ("f8", "dtype", "I64"),
     ("u1", "dtype", "I8"), ("none", "shape", [3, 0]), ("single", "shape", [1])],
)  # fmt: skip
@pytest.mark.parametrize("mmap", [False, True])
def test_the_same_bytes_as_another_array_are_damage(good, tmp_path, name, key, value, mmap):
    """The sums know the type and the shape: no byte of the array itself has changed."""
    length = int.from_bytes(good[:8], "little")
    header = json.loads(good[8 : 8 + length])
    assert header[name][key] != value
    header[name][key] = value
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    bad = tmp_path / "bad"
    bad.write_bytes(len(head).to_bytes(8, "little") + head + good[8 + length :])
    with pytest.raises(ValueError, match="its checksums do not match"):
        _store.load(bad, format="xent.test", version=2, mmap=mmap)


@pytest.mark.parametrize("which", ["state", "checksums"])
@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "7", "{"])
def test_json_that_is_no_state_is_refused(good, tmp_path, which, text):
    """Also with true checksums: Python's parser gives up on a hundred thousand brackets."""
    length = int.from_bytes(good[:8], "little")
    header = json.loads(good[8 : 8 + length])
    metadata = header["__metadata__"]
    metadata[which] = text
    if which == "state":
        sums = {**json.loads(metadata["checksums"]), "state": zlib.crc32(text.encode())}
        metadata["checksums"] = json.dumps(sums)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    bad = tmp_path / "bad"
    bad.write_bytes(len(head).to_bytes(8, "little") + head + good[8 + length :])
    with pytest.raises(ValueError, match="its checksums do not match"):
        _store.load(bad, format="xent.test", version=2)


def test_writing_is_all_or_nothing(tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(b"old")

    def interrupted():
        with _store.writing(path) as file:
            file.write(b"half of the new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["report.html"]


def test_writing_keeps_links_and_permissions(tmp_path):
    real = tmp_path / "real"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(real)
    with _store.writing(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_file_that_is_shut_is_left_alone(tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.write_bytes(b"old")
    may, may_write = os.access, []
    monkeypatch.setattr(os, "access", lambda p, how: may(p, how) and (p != path or may_write))
    with pytest.raises(
        ValueError, match=r"`path` must name a file one may write to, got '.*model'"
    ):
        write(path)  # a rename would ask nobody
    assert path.read_bytes() == b"old"
    may_write.append(True)
    write(path)


@pytest.mark.parametrize("letter", ["x", "\u4ea4"])
def test_the_longest_name_is_written(tmp_path, letter):
    path = tmp_path / (letter * (255 // len(letter.encode())))
    for half in (b"old", b"new"):
        with _store.writing(path) as file:
            file.write(half)
        assert path.read_bytes() == half
        assert os.listdir(tmp_path) == [path.name]
    with pytest.raises(OSError, match="File name too long"):
        _store.check_target(tmp_path / ("x" * 256))


def test_no_folder_no_file(tmp_path):
    with pytest.raises(ValueError, match="`path` must lie in a folder that exists"):
        write(tmp_path / "missing" / "a")
    with pytest.raises(ValueError, match="`model` must name a file"):
        _store.writing(tmp_path, argument="model").__enter__()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code = f"from xent import _store\nwith _store.writing({str(pipe)!r}) as f: f.write(b'through')"
    child = subprocess.Popen([sys.executable, "-c", code])
    assert pipe.read_bytes() == b"through"
    assert child.wait() == 0
    assert pipe.is_fifo()


def test_bytes_reach_the_disk_before_the_name_does(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr("os.fsync", lambda f: (done.append("fsync"), fsync(f)))
    monkeypatch.setattr("os.replace", lambda a, b: (done.append("replace"), replace(a, b)))
    with _store.writing(tmp_path / "a") as file:
        file.write(b"x")
    assert done[:2] == ["fsync", "replace"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("kills", [3, pytest.param(60, marks=pytest.mark.long)])
def test_killed_while_writing(tmp_path, kills, repeats):
    """After kill -9 at any moment the file is one that was saved, never a mixture."""
    path = tmp_path / "state"
    code = textwrap.dedent(f"""
        import numpy as np
        from xent import _store
        print("ready", flush=True)
        n = 0
        while True:
            n += 1
            _store.save({str(path)!r}, format="xent.test", version=1, state={{"n": n}},
                        arrays={{"x": np.full(300_000, float(n))}})
    """)
    rng = np.random.default_rng(0)
    for _ in range(repeats(kills)):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        child.stdout.readline()
        try:
            child.wait(timeout=0.05 + 0.3 * rng.random())
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
        child.stdout.close()
        if path.exists():
            state, arrays = _store.load(path, format="xent.test", version=1)
            assert (arrays["x"] == state["n"]).all()
    assert Path(path).exists()


WRITER = """
import sys, time
from xent import _store
with _store.writing(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("ready", flush=True)
    time.sleep(60)
"""


def writer(path):
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    child.stdout.readline()
    return child


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path):
    path = tmp_path / "a [1].txt"  # a name that means something to glob
    other = tmp_path / "a 1.txt"
    neighbour = tmp_path / ".a 1.txt.notes.tmp"  # a stranger's
    neighbour.write_text("keep")
    with writer(path) as dead, writer(path) as living, writer(other) as elsewhere:
        dead.kill()
        dead.wait()
        assert len(list(tmp_path.glob(".*.tmp"))) == 4
        with _store.writing(path) as file:
            file.write(b"whole")
        assert path.read_bytes() == b"whole"
        assert len(list(tmp_path.glob(".*.tmp"))) == 3
        living.kill()
        elsewhere.kill()
    for one in (path, other):
        with _store.writing(one) as file:
            file.write(b"whole")
    assert list(tmp_path.glob(".*.tmp")) == [neighbour]


def test_the_place_of_scratch_folders_is_not_tried_by_a_file(tmp_path):
    # The standard library's trial stayed there where a signal came just then.
    code = """
import os, sys
made = []
sys.addaudithook(lambda event, args: event == "open" and made.append(str(args[0])))
from xent._leftovers import scratch_folder
with scratch_folder("xent-") as folder:
    assert os.path.dirname(folder) == sys.argv[1], folder
tried = [name for name in made if name.startswith(sys.argv[1])]
assert tried and all(os.path.basename(name).startswith("xent-") for name in tried), tried
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=True)
    assert not list(tmp_path.iterdir())


def test_scratch_folders_of_killed_processes_go(tmp_path):
    code = f"""
import time
from pathlib import Path
from xent._leftovers import scratch_folder
with scratch_folder("xent-", Path({str(tmp_path)!r})) as folder:
    print(folder, flush=True)
    time.sleep(60)
"""
    children = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in "ab"
    ]
    dead, living = (Path(child.stdout.readline().decode().strip()) for child in children)
    (tmp_path / "xent-mine").mkdir()  # a stranger's
    children[0].kill()
    children[0].wait()
    with scratch_folder("xent-", tmp_path) as folder:
        assert not dead.exists()
        assert living.exists()
        assert Path(folder).is_dir()
    children[1].kill()
    for child in children:
        child.communicate()
    with scratch_folder("xent-", tmp_path):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["xent-mine"]


@pytest.mark.parametrize("event", ["open", "fcntl.flock", "os.mkdir", "os.rmdir", "os.remove"])
def test_a_scratch_folder_is_somebodys_at_every_moment(tmp_path, event):
    """Killed before or after anything it does: the next one finds what it left."""
    code = f"""
import os, sys
from pathlib import Path
from xent._leftovers import scratch_folder
def look(name, args):
    if name == {event!r} and {str(tmp_path)!r} in str(args) or name == {event!r} == "fcntl.flock":
        os.kill(os.getpid(), 9)
sys.addaudithook(look)
with scratch_folder("xent-", Path({str(tmp_path)!r})) as folder:
    Path(folder, "x").write_text("x")
"""
    done = subprocess.run([sys.executable, "-c", code])
    assert done.returncode == -9
    with scratch_folder("xent-", tmp_path) as folder:
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {Path(folder).name, f"{Path(folder).name}.lock"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("event", ["shutil.rmtree", "os.rmdir", "os.remove", "half a file"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_is_tidied_up_leaves_nothing(tmp_path, event, number):
    act = """scratch_folder("xent-", place) as folder:
        Path(folder, "x").write_text("x")"""
    if event == "half a file":
        act, event = """_store.writing(place / "half"):\n        raise ValueError""", "os.remove"
    code = f"""
import os, sys
from pathlib import Path
from xent import _signals, _store
from xent._leftovers import scratch_folder
place, left = Path(sys.argv[1]), [{event!r}]
def look(name, args):
    if left and name == left[0]:
        left.pop()
        os.kill(os.getpid(), {int(number)})
sys.addaudithook(look)
with _signals.heard():
    with {act}
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True)
    assert done.returncode in (-number, 128 + number), done.stderr.decode()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_names_the_file(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with pytest.raises(OSError, match="/dev/full") as caught, _store.writing("/dev/full") as file:
        file.write(b"x")
    assert caught.value.errno == errno.ENOSPC
    path = tmp_path / "a.txt"
    with pytest.raises(OSError, match=r"No space left on device: '.*a\.txt'"), _store.writing(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    shown = r"a\.txt' cannot be written: Error writing bytes"
    with pytest.raises(OSError, match=shown), _store.writing(path):
        raise OSError("Error writing bytes to file")
    assert not list(tmp_path.iterdir())


def test_links_in_a_circle_and_closed_folders(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(ValueError, match="a link that leads back to itself"):
        _store.check_target(tmp_path / "a")
    (tmp_path / "shut").mkdir(mode=0o500)
    if not os.access(tmp_path / "shut", os.W_OK):  # root may write anywhere
        with pytest.raises(ValueError, match="lie in a folder one may write to"):
            _store.check_target(tmp_path / "shut" / "a")


def test_state_is_json_and_nothing_else(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write(tmp_path / "a", state={"x": float("nan")})
    write(tmp_path / "a")
    header = (tmp_path / "a").read_bytes()[8:]
    metadata = json.JSONDecoder().raw_decode(header.decode("latin-1"))[0]["__metadata__"]
    assert list(metadata)[:3] == ["format", "format_version", "xent_version"]
    assert metadata["format"] == "xent.test"
    assert metadata["format_version"] == "2"
    assert metadata["xent_version"]
