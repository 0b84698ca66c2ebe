"""Blocks of rows on torch's own threads: each once, errors heard, forks and other threads safe."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from xent.losses import _threads, _torch_private
from xent.losses._threads import KernelCall, in_blocks

N = 40


@pytest.fixture(autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_every_block_once_and_on_torchs_team():
    if _torch_private.gomp_parallel() is None:
        pytest.skip("torch does not bring GNU OpenMP here")
    seen, met = np.zeros(N, int), {}
    both = threading.Barrier(2, timeout=60)

    def work(start, stop):
        if threading.get_ident() not in met:
            met[threading.get_ident()] = threading.current_thread().name
            both.wait()
        seen[start:stop] += 1
        return stop - start

    sizes = in_blocks(KernelCall(work, N, 1))
    assert sum(sizes) == N
    assert len(sizes) == 2 * _threads.BLOCKS_PER_THREAD
    assert (seen == 1).all()
    assert any(
        name.startswith("Dummy") for name in met.values()
    )  # a thread that Python did not make
    assert not any(name.startswith("xent") for name in met.values())


@pytest.mark.parametrize("bad", [0, N // 2, N - 5])
def test_an_error_in_any_block_reaches_the_caller(bad):
    def work(start, stop):
        if start <= bad < stop:
            raise ArithmeticError("here")

    with pytest.raises(ArithmeticError, match="here"):
        in_blocks(KernelCall(work, N, 1))


def test_an_interrupt_is_not_lost():
    def work(start, stop):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_blocks(KernelCall(work, N, 1))


def test_without_torchs_team(monkeypatch):
    monkeypatch.setattr(_threads, "gomp_parallel", lambda: None)
    assert sum(in_blocks(KernelCall(lambda a, b: b - a, N, 1))) == N


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_usable_after_fork():
    in_blocks(KernelCall(lambda a, b: None, N, 1))
    child = os.fork()
    if child == 0:
        done = in_blocks(KernelCall(lambda a, b: b - a, N, 1))
        os._exit(0 if sum(done) == N else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


FORKED = """
import os, signal, sys
import torch
from xent import losses
torch.set_num_threads(2)

def step():
    x = torch.zeros(2048, 300, requires_grad=True)
    rows = losses.cross_entropy(x, torch.zeros(2048, dtype=torch.long), reduction="none")
    (2 * rows).sum().backward()
    torch.ones(1000, 1000).exp().sum()
    return float(x.grad.sum())

before = step()
child = os.fork()
if not child:
    signal.alarm(60)  # ends a child that waits for ever
    os._exit(0 if step() == before and torch.get_num_threads() == 1 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), torch.get_num_threads())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_steps_on_one_thread():
    """Torch's team is gone there: its own operations would wait for it, ours as well as others."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED], capture_output=True, text=True
    )
    assert done.stdout.split() == ["0", "2"], done.stderr


def test_many_callers_at_once():
    found = []

    def call():
        for _ in range(20):
            found.append(sum(in_blocks(KernelCall(lambda a, b: b - a, N, 1))))

    callers = [threading.Thread(target=call) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert found == [N] * 120
