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

_here = threading.local()  # `stopped`: of the call that this thread works for
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def in_blocks(
    work: Callable[[int, int], Any],
    count: int,
    *,
    threads: int | None = None,
    least: int = 1,
    turns: int = 1,
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
    take, found, raised = deal(work, count, blocks)
    run_in_pool(take, workers)
    if raised:
        raise raised[0]
    return found


def deal(
    work: Callable[..., Any],
    count: int,
    blocks: int,
    arguments: tuple[Any, ...] = (),
    scratch: Callable[[], tuple[Any, ...]] = tuple,
) -> tuple[Callable[..., None], list[Any], list[BaseException]]:
    """Return ``take``, which works at one block after the other until none is left.

    Return also where it puts what ``work(*arguments, *scratch(), start, stop)`` returns for each
    block, and what it raises: no error leaves ``take``, since some callers cannot pass one on.
    """
    waiting = deque(range(blocks))
    found: list[Any] = [None] * blocks
    raised: list[BaseException] = []
    stopped: list[bool] = []

    def take(_: object = None) -> None:
        _here.stopped = stopped
        try:
            own = (*arguments, *scratch())
            while waiting:
                try:
                    i = waiting.popleft()
                except IndexError:  # another thread took the last
                    return
                found[i] = work(*own, count * i // blocks, count * (i + 1) // blocks)
        except BaseException as error:
            waiting.clear()
            raised.append(error)
            if isinstance(error, KeyboardInterrupt):
                _stop()

    return take, found, raised


def _stop() -> None:
    """Stop those who compile for the same call, since the user interrupts it."""
    _here.stopped.append(True)
    _here.stopped = []


def raise_if_stopped() -> None:
    """Raise KeyboardInterrupt in a thread whose caller was interrupted."""
    if getattr(_here, "stopped", None):
        raise KeyboardInterrupt


def run_in_pool(take: Callable[[], None], workers: int) -> None:
    """Call ``take()`` on so many threads or fewer, this one among them; return when all have."""
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
            _stop()
            wait(begun)
            raise
