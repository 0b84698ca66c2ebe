"""Screens: what commands print, recorded in text files, and replayed in this process.

A file holds scenes. A scene begins with a line ``== NAME`` and has a folder of its own. It writes
small files (``<< NAME``, the lines, ``>>``), runs commands (``$ xent ...``), and looks at what they
wrote (``$ show NAME``, of JSON some keys alone, of other files so many digits). Lines for a Parquet file are CSV, and
``<< x.parquet 2``` has row groups of two rows; those for an NPZ
are ``NAME = LISTS``. Under a command
stand its stdout, its stderr with ``! `` in front of each line, and ``= CODE`` where it ends with
another exit code than 0. Lines that begin with ``# `` in front of all commands say what the data are.

What a machine may change is not recorded: seconds, versions, and digits of a number past the sixth.
"""

import html
import json
import re
import shlex
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import BytesIO, TextIOWrapper
from pathlib import Path
from unittest import mock

import numpy as np

from xent import cli

HERE = Path(__file__).parent / "cli" / "screens"
LONG = re.compile(r"(?<![\w.:])-?(?:\d*\.\d{7,}(?:e[-+]?\d+)?|\d+(?:\.\d+)?e[-+]\d+)(?!\w)")
OF_THE_MACHINE = (
    (re.compile(r'\d+\.\d+ s\b|(?<="seconds": )[\d.e-]+'), "#"),
    (re.compile(r"\b(xent|numpy|python|torch) \d+(\.\w+)+"), r"\1 #"),
)
NOT_SAID_AGAIN = ("First use of xent",)  # where a loop is compiled


@cache
def scenes():
    """Return the lines of every scene, by the name of its file and its own."""
    found = {}
    for path in sorted(HERE.glob("*.txt")):
        for scene in re.split(r"(?m)^== ", path.read_text(encoding="utf8"))[1:]:
            name, _, lines = scene.partition("\n")
            assert (path.stem, name) not in found, (path.stem, name)
            found[path.stem, name] = lines.strip().splitlines()
    return found


def screens(name, scene):
    """Return what is recorded under each command of a scene; the last time, where it comes twice."""
    found, command = {}, None
    for line in scenes()[name, scene]:
        if line.startswith("$ "):
            command = line[2:]
            found[command] = []
        elif command is not None:
            found[command].append(line)
    return found


def play(lines, folder):
    """Return the lines of a scene as they are now: files written, commands run in a folder."""
    said, place = [], 0
    while place < len(lines):
        line = lines[place]
        place += 1
        if line.startswith("<< "):
            end = lines.index(">>", place)
            name, *rows = line[3:].split()
            _write(folder / name, lines[place:end], *map(int, rows))
            said += lines[place - 1 : end + 1]
            place = end + 1
        elif line.startswith("$ "):
            said += [line, *_printed(shlex.split(line[2:]), folder)]
        elif line.startswith("# ") and not any(one.startswith("$ ") for one in said):
            said.append(line)
    while not said[-1]:  # blank lines at the end part two scenes
        said.pop()
    return said


def _write(path, lines, rows=1000):
    text = "".join(f"{line}\n" for line in lines)
    if path.suffix == ".parquet":
        import pyarrow.csv
        import pyarrow.parquet

        gaps = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
        table = pyarrow.csv.read_csv(BytesIO(text.encode()), convert_options=gaps)
        pyarrow.parquet.write_table(table, path, row_group_size=rows)
    elif path.suffix == ".npz":
        arrays = (line.partition(" = ")[::2] for line in lines)
        np.savez(path, **{name: np.array(json.loads(values)) for name, values in arrays})
    elif path.suffix == ".npy":
        np.save(path, np.array(json.loads(text)))
    else:
        path.write_text(text, encoding="utf8")


def _printed(words, folder):
    if words[0] == "show":
        return plain(*_shown(folder / words[1], words[2:]))
    assert words[0] == "xent", words
    code, out, err = run(words)
    ends = [] if code == 0 else [f"= {code}"]
    said = [f"! {line}".rstrip() for line in plain(err.decode())]
    return plain(out.decode()) + said + ends


def run(words, encoding="utf8", doubts="default"):
    """Run a command in this process: its exit code, and the bytes it wrote to stdout and stderr.

    Both take an encoding, strictly. Python does with warnings what ``doubts`` says.
    """
    out, err = (TextIOWrapper(BytesIO(), encoding, write_through=True) for _ in range(2))
    with (
        mock.patch.object(sys, "argv", words),
        redirect_stdout(out),
        redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter(doubts)
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
    return code, out.buffer.getvalue(), err.buffer.getvalue()


def _shown(path, more):
    """Return a file's text, of JSON some keys, of a page the words; and the digits of its numbers."""
    text = path.read_text(encoding="utf8")
    if path.suffix == ".html":
        text = re.sub(r"(?s)<(script|style|svg)\b.*?</\1>", "", text)
        cells = re.sub(r"</t[dh]>\s*<t[dh][^>]*>", " | ", text)
        text = re.sub(r"\n\s*\n+", "\n", html.unescape(re.sub(r"<[^>]+>", "\n", cells)).strip())
    elif path.suffix == ".json" and more:
        found = json.loads(text)
        text = "\n".join(f"{key}: {json.dumps(found[key], ensure_ascii=False)}" for key in more)
    elif more:
        return text, int(more[0])
    return text, 6


def plain(text, digits=6):
    """Return lines without what another machine may change."""
    text = LONG.sub(lambda found: f"{float(found[0]):.{digits}g}", text)
    for pattern, instead in OF_THE_MACHINE:
        text = pattern.sub(instead, text)
    return [line.rstrip() for line in text.splitlines() if not line.startswith(NOT_SAID_AGAIN)]


def files(name, scene):
    """Return the lines of every file that a scene writes, by its name."""
    found, lines = {}, iter(scenes()[name, scene])
    for line in lines:
        if line.startswith("<< "):
            found[line.split()[1]] = list(iter(lambda: next(lines), ">>"))
    return found


def columns(name, scene, file, separator=","):
    """Return the columns of a table that a scene writes: numbers where all cells are, else text."""
    head, *rows = (line.split(separator) for line in files(name, scene)[file])
    found = {}
    for title, cells in zip(head, zip(*rows, strict=True), strict=True):
        try:
            found[title] = np.array([float(cell) if cell else np.nan for cell in cells])
        except ValueError:
            found[title] = np.array(cells)
    return found


def figures(line):
    """Return the numbers of a line, signs and powers with them."""
    found = re.findall(r"(?<![\w.])[-+]?(?:\d[\d,]*\.?\d*(?:e[-+]?\d+)?|inf)(?![\w.]\d)", line)
    return [float(number.replace(",", "")) for number in found]


def line_of(screen, start):
    """Return what follows on the one line that begins so, blanks in front left out."""
    (found,) = [line for line in screen if line.strip().startswith(start)]
    return found.strip().removeprefix(start)
