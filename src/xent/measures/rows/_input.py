"""The input of a measure of arrays: what is a distribution, and what is refused.

A plain array is probabilities, checked and divided by its own sum, so that an error of rounding in
the input is no error of the measure; a sum that is off by more than rounding is refused. NumPy rows
are checked by the kernel that reads them; all others here, once. Where values are traced and cannot
be seen, a row that would be refused gives NaN.
"""

import math
from functools import cached_property
from typing import Any

import numpy as np

from xent import _check
from xent._array import Library, library_of
from xent.measures.rows._dispatch import flat_rows, over_rows, probability_kernels
from xent.measures.rows._protocols import AnyArray, Array, ArrayLike, Axis, Booleans, Numbers
from xent.measures.rows._typed_arrays import TYPED, Counts, Input, Logits, LogProbs, untyped

TOLERANCE = 1e-6


class Rows:
    """Distributions as rows: an array of any library, the outcomes along its last axis.

    `p` is normalised. `log` is its logarithm where `allowed`, and 0 elsewhere, so that neither a
    value nor a gradient is taken of log 0. The kernels take `flat` rows, and `probabilities` or
    `with_logs` made of them.
    """

    def __init__(
        self,
        argument: str,
        value: Input,
        axis: Axis,
        where: ArrayLike | None,
        library: Library,
        model: bool,
    ) -> None:
        self.argument, self.library, self.axis, self.model = argument, library, axis, model
        self.kind = None
        if isinstance(value, TYPED):
            self.kind = type(value)
            if self.kind not in TYPED:  # a subclass
                self.kind = next(kind for kind in TYPED if isinstance(value, kind))
            value = value.values
        raw = read(argument, value, library, where)
        self.numpy = library.name == "numpy"
        if not (self.numpy and raw.dtype.kind in "fiub") and not library.real(raw):
            must = "be an array of real numbers"
            advice = advice_for_labels(argument) if getattr(raw.dtype, "kind", "") in "USO" else ""
            raise _check.wrong_kind(argument, must, f"an array of dtype {raw.dtype}", advice)
        if raw.ndim == 0:
            got = f"the single number {raw.item()}"
            raise _check.invalid(argument, "have at least one axis", got)
        self.dtype = raw.dtype
        self.double = self.numpy and raw.dtype.char == "d"
        self.epsilon = 2.0**-52 if self.double else library.epsilon(raw)
        self.axes = outcome_axes(argument, axis, raw.ndim)
        if where is not None:
            floating = library.working(raw)
            out = -np.inf if self.kind in (Logits, LogProbs) else 0.0
            raw = library.xp.where(mask_of(argument, raw, where, library), floating, out)
            self.axes = outcome_axes(argument, axis, raw.ndim)
        self.ndim = raw.ndim
        self.extents = tuple([raw.shape[a] for a in self.axes])
        self.array = outcomes_last(library, raw, self.axes)
        self.size = self.array.shape[-1]
        if self.size == 0:
            must = f"have at least one outcome along axis {axis}"
            raise _check.invalid(argument, must, "none")
        self.valid: Booleans | None = None  # where rows are distributions, of traced values
        self._probabilities: Array | None = None
        self._with_logs: tuple[Array, Array, Booleans] | None = None

    @property
    def tolerance(self) -> float:
        """How far a row's sum may be from 1: 1e-6, more where the dtype has fewer digits."""
        return max(TOLERANCE, 2 * self.epsilon * math.sqrt(self.size))

    @property
    def plain(self) -> bool:
        """Whether kernels take `flat` as probabilities, which they check as they read."""
        return self.double and self.kind is None

    @property
    def flat(self) -> Array:
        """The rows of a NumPy array, unchecked."""
        return flat_rows(self.array)

    @property
    def scaled(self) -> Array:
        """Checked rows, each times a power of two: no bit is lost and no sum overflows."""
        return self._by_kernel("scale_rows")

    @property
    def probabilities(self) -> Array:
        """Checked rows divided by their sums."""
        if self._probabilities is None:
            self._probabilities = (
                self.with_logs[0] if self.logarithmic else self._by_kernel("probability_rows")
            )
        return self._probabilities

    def _by_kernel(self, kernel: str) -> Array:
        rows = self.flat
        out = np.empty(rows.shape)
        scalars = self.kind is Counts, self.tolerance
        bad = over_rows(getattr(probability_kernels(), kernel), (rows,), scalars, (out,))
        if bad >= 0:
            raise self.refused(bad)
        return out

    @property
    def with_logs(self) -> tuple[Array, Array, Booleans]:
        """Probabilities, their logarithms and where they are allowed, of NumPy rows."""
        if self._with_logs is None:
            rows = self.flat
            p, log, allowed = np.empty(rows.shape), np.empty(rows.shape), np.empty(rows.shape, bool)
            if self.kind in (None, Counts):
                scalars = self.kind is Counts, self.tolerance
                bad = over_rows(probability_kernels().log_rows, (rows,), scalars, (p, log, allowed))
                if bad >= 0:
                    raise self.refused(bad)
            else:
                allowed.fill(True)
                scalars = self.kind is LogProbs, self.tolerance
                if over_rows(probability_kernels().softmax_rows, (rows,), scalars, (p, log)) >= 0:
                    found = self._safe
                    p, log = flat_rows(found[0]), flat_rows(found[1])
                    allowed = np.ascontiguousarray(found[2]).reshape(p.shape)
            self._with_logs = p, log, allowed
        return self._with_logs

    @cached_property
    def _safe(self) -> tuple[Array, Array, Booleans]:
        """The same for any library and input, differentiable."""
        seen = self.check()
        p, log, allowed = self._computed(self.library.working(self.array))
        if seen:
            return p, log, allowed
        xp = self.library.xp
        valid = self.valid = self._accepted(self.library.working(self.array), p)
        wide = self.library.last(valid)
        return xp.where(wide, p, math.nan), xp.where(wide, log, math.nan), allowed | ~wide

    def _accepted(self, values: Array, p: Array) -> Booleans:
        """Tell which rows `check` would accept, of values that cannot be seen."""
        top = self.library.last_maximum(values)  # NaN where any is
        valid: Booleans = (top < math.inf) & (top > (-math.inf if self.logarithmic else 0.0))
        if not self.logarithmic:
            valid = valid & (values >= 0).all(-1)
        if self.kind in (None, LogProbs):
            xp = self.library.xp
            total = (xp.exp(values) if self.logarithmic else values).sum(-1)
            epsilon = max(self.epsilon, self.library.epsilon(p))
            valid = valid & (xp.abs(total - 1.0) <= max(TOLERANCE, 4 * epsilon * self.size**0.5))
        return valid

    @property
    def logarithmic(self) -> bool:
        """Whether the entries are logarithms."""
        return self.kind in (Logits, LogProbs)

    def _computed(self, values: Array) -> tuple[Array, Array, Booleans]:
        """Probabilities, logarithms and where they are allowed, by the library's operations."""
        xp = self.library.xp
        if self.logarithmic:
            allowed = values > -np.inf
            finite = xp.where(allowed, values, 0.0)
            top = self.library.maximum(xp.where(allowed, finite, -np.inf))
            with np.errstate(over="ignore"):
                shifted = finite - xp.where(top > -np.inf, top, 0.0)
            # A difference of -inf would make 0 log 0 not a number.
            shifted = xp.where(shifted > -np.inf, shifted, xp.finfo(shifted.dtype).min)
            weight = xp.where(allowed, xp.exp(xp.where(allowed, shifted, 0.0)), 0.0)
            log = xp.where(allowed, shifted - xp.log(self.library.last(weight.sum(-1))), 0.0)
            return xp.where(allowed, xp.exp(log), 0.0), log, allowed
        if self.kind is Counts:
            top = self.library.maximum(values)
            part = xp.where(top > 1.0, 2.0**-64, 1.0)  # 1 / top may be too small for a float32
            values = values * part / (top * part)
        allowed = values > 0
        positive = xp.where(allowed, values, 0.0)
        # The derivative by an outcome of probability 0 is infinite for p and finite for q. For p
        # it is 0 here by convention; for q it comes from the total.
        total = self.library.last((values if self.model else positive).sum(-1))
        log = xp.where(allowed, xp.log(xp.where(allowed, values, 1.0)) - xp.log(total), 0.0)
        return (values if self.model else positive) / total, log, allowed

    @property
    def p(self) -> Array:
        """Probabilities that sum to one along the last axis."""
        return self.probabilities.reshape(self.array.shape) if self.numpy else self._safe[0]

    @property
    def log(self) -> Array:
        """Their logarithms, 0 where not allowed."""
        return self.with_logs[1].reshape(self.array.shape) if self.numpy else self._safe[1]

    @property
    def allowed(self) -> Booleans:
        """Where the probability is above zero."""
        return self.with_logs[2].reshape(self.array.shape) if self.numpy else self._safe[2]

    def refused(self, bad: int) -> ValueError:
        """Raise what `check` finds, or return the error of a sum that it lets pass."""
        self.check()
        # NumPy's sum rounds in another order than the kernel's.
        must = f"sum to 1 along axis {self.axis}"
        return _check.invalid(self.argument, must, f"a row off by 1e-6 at row {bad}")

    def check(self) -> bool:
        """Raise for the first entry or row that cannot be of a distribution; False if unseen."""
        values = self.library.seen(self.array)
        if values is None:
            return False
        self._check(values)
        return True

    def _check(self, values: AnyArray) -> None:
        values = values.astype(np.float64) if values.dtype != np.float64 else values
        # These comparisons are false for NaN. What follows finds what is wrong.
        good = self.kind in (None, Counts) and values.size > 0 and values.min() >= 0
        if good and self.kind is None and (np.abs(values.sum(-1) - 1.0) <= self.tolerance).all():
            return
        if good and self.kind is Counts:
            top = values.max(-1)
            if np.all((top > 0) & (top < np.inf)):
                return
        logarithmic = self.logarithmic
        bad = ~(values < np.inf) if logarithmic else ~np.isfinite(values)
        if bad.any():
            must = "be finite or -inf" if logarithmic else "be finite"
            raise self._entry(bad, values, must, "")
        if logarithmic:
            top = values.max(-1, keepdims=True)
            if (top == -np.inf).any():
                raise self._row(top[..., 0] == -np.inf, None, "allow at least one outcome", "")
            if self.kind is Logits:
                return
            with np.errstate(over="ignore"):
                values = np.exp(values)
        elif (values < 0).any():
            advice = f"For logits pass Logits({self.argument})." if self.kind is None else ""
            raise self._entry(values < 0, values, "be non-negative", advice)
        if self.kind is Counts:
            none = ~(values.max(-1) > 0)
            if none.any():
                raise self._row(none, None, "count something in every row", "")
            return
        total = values.sum(-1)
        off = ~(np.abs(total - 1.0) <= self.tolerance)
        if off.any():
            name = self.argument
            advice = f"For counts pass Counts({name})."
            if self.kind is None and (values == np.rint(values)).all():
                advice = f"{advice} {advice_for_labels(name)}"
            if self.kind is LogProbs:
                advice = f"For logits pass Logits({name})."
            must = f"sum to 1 along axis {self.axis}"
            raise self._row(off, total, must, advice)

    def _entry(self, bad: Booleans, values: Numbers, must: str, advice: str) -> ValueError:
        first = np.argwhere(bad)[0]
        index = list(first[:-1])
        inside = np.unravel_index(first[-1], self.extents)
        for position, place in sorted(zip(self.axes, inside, strict=True)):
            index.insert(position, place)
        got = f"{values[tuple(first)]:.6g} at {_check.at(index)}"
        return _check.invalid(self.argument, must, got, advice)

    def _row(self, bad: Booleans, total: Numbers | None, must: str, advice: str) -> ValueError:
        first = np.argwhere(bad)[0]
        got = "none" if total is None else f"{total[tuple(first)]:.9g}"
        if first.size:
            row = str(int(first[0])) if first.size == 1 else _check.at(first)
            got += f" at row {row}"
        return _check.invalid(self.argument, must, got, advice)


