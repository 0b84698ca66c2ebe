"""Every error message of xent has one shape, and it is made here.

    `{argument}` must {what it must be}, got {what it is, first bad index}. {What to do.}

A check that two rooms need stands here too; a check that one room alone understands stands at that
room's door and builds its sentence with `invalid`, `wrong_kind` or `cannot`. The house test refuses
a bare ``raise ValueError("...")`` anywhere else. Why so: docs/design/0001-messages.md.
"""

from __future__ import annotations

import math
import operator
import shlex
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, TypeVar

OURS = "xent."
MAX_PART = 600  # characters of one part of a sentence; what it quotes may be a cell of megabytes
MAX_DOUBT = 1_900  # of a warning, which quotes names of columns
Error = TypeVar("Error", ValueError, TypeError)


class Sentence:
    """Plain text with arguments mentioned in it: a `Mention` knows what it names, text does not.

    The command line spells the arguments as its user types them; text, which may quote anybody's
    data, is left as it is.
    """

    def __init__(self, *parts: str | Mention) -> None:
        self.parts = parts

    def __add__(self, other: Words) -> Sentence:
        return Sentence(*self.parts, *_parts(other))

    def __radd__(self, other: str) -> Sentence:
        return Sentence(other, *self.parts)

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __str__(self) -> str:
        return self.spelled({})

    def spelled(self, names: Mapping[str, str]) -> str:
        """Write the sentence, the arguments under other names where ``names`` has them."""
        return "".join(p if isinstance(p, str) else p.spelled(names) for p in self.parts)


class Mention(Sentence):
    """An argument that a sentence names: made by `argument`, `setting` or `thing`."""

    def __init__(self, name: str, before: str = "", after: str = "", value: str = "") -> None:
        self.name, self.before, self.after, self.value = name, before, after, value
        self.parts = (self,)

    def spelled(self, names: Mapping[str, str]) -> str:
        """Write it as Python has it, or as a command has it where ``names`` knows the name."""
        said = names.get(self.name)
        if said is None or self.before:
            return f"{self.before}{said or self.name}{self.after}"
        if not self.value:
            return said
        return f"{said} {shlex.quote(self.value)}"


Words = str | Sentence


def argument(name: str) -> Mention:
    """Mention an argument.

    >>> str("as much as " + argument("memory"))
    'as much as `memory`'
    """
    return Mention(name, "`", "`")


def setting(name: str, value: str | float | None = None) -> Mention:
    """Mention an argument with the value that it should have, or should not.

    >>> advice = "Pass " + setting("missing", "drop") + "."
    >>> str(advice), advice.spelled({"missing": "--missing"})
    ('Pass missing="drop".', 'Pass --missing drop.')
    """
    # An option that is true has no value on the command line.
    shown = "" if value is None else f'"{value}"' if isinstance(value, str) else f"{value}"
    return Mention(
        name, after="=" + shown, value="" if value is None or value is True else str(value)
    )


def thing(name: str) -> Mention:
    """Mention a table, a class or whatever else a command has another word for.

    >>> ("one a row of " + thing("X")).spelled({"X": "DATA"})
    'one a row of DATA'
    """
    return Mention(name)


def invalid(argument: str, must: Words, got: object, advice: Words = "") -> ValueError:
    """Build the error for a value, a shape or an index that cannot be."""
    return _error(ValueError, argument, must, got, advice)


def wrong_kind(argument: str, must: Words, got: object, advice: Words = "") -> TypeError:
    """Build the error for an object of a kind that cannot be."""
    return _error(TypeError, argument, must, got, advice)


def cannot(what: Words, because: Words, advice: Words = "") -> ValueError:
    """Build the error for work that was asked for rightly and cannot be done on this data."""
    return _carrying(ValueError, Sentence(*_parts(what), ": ", *_parts(because), "."), advice)


def respell(error: ValueError | TypeError, names: Mapping[str, str]) -> None:
    """Write an error of ours again, its arguments under the names that a command gives them."""
    sentence = getattr(error, "sentence", None)
    if sentence is not None:
        error.args = (sentence.spelled(names),)
        renamed = (
            p if isinstance(p, str) or p.name not in names else p.spelled(names)
            for p in sentence.parts
        )
        vars(error)["sentence"] = Sentence(*renamed)


