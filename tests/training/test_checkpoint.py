"""A run that was stopped goes on from its last epoch, or from amid one, to the bits of one that never stopped."""

import subprocess
import sys
import time

import numpy as np
import pytest

from children import python, xent
from xent import _store
from xent.training import ArrayRows, MultilabelClassifier, SoftmaxClassifier, TrainedModel
from xent.training._checkpoint import FORMAT, Checkpoint


def rows(seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, 150)
    return rng.normal(size=(150, 4)) + y[:, None], np.array(["a", "b", "c"])[y]


def assert_same_network(one, other):
    for a, b in zip(one.coefs_, other.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(one.intercepts_, other.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)


class StopError(Exception):
    pass


def stop_after(epochs):
    """Let a fit die when it begins the epoch after this many."""
    real, count = np.random.RandomState.permutation, [0]

    class Generator(np.random.RandomState):
        def permutation(self, n):
            count[0] += 1
            if count[0] > epochs:
                raise StopError
            return real(self, n)

    return Generator


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_the_same_bits_as_without_the_stop(tmp_path, optimizer):
    X, y = rows()
    options = {"hidden": (5,), "epochs": 6, "learning_rate": 0.02, "optimizer": optimizer}
    whole = SoftmaxClassifier(**options, random_state=7).fit(X, y, validation=(X, y))

    file = tmp_path / "run"
    Generator = stop_after(4)
    part = SoftmaxClassifier(**options, random_state=Generator(7))
    with pytest.raises(StopError):
        part.fit(X, y, validation=(X, y), checkpoint=file)
    part = SoftmaxClassifier(**options, random_state=np.random.RandomState(0))
    part.fit(X, y, validation=(X, y), checkpoint=file)
    assert_same_network(whole, part)
    assert part.history_ == whole.history_
    assert len(part.history_["validation_bits"]) == 6


def test_more_epochs_train_on_and_the_same_again_does_nothing(tmp_path):
    X, y = rows()
    file = tmp_path / "run"
    first = SoftmaxClassifier(epochs=3, random_state=1).fit(X, y, checkpoint=file)
    again = SoftmaxClassifier(epochs=3, random_state=1).fit(X, y, checkpoint=file)
    np.testing.assert_array_equal(first.coefs_[0], again.coefs_[0])
    on = SoftmaxClassifier(epochs=5, random_state=1).fit(X, y, checkpoint=file)
    whole = SoftmaxClassifier(epochs=5, random_state=1).fit(X, y)
    np.testing.assert_array_equal(on.coefs_[0], whole.coefs_[0])
    with pytest.raises(ValueError, match="`checkpoint` must be of at most epochs=4, got one of 5"):
        SoftmaxClassifier(epochs=4, random_state=1).fit(X, y, checkpoint=file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"learning_rate": 0.1}, "learning_rate=0.5, now 0.1"),
        ({"loss": "mse_softmax"}, "loss='cross_entropy', now 'mse_softmax'"),
        ({"hidden": (4,)}, r"hidden=\[\], now \[4\]"),
        ({"random_state": 2}, "random_state=1, now 2"),
    ],
)
def test_another_run_is_refused_and_the_file_kept(tmp_path, change, words):
    X, y = rows()
    file = tmp_path / "run"
    SoftmaxClassifier(epochs=2, random_state=1).fit(X, y, checkpoint=file)
    before = file.read_bytes()
    other = SoftmaxClassifier(**{"epochs": 2, "random_state": 1} | change)
    with pytest.raises(ValueError, match=f"`checkpoint` must be of the same run, got .*{words}"):
        other.fit(X, y, checkpoint=file)
    assert file.read_bytes() == before


