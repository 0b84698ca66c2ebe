"""Which array library is this: the only file that branches on it.

NumPy, PyTorch and JAX agree on most names; a `Library` is the module itself plus the few words on
which they differ. Neither PyTorch nor JAX is imported here: whoever hands us a tensor has done so.
"""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from xent import _check


@dataclass(frozen=True)
class Library:
    """One array library: ``xp`` has log, where, moveaxis...; the methods are where they differ."""

    name: str
    xp: Any

    def array(self, values: Any) -> Any:
        """Return the values as an array of this library; its own pass as they are."""
        if self.name == "numpy":
            return np.asarray(values)
        return self.xp.as_tensor(values) if self.name == "torch" else self.xp.asarray(values)

    def working(self, values: Any) -> Any:
        """Return real values in the precision to compute in: float64 where the device has it."""
        if self.name == "torch":
            if values.device.type == "mps":
                return values.to(self.xp.float32)
            return values.to(self.xp.float64)
        if self.name == "numpy":
            return np.asarray(values, dtype=np.float64)
        return values.astype(self.xp.asarray(0.0).dtype)

    def result(self, values: Any, like: Any) -> Any:
        """Return the values in the dtype that the caller gets: the input's, at least float32."""
        if self.name == "numpy":
            return float(values) if np.ndim(values) == 0 else values
        xp = self.xp
        small = (xp.float16, xp.bfloat16, xp.float32)
        if self.name == "torch":
            return values.to(like if like == xp.float64 else xp.float32)
        return values.astype(xp.float32 if like in small else values.dtype)

    def maximum(self, values: Any) -> Any:
        """Largest value along the last axis, kept as an axis; no gradient passes."""
        if self.name == "torch":
            return values.detach().amax(-1, keepdim=True)
        if self.name == "jax":
            import jax

            values = jax.lax.stop_gradient(values)
        return values.max(-1, keepdims=True)

    def last_maximum(self, values: Any) -> Any:
        """Largest value along the last axis, differentiable."""
        return values.amax(-1) if self.name == "torch" else values.max(-1)

    def last(self, values: Any) -> Any:
        """Append an axis of one."""
        return values.reshape((*values.shape, 1))

    def real(self, values: Any) -> bool:
        """Tell whether the entries are real numbers."""
        if self.name == "torch":
            return not values.dtype.is_complex
        return self.xp.dtype(values.dtype).kind in "fiub" or "float" in str(values.dtype)

    def epsilon(self, values: Any) -> float:
        """Gap between 1 and the next number of the dtype; 0 for integers."""
        if self.name == "torch":
            return float(self.xp.finfo(values.dtype).eps) if values.dtype.is_floating_point else 0.0
        if self.name == "jax":
            floating = self.xp.issubdtype(values.dtype, self.xp.floating)
            return float(self.xp.finfo(values.dtype).eps) if floating else 0.0
        return float(np.finfo(values.dtype).eps) if values.dtype.kind == "f" else 0.0

    def seen(self, values: Any) -> np.ndarray[Any, Any] | None:
        """Return the values as a NumPy array to be checked, or None while they are traced.

        So they are under JAX's transforms, torch.func, torch.compile and torch.export.
        """
        if self.name == "torch":
            if self.xp.compiler.is_compiling():
                return None
            values = values.detach()
            if values.is_floating_point() and values.dtype.itemsize < 4:  # NumPy may lack the type
                values = values.float()
            try:
                return values.cpu().numpy()  # type: ignore[no-any-return]
            except RuntimeError:  # a tensor without data of its own
                return None
        if self.name == "jax":
            import jax

            if isinstance(values, jax.core.Tracer):
                return None
        return np.asarray(values)


def without_arrays(entries: list[Any]) -> list[Any]:
    """Return a list in which arrays of one number, tensors and Arrow's scalars are Python's.

    A tensor is equal to no other one, so that each would be a symbol of its own.
    """
    kinds = {kind for kind in {*map(type, entries)} if not issubclass(kind, np.generic)}
    arrays = tuple(kind for kind in kinds if hasattr(kind, "__array__") and hasattr(kind, "tolist"))
    scalars = tuple(kind for kind in kinds if hasattr(kind, "as_py"))
    if arrays:
        several = [isinstance(one, np.ndarray) and one.ndim > 0 for one in entries]
        entries = [
            one.tolist() if isinstance(one, arrays) and not many else one
            for one, many in zip(entries, several, strict=True)
        ]
    if scalars:
        entries = [one.as_py() if isinstance(one, scalars) else one for one in entries]
    return entries


NUMPY = Library("numpy", np)
PLAIN = frozenset((np.ndarray, list, tuple, float))


def library_of(*values: Any) -> Library:
    """Return the library whose arrays these are; anything that is no tensor is NumPy's."""
    if all([type(value) in PLAIN for value in values]):
        return NUMPY
    names = {found for value in values if (found := _name(value)) != "numpy"}
    if not names:
        return NUMPY
    if len(names) > 1:
        must = "be arrays of one library"
        raise _check.wrong_kind("p` and `q", must, " and ".join(sorted(names)))
    name = names.pop()
    return Library(name, sys.modules["torch" if name == "torch" else "jax.numpy"])


def _name(value: Any) -> str:
    if type(value) in PLAIN:
        return "numpy"
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return "torch"
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(value, jax.Array):
        return "jax"
    return "numpy"
