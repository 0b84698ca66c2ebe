"""Loops spread over threads: every row once, errors reach the caller, a fork survives."""

import os
import threading

import numpy as np
import pytest

from xent._compile import threads as block_threads


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [0, 1, 5, 100])
def test_blocks_cover_every_row_once(threads, count):
    seen = np.zeros(count, int)

    def work(start, stop):
        seen[start:stop] += 1
        return stop - start

    sizes = block_threads.in_blocks(work, count, threads=threads)
    assert sum(sizes) == count
    assert (seen == 1).all()
    assert len(sizes) <= threads


def test_small_work_wakes_no_thread():
    assert block_threads.in_blocks(lambda a, b: b - a, 9, threads=8, least=10) == [9]


def test_who_is_ready_takes_the_next_block():
    rest = threading.Event()
    done = []

    def work(start, stop):
        if start == 0:
            assert rest.wait(60)  # until all other blocks are done, by whoever was not waiting
        else:
            done.append(start)
            if len(done) == 7:
                rest.set()

    block_threads.in_blocks(work, 8, threads=2, turns=4)
    assert sorted(done) == [1, 2, 3, 4, 5, 6, 7]


def test_no_block_is_smaller_than_the_least():
    assert block_threads.in_blocks(lambda a, b: b - a, 9, threads=2, least=3, turns=4) == [3, 3, 3]


def test_an_error_in_any_block_reaches_the_caller():
    def work(start, stop):
        if stop == 8:
            raise ArithmeticError("last block")

    with pytest.raises(ArithmeticError, match="last block"):
        block_threads.in_blocks(work, 8, threads=4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of JAX, once a test has loaded it
def test_usable_after_fork():
    block_threads.in_blocks(lambda a, b: None, 4, threads=2)
    child = os.fork()
    if child == 0:
        done = block_threads.in_blocks(lambda a, b: b - a, 4, threads=2)
        os._exit(0 if done == [2, 2] else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
