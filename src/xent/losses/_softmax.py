"""Cross-entropy of class logits, row by row: one row kernel, two implementations.

`SoftmaxRows` knows a target, weights and options, and turns rows of logits into losses.  `plain`
writes the formula in torch operations: for accelerators, for `torch.func`, forward mode and double
backward, and for gradients of anything but the logits. `fused` runs the compiled rows on CPU and
writes the gradient in the same pass. Both keep the largest logit out of the sum.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xent import _check
from xent._kernels.images import class_major as planes
from xent._kernels.rows import softmax as kernels
from xent._kernels.rows.sizes import ACCUMULATORS, COLUMN_BLOCK, PAD
from xent.losses._buffer import room
from xent.losses._options import Options, can_look, shaped, silenced
from xent.losses._threads import in_blocks

Floats = NDArray[np.float64]

NOTHING: Floats = np.empty(0)
_NO_PULL: Floats = np.empty((0, 3))
_NO_STATS: Floats = np.empty((0, 4))
_NO_SLOPE: Floats = np.empty((0, 0))
_EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
_HUGE = 1 << 22  # bytes
_CACHE = 1 << 25  # bytes: a larger gradient would push all else out of the caches
ELEMENTS = 1 << 15  # what one thread is worth waking for


class Stats(NamedTuple):
    """What a loss of class logits can tell beside its value, from the same pass.

    Attributes
    ----------
    lse : Tensor, the shape of the targets
        log Σ exp z of each row, differentiable.
    log_prob : Tensor, the shape of the targets
        Log-probability of each row's true class, differentiable; Σ t log p, the expected one,
        where targets are distributions (smoothed, if they are), and 0 where the row is ignored.
        Weights are no part of it.
    entropy : Tensor, the shape of the targets
        Entropy of each row's softmax in nats, differentiable.
    argmax : Tensor, the shape of the targets, int64
        The first most probable class.
    accuracy : Tensor, scalar
        Share of the counted rows whose most probable class is the true one.
    """

    lse: Tensor
    log_prob: Tensor
    entropy: Tensor
    argmax: Tensor
    accuracy: Tensor


class SoftmaxRows:
    """The rows of one call: targets, weights and options, and how to score logits against them."""

    def __init__(
        self, target: Tensor, weight: Tensor | None, scale: Tensor | None, options: Options
    ) -> None:
        # target (N,) of int64 or (N, C) of probabilities; weight (C,); scale (N,): of each row
        self.target, self.weight, self.scale, self.options = target, weight, scale, options
        self.hard = not target.is_floating_point()

    def counted(self, classes: int) -> float:
        """Check class indices; return what the rows weigh together (CPU)."""
        if not self.hard:
            rows = self.target.shape[0]
            return float(rows) if self.scale is None else float(doubles(self.scale).sum())
        target, weight, scale = self.target.numpy(), doubles(self.weight), doubles(self.scale)

        def look(start: int, stop: int) -> tuple[int, float]:
            bad, total = kernels.look_at_targets(
                target[start:stop], weight, scale, self.options.ignore_index, classes
            )
            return (start + bad if bad >= 0 else -1), total

        # Whole numbers add up to the same in any order, weights do not.
        alike = not (weight.size or scale.size)
        count = target.shape[0]
        found = in_blocks(look, count, least=ELEMENTS) if alike else [look(0, count)]
        for bad, _ in found:
            if bad >= 0:
                raise BadRowError(bad, int(target[bad]))
        return float(sum(total for _, total in found))

    def total(self) -> Tensor:
        """Return what the rows weigh together, in torch operations; no sum of halves is a half."""
        scale, exact = self.scale, torch.float64
        if not self.hard:
            rows = math.prod(self.target.shape[:-1])
            if scale is None:
                return self.target.new_tensor(float(rows), dtype=exact)
            return scale.sum(dtype=exact)
        kept = self.target != self.options.ignore_index
        weigh = kept if self.weight is None else self.weight[self.target.where(kept, 0)]
        weigh = weigh.where(kept, 0).to(exact)
        return (weigh if scale is None else weigh * scale).sum()

    def plain(self, logits: Tensor, rows: slice = slice(None), stats: bool = False) -> Any:
        """Losses of rows of logits in torch operations; with ``stats`` also those, undivided."""
        o = self.options
        target = self.target[rows]
        if not stats:
            logits = silenced(logits, None if self.scale is None else self.scale[rows])
            logits = silenced(logits, target != o.ignore_index if self.hard else None)
        z = shaped(logits, o)
        classes = int(z.shape[-1])  # torch.jit.trace makes tensors of sizes
        k = z.argmax(-1, keepdim=True)
        top = z.gather(-1, k)
        gaps = (top - z).scatter(-1, k, 0.0)
        e = torch.exp(-gaps).scatter(-1, k, 0.0)
        l = torch.log1p(e.sum(-1))  # noqa: E741
        l = l.where(top.squeeze(-1) > -math.inf, math.nan)  # noqa: E741
        kept = target != o.ignore_index if self.hard else None
        value: Tensor
        if kept is not None:
            safe = target.where(kept, 0)
            gap = gaps.gather(-1, safe.unsqueeze(-1)).squeeze(-1)
            hit: Any = 1.0 - o.label_smoothing
            if self.weight is not None:
                hit = self.weight.to(z.dtype)[safe] * (1.0 - o.label_smoothing)
            mass: Any = hit
            value = hit * (gap + l)
            if self.weight is not None:
                value = value.where(hit != 0, 0.0)
            if o.label_smoothing:
                even = o.label_smoothing / classes
                share = even if self.weight is None else self.weight.to(z.dtype) * even
                extra, spread = _spread(gaps, l, share)
                value, mass = value + extra, mass + spread
        else:
            share = target.to(z.dtype)
            if o.label_smoothing:
                share = share * (1 - o.label_smoothing) + o.label_smoothing / classes
            if self.weight is not None:
                share = share * self.weight.to(z.dtype)
            value, mass = _spread(gaps, l, share)
        lse = top.squeeze(-1) + l
        if o.z_loss:
            value = value + o.z_loss * mass * lse * lse
        if self.scale is not None:
            value = value * self.scale[rows].to(z.dtype)
            value = value.where(self.scale[rows] != 0, 0.0)
        if kept is not None:
            value = value.where(kept, 0.0)
        if not stats:
            return value
        p = torch.exp(-gaps - l.unsqueeze(-1))
        entropy = l + (p * gaps.where(p != 0, 0.0)).sum(-1)
        log_prob = (
            (-(gap + l)).where(kept, 0.0) if kept is not None else -_spread(gaps, l, share)[0]
        )
        return value, lse, log_prob, entropy, k.squeeze(-1)

    def fused(
        self,
        logits: Tensor,
        out: Tensor | None = None,
        rows: slice | None = None,
        *,
        g: float = 1.0,
        scale: Floats = NOTHING,
        pull: Floats = _NO_PULL,
        stats: Floats = _NO_STATS,
    ) -> Floats:
        """Losses of rows on CPU; ``out`` (it may be the logits) takes g times the gradient.

        ``scale`` multiplies each row beside the rows' own; ``pull`` are the gradients that reach
        the statistics. The logits are (n, C), contiguous, of any dtype but float16.
        """
        x = as_numpy(logits)
        given, own = self.target, doubles(self.scale)
        if rows is not None:
            given, own = given[rows], own[rows]
        tolerance = 0.0 if self.hard else sum_tolerance(given.dtype, x.shape[1])
        # Numba knows no float16.
        given = given.float() if given.dtype == torch.float16 else given
        target = as_numpy(given if self.hard else given.contiguous())
        if own.size:
            scale = scale * own if scale.size else own
        call = Call(
            x, target, doubles(self.weight), scale, pull, g, np.empty(x.shape[0]), stats,
            x[:0] if out is None else as_numpy(out), self.options, tolerance,
        )  # fmt: skip
        bad = call.run()
        if bad >= 0:
            raise BadRowError(bad + (rows.start if rows is not None else 0), math.nan)
        return call.values

    def fits_planes(self, input: Tensor, axis: int) -> bool:
        """Say whether classes are few and far apart, and no option asks for whole rows."""
        o = self.options
        return (
            self.hard
            and axis == 1
            and input.dim() > 2
            and input.shape[1] <= planes.MOST
            and input.is_contiguous()
            and input[0, 0].numel() >= planes.TILE
            and not (o.softcap or o.label_smoothing)
        )

    def fused_planes(
        self,
        input: Tensor,
        out: Tensor | None,
        *,
        g: float = 1.0,
        scale: Floats = NOTHING,
        keep: bool = False,
    ) -> Floats:
        """Do what `fused` does on [B, C, ...] in its own layout; ``out`` has the input's shape.

        The losses come as sums of a few hundred each, unless they are to be kept.
        """
        o, classes = self.options, input.shape[1]
        x = as_numpy(input).reshape(input.shape[0], classes, -1)
        grad = x[:0] if out is None else as_numpy(out).reshape(x.shape)
        target, weight, own = as_numpy(self.target), doubles(self.weight), doubles(self.scale)
        if own.size:
            scale = scale * own if scale.size else own
        exact = x.dtype == np.float64
        keep = keep or exact
        values = np.empty(x.shape[0] * x.shape[2] if keep else 0)
        units = x.shape[0] * -(-x.shape[2] // planes.TILE)
        totals = np.empty(units)
        real, whole = (np.float64, np.int64) if exact else (np.float32, np.int32)
        past = passes_caches(grad, x)

        def work(start: int, stop: int) -> None:
            tile = planes.TILE
            planes.class_planes(
                x, target, weight, scale, o.ignore_index, 1.0 / o.temperature, o.z_loss, g,
                on_lines((2, planes.rows_of(classes), tile), real), on_lines((7 * tile,), float),
                on_lines((9 * tile,), real), on_lines((4 * tile,), whole),
                on_lines((classes, tile), x.dtype),
                values, totals, grad, past, start, stop,
            )  # fmt: skip

        least = max(1, ELEMENTS // (classes * planes.TILE))
        in_blocks(work, units, least=least)
        return values if keep else totals


class Call(NamedTuple):
    """Arrays of one run of the compiled rows."""

    x: Any
    target: Any
    weight: Floats
    scale: Floats
    pull: Floats
    g: float
    values: Floats
    stats: Floats
    grad: Any
    options: Options
    tolerance: float

    def run(self) -> int:
        """Run all rows; return the first whose target is no distribution, or -1."""
        work = self.capped if self.options.softcap else self.block
        count, classes = self.x.shape
        if self.x.size <= ELEMENTS:
            return work(0, count)
        least = max(1, ELEMENTS // classes)
        found = in_blocks(work, count, least=least)
        return min((b for b in found if b >= 0), default=-1)

    def block(self, start: int, stop: int, slope: Floats = _NO_SLOPE) -> int:
        """Run some rows."""
        x, target, weight, scale, pull, g, values, stats, grad, o, tolerance = self
        classes = x.shape[1]
        hard = target.ndim == 1
        # The gradient has the logits' own type, also where these come capped, in float64.
        exact = grad.dtype == np.float64
        # A gradient that goes past the caches is written beside the exponentials of the next row.
        past = passes_caches(grad, x)
        rows, line = 2 if past else 1, PAD  # and some more, to begin on a cache line
        if hard:
            share = np.empty(classes if o.label_smoothing and weight.size else 0)
        elif o.label_smoothing or weight.size:
            share = np.empty((2, classes))
        else:
            share = target
        call = (
            1.0 / o.temperature,
            o.z_loss,
            g,
            np.empty(rows * (classes + PAD) + line, np.float64 if exact else np.float32),
            np.empty(COLUMN_BLOCK + 4 * ACCUMULATORS + line),
            share,
            np.empty(min(classes + PAD, COLUMN_BLOCK) + line, grad.dtype),
            values,
            stats,
            grad,
            slope,
            past,
        )
        if hard:
            kernels.class_rows(
                x,
                target,
                weight,
                scale,
                pull,
                o.ignore_index,
                o.label_smoothing,
                *call,
                start,
                stop,
            )
            return -1
        return int(
            kernels.soft_rows(
                x, target, weight, scale, pull, o.label_smoothing, tolerance, *call, start, stop
            )
        )

    def capped(self, start: int, stop: int) -> int:
        """Run some rows, a few at a time, of which the capped logits are kept in float64."""
        step = max(1, ELEMENTS // self.x.shape[1])
        first = -1
        for a in range(start, stop, step):
            few = slice(a, min(a + step, stop))
            z, slope = np.empty((2, few.stop - a, self.x.shape[1]))
            kernels.bend_rows(self.x[few], self.options.softcap, z, slope)
            part = self._replace(
                x=z, target=self.target[few], scale=self.scale[few], pull=self.pull[few],
                values=self.values[few], stats=self.stats[few], grad=self.grad[few],
            )  # fmt: skip
            bad = part.block(0, few.stop - a, slope)
            if bad >= 0 and first < 0:
                first = a + bad
        return first


def accuracy_of(argmax: Tensor, rows: SoftmaxRows) -> Tensor:
    """Share of the counted rows whose most probable class is the true one; NaN where none is."""
    if not rows.hard:
        return (argmax == rows.target.argmax(-1)).double().mean()
    kept = rows.target != rows.options.ignore_index
    return ((argmax == rows.target) & kept).sum().double() / kept.sum()


class BadRowError(Exception):
    """The target of a row is no class, or no distribution; the door knows how to say it."""

    def __init__(self, row: int, value: float) -> None:
        super().__init__(row, value)
        self.row, self.value = row, value

    def sentence(self, rows: Tensor, shape: torch.Size, classes: int) -> ValueError:
        """Build the error, with the row's place in the caller's target."""
        place = [int(i) for i in np.unravel_index(self.row, tuple(shape))] if len(shape) else []
        where = f" at {_check.at(place)}" if len(shape) else ""
        if rows.is_floating_point():
            row = rows[self.row].double()
            negative = (row < 0).nonzero()
            if len(negative):
                c = int(negative[0])
                place = [*place, c]
                got = f"{row[c].item():.6g} at {_check.at(place)} (class last)"
                return _check.invalid("target", "be non-negative", got)
            got = f"{row.sum().item():.6g}{where}"
            return _check.invalid("target", "sum to 1 over the classes", got)
        must = (
            f"be below {classes}, the number of classes" if self.value >= 0 else "be non-negative"
        )
        advice = "To skip a class id use ignore_index."
        return _check.invalid("target", must, f"{int(self.value)}{where}", advice)


def sum_tolerance(dtype: Any, classes: int) -> float:
    """How far from 1 probabilities may sum: what rounding in their own dtype explains."""
    name = "bfloat16" if "int" in str(dtype) else str(dtype).removeprefix("torch.")
    return max(1e-6, 2 * _EPSILON[name] * math.sqrt(classes))


def check_distributions(target: Tensor) -> None:
    """Refuse rows (classes last) that are no distributions, as the compiled rows do."""
    if not can_look(target):
        return
    flat = target.detach().reshape(-1, target.shape[-1])
    rows = flat.double()
    bad = ~((rows.sum(-1) - 1).abs() <= sum_tolerance(target.dtype, target.shape[-1])) | (
        rows < 0
    ).any(-1)
    if bool(bad.any()):
        raise BadRowError(int(bad.nonzero()[0]), math.nan)


def _spread(gaps: Tensor, l: Tensor, share: Any) -> tuple[Tensor, Any]:  # noqa: E741
    """Sum of share times (gap + l), and of share."""
    if isinstance(share, float):
        mass = share * gaps.shape[-1]
        return gaps.sum(-1) * share + mass * l, mass
    # An infinite gap under a share of zero counts for nothing, in the value and in the gradient.
    mass = share.sum(-1)
    return (share * gaps.where(share != 0, 0.0)).sum(-1) + mass * l, mass


def as_numpy(tensor: Tensor) -> Any:
    """View a CPU tensor as an array; bfloat16 as its bits."""
    if tensor.requires_grad:
        tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy()
    return tensor.numpy()


def empty_like(tensor: Tensor) -> Tensor:
    """Make room for a gradient, contiguous; large room is used again from step to step."""
    if tensor.numel() * tensor.element_size() < _HUGE:
        return torch.empty_like(tensor, memory_format=torch.contiguous_format)
    return empty(tensor.shape, tensor, tensor.dtype)


def empty(shape: tuple[int, ...], like: Tensor, dtype: torch.dtype) -> Tensor:
    """Make room of this shape where ``like`` is, as `empty_like` does."""
    size = math.prod(shape) * dtype.itemsize
    if size < _HUGE or like.device.type != "cpu":
        return like.new_empty(shape, dtype=dtype)
    return torch.from_numpy(room(size)).view(dtype).view(shape)


def on_lines(shape: tuple[int, ...], dtype: Any) -> Any:
    """Return room for a kernel that begins on a cache line.

    Each vector of 64 bytes would lie across two lines else, and be read and written twice.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + 64, np.uint8)
    first = -room.ctypes.data % 64
    return room[first : first + size].view(dtype).reshape(shape)


def passes_caches(grad: Any, x: Any) -> bool:
    """Say whether to write a gradient past the caches: where it is larger, and not the logits."""
    return bool(grad.nbytes >= _CACHE and grad.ctypes.data != x.ctypes.data)


def doubles(weight: Tensor | None) -> Floats:
    """Return weights as float64, or nothing."""
    if weight is None:
        return NOTHING
    return weight.detach().double().contiguous().numpy()