def _error(kind: type[Error], argument: str, must: Words, got: object, advice: Words) -> Error:
    name, bracket, index = argument.partition("[")
    rest = bracket + index + "`"
    said = got if isinstance(got, Sentence) else str(got)
    start = Sentence(
        Mention(name, "`", rest), " must ", *_parts(must), ", got ", *_parts(said), "."
    )
    error = _carrying(kind, start, advice)
    vars(error).update(argument=argument, must=str(must), got=got, advice=str(advice))
    return error


def _carrying(kind: type[Error], start: Sentence, advice: Words) -> Error:
    """Return the error whose text is a sentence, and its advice, and which knows them."""
    sentence = start + " " + advice if advice else start
    sentence = Sentence(*(_shortened(p) if isinstance(p, str) else p for p in sentence.parts))
    error = kind(str(sentence))
    vars(error)["sentence"] = sentence
    return error


def _shortened(text: str, most: int = MAX_PART) -> str:
    """Leave out the middle of a long text.

    >>> len(_shortened("x" * 10_000_000)) < 700
    True
    """
    if len(text) <= most:
        return text
    head, tail = text[: most - 100], text[-100:]
    return f"{head} ... ({len(text) - most:,} characters left out) ... {tail}"


def _parts(words: Words) -> tuple[str | Mention, ...]:
    return words.parts if isinstance(words, Sentence) else (words,)


_NOTHING_TYPED: Mapping[str, str] = MappingProxyType({})
_typed: ContextVar[Mapping[str, str]] = ContextVar("typed", default=_NOTHING_TYPED)


@contextmanager
def spelling(names: Mapping[str, str]) -> Iterator[None]:
    """Let warnings name what was typed, as `respell` lets errors."""
    outer = _typed.get()
    _typed.set({**outer, **names})
    try:
        yield
    finally:
        _typed.set(outer)


def typed(argument: str) -> str | None:
    """Return the option that stands for an argument; None where Python is spoken."""
    return _typed.get().get(argument)


def warn(doubt: Words) -> None:
    """Warn at the line of the user's code from which xent was called, however deep we are."""
    said = doubt if isinstance(doubt, str) else doubt.spelled(_typed.get())
    doubt = _shortened(said, MAX_DOUBT)
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(doubt, stacklevel=level)


def a(value: object) -> str:
    """Name the type of an object with its article.

    >>> a(3), a("x")
    ('an int', 'a str')
    """
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' or name == 'ndarray' else 'a'} {name}"


def at(index: Iterable[Any]) -> str:
    """Write an index as a person would look it up: ``[0, 2]``.

    >>> at((0, 2))
    '[0, 2]'
    """
    return "[" + ", ".join(str(int(i)) for i in index) + "]"


def join_names(names: Iterable[object], *, last: str = "or", limit: int = 12) -> str:
    """List names in words, the first ``limit`` of them.

    >>> join_names(["a", "b", "c"])
    "'a', 'b' or 'c'"
    """
    shown = [repr(name) for name in names]
    if len(shown) > limit:
        return ", ".join(shown[:limit]) + f" and {len(shown) - limit} more"
    if len(shown) < 2:
        return "".join(shown)
    return ", ".join(shown[:-1]) + f" {last} {shown[-1]}"


def count(number: int, noun: str) -> str:
    """Write a number with its noun.

    >>> count(1, "row"), count(2000, "row"), count(3, "class")
    ('1 row', '2,000 rows', '3 classes')
    """
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number:,} {noun if number == 1 else plural}"


def bare(text: str) -> str:
    """Return a name without blanks, capital letters, and what its encoding alone makes of it.

    >>> bare("CAFE\u0301 1") == bare("caf\u00e9\u00a01 ")
    True
    """
    from unicodedata import normalize

    return "".join(normalize("NFKC", text).casefold().split())


