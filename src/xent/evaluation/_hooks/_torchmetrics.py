"""A metric of torchmetrics whose merge over processes is exact: an `Accumulator` behind its door.

torchmetrics adds up states in the precision and the order of the moment. Here each process sends
its accumulator as bytes, and all are merged as exact sums: the same bits for any number of
processes and any way in which the rows were dealt out.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchmetrics import Metric

from xent import _check
from xent.evaluation._accumulator.accumulator import Accumulator
from xent.evaluation._report import Report


class CrossEntropyMetric(Metric):  # type: ignore[misc]
    """The cross-entropy of classes, counted exactly over batches, epochs and processes."""

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    def __init__(
        self, kind: str, settings: dict[str, Any], class_axis: int, **options: Any
    ) -> None:
        super().__init__(**options)
        self.kind, self.settings, self.class_axis = kind, settings, class_axis
        self.seen = Accumulator(**settings)
        self.gathered: Accumulator | None = None

    def update(self, preds: Any, target: Any, ids: Any = None) -> None:
        """Add a batch."""
        _add(self.seen, self.kind, self.class_axis, preds, target, ids)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Add a batch, and return the cross-entropy of it alone."""
        batch = Accumulator(**self.settings)
        _add(batch, self.kind, self.class_axis, *args, **kwargs)
        self.update(*args, **kwargs)
        self._forward_cache = self._number(batch)
        return self._forward_cache

    def report(self) -> Report:
        """Return the whole report, of all processes inside `sync_context`, else of this one."""
        return (self.gathered or self.seen).result()

    def compute(self) -> Any:
        """Return the cross-entropy of all rows of all processes."""
        return self._number(self.gathered or self.seen)

    def reset(self) -> None:
        """Begin again."""
        super().reset()
        self.seen, self.gathered = Accumulator(**self.settings), None

    def unsync(self, should_unsync: bool = True) -> None:
        """Go on with the rows of this process alone."""
        super().unsync(should_unsync)
        if should_unsync:
            self.gathered = None

    def get_extra_state(self) -> Any:
        """Return the state as bytes, which checkpoints of modules hold."""
        return _packed(self.seen)

    def set_extra_state(self, state: Any) -> None:
        """Take the state of a checkpoint."""
        self.seen = _unpacked(state)

    def _sync_dist(
        self, dist_sync_fn: Callable[..., Any] | None = None, process_group: Any = None
    ) -> None:
        from torchmetrics.utilities.distributed import gather_all_tensors

        gather = dist_sync_fn or gather_all_tensors
        mine = _packed(self.seen).to(self.device)
        group = process_group or self.process_group
        first, *others = (_unpacked(part) for part in gather(mine, group=group))
        for other in others:
            first.merge(other)
        self.gathered = first

    def _number(self, accumulator: Accumulator) -> Any:
        found = accumulator.result().cross_entropy
        # Every bit of it, where the device has float64.
        wide = self.device.type != "mps"
        dtype = torch.float64 if wide else torch.float32
        return torch.tensor(found, dtype=dtype, device=self.device)


def _add(
    accumulator: Accumulator, kind: str, class_axis: int, preds: Any, target: Any, ids: Any = None
) -> None:
    """Add a batch of rows and classes, or of more dimensions with the classes on one axis."""
    if preds.ndim > 2:
        preds = preds.movedim(class_axis, -1)
        if tuple(preds.shape[:-1]) != tuple(target.shape):
            must = f"have the shape of the predictions without their classes, {preds.shape[:-1]}"
            raise _check.invalid("target", must, str(tuple(target.shape)))
        preds, target = preds.reshape(-1, preds.shape[-1]), target.reshape(-1)
    accumulator.update(target, **{kind: preds}, ids=ids)


def _packed(accumulator: Accumulator) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        accumulator.save(path)
        return torch.from_numpy(np.frombuffer(path.read_bytes(), dtype=np.uint8).copy())


def _unpacked(data: Any) -> Accumulator:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state"
        path.write_bytes(data.cpu().numpy().tobytes())
        return Accumulator.load(path)
