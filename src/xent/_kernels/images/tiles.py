"""What scoring images works in: tiles of pixels that stay in the cache."""

import math
from typing import Any, NamedTuple

import numpy as np

from xent._math.llvm import CACHE_LINE

TILE_PIXELS = 128  # pixels
MAX_TILE_CLASSES = 64


class TileBuffers(NamedTuple):
    """Room to work in, of one thread: two tiles of logits, quantities of the pixels, a gradient."""

    logits: Any
    pixels: Any
    scratch: Any
    indices: Any
    gradient: Any


def buffers_for(x: Any) -> TileBuffers:
    """Allocate what `score_tiles` works in, for logits like x (B, C, P)."""
    classes = x.shape[1]
    real, whole = (np.float64, np.int64) if x.dtype == np.float64 else (np.float32, np.int32)
    return TileBuffers(
        _aligned((2, _padded(classes), TILE_PIXELS), real),
        _aligned((7 * TILE_PIXELS,), np.float64),
        _aligned((9 * TILE_PIXELS,), real),
        _aligned((4 * TILE_PIXELS,), whole),
        _aligned((classes, TILE_PIXELS), x.dtype),
    )


def _padded(classes: int) -> int:
    """Return how many classes `_sum_classes` reads of a tile: those, and zeros."""
    return 8 if classes <= 8 else 20 if classes <= 20 else 32 if classes <= 32 else MAX_TILE_CLASSES


def _aligned(shape: tuple[int, ...], dtype: Any) -> Any:
    """Return an array that begins on a cache line.

    Each vector of 64 bytes would lie across two lines else, and be read and written twice.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + CACHE_LINE, np.uint8)
    first = -room.ctypes.data % CACHE_LINE
    return room[first : first + size].view(dtype).reshape(shape)
