"""One process of a group: what test_group.py starts several of. Any assertion ends it with 1."""

import copy
import itertools
import os
import re
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F

import xent.losses as L
from xent.losses._rows import _chunks

ROWS, WIDTH, CLASSES = 11, 3, 13
SIZES = {1: (13,), 2: (9, 4), 4: (3, 1, 7, 2)}
inf, nan = float("inf"), float("nan")


def part(group):
    """The classes of this process: unequal shards."""
    sizes = SIZES[dist.get_world_size(group)]
    start = sum(sizes[: dist.get_rank(group)])
    return slice(start, start + sizes[dist.get_rank(group)])


def truth(z, target, weight, token, smooth, t, cap, zeta, reduction):
    """The loss of all logits in torch's own words, float64; and the statistics."""
    z = z if cap is None else cap * torch.tanh(z / cap)
    z = z / t
    each = F.cross_entropy(z, target, weight, reduction="none", label_smoothing=smooth)
    w = torch.ones(CLASSES, dtype=z.dtype) if weight is None else weight
    log = z.log_softmax(1)
    if target.is_floating_point():
        told = (1 - smooth) * target + smooth / CLASSES
        share = told * w
        mass, scale = share.sum(1), torch.ones(len(z), dtype=z.dtype)
        log_prob = (told * log).sum(1)
        right = z.argmax(1) == target.argmax(1)
        accuracy = right.double().mean()
    else:
        kept = target != -100
        counts = kept.double()
        safe = target.where(kept, 0)
        scale = w[safe] * counts
        mass = (1 - smooth) * scale + counts * smooth * w.mean()
        log_prob = log.gather(1, safe.unsqueeze(1)).squeeze(1).where(kept, 0.0)
        accuracy = (z.argmax(1) == target)[kept].double().mean()
    each = each + zeta * mass * z.logsumexp(1) ** 2
    if token is not None:
        each, scale = each * token, scale * token
    if reduction == "mean":
        each = each.sum() / scale.sum()
    elif reduction == "sum":
        each = each.sum()
    entropy = -(log.exp() * log).sum(1)
    return each, (z.logsumexp(1), log_prob, entropy, z.argmax(1), accuracy)


def near(got, want, dtype=torch.float64, name=""):
    assert got.shape == want.shape, name
    if not want.numel():  # a process without a class
        return
    loose = 1e-12 if dtype == torch.float64 else 3e-6 if dtype == torch.float32 else 2e-2
    size = max(float(want.detach().abs().max()), 1e-2)
    off = (got.detach().double() - want.detach().double()).abs().max()
    assert off <= loose * size, (name, float(off), size)


def cases():
    g = torch.Generator().manual_seed(1)
    hard = torch.randint(0, CLASSES, (ROWS,), generator=g)
    hard[3] = -100
    soft = torch.randn(ROWS, CLASSES, generator=g, dtype=torch.float64).softmax(1)
    weight = torch.rand(CLASSES, generator=g, dtype=torch.float64)
    token = torch.rand(ROWS, generator=g, dtype=torch.float64)
    return itertools.product(
        (hard, soft), ("mean", "sum", "none"), (None, weight), (None, token), (0.0, 0.3),
        ((1.0, None, 0.0), (0.7, 4.0, 0.01)),
    )  # fmt: skip


def some_options(group):
    every_option(group, 11)
    second_derivatives(group, 31)


