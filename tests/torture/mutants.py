"""Mutated tables, texts, models and scripts, each given to a command: an answer, or a refusal.

A command answers with exit code 0 (or 1, where that is an answer), or refuses with 2 and a sentence.
"""

import io
import json
import os
import random
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from torture import forks, many

OTHERS = ("refused", "answered")
FAULTS = many.FAULTS
SCRIPTS = Path(__file__).parents[1] / "audit" / "scripts"
STRANGE = [
    b"inf", b"-inf", b"nan", b"NaN", b"1e999", b"-1e-999", b"-" * 50, b"9" * 400, b"\0", b"\\",
    b"\t\t\t", b'"', b"'", b"\r", b"\r\n", b"\n\n", b",", b",,,,", b";", b"\xef\xbb\xbf", b"\xff\xfe",
    b"\x1b[2J", "\u202e".encode(), b"\xed\xa0\x80", b"x" * 70_000, b"[" * 3000, b"{" * 300,
    b"1970-01-01", b"0000-00-00", b"9999999999999999999999", b"-0", b"0x10", b"true", b"null", b"",
]  # fmt: skip


def mutated(data: bytes, luck: random.Random) -> bytes:
    """Return bytes with some flips, cuts, moved pieces, and words that are none."""
    broken = bytearray(data)
    for _ in range(luck.choice([1, 1, 1, 2, 5])):
        place, kind = luck.randrange(len(broken) + 1), luck.randrange(7)
        if kind == 0 and place < len(broken):
            broken[place] ^= 1 << luck.randrange(8)
        elif kind == 1 and luck.random() < 0.3:
            del broken[place:]
        elif kind == 2:
            del broken[place : place + luck.randrange(1, 40)]
        elif kind == 3:
            broken[place:place] = broken[luck.randrange(len(broken) + 1) :][: luck.randrange(1, 60)]
        elif kind == 4:
            broken[place : place + 4] = luck.randbytes(4)
        elif kind == 5:
            # A whole field or number is another.
            end = re.compile(rb"[\s,:]").search(broken, place)
            broken[place : end.start() if end else place + 3] = luck.choice(STRANGE)
        else:
            broken[place:place] = luck.choice(STRANGE)
    return bytes(broken)


DESCRIPTIONS = [
    ">f8", "<c16", "|S3", "<U4", "|O", "<M8[Y]", "<m8[ns]", "<M8[15s]", "|V8", [("a", "<i4")], "<f16",
    "|b1", "<f2", "|u1", ">i8", "bogus", "<U0", "|S0", "<M8", "<f8", "<f8", 7, None,
]  # fmt: skip
SHAPES = [
    (300,),
    (2**40,),
    (-1,),
    (0,),
    (300, 0),
    (),
    (2**62, 4),
    (3, 10, 10),
    (300, 2),
    "x",
    (299,),
]


def mutated_npz(data: bytes, luck: random.Random) -> bytes:
    """Return a whole archive with true checksums in which one member says something else."""
    if luck.random() < 0.4:
        return mutated(data, luck)
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        chosen = luck.choice(old.namelist())
        for name in old.namelist():
            body = old.read(name)
            if name == chosen and luck.random() < 0.5:
                body = mutated(body, luck)
            elif name == chosen:
                head = {"descr": luck.choice(DESCRIPTIONS), "fortran_order": luck.random() < 0.3}
                text = repr(head | {"shape": luck.choice(SHAPES)}).encode()
                text += b" " * (-(len(text) + 11) % 64) + b"\n"
                body = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
                body += luck.randbytes(luck.choice([0, 7, 2400, 4800, 1200]))
            new.writestr(name if luck.random() < 0.9 else name[:-4], body)
    return packed.getvalue()


@dataclass(frozen=True)
class Given:
    """A file that is mutated, and the commands that read it; ``{}`` stands for it."""

    name: str
    file: str
    words: tuple[str, ...]
    change: Callable[[bytes, random.Random], bytes] = mutated


