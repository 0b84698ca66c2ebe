"""What a stranger sees: the commands of the README on other people's files, told as one page.

No option is used that a message did not name: a command is typed plainly, and where it refuses or
doubts and says `pass --na '?'`, it is typed again with that. The page shows each step. It ends with
exit code 1 where a command crashed, or refused without a way out.

    python tests/strangers/strangers.py strangers.html
"""

import io
import os
import re
import shlex
import sys
import tempfile
import traceback
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from tables import TABLES, TEXTS, Table, write_all

from xent.cli import main

ADVICE = re.compile(r"(?:[Pp]ass|[Tt]ake) (--[a-z-]+)((?: (?:'[^']*'|\"[^\"]*\"|[^\s.,;]+))?)")
OTHER_COMMAND = re.compile(r"`(xent [a-z ]+)`")
FLAGS = {"--no-header", "--normalize", "--allow-probabilities", "--allow-other-bits"}
ONCE = {"--separator", "--decimal", "--encoding", "--target-bins", "--tree", "--unit"}
TRIES = 8
LINES = 14  # of a command's output that the page shows


@dataclass
class Step:
    """A command as it was typed, what it said, and how it ended."""

    words: list[str]
    code: int
    out: str
    err: str
    crashed: bool = False

    @property
    def line(self) -> str:
        """The command as one would type it."""
        return "xent " + shlex.join(self.words)


@dataclass
class Story:
    """What happened to one file."""

    title: str
    steps: list[Step] = field(default_factory=list)
    learned: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)


def typed(words: list[str]) -> Step:
    """Run a command in this process, as the console script would."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["xent", *words]
    code, crashed = 0, False
    try:
        with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("default")  # as in a process of its own
            main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except Exception:
        crashed, code = True, 1
        err.write(traceback.format_exc())
    finally:
        sys.argv = before
    return Step(words, code, out.getvalue(), err.getvalue(), crashed)


def advised(said: str, known: list[str]) -> list[str]:
    """Return the options that a message names and that were not typed yet."""
    more: list[str] = []
    for option, value in ADVICE.findall(said):
        pair = [option] if option in FLAGS else [option, *shlex.split(value)]
        if len(pair) == 1 and option not in FLAGS:
            continue
        there = list(pairwise(known + more))
        taken = option in known + more if option in FLAGS | ONCE else tuple(pair) in there
        if not taken and "CLASS" not in pair:
            more += pair
    return more


def follow(story: Story, words: list[str], *, target: Table | None = None) -> Step:
    """Type a command, and again with what it advises, until it is content or has no more advice."""
    for _ in range(TRIES):
        whole = [*words, *_target(story, target), *story.learned]
        step = typed([w for w in whole if w])
        story.steps.append(step)
        more = advised(step.err, story.learned)
        if step.crashed or not more:
            break
        story.learned += more
    if step.crashed:
        story.ends.append("crashed")
    elif step.code == 2:
        other = OTHER_COMMAND.search(step.err)
        story.ends.append(f"sent to {other[1]}" if other else "refused without a way out")
    return step


def _target(story: Story, table: Table | None) -> list[str]:
    if table is None:
        return []
    named = f"f{table.place}" if "--no-header" in story.learned else _header(table)
    return ["--target", named]


def _header(table: Table) -> str:
    """Return what the column is called in the first line of the file, header or not."""
    data = Path(table.name).read_bytes()
    line = data.split(b"\n", 1)[0].decode("gb18030" if "GBK" in table.kind else "utf8").strip("\r")
    separator = ";" if ";" in line else ","
    return line.split(separator)[table.place]


def of_table(table: Table) -> Story:
    """Rank the columns, grow a tree and judge it, train where all is numbers, look for drift."""
    story = Story(f"{table.name}: {table.kind}")
    follow(story, ["rank", table.name], target=table)
    story.learned = _reading(story.learned)
    tree = follow(story, ["tree", "fit", table.name, "--output", "t.tree"], target=table)
    if tree.code == 0:
        story.learned = _reading(story.learned)
        said = [*_target(story, table)]
        follow(story, ["tree", "predict", "t.tree", table.name, "--output", "said.csv", *said])
        if "regression" not in tree.line:
            judged = Story("")
            follow(judged, ["evaluate", "said.csv", *said])
            story.steps += judged.steps
            story.ends += judged.ends
    story.learned = _reading(story.learned)
    follow(story, ["drift", table.name, table.name])
    if table.numeric:
        fitted = follow(story, ["train", table.name, "--model", "m.xent"], target=table)
        if fitted.code == 0:
            story.learned = _reading(story.learned)
            follow(story, ["predict", "m.xent", table.name, "--output", "p.parquet"])
            judged = Story("")
            follow(judged, ["evaluate", "p.parquet", "--log-probs", "l_*", *_target(story, table)])
            story.steps += judged.steps
            story.ends += judged.ends
    return story


def _reading(learned: list[str]) -> list[str]:
    """Return what was learned of how the file is written, which every command is told."""
    kept: list[str] = []
    for i, word in enumerate(learned):
        if word == "--no-header":
            kept.append(word)
        elif word in ("--separator", "--decimal", "--encoding", "--na"):
            kept += learned[i : i + 2]
    return kept


def of_text(name: str) -> Story:
    """Fit a language model and read the text with it."""
    story = Story(f"{name}: a text")
    fit = ["language", "fit", name, "--order", "2", "--smoothing", "WittenBell", "--output", "m.lm"]
    if follow(story, fit).code == 0:
        story.learned = []
        follow(story, ["language", "evaluate", "m.lm", name])
    return story


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Strangers</title>
<meta name="viewport" content="width=device-width"><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
pre{background:#f4f5f7;padding:.6rem;overflow-x:auto;font-size:13px;white-space:pre-wrap}
.said{background:#fff6e0}.bad{background:#ffe3e3}h2{margin-top:2.5rem}code{font-weight:600}
table{border-collapse:collapse}td,th{border-bottom:1px solid #ddd;padding:.2rem .8rem;text-align:left}
</style><h1>What a stranger sees</h1><p>The commands of the README on files of the kinds that people
have. An option is typed only where a message named it; messages are yellow.</p>"""


