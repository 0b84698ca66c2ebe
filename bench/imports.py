"""What an import costs, as a ratio to `import numpy`: fresh processes, alternating."""

import os
import statistics
import subprocess
import sys

from bench.ratio import machine

GOALS = {"import xent": 0.3, "import xent.measures": 1.3}
ROUNDS = 15


def seconds(statement: str) -> float:
    """Time an import inside a fresh process, without the start of the interpreter."""
    code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    # Byte code is kept, as wherever a package is installed.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    )
    return float(done.stdout)


def run() -> str:
    """Compare each import with NumPy's."""
    seconds("import numpy")
    lines = ["| import | time / `import numpy` (median) | goal |", "| --- | --- | --- |"]
    for statement, goal in GOALS.items():
        seconds(statement)
        ratios = [seconds(statement) / seconds("import numpy") for _ in range(ROUNDS)]
        lines.append(f"| `{statement}` | {statistics.median(ratios):.2f} | <= {goal} |")
    return "\n".join([*lines, "", machine()])
