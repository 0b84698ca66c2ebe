"""Blocks of rows on the threads that torch's own operations run on.

OpenMP's threads wait awake, for milliseconds after each operation of torch, so that the next finds
them ready: threads of our own would share the processor's cores with them just when a loss begins.
Where torch runs on the GNU library that it brings along, the blocks go to its team instead, through
the entry that compilers call for ``#pragma omp parallel`` (GCC's libgomp manual, "Implementing
PARALLEL construct"). Elsewhere, and in a forked child, where that team is gone, on our own.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from xent._compile.threads import deal, run_in_pool
from xent._optional import torch_alone_after_fork
from xent.losses._torch_private import EnterTeam, gomp_parallel

BLOCKS_PER_THREAD = 4
_HOME = os.getpid()


class KernelCall(NamedTuple):
    """A loop over rows and what it takes: kernel(*arguments, *scratch(), start, stop)."""

    kernel: Callable[..., Any]
    size: int  # the number of rows, tiles or spans
    min_rows: int  # that are worth waking a thread for
    arguments: tuple[Any, ...] = ()
    scratch: Callable[[], tuple[Any, ...]] = tuple  # allocates what one thread works in


def in_blocks(call: KernelCall) -> list[Any]:
    """Run a call for blocks that cover all rows; return what each returned, in their order."""
    kernel, count, min_rows, arguments, scratch = call
    max_workers = count // max(1, min_rows)
    workers = max(1, min(torch.get_num_threads(), max_workers))
    if workers == 1:
        return [kernel(*arguments, *scratch(), 0, count)]
    blocks = max(workers, min(workers * BLOCKS_PER_THREAD, max_workers))
    take, found, raised = deal(kernel, count, blocks, arguments, scratch)
    parallel = gomp_parallel() if os.getpid() == _HOME else None
    if parallel is None:
        run_in_pool(take, workers)
    else:
        torch_alone_after_fork()
        parallel(EnterTeam(take), None, workers, 0)
    if raised:
        raise raised[0]
    return found
