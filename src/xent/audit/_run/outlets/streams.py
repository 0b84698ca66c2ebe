"""Watchers in front of what a script writes as text: streams, log files, files that it opens."""

from __future__ import annotations

import builtins
import functools
import io
import logging
import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

from xent.audit._run.outlets.listener import Listener

MOST_PARTS = 1000  # of a line
BETWEEN_COLUMNS = re.compile(r"\s*[,;|\t]\s*|\s+")
OF_WORDS = re.compile(r"[a-df-z]", re.IGNORECASE)  # and not of an exponent
Told = Callable[[str, FrameType], None]
Write = Callable[..., Any]


class Lines:
    """The parts of a line, until it ends."""

    __slots__ = ("heads", "parts", "told")

    def __init__(self, told: Told) -> None:
        self.told, self.parts = told, cast("list[str]", [])
        self.heads: list[str] = []  # of the columns of a table, which its first line names

    def take(self, text: object, frame: FrameType) -> None:
        """Hand on a line that ends."""
        if isinstance(text, str):
            if len(self.parts) < MOST_PARTS:
                self.parts.append(text)
            if "\n" in text or "\r" in text:
                line = "".join(self.parts)
                self.parts.clear()
                self.told(self._labelled(line), frame)

    def _labelled(self, line: str) -> str:
        """Return a row of a table with the names of its columns."""
        if not any(map(str.isdigit, line)):
            self.heads = BETWEEN_COLUMNS.split(line.strip())
        elif len(self.heads) > 1 and not OF_WORDS.search(line):
            row = BETWEEN_COLUMNS.split(line.strip())
            if len(row) == len(self.heads):
                return " ".join(f"{head} {one}" for head, one in zip(self.heads, row, strict=True))
        return line


def line_watcher(told: Told, write: Write) -> Write:
    """Return a stream's ``write`` that hands on each line when it ends."""
    lines = Lines(told)

    def watched(*args: Any) -> Any:
        written = write(*args)
        lines.take(args[0], sys._getframe(1))
        return written

    return watched


def record_watcher(told: Told, original: Write) -> Write:
    """Return a `Logger.callHandlers` that hands on what goes to files alone."""

    def watched(logger: logging.Logger, record: logging.LogRecord) -> None:
        original(logger, record)
        handlers, one = [], cast(Any, logger)
        while one is not None:
            handlers += [each for each in one.handlers if each.level <= record.levelno]
            one = one.parent if one.propagate else None
        if handlers and all(isinstance(each, logging.FileHandler) for each in handlers):
            try:
                text = record.getMessage()
            except Exception:
                return  # the handlers have said so
            told(text, sys._getframe(1))

    return functools.update_wrapper(watched, original)


class Opener:
    """`open`, whose text files hand on each line that is written to them.

    It is no function: like a built-in one it becomes no method where a class holds it.
    """

    def __init__(self, told: Told, original: Callable[..., Any]) -> None:
        self.original, self.watched = original, _watched_files(told)
        functools.update_wrapper(self, original)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        file = self.original(*args, **kwargs)
        if type(file) is not io.TextIOWrapper or not file.writable():
            return file
        newline = args[5] if len(args) > 5 else kwargs.get("newline")
        options = file.encoding, file.errors, newline, file.line_buffering, file.write_through
        mode = cast(Any, file).mode
        watched = self.watched(file.detach(), *options)
        watched.mode = mode
        return watched

    def __repr__(self) -> str:
        return repr(self.original)


def _watched_files(told: Told) -> Callable[..., Any]:
    """Return the class of text files that are watched; it goes by the name of the one it is."""

    class TextIOWrapper(io.TextIOWrapper):
        __slots__ = ("_lines",)
        __module__, __qualname__ = io.TextIOWrapper.__module__, io.TextIOWrapper.__qualname__
        _lines: Lines

        def write(self, text: str, /) -> int:
            written = super().write(text)
            try:
                lines = self._lines
            except AttributeError:
                lines = self._lines = Lines(told)
            lines.take(text, sys._getframe(1))
            return written

    TextIOWrapper.__doc__ = io.TextIOWrapper.__doc__
    return TextIOWrapper


class Streams:
    """What is put in front of streams, and taken away."""

    def __init__(self, listener: Listener) -> None:
        self.told = listener.line
        self.streams: list[tuple[Any, Write]] = []
        self.places: list[tuple[Any, str, Any, Any]] = []

    def put(self) -> None:
        """Look at what is written: only a stream's own attribute changes, not its type."""
        for stream in (sys.stdout, sys.stderr):
            if "write" not in getattr(stream, "__dict__", {"write": None}):
                watcher = line_watcher(self.told, stream.write)
                stream.__dict__["write"] = watcher
                self.streams.append((stream, watcher))
        call = logging.Logger.callHandlers
        self._set(logging.Logger, "callHandlers", record_watcher(self.told, call))
        opener = Opener(self.told, builtins.open)
        for module in (builtins, io):
            self._set(module, "open", opener)

    def _set(self, holder: Any, name: str, new: Any) -> None:
        self.places.append((holder, name, getattr(holder, name), new))
        setattr(holder, name, new)

    def take_away(self) -> None:
        """Put all back."""
        for stream, watcher in self.streams:
            if stream.__dict__.get("write") is watcher:
                del stream.write
        for holder, name, old, new in reversed(self.places):
            if holder.__dict__.get(name) is new:
                setattr(holder, name, old)
        self.streams.clear()
        self.places.clear()
