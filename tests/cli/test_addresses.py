"""Files elsewhere: `memory://` stands for every place that fsspec knows."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import typer
from typer.testing import CliRunner

from xent.cli import _evaluate
from xent.cli._compare._command import compare
from xent.cli._stream import _run

fsspec = pytest.importorskip("fsspec")

ROWS = 300


def ran(command, *args):
    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, [*map(str, args), "--json", "-"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.stdout)


def evaluated(*args):
    return ran(_evaluate.evaluate, *args)


@pytest.fixture
def there(tmp_path):
    """The same predictions on this disk and elsewhere."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    rng = np.random.default_rng(0)
    p = rng.random(ROWS)
    table = pa.table(
        {
            "id": [f"r{i}" for i in range(ROWS)],
            "target": rng.choice(["a", "b"], ROWS),
            "p_a": p,
            "p_b": 1 - p,
        }
    )
    pa.parquet.write_table(table, tmp_path / "t.parquet", row_group_size=64)
    (tmp_path / "parts").mkdir()
    for k in range(3):
        pa.parquet.write_table(table.slice(100 * k, 100), tmp_path / "parts" / f"{k}.parquet")
    lines = ["id,target,p_a,p_b", *(",".join(map(str, row.values())) for row in table.to_pylist())]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    np.save(tmp_path / "z.npy", np.log(np.stack([p, 1 - p], axis=1)))
    np.save(tmp_path / "y.npy", (table["target"].to_numpy() == "b").astype(int))
    for file in tmp_path.rglob("*.*"):
        files.pipe(f"/data/{file.relative_to(tmp_path).as_posix()}", file.read_bytes())
    return tmp_path


@pytest.mark.parametrize("name", ["t.parquet", "parts", "t.csv"])
def test_a_file_elsewhere_is_the_file(there, name):
    want = evaluated(there / name, "--id", "id")
    found = evaluated(f"memory://data/{name}", "--id", "id")
    for key in ("cross_entropy", "low", "ranking", "signature", "hardest"):
        assert found[key] == want[key], key
    assert evaluated(f"file://{there}/{name}", "--id", "id") == want


def test_checkpoints_and_workers_elsewhere(there, monkeypatch):
    monkeypatch.setattr(_run, "_executor", lambda options: ThreadPoolExecutor(options.workers))
    want = evaluated("memory://data/parts")
    kept = there / "c.xent"
    assert evaluated("memory://data/parts", "--checkpoint", kept) == want
    assert evaluated("memory://data/parts", "--checkpoint", kept) == want
    assert evaluated("memory://data/parts", "--workers", "2") == want
    fsspec.filesystem("memory").put(str(there / "t.parquet"), "/data/parts/0.parquet")
    with pytest.raises(ValueError, match="must be of the same file, options and version"):
        evaluated("memory://data/parts", "--checkpoint", kept)


def test_the_truth_and_the_other_model_may_be_elsewhere(there):
    z, y = "memory://data/z.npy", "memory://data/y.npy"
    found = evaluated(z, "--log-probs", "*", "--truth", y)
    assert found["cross_entropy"] == pytest.approx(
        evaluated(there / "t.csv")["cross_entropy"], rel=1e-12
    )
    both = ran(compare, "memory://data/t.csv", there / "t.parquet", "--id", "id")
    assert both["differences"][0]["difference"] == pytest.approx(0, abs=1e-12)


def test_what_is_not_there_is_said_in_a_sentence(there):
    with pytest.raises(
        FileNotFoundError, match=r"^There is no file 'memory://data/none.parquet'\.$"
    ):
        evaluated("memory://data/none.parquet")
    with pytest.raises(FileNotFoundError, match=r"^There is no file 'memory://data/none.csv'\.$"):
        evaluated("memory://data/none.csv")
    fsspec.filesystem("memory").pipe("/data/bad.parquet", b"PAR1 no")
    with pytest.raises(ValueError, match=r"'memory://data/bad.parquet' cannot be read"):
        evaluated("memory://data/bad.parquet")
    fsspec.filesystem("memory").pipe("/data/bad.csv", b"id,target,p_a,p_b\nr,a,0.5,0.6\n")
    with pytest.raises(ValueError, match=r"sum to 1 in every row, got 1.1 at row 0"):
        evaluated("memory://data/bad.csv")
    fsspec.filesystem("memory").pipe("/data/bad.npz", b"PK")
    with pytest.raises(ValueError, match=r"^'memory://data/bad.npz' cannot be read as NPZ"):
        evaluated("memory://data/bad.npz")
    fsspec.filesystem("memory").pipe("/data/empty/x.csv", b"")
    with pytest.raises(
        ValueError,
        match=r"must hold files that end in .parquet or .arrow, got the folder 'memory://data/empty'",
    ):
        evaluated("memory://data/empty")
    with pytest.raises(
        ValueError, match="must be a path, or an address that fsspec knows, got 'nosuch://data/t"
    ):
        evaluated("nosuch://data/t.parquet")
    with pytest.raises(ValueError, match="`--rows` must be left out where FILE is an address"):
        evaluated("memory://data/t.parquet", "--rows", there / "r.parquet")


def test_the_package_that_is_missing_is_named(there, monkeypatch):
    if not pytest.importorskip("importlib.util").find_spec("s3fs"):
        with pytest.raises(
            ImportError, match=r"^An address of s3:// needs another package: .*s3fs"
        ):
            evaluated("s3://bucket/t.parquet")
    monkeypatch.setattr("xent._optional.find_spec", lambda name: None)
    with pytest.raises(
        ImportError,
        match=r'^An address of memory:// needs fsspec\. Install it with: pip install "fsspec',
    ):
        evaluated("memory://data/t.parquet")
