"""ARPA text to arrays and back: numbers parsed and written digit by digit.

A log-probability is written with the fewest digits, from seven on, that read back as the same
float32.
"""

import numpy as np

from xent._compile.decorator import kernel
from xent._math.llvm import load_uint64, store_uint64
from xent.language._kernels.score import slot_of
from xent.language._kernels.text import key_of, place_of

_U = np.uint64
_TEN = 10.0 ** np.arange(23)
_INTEGERS = 10 ** np.arange(19)
_BILLION = 1_000_000_000
_LARGEST = float(np.finfo(np.float32).max)
_PAIRS = np.array([[48 + n // 10, 48 + n % 10] for n in range(100)], np.uint8)

# What `parse` can find wrong, and what `resolve` can.
FINE, BAD_NUMBER, POSITIVE, FEW_WORDS, MANY_WORDS, STRANGE_WORD, INFINITE = range(7)


@kernel()
def parse(text, space, first, order, longest, vocabulary, words, logp, backoff):
    """Parse n-gram lines until a line that begins with a backslash, or the end.

    Returns the place where it stopped, the rows it wrote, and what is wrong with the line there.
    """
    keys, slots, blob, starts = vocabulary
    n = text.size
    i = first
    row = 0
    while i < n:
        line = i
        while i < n and text[i] != 10 and space[text[i]]:
            i += 1
        if i >= n or text[i] == 10:
            i += 1
            continue
        if text[i] == 92:  # a backslash
            return line, row, FINE
        value, i = _number(text, space, i)
        if np.isnan(value):
            return line, row, BAD_NUMBER
        if value > 0.0:
            return line, row, POSITIVE
        logp[row] = value
        for k in range(order):
            while text[i] != 10 and space[text[i]]:
                i += 1
            if text[i] == 10:
                return line, row, FEW_WORDS
            begin = i
            while not space[text[i]]:
                i += 1
            if order == 1:
                words[row, 0] = begin
                words[row, 1] = i
                continue
            key = key_of(text, begin, i - begin)
            slot = place_of(text, begin, i - begin, key, keys, slots, blob, starts)
            if keys[slot] == _U(0):
                return line, row, STRANGE_WORD
            words[row, k] = slots[slot]
        while text[i] != 10 and space[text[i]]:
            i += 1
        backoff[row] = 0.0
        if text[i] != 10:
            value, i = _number(text, space, i)
            if np.isnan(value):
                return line, row, MANY_WORDS
            if value > _LARGEST:
                return line, row, INFINITE
            if not longest:
                backoff[row] = value
            while text[i] != 10 and space[text[i]]:
                i += 1
            if text[i] != 10:
                return line, row, MANY_WORDS
        row += 1
        i += 1
    return n, row, FINE


@kernel(inside=True)
def _number(text, space, i):
    """Read a decimal number; NaN if it is none."""
    negative = text[i] == 45
    if negative or text[i] == 43:
        i += 1
    if text[i] == 105 and text[i + 1] == 110 and text[i + 2] == 102:  # inf
        i += 3
        return (-np.inf if negative else np.inf) if space[text[i]] else np.nan, i
    digits = np.int64(0)
    shift = 0
    point = False
    any_digit = False
    while not space[text[i]]:
        c = text[i]
        if 48 <= c <= 57:
            any_digit = True
            if digits < 100_000_000_000_000_000:
                digits = digits * 10 + (np.int64(c) - 48)
                shift += point
            elif not point:
                shift -= 1
        elif c == 46 and not point:
            point = True
        else:
            break
        i += 1
    if not any_digit:
        return np.nan, i
    if text[i] == 101 or text[i] == 69:  # e, E
        i += 1
        down = text[i] == 45
        if down or text[i] == 43:
            i += 1
        exponent = 0
        if space[text[i]]:
            return np.nan, i
        while 48 <= text[i] <= 57 and exponent < 10_000:
            exponent = exponent * 10 + int(text[i]) - 48
            i += 1
        shift += exponent if down else -exponent
    if not space[text[i]]:
        return np.nan, i
    value = np.float64(digits)
    if 0 <= shift <= 22:
        value /= _TEN[shift]
    elif -22 <= shift < 0:
        value *= _TEN[-shift]
    else:
        value *= 10.0 ** np.float64(-shift)
    return (-value if negative else value), i


@kernel(inline="always")
def _find(table, slots, key):
    """Return the node under a key, or -1."""
    j = slot_of(key, slots)
    while table[2 * j] != _U(0):
        if table[2 * j] == key:
            return np.int64(table[2 * j + 1])
        j += _U(1)
        if j == slots:
            j = _U(0)
    return np.int64(-1)


@kernel()
def resolve(words, table, bits, prefix):
    """Write the node of each n-gram's prefix; return the first row whose prefix is missing."""
    slots = _U(table.size // 2)
    order = words.shape[1]
    for row in range(words.shape[0]):
        same = row > 0
        for k in range(order - 1):
            if row > 0 and words[row, k] != words[row - 1, k]:
                same = False
        if same:
            prefix[row] = prefix[row - 1]
            continue
        node = np.int64(1 + words[row, 0])
        for k in range(1, order - 1):
            node = _find(table, slots, ((_U(node) << bits) | _U(words[row, k])) + _U(1))
            if node < 0:
                return row
        prefix[row] = node
    return -1


@kernel()
def link(prefix, word, suffixes, table, bits, suffix):
    """Find the longest shorter n-gram that each n-gram of a level ends with.

    ``suffixes`` holds that of every node below the level.
    """
    slots = _U(table.size // 2)
    for row in range(prefix.size):
        node = np.int64(suffixes[prefix[row]])
        found = np.int64(-1)
        while node > 0:
            found = _find(table, slots, ((_U(node) << bits) | _U(word[row])) + _U(1))
            if found >= 0:
                break
            node = np.int64(suffixes[node])
        suffix[row] = found if node > 0 else 1 + word[row]


@kernel()
def enter(prefix, word, first, bits, table):
    """Enter the nodes of a level under (node of the prefix, word)."""
    slots = _U(table.size // 2)
    for row in range(prefix.size):
        key = ((_U(prefix[row]) << bits) | _U(word[row])) + _U(1)
        j = slot_of(key, slots)
        while table[2 * j] != _U(0):
            j += _U(1)
            if j == slots:
                j = _U(0)
        table[2 * j] = key
        table[2 * j + 1] = _U(first + row)


@kernel(inside=True)
def _write_number(value, out, at):
    """Write a float32; return where it ends. Up to ten bytes after it are written to as well."""
    if not value > -99.0:  # -inf too: zero probability is written -99
        for c in (45, 57, 57):
            out[at] = c
            at += 1
        return at
    x = abs(np.float64(value))
    if x < 1e-12:  # a factor of 1 to the last bit
        out[at] = 48
        return at + 1
    out[at] = 45
    at += value < 0
    places = 7 - 1
    edge = 10.0
    while x >= edge:
        places -= 1
        edge *= 10.0
    edge = 1.0
    while x < edge:
        places += 1
        edge /= 10.0
    fewest = places
    digits = np.int64(x * _TEN[places] + 0.5)
    read = digits / _TEN[places]
    while places < 21 and np.float32(read) != np.float32(x):
        places += 1
        digits = np.int64(x * _TEN[places] + 0.5)
        read = digits / _TEN[places]
    if places == fewest:  # with more digits than that the last one is no 0
        while places > 0 and digits % 10 == 0:
            digits //= 10
            places -= 1
    whole = np.int64(read)
    if whole < 10:
        out[at] = 48 + whole
        at += 1
    else:
        at = _write_digits(whole, 1, out, at)
    if places == 0:
        return at
    out[at] = 46
    if places > 10:  # far below 1
        return _write_digits(digits, places, out, at + 1)
    # Ten digits without a branch, of which those beyond the number's own are zeros.
    ten = (digits - whole * _INTEGERS[places]) * _INTEGERS[10 - places]
    first = ten // 100_000_000
    eight = np.uint32(ten - first * 100_000_000)
    upper = eight // np.uint32(10_000)
    lower = eight - upper * np.uint32(10_000)
    _write_pair(np.uint32(first), out, at + 1)
    _write_pair(upper // np.uint32(100), out, at + 3)
    _write_pair(upper % np.uint32(100), out, at + 5)
    _write_pair(lower // np.uint32(100), out, at + 7)
    _write_pair(lower % np.uint32(100), out, at + 9)
    return at + 1 + places


@kernel(inline="always")
def _write_pair(number, out, at):
    out[at] = _PAIRS[number, 0]
    out[at + 1] = _PAIRS[number, 1]


@kernel(inside=True)
def _write_digits(number, min_digits, out, at):
    """Write an integer with at min_digits so many digits."""
    length = 1
    while length < min_digits or (length < 19 and number >= _INTEGERS[length]):
        length += 1
    k = at + length - 1
    while number >= _BILLION:
        out[k] = 48 + number % 10
        number //= 10
        k -= 1
    short = np.uint32(number)  # dividing 32 bits takes half the time
    while k >= at:
        tenth = short // np.uint32(10)
        out[k] = np.uint32(48) + short - np.uint32(10) * tenth
        short = tenth
        k -= 1
    return at + length


@kernel()
def write_rows(words, blob, starts, logp, backoff, out):
    """Write n-gram lines; return how many bytes.

    Parameters
    ----------
    words : (n, order) uint32
    blob, starts : (bytes + 16,) uint8, (V + 1,) int64
        The words, one after the other.
    logp : (n,) float32
    backoff : (n,) or (0,) float32
        Empty for the longest n-grams, which have none.
    out : (enough,) uint8
    """
    at = 0
    order = words.shape[1]
    for row in range(words.shape[0]):
        at = _write_number(logp[row], out, at)
        for k in range(order):
            out[at] = 9 if k == 0 else 32
            at += 1
            word = words[row, k]
            # Most words are short, so sixteen bytes are copied at once and the rest written over.
            first = starts[word]
            length = starts[word + 1] - first
            store_uint64(out, at, load_uint64(blob, first))
            store_uint64(out, at + 8, load_uint64(blob, first + 8))
            for c in range(16, length):
                out[at + c] = blob[first + c]
            at += length
        if backoff.size > 0:
            out[at] = 9
            at = _write_number(backoff[row], out, at + 1)
        out[at] = 10
        at += 1
    return at
