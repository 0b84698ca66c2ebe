"""Reading scripts and notebooks: their code, where each line stands, and comments that silence.

A notebook is plain JSON; its code cells are read in order as one script, magics left out. A
notebook's own line numbers are those of its cells.
"""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

# Bytes of one script's code, which takes five hundred times as much when it is parsed, and of a
# notebook with its pictures, which takes twenty times as much where it is made to.
MOST_CODE, MOST_NOTEBOOK = 1 << 20, 50 << 20

IGNORE = re.compile(r"#\s*xent:\s*(ignore-file|ignore)\b(?:\[([^\]]*)\])?")
WHOLE_CELL = frozenset(  # magics of IPython whose cell is no Python 3
    (
        *("!", "HTML", "R", "SVG", "bash", "cmd", "cython", "file", "html", "javascript", "js"),
        *("latex", "markdown", "perl", "pypy", "python2", "ruby", "script", "sh", "sql", "svg"),
        *("sx", "system", "writefile"),
    )
)


@dataclass
class Script:
    """One file: its code, parsed, and where its lines stand."""

    path: Path
    shown: str  # the path as findings have it
    text: str = ""
    cells: list[tuple[int, int]] = field(default_factory=list)  # (first line, number of the cell)
    broken: list[tuple[int, int, str]] = field(default_factory=list)  # line, column, reason

    @cached_property
    def tree(self) -> ast.Module:
        """The code, parsed; of a notebook's cells those that can be."""
        body: list[ast.stmt] = []
        for first, code in self._parts():
            part = _parse(code)
            if isinstance(part, ast.Module):
                body += (ast.increment_lineno(part, first - 1) if first > 1 else part).body
            else:
                reason = (first - 1 + (part.lineno or 1), part.offset or 1, _reason(part))
                self.broken.append(reason)
        return ast.Module(body, [])

    def _parts(self) -> list[tuple[int, str]]:
        """Return what is parsed in one piece, with its first line: a file, or a cell."""
        if not self.cells:
            return [(1, self.text)]
        ends = [first - 1 for first, _ in self.cells[1:]] + [len(self.lines)]
        return [
            (first, "\n".join(self.lines[first - 1 : end]))
            for (first, _), end in zip(self.cells, ends, strict=True)
        ]

    def _comments(self) -> list[tuple[int, int, str]]:
        """Return line, column and text of all comments; of a broken part those before the fault."""
        return [
            (first - 1 + line, column, comment)
            for first, code in self._parts()
            for line, column, comment in _comments(code)
        ]

    def forget_tree(self) -> None:
        """Free what was parsed, some twenty times the text; it is parsed anew where needed."""
        self.__dict__.pop("tree", None)

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the code."""
        return self.text.split("\n")  # as Python counts them: a form feed ends no line

    def position(self, line: int, byte: int) -> tuple[int | None, int, int]:
        """Return (cell, line, column) as a person counts them, of a node's line and offset."""
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        column = len(text.encode()[:byte].decode(errors="ignore")) + 1
        for first, cell in reversed(self.cells):
            if line >= first:
                return cell, line - first + 1, column
        return None, line, column

    @cached_property
    def ignores(self) -> dict[int, tuple[int, frozenset[str]]]:
        """Lines with ``# xent: ignore[...]``: column and rules, none for all rules."""
        found: dict[int, tuple[int, frozenset[str]]] = {}
        if "xent:" not in self.text:
            return found
        for line, column, comment in self._comments():
            match = IGNORE.search(comment)
            if match and match[1] == "ignore":
                found[line] = (column, _rules(match[2]))
        return found

    @cached_property
    def ignored_everywhere(self) -> frozenset[str] | None:
        """Rules that ``# xent: ignore-file`` names, none for all; None without such a comment."""
        if "ignore-file" not in self.text:
            return None
        for _, _, comment in self._comments():
            match = IGNORE.search(comment)
            if match and match[1] == "ignore-file":
                return _rules(match[2])
        return None


def _rules(text: str | None) -> frozenset[str]:
    return frozenset(part.strip() for part in (text or "").split(",") if part.strip())


def _comments(text: str) -> list[tuple[int, int, str]]:
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                found.append((token.start[0], token.start[1] + 1, token.string))
    except (tokenize.TokenError, SyntaxError):
        pass
    return found


