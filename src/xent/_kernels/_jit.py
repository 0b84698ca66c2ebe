"""How a loop is compiled, and how it is spread over threads: one decorator, one function.

No `parallel=True` anywhere: Numba's OpenMP layer kills a forked child, so a DataLoader worker would
die, and its workqueue layer is not thread-safe. Kernels release the GIL and run on plain threads.
"""

import os
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

import numba
from numba.core import event
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

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


class _Part(JITCodeLibrary):
    """Code that only goes into other code: linked, and left to be optimised there.

    Numba would optimise each inlined function, make machine code of it, and do all of it again for
    each that it is inlined into: of a loop of seven steps inside each other, seven times.
    """

    def finalize(self) -> None:
        for library in dict.fromkeys(self._linking_libraries):
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        return 0  # there is none: Python does not call it

    @property
    def codegen(self) -> Any:
        return self

    def set_env(self, name: str, environment: Any) -> None:
        pass  # what Python objects the code refers to: none


class _Inside(Compiler):
    def define_pipelines(self) -> Any:
        state = self.state
        state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
        return super().define_pipelines()


# What `numba.njit` and an `overload` are told of a function that other kernels alone call.
INSIDE: Any = {
    "pipeline_class": _Inside, "no_cpython_wrapper": True, "no_cfunc_wrapper": True,
}  # fmt: skip


def kernel(*, inside: bool = False, **options: Any) -> Callable[[F], F]:
    """Compile a function on its first call and keep the machine code on disk where one may write.

    Parameters
    ----------
    inside : bool
        Whether other kernels alone call it: it is compiled as a part of each of them, and only so.
    **options
        Passed to `numba.njit`; ``fastmath`` as the set of flags that the loop can stand,
        ``forceinline=True`` (it tells ``inside`` too) or ``inline="always"``.

    Notes
    -----
    ``error_model="numpy"``: without it a division in a loop costs the SIMD. Where neither the
    package's folder nor the user's cache folder can be written, Numba's ``cache=True`` raises at
    import; then the kernel is compiled in memory, once a process.
    """
    settings: dict[str, Any] = {"nogil": True, "error_model": "numpy", **options}

    def compile_later(function: F) -> F:
        if inside or options.get("forceinline"):
            return numba.njit(**INSIDE, **settings)(function)  # type: ignore[no-any-return]
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
    turns: int = 1,
    team: Callable[[Callable[[], None], int], None] | None = None,
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
    waiting = deque(range(blocks))
    found: list[Any] = [None] * blocks

    def take() -> None:
        while True:
            try:
                i = waiting.popleft()
            except IndexError:
                return
            try:
                found[i] = work(count * i // blocks, count * (i + 1) // blocks)
            except BaseException:
                waiting.clear()
                raise

    (team or _team)(take, workers)
    return found


def _team(take: Callable[[], None], workers: int) -> None:
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
        wait(begun)
    for other in begun:
        other.result()
