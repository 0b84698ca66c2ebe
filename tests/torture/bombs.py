"""Files that say little and unpack to much, and lines without end: refused within stated memory."""

import gzip
import json
import math
import os
import random
import resource
import shutil
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from torture import forks, many

OTHERS = ("refused", "answered", "file KB", "most MB")
FAULTS = ("crashes", "hangs", "tracebacks", "long sentences", "too much memory")
MB = 1 << 20
ZEROS = b"0," * (MB // 2)
# What text under --memory 64MB may take in all; a table that is refused: the limit of what is
# unpacked, 256 MB, and what it is parsed to; and arrays, whose limit is 1 GB.
TEXT, TABLE, ARRAYS = 192 * MB, 1280 * MB, 1280 * MB
GUARD = 6 << 30  # bytes that no child may pass, whatever the tool finds: the machine is others' too
SECONDS = 60
Write = Callable[[Path], object]


def _packed(size: int, piece: bytes, head: bytes = b"") -> Write:
    """Write so many MB of a piece, packed as the name says: streams of 16 MB after one another."""

    def write(path: Path) -> None:
        from xent._table.files import compression

        def squeezed(data: bytes) -> bytes:
            with tempfile.TemporaryFile() as plain:
                with compression.writing(plain, path) as file:
                    file.write(data)
                plain.seek(0)
                return plain.read()

        some = 16
        rest = squeezed(piece * some) * (size // some - 1)
        path.write_bytes(squeezed(head + piece * some) + rest)

    return write


def _plain(size: int, piece: bytes, head: bytes = b"", tail: bytes = b"") -> Write:
    return lambda path: path.write_bytes(head + piece * size + tail)


def _npy_head(shape: tuple[int, ...]) -> bytes:
    head = repr({"descr": "<f8", "fortran_order": False, "shape": shape}).encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head


def _npz(*shapes: tuple[int, ...]) -> Write:
    """Zeros in arrays a, y, and headers that say so."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, shape in zip("ay", shapes, strict=False):
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    file.write(_npy_head(shape))
                    for _ in range(8 * math.prod(shape) // MB):
                        file.write(bytes(MB))

    return write


def _parquet(path: Path) -> None:
    """Two hundred million times one value: some kilobytes."""
    import pyarrow as pa
    import pyarrow.parquet

    one = pa.table({"a": pa.array([0] * MB, pa.int64()).dictionary_encode(), "y": ["u"] * MB})
    with pyarrow.parquet.ParquetWriter(path, one.schema) as writer:
        for _ in range(200):
            writer.write_table(one)


def _parquet_text(path: Path) -> None:
    """One text of a megabyte, named a hundred thousand times: a dictionary, and zeros."""
    import pyarrow as pa
    import pyarrow.parquet

    rows = 100_000
    codes = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["x" * MB])
    table = pa.table({"a": codes, "y": pa.array(["u", "v"] * (rows // 2))})
    pyarrow.parquet.write_table(table, path, data_page_size=1 << 12)


def _parquet_lists(path: Path) -> None:
    """Lists of half a million zeros."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet

    rows, width = 200, 500_000
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(rows * width)), width)
    one = pa.table({"p": values, "y": pa.array([0] * rows)})
    with pyarrow.parquet.ParquetWriter(path, one.schema) as writer:
        for _ in range(4):
            writer.write_table(one)


