"""Run every bench (or the rooms named) and write their sections of RESULTS.md.

    python -m bench [measures losses training ...]

Each room's file has `run() -> str`, a Markdown section; a section is replaced, the others stay. A
machine without AVX-512 has sections of its own: its times are others, and so are its rivals'.
"""

import sys
from importlib import import_module
from pathlib import Path

from llvmlite import binding

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
TITLE = "# Results\n\nWritten by `make bench` (`python -m bench ROOM` for one room).\n"


def section(room: str) -> str:
    """Name the section of a room on this machine."""
    wide = binding.get_host_cpu_features().get("avx512f", False)
    return room if wide else f"{room}, without AVX-512"


def sections() -> dict[str, str]:
    """Read the sections that stand in RESULTS.md by room."""
    if not RESULTS.exists():
        return {}
    parts = RESULTS.read_text().split("\n## ")[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in parts}


def main(rooms: list[str]) -> None:
    """Bench the rooms and put their sections in place."""
    known = sorted(
        f.stem for f in HERE.glob("*.py") if f.stem not in {"__init__", "__main__", "ratio"}
    )
    for room in rooms or known:
        if room not in known:
            raise SystemExit(f"There is no bench {room!r}; there are {', '.join(known)}.")
        done = sections()
        done[section(room)] = import_module(f"bench.{room}").run().strip()
        body = "".join(f"\n## {name}\n\n{done[name]}\n" for name in sorted(done))
        RESULTS.write_text(TITLE + body)
        print(f"\n## {section(room)}\n\n{done[section(room)]}")


if __name__ == "__main__":
    main(sys.argv[1:])
