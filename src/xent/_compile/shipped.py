"""Machine code that came with the wheel: one archive for each level of x86-64, asked first.

An archive is a line of JSON, which says where each piece lies, and the pieces. A piece is what
`numba_private` keeps in a file of the same name, without LLVM's own form of the code, packed. The
name holds a digest of the kernel's sources, the versions of Python, Numba and LLVM, and all that
changes the code; so what does not fit is not found, and is compiled. The archive is code, and
trusted as the source files beside it are.
"""

import json
import zlib
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from llvmlite import binding
from numba.core import config

HERE = Path(__file__).parent
# What LLVM says of the levels of x86-64, the highest first.
V3 = "cx16 sahf popcnt sse3 sse4.1 sse4.2 ssse3 avx avx2 bmi bmi2 f16c fma lzcnt movbe xsave"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl"
PROCESSOR_LEVELS = {"x86-64-v4": V4.split(), "x86-64-v3": V3.split()}


def features(level: str) -> str:
    """Write the features of a level as ``NUMBA_CPU_FEATURES`` takes them."""
    return ",".join(f"+{name}" for name in PROCESSOR_LEVELS[level])


def named_level() -> str | None:
    """Return the level that code is compiled for, where the user names it and all its features."""
    level, named = (getattr(config, name, None) for name in ("CPU_NAME", "CPU_FEATURES"))
    return level if level in PROCESSOR_LEVELS and named == features(str(level)) else None


@cache
def host_level() -> str | None:
    """Return the level that the user names, or the highest that this machine runs."""
    asked = (getattr(config, name, None) for name in ("CPU_NAME", "CPU_FEATURES"))
    if any(value is not None for value in asked) or not getattr(config, "ENABLE_AVX", 1):
        return named_level()
    return runs()


def runs() -> str | None:
    """Return the highest level that this machine runs."""
    has = binding.get_host_cpu_features()  # LLVM asks the system, too, whether it saves registers
    if binding.get_process_triple().partition("-")[0] != "x86_64":
        return None
    level = next(
        (name for name, needs in PROCESSOR_LEVELS.items() if all(has.get(n) for n in needs)), None
    )
    # Kernels that look for AVX-512 must not find more of it than the archive's level has.
    return None if level == "x86-64-v3" and has.get("avx512f") else level


def find(name: str) -> bytes | None:
    """Return a piece by its name, if an archive for this machine has it."""
    level = host_level()
    data, places = _archive(level) if level else (b"", {})
    if place := places.get(name):
        with suppress(zlib.error):  # it has a checksum
            return zlib.decompress(data[slice(*place)])
    return None


@cache
def _archive(level: str) -> tuple[memoryview, dict[str, list[int]]]:
    try:
        head, _, data = (HERE / f"{level}.code").read_bytes().partition(b"\n")
        return memoryview(data), json.loads(head)
    except (OSError, ValueError):
        return memoryview(b""), {}


def write(path: Path, pieces: Iterable[tuple[str, bytes]]) -> int:
    """Write an archive; how many bytes it has."""
    places, packed = {}, b""
    for name, piece in sorted(pieces):
        begin = len(packed)
        packed += zlib.compress(piece, 9)
        places[name] = begin, len(packed)
    head = json.dumps(places, separators=(",", ":")).encode()
    return path.write_bytes(head + b"\n" + packed)