def test_other_data_and_damage_are_refused(tmp_path):
    X, y = rows()
    file = tmp_path / "run"
    model = SoftmaxClassifier(epochs=2, random_state=1).fit(X, y, checkpoint=file)
    for others in [(X + 1e-3, y), (X, np.roll(y, 1)), (X, np.char.upper(y)), (X[:-1], y[:-1])]:
        with pytest.raises(ValueError, match="got one on other data"):
            model.fit(*others, checkpoint=file)
    with pytest.raises(ValueError, match="got one on other data"):
        model.fit(X, y, validation=(X, y), checkpoint=file)
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    with pytest.raises(ValueError, match=r"must be a xent\.training\.checkpoint file"):
        model.fit(X, y, checkpoint=file)
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match="damaged"):
        model.fit(X, y, checkpoint=file)
    with pytest.raises(ValueError, match="`checkpoint`"):
        model.fit(X, y, checkpoint=tmp_path / "nowhere" / "run")


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.long)])
def test_kill_dash_nine(tmp_path, kills, repeats):
    """Killed anywhere, the same command ends with the model that it would have made."""
    file, model = tmp_path / "run", tmp_path / "model"
    command = ["train", "digits-train", "--epochs", "40"]
    command += ["--hidden", "16", "--optimizer", "adam", "--learning-rate", "0.002"]
    kept = [*command, "--model", str(model), "--checkpoint", str(file)]
    killed = [sys.executable, "-m", "xent", *kept]
    rng = np.random.default_rng(kills)
    for _ in range(repeats(kills)):
        before = file.stat().st_mtime_ns if file.exists() else 0
        run = subprocess.Popen(killed, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while run.poll() is None and not (file.exists() and file.stat().st_mtime_ns > before):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.1))
        run.kill()
        run.communicate()
    whole = tmp_path / "whole"
    for arguments in (kept, [*command, "--model", str(whole)]):
        done = xent(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    one, other = TrainedModel.load(model).classifier, TrainedModel.load(whole).classifier
    assert_same_network(one, other)
    assert one.history_ == other.history_


def test_other_threads_would_be_other_bits(tmp_path, monkeypatch):
    import torch

    X, y = rows()
    file = tmp_path / "run"
    SoftmaxClassifier(epochs=2, random_state=1).fit(X, y, checkpoint=file)
    before = file.read_bytes()
    changes = [
        (torch, "get_num_threads", lambda: 77, r"threads \d+, now threads 77"),
        (torch, "__version__", "1.0", r"torch [\d.+a-z]+, now torch 1\.0"),
        (torch.backends.cpu, "get_cpu_capability", lambda: "Z80", r"processor \w+, now proc.* Z80"),
    ]
    for place, name, value, words in changes:
        with monkeypatch.context() as changed:
            changed.setattr(place, name, value)
            # Nothing is left to do: the bits are those of the file.
            SoftmaxClassifier(epochs=2, random_state=1).fit(X, y, checkpoint=file)
            on = SoftmaxClassifier(epochs=4, random_state=1)
            with pytest.raises(ValueError, match=f"`checkpoint` must be .* got {words}. To go on"):
                on.fit(X, y, checkpoint=file)
            assert file.read_bytes() == before
            with pytest.warns(UserWarning, match="its bits will not be those of a run that was ne"):
                on.fit(X, y, checkpoint=file, allow_other_bits=True)
            assert len(on.history_["loss"]) == 4
        file.write_bytes(before)
    with pytest.raises(
        ValueError, match="`allow_other_bits` must be left out without `checkpoint`"
    ):
        on.fit(X, y, allow_other_bits=True)


def test_a_signal_while_the_file_is_taken_or_let_go_leaves_no_lock(tmp_path):
    code = """
import os, signal, sys
from pathlib import Path
from xent.training._checkpoint import Checkpoint
left = [0]
def look(event, args):
    if event.partition(".")[0] in ("open", "fcntl", "os") and str(event) not in ("os.kill",):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(look)
place, stopped = Path(sys.argv[1]), 0
for event in range(1, 8):
    file = Checkpoint(place / "c.xent", {}, [], {}, allow_other_bits=False)
    left[0] = event
    try:
        with file.alone():
            pass
    except KeyboardInterrupt:
        stopped += 1
    left[0] = 0
    assert not os.listdir(place), (event, os.listdir(place))
print(stopped)
"""
    done = python(code, tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3


def dying_after(monkeypatch, writes):
    """Let a run die after it has written its checkpoint so many times; return the list of writings."""
    real, seen = Checkpoint.write, []

    def write(self, progress, generator):
        real(self, progress, generator)
        seen.append(progress.within.batches)
        if len(seen) == writes:
            raise StopError

    monkeypatch.setattr(Checkpoint, "write", write)
    return seen


@pytest.mark.grid
@pytest.mark.parametrize("kind", ["linear", "hidden", "blocks", "labels"])
@pytest.mark.parametrize("writes", [1, 2, 7, 10])
def test_the_same_bits_from_amid_an_epoch(tmp_path, monkeypatch, kind, writes):
    """Ten batches an epoch, looked at every three: written at 3, 6, 9, 10 and after the epoch."""
    monkeypatch.setattr("xent.training._fit.record.BATCHES_AT_ONCE", 3)
    X, y = rows()
    options = {
        "epochs": 4,
        "learning_rate": 0.05,
        "batch_size": 15,
        "optimizer": "sgd:momentum=0.5",
    }
    held = (X, y)
    make, data = SoftmaxClassifier, X
    if kind == "hidden":
        options |= {"hidden": (4,), "optimizer": "adam", "patience": 2}
    if kind == "blocks":
        data = ArrayRows(X, block_rows=20, buffer_rows=50)
    if kind == "labels":
        make, y = MultilabelClassifier, np.column_stack([y == "a", y != "c"])
        held = (X, y)
    whole = make(**options, random_state=7).fit(data, y, validation=held)
    file = tmp_path / "run"
    with monkeypatch.context() as patch:
        seen = dying_after(patch, writes)
        with pytest.raises(StopError):
            make(**options, random_state=7).fit(data, y, validation=held, checkpoint=file, checkpoint_every=0)  # fmt: skip
    if kind != "blocks":
        assert seen == [3, 6, 9, 10, 0, 3, 6, 9, 10, 0][:writes]
    seen = dying_after(monkeypatch, -1)
    part = make(**options, random_state=7)
    part.fit(data, y, validation=held, checkpoint=file, checkpoint_every=3600)
    assert_same_network(whole, part)
    assert part.history_ == whole.history_
    assert seen == [0]  # at the end alone


def test_a_file_from_amid_an_epoch_is_no_older_versions(tmp_path, monkeypatch):
    X, y = rows()
    dying_after(monkeypatch, 1)
    with pytest.raises(StopError):
        SoftmaxClassifier(random_state=0).fit(X, y, checkpoint=tmp_path / "c", checkpoint_every=0)
    with pytest.raises(ValueError, match="newer"):
        _store.load(tmp_path / "c", format=FORMAT, version=1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"checkpoint_every": 5}, "`checkpoint_every` must be seconds, at least 0, and go with `checkpoint`, got 5.0."),
        ({"checkpoint_every": -1, "checkpoint": "c"}, "`checkpoint_every` must be seconds, at least 0, and go with `checkpoint`, got -1.0."),
    ],
)  # fmt: skip
def test_wording_of_time(options, sentence):
    with pytest.raises(ValueError) as caught:
        SoftmaxClassifier().fit(*rows(), **options)
    assert str(caught.value) == sentence


def test_a_file_of_another_kind_is_refused_by_the_argument_that_names_it(tmp_path):
    _store.save(tmp_path / "model", format="another", version=1, state={}, arrays={})
    (tmp_path / "text").write_text("no such file")
    for name, got in {"model": "holds another", "text": "is none or is damaged"}.items():
        model = SoftmaxClassifier(epochs=1, random_state=0)
        with pytest.raises(ValueError, match=f"^`checkpoint` must be a .* file, got .*{got}"):
            model.fit([[0.0], [1.0]], [0, 1], checkpoint=tmp_path / name)
