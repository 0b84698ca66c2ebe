"""Run every bench (or the rooms named) and write their sections of RESULTS.md.

    python -m bench [measures losses training ...]

Each room's file has `run() -> str`, a Markdown section; a section is replaced, the others stay.
"""

import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
TITLE = "# Results\n\nWritten by `make bench` (`python -m bench ROOM` for one room).\n"


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
        done[room] = import_module(f"bench.{room}").run().strip()
        body = "".join(f"\n## {name}\n\n{done[name]}\n" for name in sorted(done))
        RESULTS.write_text(TITLE + body)
        print(f"\n## {room}\n\n{done[room]}")


if __name__ == "__main__":
    main(sys.argv[1:])
