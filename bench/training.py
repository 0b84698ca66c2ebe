"""Real MNIST digits under four losses: cross-entropy shall reach 0.925 and the fewest nats.

The images (IDX, gzip: t10k-images-idx3-ubyte.gz and its labels) are looked for in the folder named
by XENT_MNIST, else in ../shared/data/mnist; without them the section says so.
"""

import gzip
import math
import os
import time
from pathlib import Path

import numpy as np

from bench.ratio import machine

FOLDER = Path(os.environ.get("XENT_MNIST", Path(__file__).parents[2] / "shared/data/mnist"))


def images() -> tuple[np.ndarray, np.ndarray]:
    """Read the 10,000 images as rows of pixels in [0, 1], and their digits."""
    with gzip.open(FOLDER / "t10k-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784) / 255
    with gzip.open(FOLDER / "t10k-labels-idx1-ubyte.gz") as file:
        return pixels, np.frombuffer(file.read(), np.uint8, offset=8).astype(int)


def run() -> str:
    """Train on the first 8,000, test on the last 2,000, defaults throughout."""
    from xent.training import SoftmaxClassifier, compare_losses

    if not FOLDER.exists():
        return f"Skipped: no MNIST images in `{FOLDER.name}` (set XENT_MNIST)."
    X, y = images()
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
    return "\n".join([*lines, "", machine("torch", "scikit-learn")])
