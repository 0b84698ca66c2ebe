"""Text for a terminal: nothing in it that the terminal would obey, columns that stand in line.

Labels, names of columns and of files are a stranger's. An escape sequence among them moves the
cursor or sets a title; a bidirectional control turns the rest of the line round.
"""

import codecs
import json
import re
import shlex
import sys
from bisect import bisect
from itertools import accumulate
from unicodedata import combining, east_asian_width

# Control characters but the line's end and the tab; bidirectional controls (Unicode, UAX 9);
# separators of lines and paragraphs; halves of surrogate pairs.
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


# What draws bars, and two signs, where an encoding has no letters for them.
PLAIN_SIGNS = str.maketrans("█▉▊▋▌▍▎▏…×", "#####   ~x")
SPELT = "xent.spelt"  # how our streams write what their encoding lacks


def spell_on_streams() -> None:
    """Let standard output and error write what their encoding lacks, and not fail on it.

    A terminal may take GBK, and a file's name may be no text at all. One that takes ASCII was not
    told what it takes: it gets UTF-8, as from Click.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not where it is closed
            told = codecs.lookup(stream.encoding).name != "ascii"
            stream.reconfigure(encoding=None if told else "utf-8", errors=SPELT)


def spelt_where_lacking(error: UnicodeError) -> tuple[str, int]:
    r"""Write letters that an encoding lacks as JSON does; in a picture as XML does.

    >>> "\u732b █".encode("ascii", SPELT), '["█"]'.encode("ascii", SPELT)
    (b'\\u732b #', b'["\\u2588"]')
    """
    if not isinstance(error, UnicodeEncodeError) or error.object.startswith("CASE\n"):
        raise error  # SQL with other letters would find other rows
    letters, start = error.object[error.start : error.end], error.object[:1]
    if start == "<":
        return "".join(f"&#{ord(c)};" for c in letters), error.end
    if start not in ("{", "["):
        letters = letters.translate(PLAIN_SIGNS)
    return json.dumps(letters)[1:-1], error.end


codecs.register_error(SPELT, spelt_where_lacking)


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