TABLES = (
    "rank {} --target y",
    "tree fit {} -t y -o out.xent",
    "drift t.csv {}",
    "tree predict trees.xent {} -o out.csv",
    "predict model.xent {} -o out.jsonl",
    "train {} --target y --features a,b -o out.xent --epochs 1",
)
EVALUATE = ("evaluate {} --target y", "evaluate {} --target y --rows out.csv --json out.json")
READ = (
    "language fit {} -o out.xent --order 3",
    "language fit {} -o out.xent --order 2 --unit character --memory 64MB",
    "language score language.xent {} -o out.tsv",
    "language filter language.xent {} --keep 0.5 -o out.txt",
)
MODEL = (
    "language score {} little.txt -o out.tsv",
    "language convert {} -o out.arpa",
    "language prune {} --entropy 1e-5 -o out.xent",
)
KENLM = ("probing", "rest", "trie", "quantised", "array", "quantised array")  # by their numbers
GIVEN = [
    Given("CSV", "t.csv", TABLES),
    Given("CSV of predictions", "predictions.csv", EVALUATE),
    Given("CSV, gzip", "t.csv.gz", TABLES),
    Given("JSON lines", "t.jsonl", TABLES),
    Given("JSON lines of predictions", "predictions.jsonl", EVALUATE),
    Given("NPZ", "t.npz", TABLES, mutated_npz),
    Given("NPZ of predictions", "predictions.npz", EVALUATE, mutated_npz),
    Given("Parquet", "t.parquet", TABLES),
    Given("Parquet of predictions", "predictions.parquet", EVALUATE),
    Given("text", "little.txt", READ),
    Given("text, zstd", "little.txt.zst", READ),
    Given("JSON lines of texts", "texts.jsonl", tuple(f"{words} --field text" for words in READ)),
    Given("n-gram counts", "counts.txt", ("language fit {} --counts -o out.xent --order 2",)),
    Given("ARPA", "model.arpa", MODEL),
    Given("ARPA, gzip", "model.arpa.gz", MODEL),
    Given("trained model", "model.xent", ("predict {} t.csv -o out.csv",)),
    Given("tree", "trees.xent", ("tree predict {} t.csv -o out.csv", "tree show {} --as json")),
    Given("language model", "language.xent", MODEL),
    # Of hash tables no n-gram can be listed: they are scored with.
    *(
        Given(f"KenLM, {kind}", f"{kind.replace(' ', '_')}.bin", MODEL[: 1 if i < 2 else 2])
        for i, kind in enumerate(KENLM)
    ),
    Given("KenLM's model as ARPA", "kenlm.arpa", MODEL),
    Given("Python script", "scripts.py", ("audit files {} --format json",)),
    Given("notebook", "scripts.ipynb", ("audit files {} --format json",)),
    Given("report as baseline", "base.json", ("audit files scripts.py --baseline {}",)),
]


def made(folder: Path) -> None:
    """Write each kind of file that the commands read."""
    import pyarrow.csv
    import pyarrow.parquet

    from xent._table.files import compression

    def packed(name: str, data: bytes) -> None:
        with open(folder / name, "wb") as plain, compression.writing(plain, name) as file:
            file.write(data)

    for name in ("t", "predictions"):
        table = pyarrow.csv.read_csv(folder / f"{name}.csv")
        pyarrow.parquet.write_table(table, folder / f"{name}.parquet")
        rows = "\n".join(json.dumps(row) for row in table.to_pylist())
        (folder / f"{name}.jsonl").write_text(rows + "\n")
        columns = {n: np.array(table[n].to_pylist()) for n in table.column_names}
        np.savez(folder / f"{name}.npz", **columns)
    packed("t.csv.gz", (folder / "t.csv").read_bytes())
    lines = (folder / "text.txt").read_text().splitlines()[:60]
    (folder / "little.txt").write_text("\n".join(lines) + "\n")
    packed("little.txt.zst", (folder / "little.txt").read_bytes())
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": s}) + "\n" for s in lines))
    counted: Counter[str] = Counter()
    for line in lines:
        words = ["<s>", *line.split(), "</s>"]
        counted.update(words[1:])
        counted.update(map(" ".join, pairwise(words)))
    (folder / "counts.txt").write_text("".join(f"{g}\t{n}\n" for g, n in counted.items()))
    for words in (
        "language fit little.txt -o model.arpa --order 3 --smoothing WittenBell",
        "language convert model.arpa -o model.arpa.gz",
    ):
        assert forks.command(words.split()) == 0, words
    _kenlm(folder)
    _scripts(folder)