def advice_for_labels(argument: str) -> str:
    """Say what to do with labels, one a row, where their distribution is expected."""
    kin = "estimate_mutual_information" if argument == "joint" else "estimate_entropy"
    return f"For labels, one a row, use {kin} or its kin, or Counts.from_samples({argument})."


def read(argument: str, values: Input, library: Library, where: ArrayLike | None = None) -> Any:
    """Return an array of the library; refuse what is not one, or has masked entries."""
    if type(values) is np.ndarray and library.name == "numpy":
        return values
    try:
        raw = library.array(values)
    except (ValueError, TypeError, RuntimeError):
        got = f"{_check.a(values)} that is none"
        must = "be an array of real numbers"
        raise _check.wrong_kind(argument, must, got, advice_for_labels(argument)) from None
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        if where is None or np.any(values.mask & np.asarray(where, dtype=bool)):
            advice = f"Pass where=~{argument}.mask to leave them out."
            raise _check.invalid(argument, "have no masked entries", "some", advice)
    elif library.name == "torch" and (
        raw.layout != library.xp.strided or raw.device.type == "meta"
    ):
        got = f"one of layout {raw.layout} on {raw.device}"
        raise _check.wrong_kind(argument, "be a dense tensor that holds numbers", got)
    return raw


def mask_of(argument: str, values: Array, where: ArrayLike, library: Library) -> Booleans:
    """Return which outcomes count: booleans, of a shape that broadcasts with that of the values."""
    mask = library.array(read("where", where, library))
    if "bool" not in str(mask.dtype):
        raise _check.wrong_kind("where", "be an array of booleans", f"one of dtype {mask.dtype}")
    one, other = tuple(values.shape), tuple(mask.shape)
    try:
        np.broadcast_shapes(one, other)
    except ValueError:
        must = f"have a shape that broadcasts with that of `{argument}`, {one}"
        raise _check.invalid("where", must, other) from None
    return mask