def look_alike(name: object, known: Iterable[object]) -> str:
    """Say in what alone a name that is not among those known differs from one of them, if so.

    >>> look_alike("cat ", ["dog", "cat"])
    "'cat ' differs from 'cat' in blanks alone."
    >>> look_alike("0", ["0.0", "1.0"])
    "'0' differs from '0.0' in how a number is written."
    """
    from datetime import datetime
    from unicodedata import normalize

    forms: tuple[tuple[str, Callable[[str], object]], ...] = (
        ("blanks alone", lambda text: "".join(text.split())),
        ("how accents are encoded (NFC or NFD)", lambda text: normalize("NFC", text)),
        ("capital letters alone", str.casefold),
        ("how a number is written", float),
        ("how a date is written", datetime.fromisoformat),
        ("blanks, capital letters and encoded accents alone", bare),
    )  # fmt: skip

    def written(form: Callable[[str], object], value: object) -> object:
        try:
            return form(str(value))
        except (ValueError, OverflowError):
            return None  # no number, no date

    names = list(known)
    for what, form in forms:
        mine = written(form, name)
        for other in names if mine is not None else ():
            if written(form, other) == mine:
                same = str(other) == str(name)
                return (
                    f"{name!r} differs from {other!r} in {'kind: one is text' if same else what}."
                )
    return ""


def option(argument: str, value: object, allowed: Collection[str]) -> str:
    """Return ``value`` if it is one of the allowed names; suggest the nearest one otherwise."""
    if isinstance(value, str) and value in allowed:
        return value
    near = get_close_matches(str(value), allowed, n=1)
    advice = f"Did you mean {near[0]!r}?" if near else ""
    raise invalid(argument, f"be {join_names(allowed)}", repr(value), advice)


def flag(argument: str, value: object, advice: Words = "") -> bool:
    """Return a value that is True or False, and nothing that is merely true or false."""
    if type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise wrong_kind(argument, "be True or False", repr(value), advice)


def integer(argument: str, value: object, *, least: int) -> int:
    """Return ``value`` as an int of at least ``least``; booleans and fractions are refused."""
    must = f"be an integer of at least {least}"
    if isinstance(value, bool):
        raise wrong_kind(argument, must, repr(value))
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise wrong_kind(argument, must, repr(value)) from None
    if number < least:
        raise invalid(argument, must, number)
    return number


def positive(argument: str, value: object, advice: str = "") -> float:
    """Return ``value`` as a finite float above zero."""
    number = _real(argument, value, "be a positive number")
    if not 0 < number < math.inf:
        raise invalid(argument, "be positive and finite", repr(value), advice)
    return number


def share(argument: str, value: object, advice: str = "") -> float:
    """Return ``value`` as a float strictly between 0 and 1."""
    number = _real(argument, value, "be a number between 0 and 1")
    if not 0 < number < 1:
        raise invalid(argument, "be between 0 and 1, both excluded", repr(value), advice)
    return number


def number(argument: str, value: object) -> float:
    """Return ``value`` as a float; texts and booleans are refused."""
    return _real(argument, value, "be a number")


def log_of_base(base: object, of: str = "") -> float:
    """Return the natural logarithm of a base of logarithms: what nats are divided by.

    A base below 1 turns small and large round: what has ends or an order, as `of` says, refuses it.
    """
    if base is None:
        raise wrong_kind("base", "be a number", "None", "Leave it out for nats; 2 is bits.")
    number = _real("base", base, "be a number")
    if not (number > 0 and math.isfinite(number)) or number == 1:
        advice = f"Use {'e' if typed('base') else 'math.e'} for nats, 2 for bits."
        raise invalid("base", "be positive and not 1", repr(base), advice)
    if of and number < 1:
        raise invalid("base", f"be above 1 for {of}", repr(base))
    return math.log(number)


def _real(argument: str, value: object, must: str) -> float:
    if isinstance(value, (bool, str, bytes)):
        raise wrong_kind(argument, must, repr(value))
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise wrong_kind(argument, must, a(value)) from None
    except OverflowError:
        raise invalid(argument, must, "one too large for a float") from None