def _kenlm(folder: Path) -> None:
    """Write a small model in each of KenLM's formats, and as the text that it was built from."""
    from language.kenlm_writer import write
    from language.test_kenlm_binary import levels

    small = levels(4, lines=12)
    for number, kind in enumerate(KENLM):
        (folder / f"{kind.replace(' ', '_')}.bin").write_bytes(write(small, number))
    assert forks.command(["language", "convert", "trie.bin", "-o", "kenlm.arpa"]) == 0


def _scripts(folder: Path) -> None:
    """Write the scripts that the audit's tests have as one, as a notebook, and its report."""
    text = "".join(path.read_text()[:4000] for path in sorted(SCRIPTS.glob("*.txt")))
    pieces = re.split(r"^### .*\n", text, flags=re.MULTILINE)[1:-1]
    head = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
    text = head + "criterion = nn.CrossEntropyLoss()\n" + "\n".join(pieces)
    (folder / "scripts.py").write_text(text)
    cells = [{"cell_type": "code", "metadata": {}, "source": text, "outputs": []}]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "scripts.ipynb").write_text(json.dumps(notebook))
    assert forks.command(["audit", "files", "scripts.py", "--format", "json"]) == 1
    _, brace, report = os.pread(1, 1 << 24, 0).partition(b"{")
    (folder / "base.json").write_bytes(brace + report)


def said() -> str:
    """What the last command wrote to stderr."""
    return os.pread(2, 1 << 20, 0).decode(errors="replace")


def one(words: str, path: Path) -> str:
    """Run a command on a file, and judge its ending."""
    for descriptor in (1, 2):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
    code = forks.command(words.format(path.name).split())
    text = said()
    if "Traceback" in text or code not in (0, 1, 2):
        raise AssertionError(f"{words}: exit code {code}: {text}")
    if code == 1 and not words.startswith("audit"):
        raise AssertionError(f"{words}: exit code 1: {text}")
    if code == 2:
        raise ValueError(max(text.splitlines() or [""], key=len))
    return "answered"


def torture(
    given: Path, folder: Path, seed: int, cases: int, notes: list[str], only: str = ""
) -> Iterator[tuple[str, Counter[str]]]:
    """Yield a line of the table for each kind of file."""
    place = many.copied(given, folder / "mutants")
    many.prepared(lambda: made(place), place)
    chosen = [kind for kind in GIVEN if only in kind.name]
    for kind in chosen:
        data = (place / kind.file).read_bytes()
        path = place / f"mutant.{kind.file.partition('.')[2]}"
        path.write_bytes(data)
        whole = [partial(one, words, path) for words in kind.words]
        many.prepared(lambda whole=whole: {act() for act in whole} != {"answered"}, place)

        def act(i: int, kind: Given = kind, data: bytes = data, path: Path = path) -> str:
            luck = random.Random(f"{seed} {kind.name} {i}")
            path.write_bytes(kind.change(data, luck))
            return one(kind.words[i % len(kind.words)], path)

        yield kind.name, many.counted(act, place, max(1, cases // len(chosen)), kind.name, notes)