def read(path: Path, shown: str) -> Script:
    """Read a script or notebook; what cannot be parsed is told in ``broken``."""
    source = Script(path, shown)
    try:
        _check_size(path, path.stat().st_size)
        raw = path.read_bytes()
        if path.suffix == ".ipynb":
            return _read_notebook(source, raw)
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
        source.text = io.TextIOWrapper(io.BytesIO(raw), encoding, newline=None).read()
    except (OSError, UnicodeError, SyntaxError, LookupError, _TooLargeError) as error:
        source.broken.append((1, 1, _reason(error)))
        return source
    source.tree  # for what is broken  # noqa: B018
    if source.broken:  # a script that was saved from a notebook, or is run cell by cell
        plain = Script(path, shown, _without_magics(source.text))
        plain.tree  # noqa: B018
        return source if plain.broken else plain
    return source


class _TooLargeError(Exception):
    """A script that is longer than any that a person writes."""


def _check_size(path: Path, size: int) -> None:
    most = MOST_CODE if path.suffix != ".ipynb" else MOST_NOTEBOOK
    if size > most:
        raise _TooLargeError(f"it has {size / 1e6:,.1f} MB, and at most {most >> 20} MB is read")


def _reason(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        if "encoding declaration" in str(error.msg):
            return f"{error.msg}: save it as UTF-8, or name its encoding in the first line"
        return f"{error.msg} (Python 2?)" if "print" in str(error.msg) else str(error.msg)
    return str(error) or type(error).__name__


def _parse(text: str) -> ast.Module | SyntaxError:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError) as error:
        return SyntaxError(str(error) or "too deeply nested")


def _read_notebook(source: Script, raw: bytes) -> Script:
    try:
        cells = json.loads(raw.decode("utf-8-sig"))
        if isinstance(cells, dict):
            language = _language(cells)
            if language not in ("", "python", "ipython"):
                reason = f"its cells are {language}, not Python: leave it out by exclude"
                source.broken.append((1, 1, reason))
                return source
            cells = cells["cells"] if "cells" in cells else cells["worksheets"][0]["cells"]
        codes = [
            (number, _joined(cell.get("source", cell.get("input", ""))))
            for number, cell in enumerate(cells, 1)
            if cell.get("cell_type") == "code"
        ]
    except (KeyError, IndexError, TypeError, AttributeError):
        source.broken.append((1, 1, "not a notebook: it has no cells"))
        return source
    except (ValueError, RecursionError) as error:
        source.broken.append((1, 1, f"not a notebook: {_reason(error)}"))
        return source
    size = sum(len(code) for _, code in codes)
    if size > MOST_CODE:
        raise _TooLargeError(f"its code has {size / 1e6:,.1f} MB, and at most 1 MB is read")
    lines: list[str] = []
    for number, code in codes:
        source.cells.append((len(lines) + 1, number))
        lines += _without_magics(code).split("\n")
    source.text = "\n".join(lines)
    source.tree  # for what is broken  # noqa: B018
    return source


def _language(notebook: dict[str, Any]) -> str:
    """Return the language that a notebook's cells are in, "" where it does not say."""
    about = notebook.get("metadata") or {}
    said = (about.get("kernelspec") or {}).get("language")
    return str(said or (about.get("language_info") or {}).get("name") or "").lower()


def _joined(text: object) -> str:
    joined = "".join(text) if isinstance(text, list) else str(text)
    # Lines as Python ends them: U+2028, say, ends none, and may stand in a text.
    return io.StringIO(joined, newline=None).read().removesuffix("\n")


def _without_magics(code: str) -> str:
    """Empty the lines of IPython that are not Python, and cells of another language."""
    lines = code.split("\n")
    start = next((i for i, line in enumerate(lines) if line.strip()), 0)
    if lines[start].startswith("%%"):
        name = lines[start][2:].split(" ")[0]
        if name in WHOLE_CELL:
            return "\n" * (len(lines) - 1)
    kept = []
    inside = ""
    goes_on = False  # a magic that ends in a backslash
    for line in lines:
        bare = line.lstrip()
        if goes_on:
            kept.append("")
            goes_on = line.endswith("\\")
            continue
        if (not inside and bare[:1] in ("%", "!", "?")) or (
            not inside and re.match(r"[\w.]+\?{1,2}\s*$", bare)
        ):
            kept.append(line[: len(line) - len(bare)] + "pass")
            goes_on = line.endswith("\\")
        elif not inside and re.match(r"\s*[\w, ]+=\s*[!%]", line):
            kept.append(re.sub(r"=\s*[!%].*", "= None", line))
            goes_on = line.endswith("\\")
        else:
            kept.append(line)
            for quote in re.findall(r'"""|\'\'\'', line):
                inside = "" if inside == quote else inside or quote
    return "\n".join(kept)