def every_option(group, step=1):
    """Logits and heads, with and without statistics, against the unsharded truth in float64."""
    g = torch.Generator().manual_seed(2)
    mine = part(group)
    for n, case in enumerate(list(cases())[::step]):
        target, reduction, weight, token, smooth, (t, cap, zeta) = case
        options = {
            "weight": weight, "token_weight": token, "label_smoothing": smooth, "temperature": t,
            "softcap": cap, "z_loss": zeta, "reduction": reduction,
        }  # fmt: skip
        rest = (weight, token, smooth, t, cap, zeta, reduction)
        x = torch.randn(ROWS, WIDTH, generator=g, dtype=torch.float64)
        w = torch.randn(CLASSES, WIDTH, generator=g, dtype=torch.float64)
        b = torch.randn(CLASSES, generator=g, dtype=torch.float64)
        local = target[:, mine] if target.is_floating_point() else target
        stats = n % 3 == 1
        whole = [a.clone().requires_grad_() for a in (x, w, b)]
        ours = [x.clone(), w[mine].clone(), b[mine].clone()]
        ours = [a.requires_grad_() for a in ours]
        z = F.linear(*whole)
        want, facts = truth(z, target, *rest)
        got = L.linear_cross_entropy(
            ours[0], ours[1], local, linear_bias=ours[2], group=group, stats=stats, **options
        )
        up = torch.randn(want.shape, generator=g, dtype=torch.float64)
        score, aim = ((got[0] if stats else got) * up).sum(), (want * up).sum()
        near(got[0] if stats else got, want, name=case)
        if stats:
            for a, c in zip(got[1], facts, strict=True):
                near(a, c, name=case)
            for a, c, f in zip(got[1][:3], facts[:3], (0.3, 0.2, 0.5), strict=True):
                score, aim = score + f * a.sum(), aim + f * c.sum()
        slopes = torch.autograd.grad(score, ours, retain_graph=True)
        again = torch.autograd.grad(score, ours)
        wanted = torch.autograd.grad(aim, whole)
        for a, c, d in zip(
            slopes, again, (wanted[0], wanted[1][mine], wanted[2][mine]), strict=True
        ):
            near(a, d, name=case)
            near(c, d, name=case)
        # the same logits without a head, their gradient of half precision too
        for dtype in (torch.float64, torch.float32, torch.bfloat16):
            logits = z.detach().to(dtype)
            leaf = logits.double().clone().requires_grad_()
            want, _ = truth(leaf, target, *rest)
            sharded = logits[:, mine].clone().requires_grad_()
            got = L.vocab_parallel_cross_entropy(sharded, local, group=group, **options)
            assert got.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
            near(got, want, torch.float32 if dtype == torch.bfloat16 else dtype, case)
            got.backward(up.to(got.dtype))
            (slope,) = torch.autograd.grad(want, leaf, up)
            near(sharded.grad, slope[:, mine], dtype, case)


def second_derivatives(group, step=11):
    g = torch.Generator().manual_seed(3)
    mine = part(group)
    x = torch.randn(ROWS, WIDTH, generator=g, dtype=torch.float64)
    w = torch.randn(CLASSES, WIDTH, generator=g, dtype=torch.float64)
    for case in list(cases())[7::step]:
        target, reduction, weight, token, smooth, (t, cap, zeta) = case
        local = target[:, mine] if target.is_floating_point() else target
        options = {
            "weight": weight, "token_weight": token, "label_smoothing": smooth, "temperature": t,
            "softcap": cap, "z_loss": zeta, "reduction": reduction,
        }  # fmt: skip
        whole = [x.clone().requires_grad_(), w.clone().requires_grad_()]
        ours = [x.clone().requires_grad_(), w[mine].clone().requires_grad_()]
        want, _ = truth(F.linear(*whole), target, weight, token, smooth, t, cap, zeta, reduction)
        got = L.linear_cross_entropy(*ours, local, group=group, **options)
        # the derivative of the input's slope: the input's gradient is whole in every process
        (a,) = torch.autograd.grad(got.sum(), ours[0], create_graph=True)
        (b,) = torch.autograd.grad(want.sum(), whole[0], create_graph=True)
        near(a, b, name=case)
        seconds = torch.autograd.grad((a * a).sum(), ours)
        wanted = torch.autograd.grad((b * b).sum(), whole)
        near(seconds[0], wanted[0], name=case)
        near(seconds[1], wanted[1][mine], name=case)


