"""Arrow's own files: Feather, and streams as Hugging Face's ``save_to_disk`` writes them.

Record batches lie in memory as they lie in the file, unless they are packed. How large a packed
buffer becomes is said before it, and looked at before it is unpacked.
Format: https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""

import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xent import _check
from xent._table.files.endings import unreadable
from xent._table.files.parquet import BATCH_BYTES
from xent._table.files.unpacked import check_size

ARROW_MAGIC = b"ARROW1"  # of the file format, which Feather 2 is
FEATHER_1_MAGIC = b"FEA1"
DICTIONARY, RECORDS = 2, 3  # kinds of messages
CELL_BYTES = 8  # of a row that takes no place in the file: nulls, or one run of one value


def arrow_rows(path: str | os.PathLike[str]) -> int:
    """Return how many rows a file says that it has; ValueError if it is damaged."""
    import pyarrow as pa

    try:
        with _source(path) as (file, _):
            return sum(part.rows for part in _parts(file))
    except (pa.ArrowInvalid, OSError) as error:
        raise unreadable(path, ".arrow", error) from None


def scan_arrow(path: str | os.PathLike[str], batch_rows: int) -> Iterator[Any]:
    """Yield the record batches of a file, each of so many rows at most, and valid.

    Raises
    ------
    ValueError
        If a batch would be far larger in memory than the file.
    pyarrow.ArrowInvalid, OSError
        If the file is damaged.
    """
    with _source(path) as (file, _):
        check_size(path, max((part.size for part in _parts(file)), default=0))
    with _source(path) as (file, opened):
        for batch in _batches_of(opened(file)):
            batch.validate(full=True)  # offsets and codes of a damaged file may point anywhere
            batch = _usual(batch)
            rows = min(batch_rows, max(1, BATCH_BYTES // max(_longest(batch), 1)))
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)


def read_arrow(path: str | os.PathLike[str]) -> Any:
    """Return a whole file as a table; errors as of `scan_arrow`."""
    import pyarrow as pa

    with _source(path) as (file, _):
        check_size(path, sum(part.size for part in _parts(file)))
    with _source(path) as (file, opened):
        reader = opened(file)
        schema = reader.schema
        batches = list(_batches_of(reader))
    table = pa.Table.from_batches(batches, schema)
    table.validate(full=True)
    table = _usual(table)
    check_size(path, _longest(table) * table.num_rows)
    return table


def arrow_files(folder: Path, argument: str) -> list[Path]:
    """Return the files of a data set of Arrow files, in their order.

    Parameters
    ----------
    folder : Path
        As ``Dataset.save_to_disk`` of Hugging Face leaves it, or any folder of Arrow files.
    argument : str
        What the caller calls it, for the error message.

    Raises
    ------
    ValueError
        If it holds several splits, or rows of it were chosen and not yet written.
    """
    if (folder / "dataset_dict.json").is_file():
        splits = sorted(each.name for each in folder.iterdir() if (each / "state.json").is_file())
        advice = f"Pass {str(folder / splits[0])!r}." if splits else ""
        raise _check.invalid(argument, "be one split", f"{_check.join_names(splits)}", advice)
    state = folder / "state.json"
    if not state.is_file():
        return sorted(path for path in folder.rglob("*.arrow") if path.is_file())
    try:
        said = json.loads(state.read_text(encoding="utf-8"))
        names = [str(Path(one["filename"]).name) for one in said["_data_files"]]
        chosen = said.get("_indices_data_files") or said.get("_indices_files")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        because = str(error).partition("\n")[0] or type(error).__name__
        raise _check.cannot(f"{str(state)!r} cannot be read", because) from None
    if chosen:
        advice = "Save it again after flatten_indices()."
        raise _check.invalid(argument, "hold its rows as they are", "chosen rows of them", advice)
    return [folder / name for name in names]


@contextmanager
def _source(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a file, and say which reader it needs. Not mapped: a file cut short would kill us."""
    import pyarrow as pa
    import pyarrow.ipc

    with pa.OSFile(os.fspath(path), "rb") as file:
        first = file.read(6)
        if first[:4] == FEATHER_1_MAGIC:
            raise pa.ArrowInvalid("it is of Feather version 1, which pyarrow writes no more")
        file.seek(0)
        whole = first == ARROW_MAGIC
        yield file, (_FileBatches if whole else pyarrow.ipc.open_stream)


def _batches_of(reader: Any) -> Iterator[Any]:
    """Yield the batches; a damaged length may ask for more memory than any machine has."""
    import pyarrow as pa

    try:
        yield from reader
    except pa.ArrowMemoryError as error:
        raise pa.ArrowInvalid(str(error)) from None


class _FileBatches:
    """The record batches of Arrow's file format, one after another."""

    def __init__(self, file: Any) -> None:
        import pyarrow.ipc

        self.file = pyarrow.ipc.open_file(file)
        self.schema = self.file.schema

    def __iter__(self) -> Iterator[Any]:
        for k in range(self.file.num_record_batches):
            yield self.file.get_batch(k)


@dataclass(frozen=True)
class _Part:
    """What a message says of itself: how many rows, and how large they are in memory."""

    rows: int
    size: int