def _parquet_columns(path: Path) -> None:
    """Two thousand columns of a hundred thousand zeros."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet

    zero = pa.array(np.zeros(100_000))
    table = pa.table({"y": pa.array([0, 1] * 50_000), **{f"c{i}": zero for i in range(2_000)}})
    pyarrow.parquet.write_table(table, path)


def _keys(path: Path) -> None:
    """Lines of which each has a name of its own: a table of as many columns as rows."""
    path.write_text("".join(f'{{"y": 1, "k{i}": 1}}\n' for i in range(60_000)))


def _idx(path: Path) -> None:
    """A gigabyte of black images."""
    path.mkdir()
    for what, sizes in (("images-idx3", (1_400_000, 28, 28)), ("labels-idx1", (1_400_000,))):
        head = bytes([0, 0, 8, len(sizes)]) + b"".join(n.to_bytes(4, "big") for n in sizes)
        left = 1
        for n in sizes:
            left *= n
        with gzip.open(path / f"train-{what}-ubyte.gz", "wb", compresslevel=6) as file:
            file.write(head)
            while left:
                file.write(bytes(min(left, MB)))
                left -= min(left, MB)


def _images(count: int, side: int) -> Write:
    """Black images, in two classes."""

    def png(path: Path) -> None:
        def part(kind: bytes, body: bytes) -> bytes:
            whole = kind + body
            return len(body).to_bytes(4, "big") + whole + zlib.crc32(whole).to_bytes(4, "big")

        packer, line = zlib.compressobj(1), bytes(1 + 3 * side)
        data = b"".join([*(packer.compress(line) for _ in range(side)), packer.flush()])
        head = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
        signature = b"\x89PNG\r\n\x1a\n"
        path.write_bytes(signature + part(b"IHDR", head) + part(b"IDAT", data) + part(b"IEND", b""))

    def write(path: Path) -> None:
        for name in "ab":
            (path / name).mkdir(parents=True)
        png(path / "a" / "0.png")
        for i in range(1, count):
            shutil.copy(path / "a" / "0.png", path / "ab"[i % 2] / f"{i}.png")

    return write


def _notebook(code: str) -> Write:
    cell = {"cell_type": "code", "metadata": {}, "source": code, "outputs": []}
    return lambda path: path.write_text(json.dumps({"cells": [cell], "nbformat": 4}))


def _counts(path: Path) -> None:
    path.write_text(
        "\\data\\\nngram 1=900000000000\nngram 2=900000000000\n\n\\1-grams:\n-1\t</s>\n"
    )


LOSS = "import torch\nloss = torch.nn.CrossEntropyLoss()\n"
RANK, FIT = "rank {} --target y", "tree fit {} -t y -o out.xent"
TRAIN = "train {} --target y --features a,b -o out.xent --epochs 1"
PREDICT = "tree predict trees.xent {} -o out.csv"
EVALUATE, DRIFT = "evaluate {} --target y", "drift t.csv {}"
PICTURES = "train {} -o out.xent --epochs 1"
AUDIT = "audit files {} --format json"
LINES = (
    "language fit {} -o out.xent --order 2 --memory 64MB",
    "language score language.xent {} -o out.tsv",
)
FILTER = "language filter language.xent {} --keep 0.5 -o out.txt"
MODEL = ("language score {} text.txt -o out.tsv", "language convert {} -o out.xent")
COUNTED = ("language fit {} --counts -o out.xent --order 2",)
ALL = (RANK, FIT, TRAIN, PREDICT, EVALUATE, DRIFT)
W, JSON_LINE = b"w " * (MB // 2), b'{"a": 0, "y": 1}\n' * (MB // 17)

BOMBS: list[tuple[str, Write, tuple[str, ...], int]] = [
    ("line.txt", _plain(160, b"w" * MB), (*LINES, FILTER), 4 * TEXT),
    *((f"line.txt.{kind}", _packed(1024, W), LINES, 4 * TEXT) for kind in ("gz", "zst", "bz2", "xz")),
    ("words.txt", _plain(24, b"w v u\n" * (MB // 6)), LINES[:1], TEXT),
    ("field.jsonl", _plain(64, b"w" * MB, b'{"text": "'), (LINES[0] + " --field text",), 4 * TEXT),
    ("field.jsonl.gz", _packed(1024, b"w" * MB, b'{"text": "'),
     (LINES[0] + " --field text",), 4 * TEXT),
    ("counts.txt.gz", _packed(1024, W), COUNTED, 4 * TEXT),
    ("line.arpa", _plain(160, b"w" * MB, b"\\data\\\nngram 1=2\n\n\\1-grams:\n-1\t"), MODEL, 4 * TEXT),
    ("line.arpa.gz", _packed(1024, W, b"\\data\\\nngram 1=2\n\n\\1-grams:\n-1\t"), MODEL, 4 * TEXT),
    ("counts.arpa", _counts, MODEL, 4 * TEXT),
    ("wide.csv.gz", _packed(1024, ZEROS, b"a,y\n"), ALL, TABLE),
    ("names.csv", _plain(4, ZEROS, tail=b"\n0\n"), (RANK, EVALUATE), TABLE),
    ("rows.csv.gz", _packed(1024, b"0,1\n" * (MB // 4), b"a,y\n"), (FIT, TRAIN, RANK), TABLE),
    ("rows.jsonl.gz", _packed(1024, JSON_LINE), (FIT, TRAIN, RANK), TABLE),
    ("cell.csv", _plain(10, b"x" * MB, b"a,y\n"), (RANK, FIT, EVALUATE, DRIFT), TABLE),
    ("deep.jsonl", _plain(1, b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b', "y": 1}\n'),
     (RANK, FIT), TABLE),
    ("keys.jsonl", _keys, (RANK, FIT, EVALUATE), TABLE),
    ("array.npz", _npz((1 << 26,), (1 << 26,)), (RANK, FIT, TRAIN, EVALUATE), ARRAYS),
    ("wide.npz", _npz((1 << 9, 1 << 18)), (RANK, FIT, EVALUATE), ARRAYS),
    ("huge.npy", _plain(1, _npy_head((1 << 42,)) + bytes(800)), (RANK, FIT, EVALUATE), TABLE),
    ("rows.parquet", _parquet, (FIT, TRAIN), ARRAYS),
    ("text.parquet", _parquet_text, ALL, ARRAYS),
    ("lists.parquet", _parquet_lists, (EVALUATE, RANK), ARRAYS),
    ("columns.parquet", _parquet_columns, (FIT, RANK, EVALUATE), ARRAYS),
    ("mnist", _idx, (PICTURES,), ARRAYS),
    ("one image", _images(2, 30_000), (PICTURES,), ARRAYS),
    ("images", _images(20, 9_000), (PICTURES, PICTURES + " --image-size 8x8"), ARRAYS),
    ("statements.py", _plain(1 << 20, b"a = 1\n", LOSS.encode()), (AUDIT,), TABLE),
    ("list.py", _plain(MB, b"1,1,", LOSS.encode() + b"a = [", b"]\n"), (AUDIT,), TABLE),
    ("deep.py", _plain(100_000, b"(", LOSS.encode()), (AUDIT,), TABLE),
    ("sum.py", _plain(100_000, b"+a", LOSS.encode() + b"b = a"), (AUDIT,), TABLE),
    ("signs.py", _plain(100_000, b"-", LOSS.encode() + b"b = ", b"1\n"), (AUDIT,), TABLE),
    ("names.py", _plain(100_000, b".a", LOSS.encode() + b"b = a"), (AUDIT,), TABLE),
    ("branches.py", _plain(20_000, b"elif a:\n  b = 1\n", LOSS.encode() + b"if a:\n  b = 1\n"),
     (AUDIT,), TABLE),
    ("digits.py", _plain(4, b"9" * MB, LOSS.encode() + b"b = "), (AUDIT,), TABLE),
    ("cell.ipynb", _notebook(LOSS + "a = 1\n" * (1 << 20)), (AUDIT,), TABLE),
    ("deep.ipynb", _plain(MB, b"["), (AUDIT,), TABLE),
    ("line.ipynb", _plain(64, b"w" * MB, b'{"cells": "'), (AUDIT,), TABLE),
    ("deep.json", _plain(MB, b"["), ("audit files script.py --baseline {}",), TABLE),
]  # fmt: skip


def guarded() -> None:
    """Let this process grow by no more than so many bytes."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (now + GUARD, hard))


