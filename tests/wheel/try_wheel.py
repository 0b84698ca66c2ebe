"""Test a wheel with machine code in a fresh environment: `make wheel` calls it.

    python try_wheel.py WHEEL [ROOM ...]

First calls of every room compile nothing, take 0.15 s of processor time at most after the imports,
write nothing, and give the bits of code that is compiled here; at each level that the wheel has.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
CALLS = Path(__file__).parent / "first_calls.py"
MOST = 0.15  # CPU seconds, the better of three
SILENT = ("NUMBA_CACHE_DIR", "PYTHONPATH", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")

sys.path.insert(0, str(CALLS.parent))
from first_calls import CALLS as NAMES  # noqa: E402


def fresh(python, name, **environment):
    """Run a first call in a fresh process that finds nothing of ours but the wheel."""
    clean = {k: v for k, v in os.environ.items() if k not in SILENT}
    run = (
        [python, "-I", "-B", CALLS, name]
        if "PYTHONPATH" not in environment
        else [python, CALLS, name]
    )
    done = subprocess.run(run, env=clean | environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def install(wheel, folder):
    """Make an environment with the wheel and what it needs; its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt"]
    subprocess.run([*pip, "torch==2.13.0"], check=True)
    subprocess.run([*pip, f"{wheel}[tables]"], check=True)
    return python


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def main(wheel, rooms):
    with zipfile.ZipFile(wheel) as packed:
        levels = [Path(n).stem for n in packed.namelist() if n.endswith(".code")]
    with tempfile.TemporaryDirectory() as place:
        python = install(wheel, Path(place) / "environment")
        code = "import xent; print(xent.__path__[0])"
        found = subprocess.run([python, "-I", "-B", "-c", code], capture_output=True, text=True)
        package = Path(found.stdout.strip())
        # Compiled here, for comparison: the same files without the archives.
        plain = Path(place) / "plain"
        shutil.copytree(package, plain / "xent")
        for file in plain.rglob("*.code"):
            file.unlink()
        nowhere = {
            "HOME": "/dev/null",
            "XDG_CACHE_HOME": "/dev/null",
            "NUMBA_CACHE_DIR": "/dev/null",
        }
        nowhere["PYTHONDONTWRITEBYTECODE"] = "1"
        for file in [package, *package.rglob("*")]:
            file.chmod(file.stat().st_mode & ~0o222)
        before, wrong = files(package), 0
        for level in ["native", *levels]:
            target = {"NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": features(python, level)}
            if level == "native":
                target = {}
            for name in NAMES:
                if rooms and name.partition(":")[0] not in rooms:
                    continue
                tries = [fresh(python, name, **nowhere, **target) for _ in range(3)]
                seconds = min(result["seconds"] for result, _ in tries)
                compiled = max(result["compiled"] for result, _ in tries)
                said = "".join(errors for _, errors in tries)
                cache = {"NUMBA_CACHE_DIR": f"{place}/cache", "PYTHONPATH": str(plain)}
                here, _ = fresh(python, name, **cache, **target)
                same = here["bits"] == tries[0][0]["bits"]
                good = seconds <= MOST and not compiled and same and not said
                wrong += not good
                print(
                    f"{level:9}  {name:42} {seconds:.3f} s  {compiled} compiled  "
                    f"{'same' if same else 'OTHER'} bits  (compiled here: {here['seconds']:.1f} s, "
                    f"{here['compiled']} functions){'' if good else '   <- WRONG ' + said}",
                    flush=True,
                )
        if files(package) != before:
            raise SystemExit("The package was written to.")
        for file in [package, *package.rglob("*")]:
            file.chmod(file.stat().st_mode | 0o200)
    if wrong:
        raise SystemExit(f"{wrong} first calls are not as promised.")


def features(python, level):
    code = f"from xent._compile.shipped import features; print(features({level!r}))"
    return subprocess.run(
        [python, "-I", "-B", "-c", code], capture_output=True, text=True
    ).stdout.strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
