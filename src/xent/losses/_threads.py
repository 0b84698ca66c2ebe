"""Blocks of rows on the threads that torch's own operations run on.

OpenMP's threads wait awake, for milliseconds after each operation of torch, so that the next finds
them ready: threads of our own would share the processor's cores with them just when a loss begins.
Where torch runs on the GNU library that it brings along, the blocks go to its team instead, through
the entry that compilers call for ``#pragma omp parallel`` (GCC's libgomp manual, "Implementing
PARALLEL construct"). Elsewhere, and in a forked child, where that team is gone, on our own.
"""

import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from xent._compile import threads as block_threads

TURNS = 4
_HOME = os.getpid()
_Entry = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def in_blocks(work: Callable[[int, int], Any], count: int, *, least: int) -> list[Any]:
    """Call ``work(start, stop)`` for blocks that cover ``range(count)``, as `_compile` does."""
    threads = torch.get_num_threads()
    team = _team if threads > 1 and os.getpid() == _HOME and _parallel() else None
    return block_threads.in_blocks(
        work, count, threads=threads, least=least, turns=TURNS, team=team
    )


@cache
def _parallel() -> Any:
    """Return torch's GOMP_parallel, or None."""
    if "parallel backend: OpenMP" not in torch.__config__.parallel_info():
        return None
    for path in Path(torch.__file__).parent.glob("lib/libgomp*.so*"):
        try:
            found = ctypes.CDLL(str(path), mode=getattr(os, "RTLD_NOLOAD", 0)).GOMP_parallel
        except (OSError, AttributeError):
            continue
        found.argtypes = [_Entry, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        found.restype = None
        return found
    return None


def _team(take: Callable[[], None], workers: int) -> None:
    raised: list[BaseException] = []

    def run(_: Any) -> None:
        try:
            take()
        except BaseException as error:  # no error passes through OpenMP
            raised.append(error)

    _parallel()(_Entry(run), None, workers, 0)
    if raised:
        raise raised[0]