def corners(group):
    """Infinite, tied and confident rows, shapes, empty batches, what needs no gradient."""
    mine = part(group)
    rows = torch.zeros(8, CLASSES, dtype=torch.float64)
    rows[0, 5] = 40.0  # sure: the truth is log1p(12 exp(-40)), and so is the slope
    rows[1, :] = -inf
    rows[2, 4] = inf
    rows[3, 2] = nan
    rows[4, ::2] = -inf
    rows[5, :] = 7.0  # tied everywhere
    rows[6, 12] = 1e300
    rows[7, 1] = -1e30
    y = torch.tensor([5, 0, 4, 0, 1, 12, 12, 12])
    local = rows[:, mine].clone().requires_grad_()
    got = L.vocab_parallel_cross_entropy(local, y, reduction="none", group=group)
    got.sum().backward()
    full = rows.clone().requires_grad_()
    want = L.cross_entropy(full, y, reduction="none")  # itself held against mpmath elsewhere
    want.sum().backward()
    torch.testing.assert_close(got, want, rtol=1e-14, atol=0, equal_nan=True)
    torch.testing.assert_close(local.grad, full.grad[:, mine], rtol=1e-13, atol=0, equal_nan=True)
    sure = 12 * 4.248354255291589e-18  # exp(-40)
    assert abs(float(got[0].detach()) / sure - 1) < 1e-14
    if mine.start <= 5 < mine.stop:
        assert abs(float(local.grad[0, 5 - mine.start]) / -sure - 1) < 1e-14
    # segmentation: classes along dimension 1; and elsewhere
    g = torch.Generator().manual_seed(4)
    image = torch.randn(2, CLASSES, 3, 2, generator=g, dtype=torch.float64)
    labels = torch.randint(0, CLASSES, (2, 3, 2), generator=g)
    want = F.cross_entropy(image, labels)
    near(L.vocab_parallel_cross_entropy(image[:, mine], labels, group=group), want)
    last = image.movedim(1, -1)[..., mine]
    got, stats = L.vocab_parallel_cross_entropy(last, labels, group=group, axis=-1, stats=True)
    near(got, want)
    assert torch.equal(stats.argmax, image.argmax(1))
    one = L.vocab_parallel_cross_entropy(image[0, mine, 0, 0], labels[0, 0, 0], group=group)
    near(one, F.cross_entropy(image[0, :, 0, 0], labels[0, 0, 0]))
    # no row
    none = rows[:0, mine].clone().requires_grad_()
    loss = L.vocab_parallel_cross_entropy(none, y[:0], group=group)
    loss.backward()
    assert loss == 0
    ignored = torch.full((8,), -100)
    assert L.vocab_parallel_cross_entropy(rows[:, mine], ignored, group=group) == 0
    lost = L.vocab_parallel_cross_entropy(rows[:, mine], ignored, group=group, empty="nan")
    assert lost.isnan()
    x, w = torch.ones(2, 3, WIDTH), torch.zeros(mine.stop - mine.start, WIDTH)
    with torch.no_grad():
        got = L.linear_cross_entropy(x, w, torch.zeros(2, 3, dtype=torch.long), group=group)
    assert abs(float(got) - 2.5649493574615367) < 1e-6  # log 13


