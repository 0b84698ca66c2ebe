"""Evaluation against scikit-learn's log_loss, which computes one number and clips it.

One pass is an `Accumulator` without counts of scores: every row is checked and measured; loss and
its interval, Brier, accuracy, top-k, sums a class and a pair of classes, 15 bins, 20 worst rows.
What needs the rows in order, or twice, has lines of its own.
"""

import tracemalloc
from typing import Any

import numpy as np

from bench.ratio import HEADER, machine, pretty, ratio
from xent.evaluation import Accumulator, evaluate

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
            lambda t=target, p=probs: one_pass(t, p, ranking=True),
            lambda t=target, p=probs: one_pass(t, p),
            seconds=12,
        )
        lines.append(found.row("<= 4"))
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
