"""What a text that is not UTF-8 may be, and how it becomes so."""

import codecs

import numpy as np

from xent import _check

GUESSED_BYTES = 1 << 16  # bytes that a guess takes
MIN_GUESSED = 16  # of which it can be said that letters have two bytes


def utf16(text: bytes) -> str | None:
    """Name the UTF-16 or UTF-32 that a text's first bytes say, or a NUL beside each letter."""
    if text.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "UTF-32"  # the mark of one of them begins with that of UTF-16
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "UTF-16"
    zeros = np.frombuffer(text[:GUESSED_BYTES], np.uint8) == 0
    if len(zeros) < MIN_GUESSED or not zeros.any():
        return None
    found = [
        n for n, part in (("UTF-16BE", zeros[::2]), ("UTF-16LE", zeros[1::2])) if part.mean() > 0.9
    ]
    return found[0] if len(found) == 1 else None


def advice(text: bytes) -> _check.Words:
    """Say what a text that is not UTF-8 may be: kept as bytes, another encoding is ruined."""
    try:
        letters = [c for c in text[:GUESSED_BYTES].decode("gb18030", "ignore") if c > "\x7f"]
        text.decode("gb18030")
    except UnicodeDecodeError:
        letters = []
    # Nearly all of Chinese text stands in the oldest set; what is read so by mistake does not.
    if len("".join(letters).encode("gb2312", "ignore")) > 2 * 0.9 * len(letters):
        return converted("GB18030", "may be")
    return (
        "Convert it, or pass "
        + _check.setting("errors", "keep")
        + " to take bytes that are not as they are."
    )


def converted(encoding: str, sure: str = "is") -> str:
    """Say how a text becomes UTF-8."""
    return f"It {sure} {encoding}, which becomes UTF-8 with: iconv -f {encoding} -t UTF-8"
