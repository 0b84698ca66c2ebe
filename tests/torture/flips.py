"""Flipped bits and replaced blocks in stored files: refused in a sentence, or nothing has changed.

With the file's own checksums any change of a value shall be seen. With checksums that a forger made
true again, as in KenLM's files, which have none, a number may be another, but no index may lead
nowhere: that counts as a crash, a hang or a traceback.
"""

import os
import random
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from torture import forks, many

OTHERS = ("refused", "unchanged", "other numbers")
FAULTS = ("silent", *many.FAULTS)
TEXT = ["w1 w2 w3", "", "w7 w1 zz w2 w2", "w5"]


@dataclass(frozen=True)
class Stored:
    """A stored file, and what is made of it: an array that is the same where nothing has changed."""

    name: str
    file: str
    use: Callable[[Path], np.ndarray]
    forged: bool = False


def _trained(path: Path) -> np.ndarray:
    import pandas as pd

    from xent.training import TrainedModel

    X = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 2)), columns=["a", "b"])
    return TrainedModel.load(path).predict_log_proba(X)


def _tree(path: Path) -> np.ndarray:
    import pandas as pd

    from xent.trees import load

    found = load(path)
    luck = np.random.default_rng(0)
    X = pd.DataFrame({"a": luck.normal(size=20), "b": luck.normal(size=20), "c": ["u", "v"] * 10})
    return found.predict_proba(X)


def _checkpoint(path: Path) -> np.ndarray:
    """What the run goes on to: the file is the one thing that the command reads beside its table."""
    os.chdir(path.parent)
    (path.parent / "flip.xent").unlink(missing_ok=True)
    words = "train t.csv --target y --features a,b -o flip.xent --epochs 3"
    code = forks.command([*words.split(), "--checkpoint", path.name])
    if code:
        raise ValueError("refused, as the command says")
    return np.frombuffer((path.parent / "flip.xent").read_bytes(), np.uint8)


def _language(mmap: bool) -> Callable[[Path], np.ndarray]:
    def use(path: Path) -> np.ndarray:
        from xent.language import NGramModel

        return NGramModel.load(path, mmap=mmap).score(TEXT)

    return use


def _mixture(path: Path) -> np.ndarray:
    from xent.language import Mixture

    return Mixture.load(path).score(TEXT)


def _kenlm(path: Path) -> np.ndarray:
    from xent.language import NGramModel

    return NGramModel.load(path).score(TEXT)


def _module() -> Any:
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 1))


def _masks() -> tuple[np.ndarray, np.ndarray]:
    luck = np.random.default_rng(0)
    return luck.random((6, 1, 5, 5), np.float32), luck.integers(0, 2, (6, 5, 5))


def _of_module(path: Path) -> np.ndarray:
    from xent.training import TrainedModel

    return TrainedModel.load(path, _module()).predict_log_proba(_masks()[0])


def _module_goes_on(path: Path) -> np.ndarray:
    """What a run of a module goes on to."""
    from xent.training import DenseClassifier

    model = DenseClassifier(module=_module(), epochs=3, random_state=0, progress=False)
    return model.fit(*_masks(), checkpoint=path).predict_log_proba(_masks()[0])


STORED = [
    Stored("trained model", "model.xent", _trained),
    Stored("checkpoint", "check.xent", _checkpoint),
    Stored("trained module", "module.xent", _of_module),
    Stored("checkpoint of a module", "module.ckpt.xent", _module_goes_on),
    Stored("tree", "trees.xent", _tree),
    Stored("language model, exact", "language.xent", _language(False)),
    Stored("language model, exact, mapped", "language.xent", _language(True)),
    Stored("language model, compact", "compact.xent", _language(False)),
    Stored("language model, compact, mapped", "compact.xent", _language(True)),
    Stored("mixture", "mixture.xent", _mixture),
    Stored("trained model, forged", "model.xent", _trained, forged=True),
    Stored("trained module, forged", "module.xent", _of_module, forged=True),
    Stored("tree, forged", "trees.xent", _tree, forged=True),
    Stored("language model, exact, forged", "language.xent", _language(False), forged=True),
    Stored("language model, exact, mapped, forged", "language.xent", _language(True), forged=True),
    Stored("language model, compact, forged", "compact.xent", _language(False), forged=True),
    Stored("mixture, forged", "mixture.xent", _mixture, forged=True),
    Stored("KenLM, hash tables", "probing.bin", _kenlm, forged=True),
    Stored("KenLM, trie", "trie.bin", _kenlm, forged=True),
    Stored("KenLM, quantised array trie", "array.bin", _kenlm, forged=True),
]