def torture(
    given: Path, folder: Path, seed: int, cases: int, notes: list[str], only: str = ""
) -> Iterator[tuple[str, Counter[str]]]:
    """Yield a line of the table for each file."""
    place = many.copied(given, folder / "bombs")
    alone = forks.run(lambda: 0, place).peak  # what the child shares with this process
    chosen = [bomb for bomb in BOMBS if only in bomb[0]]
    if cases < len(chosen):
        chosen = random.Random(f"bombs {seed}").sample(chosen, cases)
    for name, write, commands, promised in chosen:
        path = place / name.replace(" ", "_")
        many.prepared(lambda write=write, path=path: write(path) and None, place)
        told: Counter[str] = Counter()
        told["file KB"] = _size(path) >> 10
        for words in commands:
            said = words.format(path.name)
            ending = forks.run(
                lambda said=said: forks.command(said.split()), place, limit=guarded, timeout=SECONDS
            )
            peak = ending.peak - alone
            told["cases"] += 1
            told["refused"] += ending.code == 2
            told["answered"] += ending.code in (0, 1)
            told["most MB"] = max(told["most MB"], peak // MB)
            answers = (0, 1, 2, -9) if words.startswith("audit") else (0, 2, -9)
            faults = {
                "crashes": ending.crashed,
                "hangs": ending.hung,
                "tracebacks": ending.traceback or ending.code not in answers,
                "long sentences": len(ending.err) > many.SENTENCE and not ending.traceback,
                "too much memory": peak > promised,
            }
            why = json.dumps([said, ending.code, peak // MB, promised // MB, ending.seconds])
            for fault, is_so in faults.items():
                told[fault] += is_so
                if is_so:
                    notes.append(f"{fault}: {why} {ending.err[-600:]}")
            if os.environ.get("SHOW"):
                print(why, ending.err[-200:], flush=True)
        shutil.rmtree(path) if path.is_dir() else os.unlink(path)
        yield name, told


def _size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    return sum(p.stat().st_size for p in chain([path], path.rglob("*")) if p.is_file())
