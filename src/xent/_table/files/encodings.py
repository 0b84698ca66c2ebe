"""How the letters of a file that is not UTF-8 are probably encoded: advice, never a decision.

Bytes above 127 stand alone between ASCII letters in the languages of Western Europe, and in runs
where an alphabet, or each character of two bytes, lies above 127. Of the encodings that fit, the
one is named under which most characters are common ones.
"""

import re
from collections.abc import Callable

SAMPLE = 1 << 20  # bytes looked at
FEW_LETTERS = 20  # characters; among fewer, Chinese that looks like Korean is Chinese
RUNS = re.compile(rb"[\x80-\xff]+")


def _hangul(letter: str) -> bool:
    return "\uac00" <= letter <= "\ud7a3"


def _kana(letter: str) -> bool:
    return "\u3040" <= letter <= "\u30ff" or letter in "ー、。"


def _small_cyrillic(letter: str) -> bool:
    return "а" <= letter <= "я"


def _common(encoding: str, low: int, high: int) -> Callable[[str], bool]:
    """Return whether a character has its first byte among those of the common ones."""

    def common(letter: str) -> bool:
        code = letter.encode(encoding)
        return len(code) == 2 and (low <= code[0] <= high or code[0] in (0xA1, 0xA3))

    return common


# An encoding, which of its characters are common, and which share of a text they are at least.
# Korean before Chinese: its syllables lie where the more frequent Chinese characters lie.
CANDIDATES: tuple[tuple[str, Callable[[str], bool], float], ...] = (
    ("euc_kr", _hangul, 0.95),
    ("euc_jp", _kana, 0.3),
    ("shift_jis", _kana, 0.3),
    ("gb18030", _common("gb18030", 0xB0, 0xD7), 0.8),
    ("big5", _common("big5", 0xA4, 0xC6), 0.8),
    ("cp1251", _small_cyrillic, 0.7),
    ("koi8_r", _small_cyrillic, 0.7),
)


def likely_encoding(sample: bytes) -> str:
    """Return the name of an encoding in which a text, that is not UTF-8, is probably written.

    >>> likely_encoding("城市,北京".encode("gb18030")), likely_encoding("café".encode("latin1"))
    ('gb18030', 'latin1')
    """
    if sample[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "utf32"
    if sample[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf16"
    sample = sample[:SAMPLE]
    runs = RUNS.findall(sample)
    high = sum(map(len, runs))
    if not high or sum(len(run) for run in runs if len(run) > 1) < 0.6 * high:
        return _western(sample)
    for encoding, common, least in CANDIDATES:
        try:
            text = sample.decode(encoding)
        except UnicodeDecodeError as error:
            if error.start < len(sample) - 4:  # the sample may end within a character
                continue
            text = sample[: error.start].decode(encoding)
        letters = [letter for letter in text if letter > "\x7f"]
        doubtful = encoding == "euc_kr" and len(letters) < FEW_LETTERS
        if letters and not doubtful and sum(map(common, letters)) >= least * len(letters):
            return encoding
    return _western(sample)


def _western(sample: bytes) -> str:
    """Return latin1, or Windows' kin of it where a sign stands that latin1 has not."""
    return "cp1252" if re.search(rb"[\x80-\x9f]", sample) else "latin1"
