"""A doubt: text of a script that writes no spaces, read as if spaces separated its words."""

import numpy as np
from numpy.typing import NDArray

from xent import _check
from xent.language._vocabulary import END, SPECIAL, Vocabulary

# Letters a token, on average, from which it is no word: of few, where a line is one token; of any.
IN_SINGLE_TOKENS, IN_TOKENS = 3.0, 6.0
SINGLE = 1.5  # tokens a line below which most lines are one token


def warn_of_unsegmented(vocabulary: Vocabulary, counts: NDArray[np.uint32]) -> None:
    """Warn where the tokens of a text are whole sentences.

    Parameters
    ----------
    vocabulary : Vocabulary
    counts : (V,) uint32
        How often each word was seen.
    """
    times = counts.astype(np.float64)
    lines = times[END]
    times[: len(SPECIAL)] = 0.0
    tokens = times.sum()
    if not tokens:
        return
    letters = float(_letters(vocabulary) @ times) / tokens
    least = IN_SINGLE_TOKENS if tokens < SINGLE * lines else IN_TOKENS
    if letters >= least:
        _check.warn(
            f"The text has {tokens / lines:.3g} tokens a line, of {letters:.3g} letters of scripts "
            "that write no spaces between words, and only spaces separate words here. Fit with "
            'unit="character" (--unit character), or text whose words a segmenter has separated.'
        )


def _letters(vocabulary: Vocabulary) -> NDArray[np.float64]:
    """Return how many letters of such scripts each word has, from the first bytes in UTF-8.

    They are Han, kana and their punctuation (E3 to E9, F0 A0 on). Letters of Thai and Lao (E0 B8 to
    BB), Khmer (E1 9E, 9F) and Burmese (E1 80 to 82) count a third: words have about three times as
    many of them.
    """
    starts = vocabulary.starts[: len(vocabulary) + 1]
    blob = vocabulary.blob[: starts[-1]]
    after = np.append(blob[1:], np.uint8(0))
    weights = ((blob >= 0xE3) & (blob <= 0xE9)).astype(np.float32)
    weights[(blob == 0xF0) & (after >= 0xA0)] = 1.0
    alphabets = (blob == 0xE0) & (after >= 0xB8) & (after <= 0xBB)
    alphabets |= (blob == 0xE1) & (((after >= 0x80) & (after <= 0x82)) | (after >> 1 == 0x4F))
    weights[alphabets] = 1.0 / 3.0
    total = np.concatenate([np.zeros(1), np.cumsum(weights, dtype=np.float64)])
    return np.asarray(total[starts[1:]] - total[starts[:-1]])
