"""In which language a report speaks: English as it stands in the code, or Chinese from one table.

Where nobody says which, the environment variable XENT_LANG does: a notebook shows a report without
asking for its language.

The English sentence is the key, so what a page says is read where it is said. The table is
`_chinese.json` beside this file; tests/test_chinese.py holds both together.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import resources

from xent import _check

LANGUAGES = ("en", "zh")
VARIABLE = "XENT_LANG"
_spoken: ContextVar[str | None] = ContextVar("_spoken", default=None)


@contextmanager
def speaking(lang: str | None) -> Iterator[None]:
    """Let `say` speak a language, in this thread and until the block ends.

    Parameters
    ----------
    lang : str or None
        ``en``, ``zh``, or what is spoken already.

    Raises
    ------
    ValueError
        If it is neither.
    """
    found = spoken() if lang is None else _check.option("lang", lang, LANGUAGES)
    token = _spoken.set(found)
    try:
        yield
    finally:
        _spoken.reset(token)


def spoken() -> str:
    """Return the language that `say` speaks: of the block, of the environment, or English."""
    found = _spoken.get() or os.environ.get(VARIABLE)
    return _check.option(VARIABLE, found, LANGUAGES) if found else "en"


def say(text: str, **values: object) -> str:
    """Return a sentence in the language that is spoken, with its values filled in.

    Parameters
    ----------
    text : str
        In English, as `str.format` reads it.
    values : object
        What stands in its braces.

    Examples
    --------
    >>> say("and {more} more", more=3)
    'and 3 more'
    >>> with speaking("zh"):
    ...     say("accuracy")
    '准确率'
    """
    found = text if spoken() == "en" else _chinese()[text]
    return found.format(**values) if values else found


def say_count(number: int, noun: str) -> str:
    """Write a number with its noun, as `_check.count` does in English.

    Examples
    --------
    >>> say_count(2000, "row")
    '2,000 rows'
    >>> with speaking("zh"):
    ...     say_count(2000, "row")
    '2,000 行'
    """
    if spoken() == "en":
        return _check.count(number, noun)
    return f"{number:,} {_chinese()['a count: ' + noun]}"


@cache
def _chinese() -> dict[str, str]:
    text = resources.files("xent").joinpath("_chinese.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text)
    return found