def outcome_axes(argument: str, axis: Axis, ndim: int, name: str = "axis") -> tuple[int, ...]:
    """Return the axes of the outcomes as non-negative numbers, each once."""
    if type(axis) is int and -ndim <= axis < ndim:
        return (axis % ndim,)
    axes = axis if isinstance(axis, tuple) else (axis,)
    for one in axes:
        if isinstance(one, bool) or not isinstance(one, int | np.integer):
            raise _check.wrong_kind(name, "be an integer or a tuple of integers", repr(axis))
        if not -ndim <= one < ndim:
            raise _check.invalid(name, f"be an axis of `{argument}`, which has {ndim}", one)
    found = tuple(int(one) % ndim for one in axes)
    if not found or len(set(found)) < len(found):
        raise _check.invalid(name, "name at least one axis, and each once", repr(axis))
    return found


def check_keepdims(keepdims: object) -> bool:
    """Return `keepdims`; refuse all but True and False."""
    return _check.flag("keepdims", keepdims)


def outcomes_last(library: Library, values: Array, axes: tuple[int, ...]) -> Array:
    """Move the axes of the outcomes to the end, in the order given, and make them one."""
    count = len(axes)
    if count == 1:
        last = axes[0] == values.ndim - 1
        return values if last else library.xp.moveaxis(values, axes[0], -1)
    if axes != tuple(range(values.ndim - count, values.ndim)):
        values = library.xp.moveaxis(values, axes, tuple(range(-count, 0)))
    return values.reshape((*values.shape[: values.ndim - count], -1))


