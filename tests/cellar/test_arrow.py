"""Arrow's own files: Feather, polars' and Hugging Face's; packed, damaged, larger than they look."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pytest

from xent import _table
from xent._table.files import unpacked
from xent._table.files.arrow import arrow_files, arrow_rows

FRAME = pd.DataFrame(
    {
        "count": range(1000),
        "text": ["x", "yy", "ζ", ""] * 250,
        "level": pd.Categorical(["u", "v"] * 500),
        "scores": [[0.25, 0.75]] * 1000,
        "gap": [None] * 1000,
    }
)
TABLE = pa.Table.from_pandas(FRAME, preserve_index=False)


def stream(path, table=TABLE, rows=300, compression=None):
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with (
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_stream(file, table.schema, options=options) as out,
    ):
        out.write_table(table, max_chunksize=rows)


def polars(path, compression, streamed):
    pl = pytest.importorskip("polars")
    frame = pl.from_pandas(FRAME.drop(columns="gap"))
    (frame.write_ipc_stream if streamed else frame.write_ipc)(path, compression=compression)


WRITERS = {
    "feather lz4": lambda path: pyarrow.feather.write_feather(TABLE, path, compression="lz4"),
    "feather zstd": lambda path: pyarrow.feather.write_feather(TABLE, path, compression="zstd"),
    "feather": lambda path: pyarrow.feather.write_feather(TABLE, path, compression="uncompressed"),
    "stream": stream,
    "stream zstd": lambda path: stream(path, compression="zstd"),
    "polars": lambda path: polars(path, "uncompressed", False),
    "polars zstd": lambda path: polars(path, "zstd", False),
    "polars stream": lambda path: polars(path, "lz4", True),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer(tmp_path, writer):
    path = tmp_path / "table.arrow"
    WRITERS[writer](path)
    table = _table.read(path)
    for name in table.column_names:
        assert table[name].to_pylist() == TABLE[name].to_pylist(), name
    batches = list(_table.scan(path, batch_rows=400))
    assert max(batch.num_rows for batch in batches) <= 400
    assert pa.Table.from_batches(batches).to_pydict() == table.to_pydict()
    assert arrow_rows(path) == 1000
    assert next(b.schema.names for b in _table.scan(path, ["text", "count"])) == ["text", "count"]


def test_an_empty_field_is_text_as_in_parquet(tmp_path):
    stream(tmp_path / "table.arrow")
    table = _table.read(tmp_path / "table.arrow")
    assert _table.blanks_as_missing(table, tmp_path / "table.arrow")["text"].null_count == 0


def test_runs_of_equal_values(tmp_path):
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([3, 5], pa.int32()), pa.array(["a", "b"]))
    stream(tmp_path / "runs.arrow", pa.table({"run": runs}))
    assert _table.read(tmp_path / "runs.arrow")["run"].to_pylist() == ["a", "a", "a", "b", "b"]


def refused(path, sentence):
    for reading in (_table.read, lambda path: list(_table.scan(path))):
        with pytest.raises(ValueError, match=sentence):
            reading(path)


def test_what_would_be_far_larger_in_memory(tmp_path):
    column = pa.array(np.zeros(3_000_000))
    zeros = pa.table({f"zero {k}": column for k in range(50)})  # 1.2 GB in one batch
    path = tmp_path / "bomb.arrow"
    pyarrow.feather.write_feather(zeros, path, compression="zstd", chunksize=3_000_000)
    assert path.stat().st_size < 1_000_000
    refused(path, r"bomb.arrow' cannot be read: .* unpacked it would be larger than 1,000 MB")
    nulls = pa.table({"nothing": pa.nulls(2 * 10**8)})
    stream(tmp_path / "nulls.arrow", nulls, rows=2 * 10**8)
    refused(tmp_path / "nulls.arrow", "larger than 1,000 MB")


def test_a_packed_file_takes_the_bytes_of_its_columns(tmp_path):
    """Parts of no bytes, as what says which are missing where none is, add nothing."""
    columns = {f"c{k}": np.random.default_rng(k).normal(size=5000) for k in range(3)}
    path = tmp_path / "t.arrow"
    pyarrow.feather.write_feather(pa.table(columns), path, compression="lz4", chunksize=5000)
    with unpacked.up_to(3 * 5000 * 8):
        assert _table.read(path).num_rows == 5000
    with unpacked.up_to(3 * 5000 * 8 - 1):
        refused(path, "t.arrow' cannot be read: .* unpacked it would be larger than")


def test_a_long_text_that_stands_for_many_rows_comes_in_small_batches(tmp_path):
    text = pa.DictionaryArray.from_arrays(np.zeros(1000, np.int8), pa.array(["x" * 4_000_000]))
    stream(tmp_path / "text.arrow", pa.table({"text": text}), rows=1000)
    assert max(b.num_rows for b in _table.scan(tmp_path / "text.arrow")) == (1 << 28) // 4_000_000
    with pytest.raises(ValueError, match="larger than 1,601 MB"):
        _table.read(tmp_path / "text.arrow")  # 4 GB; the file has 4 MB, 400 times that is allowed


def test_damaged(tmp_path):
    """Each byte of what a file says of itself changed, and the file cut: a table, or a refusal."""
    rng, said = np.random.default_rng(0), []
    for writer in ("feather zstd", "stream", "stream zstd"):
        good = tmp_path / "good.arrow"
        WRITERS[writer](good)
        data, path = good.read_bytes(), tmp_path / "bad.arrow"
        kinds = {"read": 0, "refused": 0}
        for place in rng.integers(0, len(data), 150):
            bad = bytearray(data)
            bad[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(bad if place % 3 else data[:place])
            try:
                list(_table.scan(path))
                _table.read(path)
                kinds["read"] += 1
            except ValueError as error:
                said.append(str(error))
                kinds["refused"] += 1
        assert min(kinds.values()) > 10, kinds
    assert all("bad.arrow" in sentence for sentence in said)
    assert max(map(len, said)) < 2000


def test_a_message_is_as_long_as_what_is_left_at_most(tmp_path):
    """Arrow's format: after a mark of four bytes comes the length, then so many bytes."""
    path = tmp_path / "table.arrow"
    stream(path)
    data = path.read_bytes()
    schema = 8 + int.from_bytes(data[4:8], "little")
    path.write_bytes(data[:schema])  # an end need not be marked
    assert _table.read(path).column_names == TABLE.column_names
    assert (arrow_rows(path), list(_table.scan(path))) == (0, [])
    for length in (schema - 8 + 1, 2**31 - 1):  # looked at before memory is taken for it
        path.write_bytes(data[:4] + length.to_bytes(4, "little") + data[8:schema])
        refused(path, "cannot be read as Arrow: what it says of itself is damaged")


