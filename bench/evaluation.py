"""Evaluation against scikit-learn's log_loss, which computes one number and clips it.

One pass is an `Accumulator` without counts of scores: every row is checked and measured; loss and
its interval, Brier, accuracy, top-k, sums a class and a pair of classes, 15 bins, 20 worst rows.
What needs the rows in order, or twice, has lines of its own; so has what is read off at the end of
scores that were counted.
"""

import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np

from bench.ratio import HEADER, machine, pretty, ratio
from xent.evaluation import Accumulator, evaluate, evaluate_tokens

SHAPES = ((1_000_000, 10, "<= 0.071"), (100_000, 1000, "<= 0.033"))


def run() -> str:
    import numba

    numba.set_num_threads(1)
    return "\n\n".join(
        (
            f"{machine('numba', 'scikit-learn')}; one thread, warm.",
            "float32 probabilities; a ratio below 1 is in our favour.",
            passes(),
            orders(),
            vocabulary(),
            tokens(),
            files(),
        )
    )


def predictions(rows: int, classes: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    probs = rng.random((rows, classes), dtype=np.float32)
    probs /= probs.sum(axis=1, keepdims=True)
    return rng.integers(0, classes, rows), probs


def one_pass(target: Any, scores: Any, kind: str = "probs", *, ranking: bool = False) -> Any:
    one = Accumulator(ranking=ranking)
    one.update(target, **{kind: scores})
    return one.result()


def counted(target: Any, probs: Any) -> Accumulator:
    one = Accumulator()
    one.update(target, probs)
    assert one.state is not None
    for column in one.state.scores.columns:
        _ = column.exact  # scores that wait are sorted here, and not where they are read
    return one


def passes() -> str:
    """Time of one pass over the time of log_loss, and its memory."""
    from sklearn.metrics import log_loss

    lines, memory = [HEADER], []
    for rows, classes, goal in SHAPES:
        target, probs = predictions(rows, classes)
        labels = np.arange(classes)
        found = ratio(
            f"one pass over {rows:,} x {classes:,} (log_loss)",
            lambda t=target, p=probs: one_pass(t, p),
            lambda t=target, p=probs, k=labels: log_loss(t, p, labels=k),
            seconds=12,
        )
        lines.append(found.row(goal))
        memory.append(f"{rows:,} x {classes:,}: {peak(target, probs):.1f} MB")
    return "\n".join(lines) + f"\n\nMemory above the predictions: {', '.join(memory)} (<= 10)."


def peak(target: Any, probs: Any) -> float:
    """Megabytes that one pass allocates at most."""
    tracemalloc.start()
    one_pass(target, probs)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found / 1e6


def orders() -> str:
    """Time of what is counted beside one pass, over that pass: all together at most 3."""
    lines = [HEADER]
    for classes in (2, 10):
        target, probs = predictions(1_000_000, classes)
        found = ratio(
            f"the same with counts of scores, 1,000,000 x {classes} (one pass)",
            lambda t=target, p=probs: counted(t, p),
            lambda t=target, p=probs: one_pass(t, p),
            seconds=12,
        )
        lines.append(found.row("<= 3"))
        whole = counted(target, probs)
        found = ratio(
            f"ranking, thresholds and decompositions of what was counted, x {classes} (one pass)",
            whole.result,
            lambda t=target, p=probs: one_pass(t, p),
            seconds=12,
        )
        lines.append(found.row(""))
    target, probs = predictions(100_000, 10)
    found = ratio(
        "evaluate with calibrators and decompositions, 100,000 x 10 (one pass)",
        lambda: evaluate(target, probs),
        lambda: one_pass(target, probs),
        seconds=12,
    )
    lines.append(found.row(""))
    return "\n".join(lines)


def vocabulary() -> str:
    """Time and memory of few rows over many classes."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(64, 50_257)).astype(np.float32)
    target = rng.integers(0, 50_257, 64)
    found = ratio(
        "", lambda: one_pass(target, logits, "logits"), lambda: logits.sum(axis=1), seconds=5
    )
    tracemalloc.start()
    one_pass(target, logits, "logits")
    memory = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return f"64 logits of 50,257 classes: {pretty(found.ours)} (< 0.2 s), {memory:.0f} MB (< 100)."


def tokens() -> str:
    """Log-probabilities of tokens that are scored in a second, in documents of 500."""
    rng = np.random.default_rng(0)
    logs = [-rng.exponential(2.0, 500) for _ in range(2000)]
    texts = ["word " * 400] * len(logs)
    found = ratio(
        "",
        lambda: evaluate_tokens(logs, texts=texts, first="left_out"),
        lambda: [part.sum() for part in logs],
        seconds=5,
    )
    rate = 1e-6 * sum(map(len, logs)) / found.ours
    return f"Tokens with their texts: {rate:.1f} million a second (>= 1)."


STREAMED = 6_000_000  # rows of a large file, in row groups of 126 MB
ROW_GROUP = 3_000_000
PEAK = """
import re, sys
from pathlib import Path
from xent.cli import main
sys.argv = ["xent", "evaluate", sys.argv[1], "--json", sys.argv[2]]
try:
    main()
except SystemExit as end:
    assert not end.code
# Not ru_maxrss, which a new process has from the one that started it.
print(re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[0])
"""


def written(path: Path, rows: int) -> Path:
    """Write predictions of ten classes as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    target, probs = predictions(rows, 10)
    columns = {f"p_{c}": probs[:, c] for c in range(10)}
    parquet.write_table(pa.table({"target": target} | columns), path, row_group_size=ROW_GROUP)
    return path


def files() -> str:
    """Time of `xent evaluate` on Parquet over that of reading it, and what its memory grows to."""
    import numba
    import pyarrow as pa
    import pyarrow.parquet as parquet
    import typer
    from typer.testing import CliRunner

    from xent.cli import _evaluate

    app = typer.Typer()
    _evaluate.register(app)

    def command(path: Path) -> None:
        done = CliRunner().invoke(app, [str(path), "--json", "-"])
        assert done.exit_code == 0, done.output

    def read(path: Path, threads: int) -> None:
        file = parquet.ParquetFile(path)
        for group in range(file.num_row_groups):
            file.read_row_group(group, use_threads=threads > 1)

    lines = [HEADER]
    with tempfile.TemporaryDirectory() as folder:
        few = written(Path(folder, "few.parquet"), 10)
        many = written(Path(folder, "many.parquet"), STREAMED)
        for threads in (1, 2):
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
            pa.set_cpu_count(threads)
            found = ratio(
                f"xent evaluate, {STREAMED:,} x 10 in Parquet, threads: {threads} (pyarrow)",
                lambda: command(many),
                lambda n=threads: read(many, n),
                seconds=20,
            )
            lines.append(found.row("<= 1.5"))
        peaks = [peak_of(path, Path(folder, "report.json")) for path in (few, many)]
    above = f"{peaks[1] - peaks[0]:.0f} MB above those of ten rows, {peaks[0]:.0f} MB (<= 150)"
    return "\n".join(lines) + f"\n\nIts memory at most: {above}."


def peak_of(path: Path, report: Path) -> float:
    """Megabytes that a process of its own takes at most to evaluate a file."""
    command = [sys.executable, "-c", PEAK, str(path), str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / 1e3