def rows(argument: str, value: Input, axis: Axis, where: ArrayLike | None = None) -> Rows:
    """Read one argument."""
    inner = value.values if isinstance(value, TYPED) else value
    return Rows(argument, value, axis, where, library_of(inner), False)


def paired(p: Input, q: Input, axis: Axis, where: ArrayLike | None = None) -> tuple[Rows, Rows]:
    """Read truth and model: the same outcomes, batches that broadcast."""
    left, right = several((p, q), axis, where)
    right.model = True
    return left, right


def several(values: tuple[Input, ...], axis: Axis, where: ArrayLike | None = None) -> list[Rows]:
    """Read distributions over the same outcomes, by the names p, q, #3, ..."""
    library = library_of(*map(untyped, values))
    names = ["p", "q", *(f"#{i + 1}" for i in range(2, len(values)))]
    parts = [
        Rows(name, value, axis, where, library, False)
        for name, value in zip(names, values, strict=False)
    ]
    for other in parts[1:]:
        same_outcomes(parts[0], other)
    return parts


def same_outcomes(left: Rows, right: Rows) -> None:
    """Refuse distributions over different outcomes or of batches that do not broadcast."""
    if left.size != right.size:
        must = f"have the {left.size} outcomes of `{left.argument}` along axis {left.axis}"
        raise _check.invalid(right.argument, must, right.size)
    one, other = tuple(left.array.shape), tuple(right.array.shape)
    if one != other:
        try:
            np.broadcast_shapes(one, other)
        except ValueError:
            must = f"have a shape that broadcasts with that of `{left.argument}`, {one}"
            raise _check.invalid(right.argument, must, other) from None


def result(nats: Array, base: float, keepdims: bool, *sources: Rows) -> Any:
    """Convert nats to the unit of `base`, with the dtype and the axes of the caller's arrays."""
    first = sources[0]
    scale = 1.0 if base is math.e else _check.log_of_base(base)
    value = nats if scale == 1.0 else nats / scale
    for source in sources:
        if source.valid is not None and value.ndim < max(s.array.ndim for s in sources):
            value = source.library.xp.where(source.valid, value, math.nan)
    if keepdims is not False and check_keepdims(keepdims):
        ndim = max(source.ndim for source in sources)
        axes = [a - first.ndim + ndim for a in first.axes]
        shape = list(value.shape)
        for place in sorted(axes):
            shape.insert(place, 1)
        value = value.reshape(shape)
    if first.library.name == "numpy":
        return float(value) if value.ndim == 0 else value
    return first.library.result(value, result_dtype(first.library, sources))


def result_dtype(library: Library, sources: tuple[Rows, ...]) -> object:
    """Return the dtype of the result of several inputs."""
    found = sources[0].dtype
    for source in sources[1:]:
        found = library.xp.promote_types(found, source.dtype)
    return found