def refused(call, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        call()


def refusals(group):
    """One process is wrong: it says what, and nobody waits for it."""
    mine, first = part(group), dist.get_rank(group) == 0
    x = torch.zeros(ROWS, CLASSES)[:, mine]
    y = torch.zeros(ROWS, dtype=torch.long)

    def loss(x, y, **options):
        return lambda: L.vocab_parallel_cross_entropy(x, y, group=group, **options)

    refused(loss(x, y + CLASSES), ValueError, "must be below 13, the number of classes, got 13 at")
    words = "`input` must be a floating-point" if first else "another process refused its arguments"
    refused(loss(y if first else x, y), (ValueError, TypeError), words)
    words = "`temperature` must be" if first else "another process refused its arguments"
    refused(loss(x, y, temperature=-1.0 if first else 1.0), ValueError, words)
    refused(loss(x, y + first), ValueError, "must be the same in every process")
    refused(loss(x, y, label_smoothing=0.1 * first), ValueError, "the processes differ in options")
    refused(loss(x[: 5 + first], y[: 5 + first]), ValueError, "the processes differ in options")
    soft = torch.full((ROWS, CLASSES), 0.5)[:, mine]
    words = "sum to 1 over the classes of all processes, got 6.5 at [0]"
    refused(loss(x, soft), ValueError, words)
    learnt = "`target` must not require a gradient where a vocabulary is shared"
    refused(loss(x, soft.clone().requires_grad_()), ValueError, learnt)
    refused(loss(x, soft * -1), ValueError, "must be non-negative and sum to 1")
    refused(loss(x, y, weight=torch.ones(2)), ValueError, "one entry a class, (13,), got (2,)")
    refused(loss(x, y, weight=[1.0] * CLASSES), TypeError, "`weight` must be a tensor, got a list")
    refused(loss(x, y - 100, empty="raise"), ValueError, "no row counts")
    head = torch.zeros(mine.stop - mine.start, WIDTH)

    def wide(group=group, width=WIDTH):
        h = torch.zeros(ROWS, width if first else WIDTH)
        return lambda: L.linear_cross_entropy(h, head, y, group=group)

    words = "(V, 5), got" if first else "another process refused its arguments"
    refused(wide(width=5), ValueError, words)
    refused(wide(group="all"), TypeError, "`group` must be a process group")


def silenced(group):
    """A row that weighs 0 may have any target, and any logits."""
    mine = part(group)
    g = torch.Generator().manual_seed(3)
    z = torch.randn(ROWS, CLASSES, generator=g)
    y = torch.randint(0, CLASSES, (ROWS,), generator=g)
    p = torch.rand(ROWS, CLASSES, generator=g).softmax(1)
    weight = torch.ones(ROWS)
    weight[[1, 4]] = 0
    bad_y, bad_p, bad_z = y.clone(), p.clone(), z.clone()
    bad_y[1], bad_y[4], bad_p[1], bad_p[4], bad_z[1] = -1, 255, nan, 0, nan
    for target, bad in ((y, bad_y), (p, bad_p)):
        found = []
        for logits, t in ((z, target), (bad_z, bad)):
            x = logits[:, mine].clone().requires_grad_()
            here = t[:, mine] if t.is_floating_point() else t
            loss = L.vocab_parallel_cross_entropy(x, here, group=group, token_weight=weight)
            loss.backward()
            found.append((loss.detach(), x.grad))
        assert all(map(torch.equal, *found))
    head, h = torch.randn(CLASSES, WIDTH, generator=g), torch.randn(ROWS, WIDTH, generator=g)
    found = []
    for rows, t in ((h, y), (h.index_fill(0, torch.tensor([1, 4]), nan), bad_y)):
        w = head[mine].clone().requires_grad_()
        L.linear_cross_entropy(rows, w, t, group=group, token_weight=weight).backward()
        found.append(w.grad)
    assert torch.equal(*found)


def distributed_tensors(group):
    """Rows may be sharded in losses of logits; what cannot be is refused with a way out."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    g = torch.Generator().manual_seed(4)
    z, t = torch.randn(8, 6, generator=g), torch.rand(8, 6, generator=g).softmax(1)
    y, w = torch.tensor([0, -100, 2, 3, 4, 5, 1, 2]), torch.rand(8, generator=g)
    losses = {
        "index": lambda z, y, t, w: L.cross_entropy(z, y, label_smoothing=0.1),
        "weighed": lambda z, y, t, w: L.cross_entropy(z, y, token_weight=w),
        "soft": lambda z, y, t, w: L.cross_entropy(z, t),
        "each": lambda z, y, t, w: L.cross_entropy(z, y, reduction="none"),
        "nll": lambda z, y, t, w: L.nll_loss(z, y),
        "focal": lambda z, y, t, w: L.focal_loss(z, y),
        "binary": lambda z, y, t, w: L.binary_cross_entropy_with_logits(z, t),
        "kl": lambda z, y, t, w: L.kl_div(z.log_softmax(-1), t),
        "js": lambda z, y, t, w: L.js_div(z, t),
        "mse": lambda z, y, t, w: L.mse_loss(z, t),
    }
    for placement in (Shard(0), Replicate()):
        for name, loss in losses.items():
            x = z.clone().requires_grad_()
            truth = loss(x, y, t, w)
            truth.sum().backward()
            there = [distribute_tensor(a, mesh, [placement]) for a in (z, y, t, w)]
            there[0].requires_grad_()
            found = loss(*there)
            found.sum().backward()
            torch.testing.assert_close(found.full_tensor(), truth, msg=name)
            torch.testing.assert_close(there[0].grad.full_tensor(), x.grad, msg=name)
    rows, labels = there[0].detach(), there[1]
    classes = distribute_tensor(z, mesh, [Shard(1)])
    refused(lambda: L.nll_loss(classes, labels), ValueError, "Give its full_tensor()")
    refused(lambda: L.cross_entropy(rows, y), TypeError, "`target` must be a DTensor, as another")
    head = distribute_tensor(torch.ones(5, 6), mesh, [Shard(0)])
    refused(lambda: L.linear_log_prob(z, head, y), TypeError, "Give full_tensor() of each")
    refused(lambda: L.info_nce(rows, rows, temperature=1.0), TypeError, "no DTensor in info_nce")


def empty_shards(group):
    """Processes that have no class, first, last and in between."""
    world = dist.get_world_size(group)
    usual = SIZES[world]
    every = {1: [], 2: [(13, 0), (0, 13)], 4: [(0, 4, 0, 9), (12, 0, 1, 0)]}
    for sizes in every[world]:
        SIZES[world] = sizes
        every_option(group, 17)
        second_derivatives(group, 31)
        corners(group)
        silenced(group)
    mine = part(group)
    none, y = torch.zeros(ROWS, 0), torch.zeros(ROWS, dtype=torch.long)
    words = "must have at least one class in some process"
    refused(lambda: L.vocab_parallel_cross_entropy(none, y, group=group), ValueError, words)
    logits = torch.zeros(ROWS, CLASSES, dtype=torch.bfloat16)[:, mine].requires_grad_()
    loss, stats = L.vocab_parallel_cross_entropy(logits, y, group=group, stats=True)
    (loss + stats.entropy.sum()).backward()
    assert logits.grad.shape == logits.shape
    SIZES[world] = usual


def uneven_tensors(group):
    """DTensors whose classes torch shares out unevenly: fewer than processes, or not divisible."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    world = dist.get_world_size()
    mesh = init_device_mesh("cpu", (world,))
    g = torch.Generator().manual_seed(6)
    for classes in (world - 1, world + 1, 2 * world + 1):
        x, head, bias = (torch.randn(s, generator=g) for s in ((8, 3), (classes, 3), (classes,)))
        y, weight = torch.arange(8) % classes, torch.rand(classes, generator=g) + 0.1
        soft = torch.randn(8, classes, generator=g).softmax(1)

        def of(tensor, dim, mesh=mesh):
            shared = distribute_tensor(tensor.detach(), mesh, [Shard(dim)])
            return shared.requires_grad_(tensor.requires_grad)

        z = (x @ head.T + bias).requires_grad_()
        for target in (y, soft):
            here = of(target, 1) if target.is_floating_point() else target
            z.grad = None
            truth, facts = L.cross_entropy(z, target, label_smoothing=0.1, stats=True)
            (truth + facts.entropy.sum()).backward()
            shared = of(z, 1)
            found, stats = L.cross_entropy(shared, here, label_smoothing=0.1, stats=True)
            (found + stats.entropy.sum()).backward()
            torch.testing.assert_close(found, truth)
            assert torch.equal(stats.argmax, facts.argmax)
            torch.testing.assert_close(shared.grad.full_tensor(), z.grad)
        leaves = [a.clone().requires_grad_() for a in (x, head, bias)]
        options = {"weight": weight, "softcap": 5.0, "z_loss": 0.1}
        truth = L.linear_cross_entropy(leaves[0], leaves[1], y, linear_bias=leaves[2], **options)
        truth.backward()
        ours = [x.clone().requires_grad_(), of(leaves[1], 0), of(leaves[2], 0)]
        found = L.linear_cross_entropy(ours[0], ours[1], y, linear_bias=ours[2], **options)
        found.backward()
        torch.testing.assert_close(found, truth)
        torch.testing.assert_close(ours[0].grad, leaves[0].grad)
        for shared, leaf in zip(ours[1:], leaves[1:], strict=True):
            torch.testing.assert_close(shared.grad.full_tensor(), leaf.grad)
    # rows too: some process has none of them
    rows = torch.randn(world + 1, 4, generator=g).requires_grad_()
    labels = torch.arange(world + 1) % 4
    truth = L.cross_entropy(rows, labels)
    truth.backward()
    there = distribute_tensor(rows.detach(), mesh, [Shard(0)]).requires_grad_()
    found = L.cross_entropy(there, distribute_tensor(labels, mesh, [Shard(0)]))
    found.backward()
    torch.testing.assert_close(found.full_tensor(), truth)
    torch.testing.assert_close(there.grad.full_tensor(), rows.grad)


def tensor_parallel(group):
    """Logits and heads whose classes a DTensor shards, as `loss_parallel` leaves them."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    g = torch.Generator().manual_seed(5)
    z, t = torch.randn(8, 6, generator=g), torch.rand(8, 6, generator=g).softmax(1)
    y, w = torch.tensor([0, -100, 2, 3, 4, 5, 1, 2]), torch.rand(6, generator=g)
    x, head, bias = (torch.randn(s, generator=g) for s in ((8, 3), (6, 3), (6,)))

    def there(tensor, *placement):
        return distribute_tensor(tensor, mesh, placement).requires_grad_(tensor.is_floating_point())

    labels = there(y, Replicate())
    for target, local in ((y, y), (y, labels), (t, there(t, Shard(1)).detach())):
        ours = z.clone().requires_grad_()
        truth = L.cross_entropy(ours, target, w, label_smoothing=0.1)
        truth.backward()
        sharded = there(z, Shard(1))
        found = L.cross_entropy(sharded, local, w, label_smoothing=0.1)
        found.backward()
        torch.testing.assert_close(found, truth)
        torch.testing.assert_close(sharded.grad.full_tensor(), ours.grad)
    leaves = [a.clone().requires_grad_() for a in (x, head, bias)]
    truth = L.linear_cross_entropy(leaves[0], leaves[1], y, linear_bias=leaves[2], z_loss=0.1)
    truth.backward()
    for hidden in (x.clone().requires_grad_(), there(x, Replicate())):
        parts = hidden, there(head, Shard(0)), there(bias, Shard(0))
        found = L.linear_cross_entropy(parts[0], parts[1], labels, linear_bias=parts[2], z_loss=0.1)
        found.backward()
        torch.testing.assert_close(found, truth)
        for part_of, leaf in zip(parts, leaves, strict=True):
            grad = part_of.grad
            grad = grad.full_tensor() if hasattr(grad, "full_tensor") else grad
            torch.testing.assert_close(grad, leaf.grad)
    refused(
        lambda: L.cross_entropy(sharded, t), TypeError, "`target` must be cut along dimension 1"
    )
    rows = there(y, Shard(0))
    refused(lambda: L.cross_entropy(sharded, rows), ValueError, "`target` must be whole in every")
    refused(
        lambda: L.linear_cross_entropy(there(x, Shard(0)), parts[1], labels), ValueError,
        "`input` must be whole in every process",
    )  # fmt: skip


def meshes(group):
    """Meshes of two dimensions: rows over one or both, classes over one, or a sentence."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (dist.get_world_size() // 2, 2))
    g = torch.Generator().manual_seed(6)
    z, x, head = (torch.randn(s, generator=g) for s in ((8, 6), (8, 3), (6, 3)))
    y = torch.tensor([0, -100, 2, 3, 4, 5, 1, 2])

    def there(tensor, *placements):
        made = distribute_tensor(tensor, mesh, placements)
        return made.requires_grad_(tensor.is_floating_point())

    ours = z.clone().requires_grad_()
    truth = L.cross_entropy(ours, y, label_smoothing=0.1)
    truth.backward()
    rows, whole = Shard(0), Replicate()
    for placements in ((rows, whole), (rows, rows), (whole, rows), (whole, Shard(1))):
        logits = there(z, *placements)
        labels = there(y, *(p if p == rows else whole for p in placements))
        found = L.cross_entropy(logits, labels, label_smoothing=0.1)
        found.backward()
        found = found.full_tensor() if hasattr(found, "full_tensor") else found
        torch.testing.assert_close(found, truth)
        torch.testing.assert_close(logits.grad.full_tensor(), ours.grad)
    leaves = [a.clone().requires_grad_() for a in (x, head)]
    truth = L.linear_cross_entropy(*leaves, y)
    truth.backward()
    parts = there(x, whole, whole), there(head, whole, rows)
    found = L.linear_cross_entropy(*parts, y)
    found.backward()
    torch.testing.assert_close(found, truth)
    for part_of, leaf in zip(parts, leaves, strict=True):
        torch.testing.assert_close(part_of.grad.full_tensor(), leaf.grad)
    both = there(z, rows, Shard(1))
    refused(lambda: L.cross_entropy(both, y), ValueError, "group=mesh.get_group(dim)")


def gathered_negatives(group):
    """Pairs of all processes: the mean of their losses, and its gradients times the processes."""
    world, rank = dist.get_world_size(group), dist.get_rank(group)
    g = torch.Generator().manual_seed(6)
    a, b = (torch.randn(4 * world, 3, generator=g, dtype=torch.float64) for _ in range(2))
    more = torch.randn(5, 3, generator=g, dtype=torch.float64)
    x, y = (t.clone().requires_grad_() for t in (a, b))
    truth = L.info_nce(x, y, temperature=0.5, negatives=more, reduction="none")
    truth.mean().backward(retain_graph=True)
    mine = slice(4 * rank, 4 * rank + 4)
    p, q = (t[mine].clone().requires_grad_() for t in (a, b))
    found = L.info_nce(p, q, temperature=0.5, negatives=more, group=group, reduction="none")
    found.mean().backward(retain_graph=True)
    torch.testing.assert_close(found, truth[mine])
    torch.testing.assert_close(p.grad / world, x.grad[mine])
    torch.testing.assert_close(q.grad / world, y.grad[mine])
    # Once more: the squares of all gradients, derived.
    for loss, (u, v) in ((truth.sum(), (x, y)), (found.sum(), (p, q))):
        u.grad = v.grad = None
        first = torch.autograd.grad(loss, (u, v), create_graph=True)
        sum(g.square().sum() for g in first).backward()
    torch.testing.assert_close(p.grad, x.grad[mine])
    torch.testing.assert_close(q.grad, y.grad[mine])


class WithHead(torch.nn.Module):
    """A body and a loss that owns the head: its parameters are seen by data parallel training."""

    def __init__(self):
        super().__init__()
        self.body = torch.nn.Linear(WIDTH, WIDTH)
        self.loss = L.LinearCrossEntropyLoss(WIDTH, CLASSES, bias=True, label_smoothing=0.1)

    def forward(self, x, y):
        return self.loss(torch.tanh(self.body(x)), y)


class WithLogits(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Linear(WIDTH, CLASSES)
        self.loss = L.CrossEntropyLoss(torch.linspace(0.5, 1.5, CLASSES), label_smoothing=0.1)

    def forward(self, x, y):
        return self.loss(self.body(x), y)


def data_parallel(group):
    """DistributedDataParallel: each process has rows of its own; steps are accumulated once."""
    world, rank = dist.get_world_size(group), dist.get_rank(group)
    for kind, find in itertools.product((WithHead, WithLogits), (False, True)):
        torch.manual_seed(5)
        model, rows = kind().double(), torch.randn(2 * world * 4, WIDTH, dtype=torch.float64)
        classes = torch.randint(0, CLASSES, (len(rows),))
        if kind is WithLogits:
            classes[:] = classes[:4].repeat(2 * world)  # the same weights in each part's mean
        parts = list(zip(rows.split(4), classes.split(4), strict=True))
        alone = copy.deepcopy(model)
        for x, y in parts:
            (F.cross_entropy(
                torch.nn.functional.linear(torch.tanh(alone.body(x)), alone.loss.linear.weight,
                                           alone.loss.linear.bias),
                y, label_smoothing=0.1,
            ) if kind is WithHead else F.cross_entropy(
                alone.body(x), y, alone.loss.weight, label_smoothing=0.1
            )).div(world).backward()  # fmt: skip
        shared = torch.nn.parallel.DistributedDataParallel(
            model, process_group=group, find_unused_parameters=find
        )
        assert {n for n, _ in model.named_parameters()} == {n for n, _ in alone.named_parameters()}
        with shared.no_sync():
            shared(*parts[rank]).backward(retain_graph=True)
        shared(*parts[world + rank]).backward()
        for ours, theirs in zip(model.parameters(), alone.parameters(), strict=True):
            near(ours.grad, theirs.grad)
        torch.use_deterministic_algorithms(True)
        model.zero_grad()
        shared(*parts[rank]).backward()
        torch.use_deterministic_algorithms(False)


def memory(group):
    """No process ever has the [N, C] logits of its own part of a head."""
    rows, width, classes = 4096, 64, 8192 // dist.get_world_size(group)

    def peak():
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

    def step(rows):
        x = torch.randn(rows, width, requires_grad=True)
        w = torch.randn(classes, width, requires_grad=True)
        y = torch.zeros(rows, dtype=torch.long)
        before = peak()
        L.linear_cross_entropy(x, w, y, group=group).backward()
        return peak() - before

    step(16)
    assert step(rows) < 0.6 * rows * classes * 4


def wait_for_the_dead(group):
    """The last process is killed between two losses: the others get an error."""
    x, y = torch.zeros(ROWS, CLASSES)[:, part(group)], torch.zeros(ROWS, dtype=torch.long)
    L.vocab_parallel_cross_entropy(x, y, group=group)
    if dist.get_rank() == dist.get_world_size() - 1:
        os.kill(os.getpid(), signal.SIGKILL)
    begun = time.monotonic()
    refused(lambda: L.vocab_parallel_cross_entropy(x, y, group=group), ConnectionError, "no longer")
    assert time.monotonic() - begun < 25
    os._exit(0)  # the group cannot be closed any more


def wait_for_the_silent(group):
    """The last process never calls: the others get an error when the group's time is up."""
    x, y = torch.zeros(ROWS, CLASSES)[:, part(group)], torch.zeros(ROWS, dtype=torch.long)
    if dist.get_rank() == dist.get_world_size() - 1:
        time.sleep(8)
    else:
        call = lambda: L.vocab_parallel_cross_entropy(x, y, group=group)  # noqa: E731
        refused(call, ConnectionError, "no longer")
    os._exit(0)


def main(rank, world, store, *jobs):
    torch.set_num_threads(1)
    _chunks._CHUNK_ROWS, _chunks._CHUNK_BYTES, _chunks._KEPT_BYTES = 8, 0, 0  # several chunks
    if "memory" in jobs:
        _chunks._CHUNK_ROWS = 256
    wait = timedelta(seconds=4 if "wait_for_the_silent" in jobs else 30)
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=world, timeout=wait
    )
    pairs = [dist.new_group([2 * n, 2 * n + 1]) for n in range(world // 2)]
    alone = [dist.new_group([n]) for n in range(world)]  # whose ranks are none of the world's
    for job in jobs:
        name, _, kind = job.partition(":")
        groups = {"pair": pairs[rank // 2 :], "alone": alone[rank:], "": [dist.group.WORLD]}
        globals()[name](groups[kind][0])
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], *sys.argv[4:])