def page_of(stories: list[Story]) -> str:
    """Tell the stories as one page."""
    parts = [PAGE, "<table><tr><th>file<th>commands<th>options that messages named<th>ends"]
    for story in stories:
        named = {w for step in story.steps for w in step.words if w.startswith("--")}
        named -= {"--target", "--output", "--model", "--log-probs", "--order", "--smoothing"}
        ends = "; ".join(dict.fromkeys(story.ends)) or "all well"
        row = (story.title, len(story.steps), " ".join(sorted(named)) or "none", ends)
        parts.append("<tr>" + "".join(f"<td>{escape(str(cell))}" for cell in row))
    parts.append("</table>")
    for story in stories:
        parts.append(f"<h2>{escape(story.title)}</h2>")
        for step in story.steps:
            parts.append(f"<p><code>{escape(step.line)}</code></p>")
            if step.err.strip():
                kind = "bad" if step.crashed else "said"
                parts.append(f'<pre class="{kind}">{escape(step.err.strip())}</pre>')
            lines = step.out.strip().splitlines()
            if lines:
                more = [f"... {len(lines) - LINES} more lines"] if len(lines) > LINES else []
                parts.append(f"<pre>{escape(chr(10).join([*lines[:LINES], *more]))}</pre>")
    return "\n".join(parts) + "</html>\n"


def told(names: list[str] | None = None) -> list[Story]:
    """Tell the stories of some of the files, or of all."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            write_all(Path(folder))
            tables = [t for t in TABLES if names is None or t.name in names]
            texts = [t for t in TEXTS if names is None or t in names]
            return [*map(of_table, tables), *map(of_text, texts)]
        finally:
            os.chdir(here)


if __name__ == "__main__":
    stories = told(sys.argv[2:] or None)
    Path(sys.argv[1]).write_text(page_of(stories), encoding="utf8")
    for story in stories:
        print(f"{story.title:<60} {'; '.join(dict.fromkeys(story.ends)) or 'all well'}")
    print(f"The page: {sys.argv[1]}")
    bad = [s for s in stories if {"crashed", "refused without a way out"} & set(s.ends)]
    sys.exit(1 if bad else 0)
