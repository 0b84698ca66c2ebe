"""How a loop is spread over threads.

No `parallel=True` anywhere: Numba's OpenMP layer kills a forked child, so a DataLoader worker would
die, and its workqueue layer is not thread-safe. Kernels release the GIL and run on plain threads.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numba

_here = threading.local()  # the blocks that this thread is at
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def in_blocks(
    work: Callable[[int, int], Any],
    count: int,
    *,
    threads: int | None = None,
    least: int = 1,
    turns: int = 1,
    team: Callable[[Any, int], None] | None = None,
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
    turns : int
        Blocks for each thread, of at least ``least`` rows; whoever is ready takes the next.
    team : callable, optional
        ``team(take, n)`` calls ``take()`` on so many threads or fewer, this one among them, and
        returns when all have returned: other threads than those kept here.

    Returns
    -------
    list
        What each block returned, in the order of the blocks. Which rows share a block depends on
        the number of threads: a result must not.
    """
    wanted = numba.get_num_threads() if threads is None else threads
    workers = max(1, min(wanted, count // max(1, least)))
    if workers == 1:
        return [work(0, count)]
    blocks = max(workers, min(workers * turns, count // max(1, least)))
    take = _Blocks(work, count, blocks)
    (team or _team)(take, workers)
    return take.found


class _Blocks:
    """Blocks that are left of a call; to call it is to take them until none is left."""

    def __init__(self, work: Callable[[int, int], Any], count: int, blocks: int) -> None:
        self.work, self.count, self.blocks = work, count, blocks
        self.waiting = deque(range(blocks))
        self.found: list[Any] = [None] * blocks
        self.stopped = False

    def __call__(self) -> None:
        _here.blocks = self
        while True:
            try:
                i = self.waiting.popleft()
            except IndexError:
                return
            start, stop = (self.count * k // self.blocks for k in (i, i + 1))
            try:
                self.found[i] = self.work(start, stop)
            except BaseException as error:
                self.stop(isinstance(error, KeyboardInterrupt))
                raise

    def stop(self, interrupted: bool) -> None:
        """Leave the rest; who still compiles for it stops too where the user interrupts."""
        self.waiting.clear()
        self.stopped |= interrupted


def raise_if_stopped() -> None:
    """Raise KeyboardInterrupt in a thread whose caller was interrupted."""
    blocks = getattr(_here, "blocks", None)
    if blocks is not None and blocks.stopped:
        _here.blocks = None
        raise KeyboardInterrupt


def _team(take: _Blocks, workers: int) -> None:
    # A pool does not survive a fork: its threads exist in the parent only.
    key = (os.getpid(), workers)
    pool = _pools.get(key)
    if pool is None:
        pool = _pools[key] = ThreadPoolExecutor(workers - 1, thread_name_prefix="xent")
    others = [pool.submit(take) for _ in range(workers - 1)]
    try:
        take()
    finally:
        # Who has not begun by now finds nothing left; who has writes to the caller's arrays.
        begun = [other for other in others if not other.cancel()]
        try:
            wait(begun)
        except BaseException:
            take.stop(interrupted=True)
            wait(begun)
            raise
    for other in begun:
        other.result()
