"""The metric of torchmetrics: exact over batches, processes and checkpoints."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch

from xent.evaluation import evaluate, torchmetrics_metric

torchmetrics = pytest.importorskip("torchmetrics")


def batches(parts=5, rows=23, classes=4):
    g = torch.Generator().manual_seed(0)
    for _ in range(parts):
        yield (
            3 * torch.randn(rows, classes, generator=g),
            torch.randint(classes, (rows,), generator=g),
        )


def whole(parts):
    return (torch.cat(each) for each in zip(*parts, strict=True))


def test_batches_are_the_whole():
    parts = list(batches())
    logits, target = whole(parts)
    metric = torchmetrics_metric(base=math.e)
    for part in parts:
        alone = metric(*part)
        loss = torch.nn.functional.cross_entropy(part[0].double(), part[1])
        assert alone.item() == pytest.approx(loss.item(), rel=1e-12)
    found = metric.compute()
    assert found.dtype == torch.float64
    report = evaluate(target, logits=logits, base=math.e)
    assert found.item() == report.cross_entropy
    assert metric.report().accuracy == report.accuracy
    assert metric.report().high == report.high
    turned = torchmetrics_metric(base=math.e)
    for part in parts[::-1]:
        turned.update(*part)
    assert turned.compute().item() == found.item(), "no order changes a bit"
    metric.reset()
    metric.update(*parts[0])
    assert metric.report().rows == 23


def test_masks_and_kinds():
    g = torch.Generator().manual_seed(1)
    logits, mask = torch.randn(3, 4, 5, 6, generator=g), torch.randint(4, (3, 5, 6), generator=g)
    mask[0, 0] = 255
    metric = torchmetrics_metric(ignore_index=255, base=math.e)
    metric.update(logits, mask)
    loss = torch.nn.functional.cross_entropy(logits.double(), mask, ignore_index=255)
    assert metric.compute().item() == pytest.approx(loss.item(), rel=1e-12)
    probs = torchmetrics_metric(kind="probs", class_axis=-1, ignore_index=255, base=math.e)
    probs.update(logits.double().softmax(1).movedim(1, -1), mask)
    assert probs.compute().item() == pytest.approx(loss.item(), rel=1e-12)
    with pytest.raises(ValueError, match="`target` must have the shape of the predictions without"):
        metric.update(logits, mask[0])
    with pytest.raises(
        ValueError, match="`kind` must be 'logits', 'probs' or 'log_probs', got 'z'"
    ):
        torchmetrics_metric(kind="z")


def test_rows_that_a_sampler_repeats_count_once():
    """Two processes of a DistributedSampler, which fills up the second with the first row."""
    logits, target = whole(list(batches(parts=1)))
    rows = np.arange(23)
    places = [rows[0::2], np.append(rows[1::2], rows[0])]
    metrics = [torchmetrics_metric(once=True) for _ in places]
    for metric, some in zip(metrics, places, strict=True):
        for part in np.array_split(some, 3):
            metric.update(logits[part], target[part], part)
    packed = [metric.get_extra_state() for metric in metrics]
    expected = evaluate(target, logits=logits)
    for order in ([0, 1], [1, 0]):
        metric = metrics[order[0]]
        metric.sync(
            dist_sync_fn=lambda mine, group, order=order: [packed[i] for i in order],
            distributed_available=lambda: True,
        )
        assert metric.report().cross_entropy == expected.cross_entropy
        assert metric.report().rows == 23
        metric.unsync()
        assert metric.report().rows == 12
    twice = torchmetrics_metric()
    for some in places:
        twice.update(logits[some], target[some])
    assert twice.report().rows == 24, "without once it is counted as often as it comes"
    with pytest.raises(ValueError, match="`ids` must be given where `once` is True"):
        metrics[0].update(logits, target)


def test_two_processes_by_a_gather_of_our_own():
    parts = list(batches())
    metrics = [torchmetrics_metric() for _ in range(3)]
    for i, part in enumerate(parts):
        metrics[i % 2].update(*part)  # the third has seen nothing
    packed = [metric.get_extra_state() for metric in metrics]
    logits, target = whole(parts)
    expected = evaluate(target, logits=logits).cross_entropy
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        metric = metrics[order[0]]
        metric.sync(
            dist_sync_fn=lambda mine, group, order=order: [packed[i] for i in order],
            distributed_available=lambda: True,
        )
        assert metric.report().cross_entropy == expected
        assert metric.report().rows == 115
        metric.unsync()
        if order[0] < 2:
            assert metric.report().rows in (46, 69), "it goes on with its own rows"


def test_checkpoints_copies_and_collections():
    parts = list(batches())
    metric = torchmetrics_metric()
    metric.update(*parts[0])
    again = torchmetrics_metric()
    again.load_state_dict(metric.state_dict())
    for one in (metric, again, copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        one.update(*parts[1])
        assert one.report().rows == 46
    logits, target = whole(parts[:2])
    assert again.compute().item() == evaluate(target, logits=logits).cross_entropy
    both = torchmetrics.MetricCollection(
        {"bits": torchmetrics_metric(), "nats": torchmetrics_metric(base=math.e)}
    )
    for part in parts:
        both.update(*part)
    found = both.compute()
    assert found["nats"].item() == pytest.approx(found["bits"].item() * math.log(2), rel=1e-14)


def process(rank, world, folder):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world
    )
    metric = torchmetrics_metric()
    for i, part in enumerate(batches()):
        if i % world == rank:
            metric.update(*part)
    found = metric.compute().item()
    np.save(f"{folder}/{world}-{rank}.npy", [found, metric.report().rows])
    torch.distributed.destroy_process_group()


@pytest.mark.long
@pytest.mark.parametrize("world", [2, 3])
def test_real_processes(tmp_path, world):
    context = torch.multiprocessing.get_context("spawn")
    started = [
        context.Process(target=process, args=(r, world, str(tmp_path))) for r in range(world)
    ]
    for one in started:
        one.start()
    for one in started:
        one.join(300)
        assert one.exitcode == 0
    logits, target = whole(list(batches()))
    expected = evaluate(target, logits=logits).cross_entropy
    rows = []
    for rank in range(world):
        found, own = np.load(tmp_path / f"{world}-{rank}.npy")
        assert found == expected
        rows.append(own)
    assert sum(rows) == 115, "after compute each goes on with its own rows"
