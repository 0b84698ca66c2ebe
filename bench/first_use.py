"""What the first call of a room costs: processor seconds in fresh processes, empty cache folders.

From source, and from the newest wheel in `dist/` (`make wheel`), if there is one for this machine.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from bench.ratio import machine

ROOT = Path(__file__).parents[1]
CALLS = ROOT / "tests" / "wheel" / "first_calls.py"
GOALS = {  # CPU seconds from source
    "measures: entropy": 1.2,
    "measures: mutual information of a table": 5,
    "measures: plug-in information of 100 rows": 5,
    "losses: cross_entropy 64 x 10": 1.5,
    "losses: cross_entropy 64 x 32000": 6,
    "losses: soft targets 64 x 1000": 6,
    "losses: bfloat16 64 x 1000": 7,
    "trees: TreeClassifier on iris": 9,
    "trees: C45Classifier on iris": 13,
    "language: NGramModel(3).fit and score": 3,
}
FROM_WHEEL = 0.15


def first(name: str, package: Path, cache: Path) -> dict[str, float]:
    """Make a first call in a fresh process."""
    places = {"PYTHONPATH": str(package), "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, CALLS, name],
        env=os.environ | places,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def run() -> str:
    """Measure each call once from source, thrice from a warm cache and from the wheel."""
    lines = [
        "Processor seconds of a first call after the imports, on one thread, and in brackets how "
        "many functions of xent were compiled.",
        "",
        "| first call | from source, nothing cached | goal | second process | from the wheel |",
        "| --- | --- | --- | --- | --- |",
    ]
    wheels = sorted((ROOT / "dist").glob("xent-*x86_64.whl"), key=lambda p: p.stat().st_mtime)
    with tempfile.TemporaryDirectory() as place:
        if wheels:
            zipfile.ZipFile(wheels[-1]).extractall(Path(place) / "wheel")
        # Code that lies beside the package is taken whatever NUMBA_CACHE_DIR says.
        source = Path(place) / "source"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        for number, (name, goal) in enumerate(GOALS.items()):
            cache = Path(place) / str(number)
            cold = first(name, source, cache)
            warm = min(first(name, source, cache)["seconds"] for _ in range(3))
            shipped = "no wheel in dist/"
            if wheels:
                three = [first(name, Path(place) / "wheel", Path("/dev/null")) for _ in range(3)]
                shipped = f"{min(x['seconds'] for x in three):.3f} ({three[0]['compiled']})"
            lines.append(
                f"| {name} | {cold['seconds']:.1f} ({cold['compiled']}) | {goal} | {warm:.3f} | "
                f"{shipped} |"
            )
    goal = f"Goal from the wheel: at most {FROM_WHEEL} and nothing compiled."
    return "\n".join([*lines, "", goal, "", machine("numba", "llvmlite")])
