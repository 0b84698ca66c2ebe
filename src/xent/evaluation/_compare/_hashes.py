"""Chance that depends on what a row or a group is called, never on where it stands.

Weights of a bootstrap and flipped signs come from a hash of the name and the seed, so that the same
rows in another order, or in other files, give the same numbers.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
DrawnWeights = NDArray[np.float64]

BLOCK_DRAWS = 1 << 20  # draws that are held at once
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def keys_of(names: Sequence[object], seed: int) -> Keys:
    """Return a key for each name, equal where the names are equal as text."""
    salt = seed.to_bytes(16, "little", signed=True)
    found = b"".join(
        hashlib.blake2b(
            str(name).encode("utf-8", "surrogatepass"), digest_size=8, key=salt
        ).digest()
        for name in names
    )
    return np.frombuffer(found, dtype="<u8").astype(np.uint64)


def keys_of_places(rows: NDArray[np.int64], seed: int) -> Keys:
    """Return a key for each number of a row, where rows have no names."""
    (salt,) = keys_of([seed], seed)
    return _mixed(rows.astype(np.uint64) * _GOLDEN ^ salt)


def poisson_weights(keys: Keys, resamples: int) -> Iterator[DrawnWeights]:
    """Yield blocks of resamples: how often each key is drawn in each, Poisson of mean 1.

    Four draws of 16 bits come from one hash; weights of mean and variance 1 to 1e-4.
    """
    table = _poisson_table()
    step = max(1, BLOCK_DRAWS // (4 * len(keys))) * 4
    for start in range(0, resamples, step):
        block = min(step, resamples - start)
        lines = np.arange(start // 4, (start + block + 3) // 4, dtype=np.uint64)
        drawn = _mixed(keys[None, :] + (lines[:, None] + np.uint64(1)) * _GOLDEN)
        quarters = [(drawn >> np.uint64(16 * q)) & np.uint64(0xFFFF) for q in range(4)]
        weights = table[np.stack(quarters, axis=1)].reshape(-1, len(keys))
        yield weights[:block].astype(np.float64)


def signs(keys: Keys, resamples: int) -> Iterator[DrawnWeights]:
    """Yield blocks of resamples: +1 or -1 for each key in each."""
    step = max(1, BLOCK_DRAWS // (64 * len(keys))) * 64
    for start in range(0, resamples, step):
        block = min(step, resamples - start)
        lines = np.arange(start // 64, (start + block + 63) // 64, dtype=np.uint64)
        drawn = _mixed(keys[None, :] + (lines[:, None] + np.uint64(1)) * _GOLDEN)
        bits = (drawn[:, None, :] >> np.arange(64, dtype=np.uint64)[None, :, None]) & np.uint64(1)
        yield 1.0 - 2.0 * bits.reshape(-1, len(keys))[:block].astype(np.float64)


def _mixed(keys: Keys) -> Keys:
    """Mix 64 bits (the finaliser of SplitMix64; Steele, Lea and Flood 2014)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


@cache
def _poisson_table() -> NDArray[np.uint8]:
    """Return the Poisson number of mean 1 for each of 65,536 equally likely draws."""
    from scipy.special import pdtr

    below = pdtr(np.arange(12), 1.0)
    middle = (np.arange(1 << 16) + 0.5) / (1 << 16)
    return np.searchsorted(below, middle).astype(np.uint8)
