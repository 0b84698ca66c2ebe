"""Files that say little and unpack to much, and lines without end: refused within stated memory."""

import gzip
import json
import os
import random
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from torture import forks, many

OTHERS = ("refused", "answered", "most MB")
FAULTS = ("crashes", "hangs", "tracebacks", "long sentences", "too much memory")
MB = 1 << 20
ZEROS = b"0," * (MB // 2)
# What text under --memory 64MB may take in all, and a table that is refused: the limit of what is
# unpacked, 256 MB, and what it is parsed to.
TEXT, TABLE = 192 * MB, 1280 * MB


def _gzip(size: int, piece: bytes, head: bytes = b"") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with gzip.open(path, "wb", compresslevel=9) as file:
            file.write(head)
            for _ in range(size):
                file.write(piece)

    return write


def _zstd(size: int, piece: bytes, head: bytes = b"") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        import pyarrow as pa

        with pa.CompressedOutputStream(str(path), "zstd") as file:
            file.write(head)
            for _ in range(size):
                file.write(piece)

    return write


def _plain(size: int, piece: bytes, head: bytes = b"") -> Callable[[Path], None]:
    return lambda path: path.write_bytes(head + piece * size) and None


def _npz(path: Path) -> None:
    """A gigabyte of zeros, and a header that says so."""
    head = repr({"descr": "<f8", "fortran_order": False, "shape": (1 << 28,)}).encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("a.npy", "w", force_zip64=True) as file,
    ):
        file.write(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
        for _ in range(2048):
            file.write(bytes(MB))


def _parquet(path: Path) -> None:
    """Two hundred million times one value: some kilobytes."""
    import pyarrow as pa
    import pyarrow.parquet

    one = pa.table({"a": pa.array([0] * MB, pa.int64()).dictionary_encode(), "y": ["u"] * MB})
    with pyarrow.parquet.ParquetWriter(path, one.schema) as writer:
        for _ in range(200):
            writer.write_table(one)


def _nested(path: Path) -> None:
    path.write_text('{"a": ' + "[" * 100_000 + "]" * 100_000 + ', "y": 1}\n')


RANK, FIT = "rank {} --target y", "tree fit {} -t y -o out.xent"
LINES = (
    "language fit {} -o out.xent --order 2 --memory 64MB",
    "language score language.xent {} -o out.tsv",
)
BOMBS: list[tuple[str, Callable[[Path], None], tuple[str, ...], int]] = [
    ("line.txt", _plain(160, b"w" * MB), LINES, 4 * TEXT),
    ("line.txt.gz", _gzip(1024, b"w " * (MB // 2)), LINES, 4 * TEXT),
    ("line.txt.zst", _zstd(1024, b"w " * (MB // 2)), LINES, 4 * TEXT),
    ("words.txt", _plain(24, b"w v u\n" * (MB // 6)), LINES[:1], TEXT),
    ("field.jsonl", _plain(64, b"w" * MB, b'{"text": "'), (LINES[0] + " --field text",), 4 * TEXT),
    ("wide.csv.gz", _gzip(1024, ZEROS, b"a,y\n"), (RANK, FIT), TABLE),
    ("rows.csv.gz", _gzip(1024, b"0,1\n" * (MB // 4), b"a,y\n"), (FIT,), 3 * TABLE),
    ("rows.csv.zst", _zstd(1024, b"0,1\n" * (MB // 4), b"a,y\n"), (FIT,), 3 * TABLE),
    ("rows.jsonl.gz", _gzip(1024, b'{"a": 0, "y": 1}\n' * (MB // 17)), (FIT,), 3 * TABLE),
    ("cell.csv", _plain(10, b"x" * MB, b"a,y\n"), (RANK, FIT), TABLE),
    ("array.npz", _npz, (RANK, FIT), TABLE),
    ("rows.parquet", _parquet, (FIT,), TABLE),
    ("deep.jsonl", _nested, (RANK, FIT), TABLE),
]


def torture(
    given: Path, folder: Path, seed: int, cases: int, notes: list[str]
) -> Iterator[tuple[str, Counter[str]]]:
    """Yield a line of the table for each file."""
    place = many.copied(given, folder / "bombs")
    alone = forks.run(lambda: 0, place).peak  # what the child shares with this process
    chosen = BOMBS
    if cases < len(BOMBS):
        chosen = random.Random(f"bombs {seed}").sample(BOMBS, cases)
    for name, write, commands, promised in chosen:
        write(place / name)
        told: Counter[str] = Counter()
        for words in commands:
            said = words.format(name)
            ending = forks.run(lambda said=said: forks.command(said.split()), place, timeout=60)
            peak = ending.peak - alone
            told["cases"] += 1
            told["refused"] += ending.code == 2
            told["answered"] += ending.code == 0
            told["most MB"] = max(told["most MB"], peak // MB)
            faults = {
                "crashes": ending.crashed,
                "hangs": ending.hung,
                "tracebacks": ending.traceback or ending.code not in (0, 2, -9),
                "long sentences": len(ending.err) > many.SENTENCE and not ending.traceback,
                "too much memory": peak > promised,
            }
            for fault, is_so in faults.items():
                told[fault] += is_so
                if is_so:
                    why = json.dumps([said, ending.code, peak // MB, promised // MB])
                    notes.append(f"{fault}: {why} {ending.err[-600:]}")
        os.unlink(place / name)
        yield name, told
