"""A vocabulary that several processes share, against all of it in one; see group_worker.py."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

import xent.losses as L

WORKER = Path(__file__).with_name("group_worker.py")

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this torch has no gloo"
)


def together(folder, world, *jobs, seconds=120, lost=()):
    """Run jobs in several processes; those in ``lost`` may end as they like, the others with 0."""
    store = folder / "store"
    running = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(rank), str(world), str(store), *jobs],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(world)
    ]  # fmt: skip
    end = time.monotonic() + seconds
    try:
        told = [p.communicate(timeout=max(1, end - time.monotonic()))[1] for p in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()
    for rank, process in enumerate(running):
        assert process.returncode == 0 or rank in lost, told[rank]


def test_two_processes(tmp_path):
    # In the end one is killed, and the other gets an error.
    jobs = ["some_options", "corners", "silenced", "refusals", "data_parallel"]
    jobs += [
        "empty_shards",
        "uneven_tensors",
        "distributed_tensors",
        "tensor_parallel",
        "meshes",
        "gathered_negatives",
    ]
    jobs += ["some_options:alone", "gathered_negatives:alone", "wait_for_the_dead"]
    together(tmp_path, 2, *jobs, lost={1})


@pytest.mark.long
def test_four_processes_and_two_groups_of_two(tmp_path):
    together(
        tmp_path, 4, "some_options", "some_options:pair", "corners", "corners:pair", "refusals",
        "refusals:pair", "data_parallel", "data_parallel:pair", "meshes", "empty_shards",
        "empty_shards:pair", "uneven_tensors", "gathered_negatives", "gathered_negatives:pair",
        seconds=300,
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("world", [1, 2, 4])
def test_every_option(tmp_path, world):
    jobs = ["every_option", "second_derivatives", "corners", "data_parallel"]
    together(tmp_path, world, *jobs, *["refusals"][: world - 1], seconds=400)


@pytest.mark.long  # test_two_processes ends so
def test_a_killed_process_is_an_error(tmp_path):
    together(tmp_path, 2, "wait_for_the_dead", seconds=60, lost={1})


@pytest.mark.long
@pytest.mark.parametrize("world", [2, 4])
def test_lost_processes(tmp_path, world):
    for attempt in range(5):
        folder = tmp_path / f"killed {attempt}"
        folder.mkdir()
        together(folder, world, "wait_for_the_dead", seconds=60, lost={world - 1})
    together(tmp_path, world, "wait_for_the_silent", seconds=60)


@pytest.mark.long
def test_memory_of_a_shard(tmp_path):
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux tells a process its peak")
    together(tmp_path, 2, "memory")


def test_weights_of_another_kind_or_place():
    x, y = torch.zeros(1, 4), torch.tensor([2])
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        with pytest.raises(TypeError, match="`weight` must be a tensor, got a list"):
            L.vocab_parallel_cross_entropy(x, y, [1.0] * 4)
        with pytest.raises(TypeError, match="`weight` must hold real numbers"):
            L.linear_cross_entropy(x, x, y * 0, weight=x[0, :1] + 1j, group=dist.group.WORLD)
        with pytest.raises(ValueError, match="`token_weight` must be on the device of `input`"):
            L.vocab_parallel_cross_entropy(x, y, token_weight=torch.ones(1, device="meta"))
    finally:
        dist.destroy_process_group()


def test_rows_that_are_none_or_hold_impossible_classes():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    f, inf = L.vocab_parallel_cross_entropy, float("inf")
    try:
        none = torch.zeros(0, 4, requires_grad=True)
        for reduction in ("none", "mean", "sum"):
            loss = f(none, torch.zeros(0, dtype=torch.int64), reduction=reduction)
            assert not loss.any()
            assert torch.autograd.grad(loss.sum(), none)[0].shape == (0, 4)
        x = torch.tensor([[-inf] * 4, [1.0, -inf, 2.0, 0.5]], dtype=torch.float64)
        x.requires_grad_()
        y = torch.tensor([0, 2])
        loss, stats = f(x, y, reduction="none", stats=True)
        assert loss[0].isnan()
        assert stats.lse[0].isnan()
        assert f(x[:1, :1], y[:1]).isnan()  # of one class as well
        kept = x.detach()[1, [0, 2, 3]].requires_grad_()
        log_p = kept.log_softmax(0)
        want = -(log_p.exp() * log_p).sum()
        torch.testing.assert_close(stats.entropy[1], want)
        (grad,) = torch.autograd.grad(stats.entropy[1], x)
        (slope,) = torch.autograd.grad(want, kept)
        torch.testing.assert_close(grad[1, [0, 2, 3]], slope)
        assert grad[1, 1] == 0
    finally:
        dist.destroy_process_group()


def test_without_a_group():
    x, y = torch.zeros(1, 4), torch.tensor([2])
    with pytest.raises(ValueError, match=r"torch\.distributed has no process group"):
        L.vocab_parallel_cross_entropy(x, y)
    with pytest.raises(ValueError, match=r"torch\.distributed has no process group"):
        L.linear_cross_entropy(x, torch.zeros(3, 4), y, group=object())