def made(folder: Path) -> None:
    """Write the files that no command of the others has written."""
    from language.kenlm_writer import PROBING, QUANTISED_ARRAY, TRIE, write
    from language.test_kenlm_binary import levels
    from xent.language import Mixture, NGramModel
    from xent.training import DenseClassifier, TrainedModel

    model = DenseClassifier(module=_module(), epochs=2, random_state=0, progress=False)
    model.fit(*_masks(), checkpoint=folder / "module.ckpt.xent")
    TrainedModel(model).save(folder / "module.xent")
    one = NGramModel.load(folder / "language.xent")
    one.save(folder / "compact.xent", compact=True)
    other = NGramModel.load(folder / "language2.xent")
    Mixture([one, other], [0.25, 0.75]).save(folder / "mixture.xent")
    for name, kind in (("probing", PROBING), ("trie", TRIE), ("array", QUANTISED_ARRAY)):
        (folder / f"{name}.bin").write_bytes(write(levels(4, lines=12), kind))


def flipped(data: bytes, luck: random.Random) -> bytes:
    """Return a file with a flipped bit, a block of zeros, another's block, or a cut."""
    broken, place, kind = bytearray(data), luck.randrange(len(data)), luck.random()
    if kind < 0.6:
        broken[place] ^= 1 << luck.randrange(8)
    elif kind < 0.7:
        broken[place : place + 2048] = bytes(len(broken[place : place + 2048]))
    elif kind < 0.8:
        broken[place : place + 512] = data[luck.randrange(len(data)) :][:512]
    elif kind < 0.9:
        broken[place:place] = luck.randbytes(luck.randrange(1, 64))
    else:
        del broken[place:]
    return bytes(broken)


def forge(path: Path, data: bytes, luck: random.Random) -> None:
    """Change a value of an array or of the state, and write true checksums over it."""
    from xent import _store

    path.write_bytes(data)
    if path.suffix == ".bin":  # no checksum to make true
        path.write_bytes(flipped(data, luck))
        return
    fmt, version = _store.format_of(path), 0
    while True:  # the newest version is one of the first few
        version += 1
        try:
            state, arrays = _store.load(path, format=str(fmt), version=version)
            break
        except ValueError:
            if version > 20:
                raise
    arrays = dict(arrays)
    if luck.random() < 0.25 or not any(array.nbytes for array in arrays.values()):
        state = changed(state, luck)
    else:
        name = luck.choice(sorted(name for name, array in arrays.items() if array.nbytes))
        array, kind = np.array(arrays[name]), luck.random()
        letters = array.reshape(-1).view(np.uint8)
        if kind < 0.6:
            letters[luck.randrange(letters.size)] ^= 1 << luck.randrange(8)
        elif kind < 0.7:
            letters[:] = luck.choice([0, 1, 127, 255])
        elif kind < 0.8:
            letters[:] = np.frombuffer(luck.randbytes(letters.size), np.uint8)
        elif kind < 0.9 and array.ndim:
            array = array[: luck.randrange(len(array))]
        else:
            array = array.astype(luck.choice([np.float64, np.int64, np.uint8]))
        arrays[name] = array
        if luck.random() < 0.05:
            del arrays[name]
    _store.save(path, format=str(fmt), version=version, state=state, arrays=arrays)


STRANGE = [None, -1, 0, 2**70, 10**9, 1e308, "", "x" * 5000, [], {}, [[[]]], True, "\x1b[31m"]


def changed(state, luck: random.Random):
    """Return JSON in which one value, at any depth, is another or is gone."""
    if isinstance(state, dict) and state and luck.random() < 0.9:
        name = luck.choice(sorted(state))
        if luck.random() < 0.1:
            return {key: value for key, value in state.items() if key != name}
        return {**state, name: changed(state[name], luck)}
    if isinstance(state, list) and state and luck.random() < 0.8:
        i = luck.randrange(len(state))
        return [*state[:i], changed(state[i], luck), *state[i + 1 :]]
    return luck.choice(STRANGE)


def torture(
    given: Path, folder: Path, seed: int, cases: int, notes: list[str], only: str = ""
) -> Iterator[tuple[str, Counter[str]]]:
    """Yield a line of the table for each stored format, or for those whose name has ``only``."""
    place = many.copied(given, folder / "flips")
    many.prepared(lambda: made(place), place)
    chosen = [stored for stored in STORED if only in stored.name]
    for stored in chosen:
        data = (place / stored.file).read_bytes()
        path = place / f"damaged{Path(stored.file).suffix}"
        path.write_bytes(data)
        with forks.Silence():  # in this process: the children find all loaded
            expected = stored.use(path)

        def one(i: int, stored=stored, data=data, path=path, expected=expected) -> str:
            luck = random.Random(f"{seed} {stored.name} {i}")
            if stored.forged:
                forge(path, data, luck)
            else:
                path.write_bytes(flipped(data, luck))
            if path.read_bytes() == data:
                return "unchanged"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = stored.use(path)
            same = found.shape == expected.shape and np.array_equal(found, expected, equal_nan=True)
            return "unchanged" if same else "other numbers" if stored.forged else "silent"

        yield (
            stored.name,
            many.counted(one, place, max(1, cases // len(chosen)), stored.name, notes),
        )
