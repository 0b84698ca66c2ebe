"""Loops spread over threads: every row once, errors reach the caller, a fork survives."""

import os
import threading
from contextlib import suppress

import numpy as np
import pytest

from xent._compile import kept
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


def test_of_two_errors_the_first_reaches_the_caller():
    second, first = threading.Event(), threading.Event()

    def work(start, stop):
        if start == 0:
            assert second.wait(60)
            first.set()
            raise ArithmeticError("first")
        second.set()
        assert first.wait(60)
        threading.Event().wait(0.1)
        raise ArithmeticError("second")

    with pytest.raises(ArithmeticError, match="first"):
        block_threads.in_blocks(work, 2, threads=2)


def test_after_an_error_no_more_is_begun():
    other, begun = threading.Event(), []

    def work(start, stop):
        if start == 0:
            assert other.wait(60)
            raise ArithmeticError("first")
        begun.append(start)
        other.set()
        threading.Event().wait(0.01)

    with pytest.raises(ArithmeticError, match="first"):
        block_threads.in_blocks(work, 200, threads=2, turns=100)
    assert len(begun) < 100


def test_machine_code_that_is_removed_is_counted(tmp_path, monkeypatch):
    """From all folders where it may lie, each once; other files stay."""
    for name, size in (("a/xent.one.nbc", 7), ("a/deep/xent.two.nbi", 11), ("b/xent.three.nbc", 100),
                       ("a/other.nbc", 1000), ("a/xent.py", 10_000)):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    places = str(tmp_path / "a"), [str(tmp_path / "b"), str(tmp_path / "a"), str(tmp_path / "none")]
    monkeypatch.setattr(kept.numba_private, "home", lambda kernel: places)
    assert kept.remove(None) == (3, 118)
    assert kept.remove(None) == (0, 0)
    assert sorted(p.name for p in tmp_path.rglob("*.*")) == ["other.nbc", "xent.py"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of JAX, once a test has loaded it
def test_usable_after_fork():
    block_threads.in_blocks(lambda a, b: None, 4, threads=2)
    child = os.fork()
    if child == 0:
        both, done = threading.Barrier(2, timeout=20), None  # which one thread does not pass
        with suppress(threading.BrokenBarrierError):
            done = block_threads.in_blocks(lambda a, b: (both.wait(), b - a)[1], 4, threads=2)
        os._exit(0 if done == [2, 2] else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
