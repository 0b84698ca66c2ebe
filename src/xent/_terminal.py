"""Text for a terminal: nothing in it that the terminal would obey, columns that stand in line.

Labels, names of columns and of files are a stranger's. An escape sequence among them moves the
cursor or sets a title; a bidirectional control turns the rest of the line round.
"""

import re
import shlex
from bisect import bisect
from itertools import accumulate
from unicodedata import combining, east_asian_width

# Control characters but the line's end and the tab; bidirectional controls (Unicode, UAX 9);
# separators of lines and paragraphs; halves of surrogate pairs.
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""Write out what a terminal would obey.

    >>> printable("a\x1b[31mb\u202ec")
    'a\\x1b[31mb\\u202ec'
    """
    return OBEYED.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(label: object) -> str:
    r"""Write a label so that it cannot break a line of text.

    >>> one_line("two\nlines")
    'two lines'
    """
    return printable(" ".join(str(label).split()))


def as_typed(word: object) -> str:
    r"""Write a word of a command line as a shell takes it, on one line.

    >>> as_typed("a b.csv"), as_typed("a\x1b[31m\n.csv")
    ("'a b.csv'", "'a\\x1b[31m\\n.csv'")
    """
    return printable(shlex.quote(str(word))).replace("\n", "\\n")


def width_of(text: str) -> int:
    """Return how many columns a text takes; a Chinese letter takes two.

    >>> width_of("bits"), width_of("比特")
    (4, 4)
    """
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 1 + (east_asian_width(c) in "WF") for c in text)


def cut(text: str, width: int) -> str:
    """Cut a text to so many columns, with a sign.

    >>> cut("交叉熵", 4), cut("bits", 4)
    ('交…', 'bits')
    """
    if width_of(text) <= width:
        return text
    kept = list(accumulate(map(width_of, text)))
    return text[: bisect(kept, width - 1)] + "…"


def fitted(text: str, width: int) -> str:
    """Cut a text to so many columns, or fill it up with spaces.

    >>> fitted("交叉熵", 4) + "|", fitted("ab", 4) + "|"
    ('交… |', 'ab  |')
    """
    return left_in(cut(text, width), width)


def left_in(text: str, width: int) -> str:
    """Fill a text up with spaces to so many columns, and cut nothing.

    >>> left_in("比特", 6) + "|"
    '比特  |'
    """
    return text + " " * (width - width_of(text))


def right_in(text: str, width: int) -> str:
    """Fill a text up with spaces in front to so many columns, and cut nothing.

    >>> right_in("比特", 6)
    '  比特'
    """
    return " " * (width - width_of(text)) + text


def bar_of(share: float, width: int) -> str:
    """Draw a bar of eighths of a character.

    >>> bar_of(0.5, 5)
    '██▌'
    """
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
