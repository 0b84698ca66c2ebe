"""How a loop is compiled, and how it is spread over threads: one decorator, one function.

No `parallel=True` anywhere: Numba's OpenMP layer kills a forked child, so a DataLoader worker would
die, and its workqueue layer is not thread-safe. Kernels release the GIL and run on plain threads.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numba
from numba.core import event

F = TypeVar("F", bound=Callable[..., Any])

NOTICE = "xent: first use here, compiling for this processor; later runs start at once."
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


class _Notice(event.Listener):
    """Tells whoever waits at a terminal why the first run takes long, once a process."""

    told = False

    def on_start(self, event: Any) -> None:
        compiled = event.data["dispatcher"].py_func.__module__
        if not self.told and compiled.startswith("xent.") and sys.stderr.isatty():
            self.told = True
            sys.stderr.write(NOTICE + "\n")

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", _Notice())


def kernel(**options: Any) -> Callable[[F], F]:
    """Compile a function on its first call and keep the machine code on disk where one may write.

    Parameters
    ----------
    **options
        Passed to `numba.njit`; ``fastmath`` as the set of flags that the loop can stand,
        ``inline="always"`` for a function that only other kernels call.

    Notes
    -----
    ``error_model="numpy"``: without it a division in a loop costs the SIMD. Where neither the
    package's folder nor the user's cache folder can be written, Numba's ``cache=True`` raises at
    import; then the kernel is compiled in memory, once a process.
    """
    settings: dict[str, Any] = {"nogil": True, "error_model": "numpy", **options}

    def compile_later(function: F) -> F:
        try:
            return numba.njit(cache=True, **settings)(function)  # type: ignore[no-any-return]
        except RuntimeError:
            return numba.njit(**settings)(function)  # type: ignore[no-any-return]

    return compile_later


def in_blocks(
    work: Callable[[int, int], Any],
    count: int,
    *,
    threads: int | None = None,
    least: int = 1,
) -> list[Any]:
    """Call ``work(start, stop)`` for consecutive blocks that cover ``range(count)``.

    Parameters
    ----------
    work : callable
        Usually a kernel bound to its arrays; it must release the GIL to gain anything.
    count : int
        Number of rows.
    threads : int, optional
        Numba's number (``NUMBA_NUM_THREADS``) where not given.
    least : int
        Rows that one thread is worth waking for.

    Returns
    -------
    list
        What each block returned, in the order of the blocks. Which rows share a block depends on
        the number of threads: a result must not.
    """
    wanted = numba.get_num_threads() if threads is None else threads
    blocks = max(1, min(wanted, count // max(1, least)))
    if blocks == 1:
        return [work(0, count)]
    edges = [count * i // blocks for i in range(blocks + 1)]
    # A pool does not survive a fork: its threads exist in the parent only.
    key = (os.getpid(), blocks)
    pool = _pools.get(key)
    if pool is None:
        pool = _pools[key] = ThreadPoolExecutor(blocks - 1, thread_name_prefix="xent")
    waiting = [pool.submit(work, a, b) for a, b in pairwise(edges[1:])]
    first = work(edges[0], edges[1])
    return [first, *(future.result() for future in waiting)]
