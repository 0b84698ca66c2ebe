"""Memory for large gradients, used again from step to step.

A training step frees its gradient and asks for the next: the kernel takes 4 KB pages away and gives
them back zeroed, which for a large gradient takes longer than computing it. Here a buffer comes in
huge pages, and the piece freed last is kept as it is: the next step takes it. A request that it
does not fit, and a piece freed after it, make it memory that the kernel may take whenever it is
short (MADV_FREE). That is next to nothing for huge pages; where the kernel grants small ones only,
it costs as much as a quarter of the step.
"""

import math
import mmap
import weakref
from collections import deque
from contextlib import suppress

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_PAGE = 1 << 21  # bytes of a huge page
_WARM = 1 << 29  # bytes that keep their pages at most
_LARGE = 1 << 22  # bytes of a buffer that is worth keeping
_LINE = 64  # bytes of a cache line
_CAN_KEEP = hasattr(mmap, "MADV_FREE") and hasattr(mmap, "MAP_PRIVATE")

_warm: deque[mmap.mmap] = deque(maxlen=1)
_kept: deque[mmap.mmap] = deque(maxlen=1)
_watched: dict[int, weakref.ref[NDArray[np.uint8]]] = {}


def gradient_like(tensor: Tensor) -> Tensor:
    """Return a contiguous tensor to write a gradient to; a large one is used again and again."""
    return empty_buffer(tensor.shape, tensor, tensor.dtype)


def empty_buffer(shape: tuple[int, ...], like: Tensor, dtype: torch.dtype) -> Tensor:
    """Return an uninitialised tensor where ``like`` is, of memory used again where it is large."""
    size = math.prod(shape) * dtype.itemsize
    if size < _LARGE or like.device.type != "cpu":
        return like.new_empty(shape, dtype=dtype)
    return torch.from_numpy(reused_bytes(size)).view(dtype).view(shape)


def _aligned(size: int) -> NDArray[np.uint8]:
    whole = np.empty(size + _LINE, np.uint8)
    first = -whole.ctypes.data % _LINE
    return whole[first : first + size]


def reused_bytes(size: int) -> NDArray[np.uint8]:
    """Return ``size`` bytes of memory with whatever stands there, aligned to a cache line at least.

    Parameters
    ----------
    size : int
        Bytes, a few million or more; for less NumPy's own memory is as good.
    """
    piece = None
    if _CAN_KEEP:
        piece = _found(size, _warm)
        if piece is None:
            _cool()
            piece = _found(size, _kept) or _mapped(size)
    if piece is None:
        return _aligned(size)
    whole = np.frombuffer(piece, np.uint8)
    # All views, torch's too, hold on to `whole`: it goes when the last of them goes.
    number, again = id(whole), piece

    def give_back(_: object) -> None:
        _watched.pop(number, None)
        _cool()
        _warm.append(again)
        if len(again) > _WARM:
            _cool()

    _watched[number] = weakref.ref(whole, give_back)
    first = -whole.ctypes.data % _PAGE
    return whole[first : first + size]


def _cool() -> None:
    """Let the kernel take the pages of the piece freed last, when it is short of them."""
    with suppress(IndexError):  # nothing is kept, or another thread took it
        piece = _warm.pop()
        with suppress(OSError):  # the kernel has no MADV_FREE, or all pages are locked
            piece.madvise(mmap.MADV_FREE)
            _kept.append(piece)


def _mapped(size: int) -> mmap.mmap | None:
    """Map a new piece; None where memory or address space is too short for one."""
    length = -(-size // _PAGE) * _PAGE + _PAGE
    try:
        piece = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:
        _kept.clear()
        return None
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel built without huge pages
            piece.madvise(mmap.MADV_HUGEPAGE)
    return piece


def _found(size: int, kept: deque[mmap.mmap]) -> mmap.mmap | None:
    """Take a kept piece that is large enough, and not much too large."""
    for piece in list(kept):
        if size + _PAGE <= len(piece) <= size + size // 2 + 2 * _PAGE:
            try:
                kept.remove(piece)
            except ValueError:
                continue  # another thread took it
            return piece
    return None
