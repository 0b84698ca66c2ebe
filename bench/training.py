"""Real MNIST digits: four losses, a step against PyTorch's, the convex case, a network that sees.

The images (IDX, gzip: t10k-images-idx3-ubyte.gz and its labels) are looked for in the folder named
by XENT_MNIST, else in ../shared/data/mnist; without them the section says so.
"""

import gzip
import math
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from bench.ratio import HEADER, Ratio, machine, ratio

FOLDER = Path(os.environ.get("XENT_MNIST", Path(__file__).parents[2] / "shared/data/mnist"))


def pixels_and_digits() -> tuple[np.ndarray, np.ndarray]:
    """Read the 10,000 images as rows of bytes, and their digits."""
    with gzip.open(FOLDER / "t10k-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(FOLDER / "t10k-labels-idx1-ubyte.gz") as file:
        return pixels, np.frombuffer(file.read(), np.uint8, offset=8).astype(int)


def solved(X: np.ndarray, y: np.ndarray) -> tuple[Ratio, float, float]:
    """Solve 8,000 x 784, C = 1, on one thread: the ratio of times, and both objectives."""
    from scipy.special import logsumexp
    from sklearn.linear_model import LogisticRegression

    from xent.training import SoftmaxClassifier

    ours = SoftmaxClassifier(optimizer="newton:C=1")
    theirs = LogisticRegression(solver="lbfgs", tol=1e-8, max_iter=10000)

    def objective(W: np.ndarray, b: np.ndarray) -> float:
        z = X @ W.T + b
        costs = logsumexp(z, axis=1) - z[np.arange(len(y)), y]
        return math.fsum(costs) + 0.5 * math.fsum((W**2).ravel())

    with one_thread():
        found = ratio(
            "convex case, 8,000 x 784, C = 1", lambda: ours.fit(X, y), lambda: theirs.fit(X, y),
            seconds=1, rounds=3,
        )  # fmt: skip
    return (
        found,
        objective(ours.coefs_[0], ours.intercepts_[0]),
        objective(theirs.coef_, theirs.intercept_),
    )


def seeing(X: np.ndarray, y: np.ndarray) -> str:
    """Train a small convolutional network on 8,000 images, test it on 2,000, and say how it did."""
    from xent.evaluation import evaluate
    from xent.training import SoftmaxClassifier, convolutional_network

    model = SoftmaxClassifier(
        module=convolutional_network((1, 28, 28), 10),
        epochs=6,
        optimizer="adam",
        learning_rate=3e-3,
        schedule="CosineAnnealingLR",
        random_state=0,
    )
    start = time.perf_counter()
    model.fit(X[:8000], y[:8000])
    took = time.perf_counter() - start
    log_probs = model.predict_log_proba(X[8000:])
    report = evaluate(y[8000:], logits=log_probs, labels=model.classes_)
    return (
        "A small convolutional network, `SoftmaxClassifier(module=convolutional_network((1, 28, "
        '28), 10), epochs=6, optimizer="adam", learning_rate=3e-3, schedule="CosineAnnealingLR")`, '
        f"on the same 8,000 and 2,000 images: accuracy {report.accuracy:.4f} (goal 0.975) after "
        f"{took:.1f} s of fit (goal 180), {report.cross_entropy:.4f} bits a row "
        f"({report.low:.4f} to {report.high:.4f}), calibration error "
        f"{100 * report.calibration_error:.2f} %."
    )


EPOCHS = 2


def steps(X: np.ndarray, y: np.ndarray) -> list[Ratio]:
    """Train 60,000 x 784, batches of 64, on one thread, against two loops that people write."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from xent.training import SoftmaxClassifier

    rows, target = torch.from_numpy(X), torch.from_numpy(y)

    def ours() -> None:
        SoftmaxClassifier(epochs=EPOCHS, random_state=0).fit(X, y)

    def watched() -> None:
        held = (X[:10_000], y[:10_000])
        SoftmaxClassifier(epochs=EPOCHS, random_state=0).fit(X, y, validation=held)

    def in_memory() -> None:
        layer = torch.nn.Linear(784, 10)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
        for _ in range(EPOCHS):
            for batch in torch.split(torch.randperm(len(rows)), 64):
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(layer(rows[batch]), target[batch])
                loss.backward()
                optimizer.step()

    def data_loader() -> None:
        layer = torch.nn.Linear(784, 10)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
        loader = DataLoader(TensorDataset(rows, target), batch_size=64, shuffle=True)
        for _ in range(EPOCHS):
            for x, t in loader:
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(layer(x), t)
                loss.backward()
                optimizer.step()

    size = "60,000 x 784, batch 64, 1 thread"
    with one_thread():
        return [
            ratio(f"linear steps, {size}, a plain loop", ours, in_memory, seconds=1, rounds=5),
            ratio(f"linear steps, {size}, a DataLoader", ours, data_loader, seconds=1, rounds=5),
            ratio("with 10,000 held-out rows, without", watched, ours, seconds=1, rounds=9),
            ratio(
                "the same, processor time", watched, ours, seconds=1, rounds=9,
                clock=time.process_time,
            ),
        ]  # fmt: skip


def memory() -> float:
    """Return what a fit of bytes adds to the process's peak, over the size of X in float32."""
    with get_context("spawn").Pool(1) as pool:
        return float(pool.apply(_peak_of_a_fit))


def _peak() -> int:
    # Not ru_maxrss, which a new process has from the one that started it.
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return 1024 * int(line)


def streamed() -> tuple[float, float, float]:
    """Return the size in float32 of a Parquet file's rows, and what two fits of it add to a peak.

    The first reads it by row groups with a buffer of 20,000 rows, the second whole.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        names = [f"x{j}" for j in range(100)]
        schema = pa.schema([(name, pa.float32()) for name in names])
        with pq.ParquetWriter(path, schema) as writer:
            for _ in range(60):
                part = rng.normal(size=(100, 10_000)).astype(np.float32)
                writer.write_table(pa.table(list(part), names=names))
        with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            found = [pool.apply(_peak_of_blocks, (path, size)) for size in (20_000, 0)]
    return (4 * 600_000 * 100, *found)


def _peak_of_blocks(path: Path, buffer_rows: int) -> float:
    """Take the peak of an epoch over a Parquet file, by row groups or, of 0, whole."""
    import pyarrow.parquet as pq

    from xent.training import ParquetRows, SoftmaxClassifier

    def numbers(table: Any) -> np.ndarray:
        return np.column_stack([column.to_numpy() for column in table.columns])

    model = SoftmaxClassifier(epochs=1, learning_rate=1e-4, random_state=0)
    y = np.arange(600_000) % 2
    model.fit(np.zeros((4, 100), np.float32), y[:4])
    pq.ParquetFile(path).read_row_group(0)
    before = _peak()
    whole = not buffer_rows
    X = (
        numbers(pq.read_table(path))
        if whole
        else ParquetRows(path, numbers, buffer_rows=buffer_rows)
    )
    model.fit(X, y)
    return _peak() - before


def _peak_of_a_fit() -> float:
    """Take the peak of a fit that holds out the first 10,000 rows, X itself with it."""
    from xent.training import SoftmaxClassifier

    few = SoftmaxClassifier(epochs=1, learning_rate=1e-4)
    pixels, y = pixels_and_digits()
    few.fit(pixels[:100], y[:100], validation=(pixels[:100], y[:100]))
    before = _peak()
    X, y = np.tile(pixels, (6, 1)), np.tile(y, 6)
    few.fit(X, y, validation=(X[:10_000], y[:10_000]))
    return (_peak() - before) / (4 * X.size)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let NumPy's and PyTorch's sums use one thread."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(before)


def run() -> str:
    """Train on the first 8,000, test on the last 2,000, defaults throughout."""
    from xent.training import SoftmaxClassifier, compare_losses

    if not FOLDER.exists():
        return f"Skipped: no MNIST images in `{FOLDER.name}` (set XENT_MNIST)."
    pixels, y = pixels_and_digits()
    X = pixels / 255
    start = time.perf_counter()
    found = compare_losses(
        X[:8000],
        y[:8000],
        validation=(X[8000:], y[8000:]),
        classifier=SoftmaxClassifier(random_state=0),
    )
    took = time.perf_counter() - start
    lines = [
        "10,000 MNIST images, pixels divided by 255; trained on the first 8,000 with the defaults "
        f"of `SoftmaxClassifier` and `random_state=0`, tested on the last 2,000; {took:.0f} s in "
        "all. Goal: cross-entropy at least 0.925 accurate, and fewer nats than each other loss.",
        "",
        "| loss | held-out nats | held-out bits | accuracy | seconds |",
        "| --- | --- | --- | --- | --- |",
    ]
    for loss, report in found.reports.items():
        nats = report.cross_entropy * math.log(2)
        lines.append(
            f"| {loss} | {nats:.4f} | {report.cross_entropy:.4f} | {report.accuracy:.4f} "
            f"| {found.seconds[loss]:.1f} |"
        )
    lines += ["", HEADER]
    newton, ours, theirs = solved(X[:8000], y[:8000])
    lines.append(newton.row("<= 0.7"))
    many = np.tile(X.astype(np.float32), (6, 1))
    plain, loader, watched, by_processor = steps(many, np.tile(y, 6))
    lines += [plain.row("<= 1"), loader.row("<= 0.53"), watched.row("<= 1.05")]
    lines += [by_processor.row("<= 1.05"), ""]
    lines.append(
        f"A fit of 60,000 x 784 bytes adds {memory():.2f} times the size of the "
        "data in float32 to the process (goal 1.3), the bytes themselves included."
    )
    size, by_groups, whole = streamed()
    lines.append(
        f"\nA fit of a Parquet file of 600,000 x 100, {size / 2**20:.0f} MB in float32, read by "
        f"row groups with a buffer of 20,000 rows adds {by_groups / 2**20:.0f} MB; read whole, "
        f"{whole / 2**20:.0f} MB."
    )
    lines.append("")
    lines.append(
        'The convex case: `optimizer="newton"` against `LogisticRegression(solver="lbfgs", '
        f"tol=1e-8, max_iter=10000)`. Objectives {ours:.10f} and {theirs:.10f}: ours is "
        f"{(ours - theirs) / theirs:.1e} of theirs above it."
    )
    lines += ["", seeing(X.astype(np.float32), y)]
    return "\n".join([*lines, "", machine("torch", "scikit-learn")])
