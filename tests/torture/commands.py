"""The commands that write, what they read, and what they write."""

import random
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """
import torch

loss = torch.nn.CrossEntropyLoss()
logits = torch.randn(4, 3, requires_grad=True)
for step in range(3):
    loss(logits.softmax(-1), torch.tensor([0, 1, 2, 0])).backward()
"""


@dataclass(frozen=True)
class Command:
    """One command: its words, its files, and what it keeps to go on from.

    ``expected`` are the endings of a whole run: an audit ends in 1 where it found something.
    ``kept`` goes on where a run was stopped; ``warm`` runs are cheap after one in the parent.
    """

    words: str
    writes: tuple[str, ...]
    kept: tuple[str, ...] = ()
    expected: int = 0
    warm: bool = True

    @property
    def name(self) -> str:
        """Its words before those that name inputs, and what it writes."""
        words = self.words.split()
        return " ".join(words[: 2 if words[0] in ("tree", "language", "audit") else 1]) + (
            ": " + ", ".join(self.writes)
        )


WRITING = [
    Command(
        "train t.csv --target y --features a,b -o m.xent --checkpoint c.xent --epochs 12 --hidden 8",
        ("m.xent",),
        ("c.xent",),
    ),
    Command("predict model.xent t.csv -o p.csv", ("p.csv",)),
    Command("predict model.xent t.csv -o p.npz", ("p.npz",)),
    Command("evaluate predictions.csv --target y --rows r.csv --json e.json", ("r.csv", "e.json")),
    Command("evaluate predictions.csv --target y --html e.html", ("e.html",), warm=False),
    Command(
        "evaluate many.parquet --target y --checkpoint ec.xent --json ec.json",
        ("ec.json",),
        ("ec.xent",),
    ),
    Command("tree fit t.csv -t y -o tree.xent", ("tree.xent",)),
    Command("tree fit t.csv -t y --splitter histogram -o tree2.xent", ("tree2.xent",)),
    Command("tree predict trees.xent t.csv -o tp.parquet", ("tp.parquet",)),
    Command("language fit text.txt -o l.xent --order 4 --memory 100MB", ("l.xent",)),
    Command(
        "language fit text.txt -o l3.xent --order 3 --folder counts", ("l3.xent",), ("counts",)
    ),
    Command("language fit text.txt -o l.arpa --order 3", ("l.arpa",)),
    Command("language fit text.txt -o l5.xent --order 5", ("l5.xent",)),
    Command("language convert language.xent -o l.arpa.gz", ("l.arpa.gz",)),
    Command("language convert language.xent --compact -o lc.xent", ("lc.xent",)),
    Command("language mix language.xent language2.xent --dev text.txt -o mix.xent", ("mix.xent",)),
    Command("language prune language.xent --entropy 1e-6 -o lp.xent", ("lp.xent",)),
    Command("language filter language.xent text.txt --keep 0.5 -o kept.txt.gz", ("kept.txt.gz",)),
    Command("language filter language.xent text.txt --annotate -o said.zst", ("said.zst",)),
    Command("language score language.xent text.txt -o s.tsv", ("s.tsv",)),
    Command(
        "audit run --report r.json --format json script.py", ("r.json",), expected=1, warm=False
    ),
    Command("rank t.csv --target y --html rank.html --json rank.json", ("rank.html", "rank.json")),
    Command("drift t.csv t.csv --html d.html --json d.json", ("d.html", "d.json")),
]
# What the commands above read and others wrote.
MADE = [
    "train t.csv --target y --features a,b -o model.xent --checkpoint check.xent --epochs 2",
    "predict model.xent t.csv -o predictions.csv",
    "tree fit t.csv -t y -o trees.xent",
    "language fit text.txt -o language.xent --order 3",
    "language fit text.txt -o language2.xent --order 2 --smoothing WittenBell",
]


def inputs(folder: Path, seed: int = 0) -> None:
    """Write the table, the text and the script that the commands read."""
    luck = random.Random(seed)
    rows = ["a,b,c,y"]
    for _ in range(300):
        a, b = luck.gauss(0, 1), luck.gauss(0, 1)
        rows.append(f"{a:.3f},{b:.3f},{luck.choice('uvw')},{'pqr'[int(a > 0) + int(b > 0)]}")
    (folder / "t.csv").write_text("\n".join(rows) + "\n")
    lines = (
        " ".join(f"w{int(luck.paretovariate(0.7)) % 300}" for _ in range(luck.randrange(3, 20)))
        for _ in range(1500)
    )
    (folder / "text.txt").write_text("\n".join(lines) + "\n")
    (folder / "script.py").write_text(SCRIPT)
    _many_groups(folder / "many.parquet", luck)


def _many_groups(path: Path, luck: random.Random, groups: int = 40, rows: int = 500) -> None:
    """Write predictions that are read in many pieces."""
    import pyarrow as pa
    import pyarrow.parquet

    first = [luck.random() for _ in range(groups * rows)]
    columns = {
        "y": [luck.choice("pq") for _ in first], "p_p": first, "p_q": [1 - x for x in first]
    }  # fmt: skip
    pyarrow.parquet.write_table(pa.table(columns), path, row_group_size=rows)