def test_the_old_feather(tmp_path):
    (tmp_path / "old.feather").write_bytes(b"FEA1" + bytes(60))
    refused(
        tmp_path / "old.feather", "old.feather' cannot be read as Arrow: it is of Feather version 1"
    )
    (tmp_path / "empty.arrow").write_bytes(b"")
    refused(tmp_path / "empty.arrow", "cannot be read as Arrow")


def test_folders_of_hugging_face(tmp_path):
    stream(tmp_path / "data-00000-of-00001.arrow")
    stream(tmp_path / "cache-1f.arrow")  # what a map left behind
    assert len(arrow_files(tmp_path, "FILE")) == 2
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}
    (tmp_path / "state.json").write_text(json.dumps(state))
    assert arrow_files(tmp_path, "FILE") == [tmp_path / "data-00000-of-00001.arrow"]
    (tmp_path / "state.json").write_text(json.dumps(state | {"_indices_data_files": [{}]}))
    with pytest.raises(ValueError, match=r"flatten_indices\(\)"):
        arrow_files(tmp_path, "FILE")
    for text in ("[]", "{", "[" * 100_000, '{"_data_files": [3]}'):
        (tmp_path / "state.json").write_text(text)
        with pytest.raises(ValueError, match=r"state.json' cannot be read"):
            arrow_files(tmp_path, "FILE")
    (tmp_path / "dataset_dict.json").write_text("{}")
    with pytest.raises(ValueError, match="`FILE` must be one split"):
        arrow_files(tmp_path, "FILE")