def _parts(file: Any) -> Iterator[_Part]:
    """Read what the messages of a file say, and no rows."""
    import pyarrow as pa

    end = file.size()
    try:
        if file.read_at(6, 0) == ARROW_MAGIC:
            for at in _blocks(file, end):
                yield _part(file, at)[0]
            return
        at = 0
        while at + 8 <= end:
            part, after = _part(file, at)
            if after == at:
                return
            at = after
            yield part
    except (struct.error, IndexError):
        raise pa.ArrowInvalid("what it says of itself is damaged") from None


def _blocks(file: Any, end: int) -> Iterator[int]:
    """Return where a file's messages stand, which its last part says: File.fbs of the format."""
    length = struct.unpack("<i", file.read_at(4, end - 10))[0]
    if not 0 < length <= end - 10:
        raise IndexError(length)
    footer = memoryview(file.read_at(length, end - 10 - length))
    root = _int("I", footer, 0)
    for field in (2, 3):  # dictionaries, record batches
        first, count = _vector(footer, root, field)
        for at in range(first, first + 24 * count, 24):
            yield _int("q", footer, at)


def _part(file: Any, at: int) -> tuple[_Part, int]:
    """Take a message apart, a table of FlatBuffers: Message.fbs of the format.

    Returns what it says, and where the next one stands: at the same place where none follows.
    """
    mark, length = struct.unpack("<ii", file.read_at(8, at))
    start = at + 8
    if mark != -1:  # before Arrow 0.15 the length came first
        length, start = mark, at + 4
    if length == 0:
        return _Part(0, 0), at
    if not 0 < length <= file.size() - start:
        raise IndexError(length)
    metadata = memoryview(file.read_at(length, start))
    message = _int("I", metadata, 0)
    kind = _field("B", metadata, message, 1)
    body = _field("q", metadata, message, 3)
    after = start + length + body
    if body < 0:
        raise IndexError(body)
    if kind not in (DICTIONARY, RECORDS):
        return _Part(0, 0), after
    header = _table(metadata, message, 2)
    records = header if kind == RECORDS else _table(metadata, header, 1)
    rows = _field("q", metadata, records, 0)
    _, columns = _vector(metadata, records, 1)
    size = body
    if _place(metadata, records, 3) is not None:  # packed
        first, count = _vector(metadata, records, 2)
        size = 0
        for at in range(first, first + 16 * count, 16):
            offset, packed = _int("q", metadata, at), _int("q", metadata, at + 8)
            if packed > 0:
                said = _int("q", memoryview(file.read_at(8, start + length + offset)), 0)
                size += packed if said < 0 else said
    least = CELL_BYTES * rows * max(columns, 1)
    return _Part(rows if kind == RECORDS else 0, max(size, least)), after


def _int(kind: str, data: memoryview, at: int) -> int:
    if at < 0:
        raise IndexError(at)
    return int(struct.unpack_from("<" + kind, data, at)[0])


def _place(data: memoryview, table: int, field: int) -> int | None:
    """Return where a field of a table stands, if it has it."""
    known = table - _int("i", data, table)
    at = 4 + 2 * field
    offset = _int("H", data, known + at) if at < _int("H", data, known) else 0
    return table + offset if offset else None


def _field(kind: str, data: memoryview, table: int, field: int) -> int:
    at = _place(data, table, field)
    return 0 if at is None else _int(kind, data, at)


def _table(data: memoryview, table: int, field: int) -> int:
    at = _place(data, table, field)
    if at is None:
        raise IndexError(field)
    return at + _int("I", data, at)


def _vector(data: memoryview, table: int, field: int) -> tuple[int, int]:
    """Return where a vector's first element is, and how many there are."""
    at = _place(data, table, field)
    if at is None:
        return 0, 0
    at += _int("I", data, at)
    return at + 4, _int("I", data, at)


def _usual(table: Any) -> Any:
    """Return views of text and runs in the types that all of pyarrow knows: polars writes views."""
    import pyarrow as pa

    columns = [
        pa.chunked_array([_plain(chunk) for chunk in column.chunks], _plain_type(column.type))
        if isinstance(column, pa.ChunkedArray)
        else _plain(column)
        for column in table.columns
    ]
    return type(table).from_arrays(columns, names=table.schema.names)


def _plain(array: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_run_end_encoded(kind):
        return pc.run_end_decode(array)
    if pa.types.is_dictionary(kind) and (wanted := _plain_type(kind)) != kind:
        words = array.dictionary.cast(wanted.value_type)
        return pa.DictionaryArray.from_arrays(array.indices, words, ordered=kind.ordered)
    return array.cast(_plain_type(kind))


def _plain_type(kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _plain_type(kind.value_type), kind.ordered)
    if pa.types.is_run_end_encoded(kind):
        return kind.value_type
    views = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    return views.get(kind, kind)


def _longest(table: Any) -> int:
    """Return how long the longest coded text is: coded, a text stands once for all its rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    longest = 0
    for column in table.columns:
        if not pa.types.is_dictionary(column.type):
            continue
        for part in getattr(column, "chunks", [column]):
            words = part.dictionary
            if len(words) and pa.types.is_binary(words.type) | pa.types.is_string(words.type) | (
                pa.types.is_large_string(words.type)
            ):
                longest = max(longest, pc.max(pc.binary_length(words)).as_py() or 0)
    return longest
