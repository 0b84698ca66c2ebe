"""A slow writer of KenLM's binary format 5, from its description: every byte spelt out.

Probabilities are quantised only where every value finds a place of its own, so that what is written
is what is read.
"""

import struct
from bisect import bisect_right

import numpy as np

PROBING, REST, TRIE, QUANTISED, ARRAY, QUANTISED_ARRAY = range(6)
MASK = (1 << 64) - 1


def murmur(word):
    """MurmurHash64A with seed 0."""
    m, h = 0xC6A4A7935BD1E995, len(word) * 0xC6A4A7935BD1E995 & MASK
    for i in range(0, len(word) // 8 * 8, 8):
        k = int.from_bytes(word[i : i + 8], "little") * m & MASK
        k = (k ^ k >> 47) * m & MASK
        h = (h ^ k) * m & MASK
    if len(word) % 8:
        h = (h ^ int.from_bytes(word[len(word) // 8 * 8 :], "little")) * m & MASK
    h = (h ^ h >> 47) * m & MASK
    return h ^ h >> 47


def f32(value):
    return struct.pack("<f", value)


def raw(value):
    return struct.unpack("<I", f32(value))[0]


def buckets(n, multiplier):
    return max(n + 1, int(np.float32(np.float32(multiplier) * np.float32(n))))


def table(entries, count, record, multiplier):
    """Lay (key, bytes) out in a hash table."""
    size = buckets(count, multiplier)
    slots = [bytes(record)] * size
    for key, value in entries:
        place = key % size
        while slots[place] != bytes(record):
            place = (place + 1) % size
        slots[place] = struct.pack("<Q", key) + value
    return b"".join(slots)


def ngram_key(ids):
    key = ids[-1]
    for v in reversed(ids[:-1]):
        key = (key * 8978948897894561157 & MASK) ^ ((1 + v) * 17894857484156487943 & MASK)
    return key


class Packed:
    """Numbers of any width, one after the other, the lowest bit first."""

    def __init__(self):
        self.value = self.length = 0

    def add(self, number, width):
        assert 0 <= number < 1 << width or number == width == 0
        self.value |= number << self.length
        self.length += width

    def bytes(self, count, width):
        return self.value.to_bytes(((count + 1) * width + 7) // 8 + 8, "little")


def write(levels, kind, *, strings=True, multiplier=1.5, bits=(8, 8), most=22):
    """Return the bytes of a model.

    ``levels`` holds for each order a dict from n-gram (a tuple of words) to (log10 p, log10 b).
    """
    order = len(levels)
    contexts = {gram[:-1] for level in levels[1:] for gram in level}
    suffixes = {gram[1:] for level in levels[1:] for gram in level}

    def weight(gram, value):
        return value or (0.0 if gram in contexts else -0.0)

    words = [gram[0] for gram in levels[0] if gram[0] != "<unk>"]
    if kind >= TRIE:
        words.sort(key=lambda w: murmur(w.encode()))
    number = {"<unk>": 0, **{w: i for i, w in enumerate(words, 1)}}
    counts = [len(level) for level in levels]
    if kind >= TRIE:
        counts[0] = len(words) + 1
    first = levels[0].get(("<unk>",), (-100.0, 0.0))
    missing = ("<unk>",) not in levels[0]
    out = b"mmap lm http://kheafield.com/code format version 5\n".ljust(56, b"\0")
    out += struct.pack("<3f2I4xQ", 0, 1, -0.5, 1, 0xFFFFFFFF, 1)
    out += struct.pack("<B3xfIB3xI", order, multiplier, kind, strings, kind >= TRIE)
    out += struct.pack(f"<{order}Q4x", *counts)
    hashes = [murmur(w.encode()) for w in words]
    if kind < TRIE:
        out += struct.pack("<II", 0, len(words) + 1)
        entries = [(h, struct.pack("<I", i)) for i, h in enumerate(hashes, 1)]
        out += table(entries, counts[0], 12, multiplier)
        rest = f32(-0.25) if kind == REST else b""
        for w in ["<unk>", *words]:
            p, b = levels[0].get((w,), first)
            stored = abs(p) if (w,) in suffixes or not p else p  # 0 is stored without a sign
            b = 0.0 if w == "<unk>" and missing else weight((w,), b)
            out += f32(stored) + f32(b) + rest
        if not missing:
            out += bytes(8 + len(rest))
        for n, level in enumerate(levels[1:], 2):
            entries = []
            for gram, (p, b) in level.items():
                value = f32(abs(p) if gram in suffixes else -abs(p))
                if n < order:
                    value += f32(weight(gram, b)) + rest
                entries.append((ngram_key([number[w] for w in gram]), value))
            out += table(entries, len(level), 12 if n == order else 16 + len(rest), multiplier)
    else:
        out += struct.pack(f"<Q{len(words)}QQ", len(words), *hashes, 0)
        out += _trie(levels, kind, number, counts, weight, first, missing, bits, most, len(out))
    if strings:
        out += b"".join(w.encode() + b"\0" for w in ["<unk>", *words])
    return out


def _books(levels, weight, bits):
    """Return the values of each order that a quantised field chooses from."""
    found = []
    for n, level in enumerate(levels[1:], 2):
        probs = sorted({raw(p): p for p, _ in level.values()}.values())
        weights = [-0.0, 0.0, *sorted({w for g, (_, b) in level.items() if (w := weight(g, b))})]
        assert len(probs) <= 1 << bits[0]
        assert len(weights) <= 1 << bits[1]
        probs = [-np.inf] * ((1 << bits[0]) - len(probs)) + probs
        weights += [weights[-1]] * ((1 << bits[1]) - len(weights))
        found.append((probs, weights if n < len(levels) else []))
    return found


def _trie(levels, kind, number, counts, weight, first, missing, bits, most, at):
    order, names = len(levels), {i: w for w, i in number.items()}
    # Reversed n-grams, sorted, so that children stand together in the order of their parents.
    grams = [[(i,) for i in range(counts[0])]]
    for level in levels[1:]:
        grams.append(sorted(tuple(number[w] for w in reversed(g)) for g in level))
    begins = []
    for n in range(order - 1):
        parents = [g[:-1] for g in grams[n + 1]]
        begins.append([sum(p < g for p in parents) for g in grams[n]] + [len(parents)])
    out = b""
    quantised = kind in (QUANTISED, QUANTISED_ARRAY)
    books = _books(levels, weight, bits) if quantised else []
    if quantised:
        out += bytes([2, *bits]) + bytes(5)
        out += b"".join(f32(v) for book in books for half in book for v in half)
    for i in range(counts[0]):
        p, b = levels[0].get((names[i],), first)
        b = 0.0 if i == 0 and missing else weight((names[i],), b)
        out += f32(p) + f32(b) + struct.pack("<Q", begins[0][i])
    out += struct.pack("<8xQ", begins[0][-1]) + bytes(16)
    wide = counts[0].bit_length()
    for n in range(1, order):
        longest = n + 1 == order
        low = 0 if longest else counts[n + 1].bit_length()
        if not longest and kind in (ARRAY, QUANTISED_ARRAY):
            x, size = counts[n + 1], low
            costs = [64 * (x >> size - s) - (counts[n] + 1) * s for s in range(min(size, most) + 1)]
            low -= costs.index(min(costs))
            highs = [next(j for j, v in enumerate(begins[n]) if v >> low >= k)
                     for k in range((x >> low) + 1)]  # fmt: skip
            pad = -(at + len(out)) % 8
            part = bytes([0, most]).ljust(pad + 8, b"\0") + struct.pack(f"<{len(highs)}Q", *highs)
            out += part.ljust(8 * (len(highs) + 1) + 7, b"\0")
        packed = Packed()
        for j, g in enumerate(grams[n]):
            gram = tuple(names[i] for i in reversed(g))
            p, b = levels[n][gram]
            packed.add(g[-1], wide)
            if quantised:
                probs, weights = books[n - 1]
                if not longest:
                    value = weight(gram, b)
                    code = weights.index(value) if value else int(np.copysign(1, value) > 0)
                    packed.add(code, bits[1])
                packed.add(bisect_right(probs, p) - 1, bits[0])
            else:
                packed.add(raw(p) & 0x7FFFFFFF, 31)
                if not longest:
                    packed.add(raw(weight(gram, b)), 32)
            if not longest:
                packed.add(begins[n][j] & (1 << low) - 1, low)
        width = packed.length // max(1, len(grams[n]))
        if not grams[n]:
            width = wide + ((bits[0] if quantised else 31) if longest else
                            (sum(bits) if quantised else 63) + low)  # fmt: skip
        if not longest:
            packed.add(0, width - low)
            packed.add(begins[n][-1] & (1 << low) - 1, low)
        out += packed.bytes(len(grams[n]), width)
    return out
