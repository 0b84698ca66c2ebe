"""Build a wheel with machine code for x86-64, and test it: `make wheel`.

    python build_wheel.py [--rooms ROOM ...] [--no-test]

For each level of x86-64 that this machine runs, `xent warm-up` compiles into an empty folder, and
what lies there then becomes the level's archive. A warm-up runs the code, so the archive for
x86-64-v4 can be made on a machine with AVX-512 alone; elsewhere it is left out, and said so. The
wheel serves the minor version of Python and the Numba that built it; with others, and on other
machines, it compiles as a plain one does.
"""

import argparse
import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

from xent._compile import numba_private, shipped

ROOT = Path(__file__).parent
BUILT = ROOT / "build" / "machine-code"


def run(*command: object, **environment: str) -> None:
    """Run a command; stop with it where it fails."""
    subprocess.run([str(part) for part in command], check=True, env=os.environ | environment)


def levels() -> list[str]:
    """Return the levels that this machine runs, the highest first."""
    highest, names = shipped.runs(), list(shipped.PROCESSOR_LEVELS)
    if highest is None:
        raise SystemExit("This machine runs no level of x86-64 that there are archives for.")
    return names[names.index(highest) :]


def compile_level(level: str, rooms: list[str]) -> None:
    """Compile for a level and write its archive."""
    folder = BUILT / level
    target = {"NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": shipped.features(level)}
    run(sys.executable, "-m", "xent", "warm-up", *rooms, NUMBA_CACHE_DIR=str(folder), **target)
    kept = {path.name: path.read_bytes() for path in folder.rglob("*.nbc")}
    pieces = ((name, numba_private.stripped(data)) for name, data in kept.items())
    size = shipped.write(BUILT / f"{level}.code", pieces)
    print(f"{level}: {len(kept)} functions, {size / 1e6:.2f} MB")


def tag() -> str:
    """Return the tag of the wheel: where the Numba runs whose functions the code calls."""
    lines = (distribution("numba").read_text("WHEEL") or "").splitlines()
    tags = [line.removeprefix("Tag: ") for line in lines if line.startswith("Tag: ")]
    return tags[0]


def main() -> None:
    """Build, and test what was built."""
    command = argparse.ArgumentParser(description="Build a wheel with machine code, and test it.")
    command.add_argument("--rooms", nargs="*", default=[], help="rooms to compile, all by default")
    command.add_argument("--no-test", action="store_true", help="leave the wheel untested")
    args = command.parse_args()
    shutil.rmtree(BUILT, ignore_errors=True)
    made = levels()
    for level in made:
        compile_level(level, args.rooms)
    for level in set(shipped.PROCESSOR_LEVELS) - set(made):
        print(f"{level}: left out, since this machine does not run it")
    environment = {"XENT_MACHINE_CODE": str(BUILT), "XENT_WHEEL_TAG": tag()}
    run(sys.executable, "-m", "pip", "wheel", ROOT, "--no-deps", "--quiet", "-w", ROOT / "dist",
        **environment)  # fmt: skip
    wheel = max((ROOT / "dist").glob("xent-*x86_64.whl"), key=lambda path: path.stat().st_mtime)
    print(f"{wheel}: {wheel.stat().st_size / 1e6:.2f} MB")
    if not args.no_test:
        run(sys.executable, ROOT / "tests" / "wheel" / "try_wheel.py", wheel, *args.rooms)


if __name__ == "__main__":
    main()
