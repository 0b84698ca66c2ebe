"""What the graph of autograd tells of a tensor: which operation made it, and from what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from xent.audit._run.torch_private import shapes_of_results

NODE_NAME = re.compile(r"Backward\d*$")
VIEW_NODES = frozenset(
    (
        *("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Transpose", "Permute"),
        *("T", "Alias", "Clone", "Slice", "Index", "Select", "ToCopy", "Expand", "AsStrided"),
        *("Split", "Unbind"),
    )
)
MOVING_NODES = VIEW_NODES.union(
    ["Diagonal", "Flip", "Gather", "IndexSelect", "MaskedSelect", "Repeat", "Roll", "Rot90"],
    ["Sort", "Take", "Topk", "Unfold"],
)
RESHAPE_NODES = frozenset(["View", "UnsafeView", "ReshapeAlias", "Alias", "Clone", "ToCopy"])
LINEAR_NODES = frozenset(
    ["Addmm", "Mm", "Linear", "Baddbmm", "Bmm", "Convolution", "MkldnnConvolution"]
)
MOST_NODES = 20_000
PADDED = 8  # how much longer than the rows what a convolution was padded to may be


def name_of(node: Any) -> str:
    """Return the operation of a node: "Softmax", "Addmm"."""
    return NODE_NAME.sub("", node.name().rpartition("::")[2])


def below(node: Any) -> Any:
    """Return the node of the first argument."""
    following = node.next_functions
    return following[0][0] if following else None


def made_by(node: Any) -> Any:
    """Return the node of the last operation that changed values, not only their places."""
    while node is not None and name_of(node) in MOVING_NODES:
        node = below(node)
    return node


def last_operation(tensor: Tensor) -> tuple[str, Any]:
    """Return what made a tensor, or "" where there is no graph."""
    return last_operation_of(tensor.grad_fn)


def last_operation_of(node: Any) -> tuple[str, Any]:
    """Return the last operation at or below a node that changed values."""
    node = made_by(node)
    return (name_of(node), node) if node is not None else ("", None)


def is_linear(node: Any) -> bool:
    """Whether a node is, behind views and the adding of a bias, a product with weights."""
    node = made_by(node)
    if node is not None and name_of(node) == "Add":
        node = made_by(below(node))
    return node is not None and name_of(node) in LINEAR_NODES


def dropped(node: Any) -> bool:
    """Whether a node is Dropout: a product with zeros and one other number."""
    name = name_of(node)
    if name in ("NativeDropout", "FusedDropout"):
        return True
    noise = getattr(node, "_saved_other", None) if name == "Mul" else None
    if not isinstance(noise, Tensor) or noise.requires_grad or noise.numel() < 2:
        return False
    largest = noise.max()
    return bool(largest > 1) and bool(((noise == 0) | (noise == largest)).all())


def walk(node: Any, through: Callable[[Any], bool] = lambda node: True) -> Iterator[Any]:
    """Yield every node that leads to one, each once; ``through`` says behind which to look on."""
    todo, known = [node], {node}
    while todo and len(known) < MOST_NODES:
        one = todo.pop()
        yield one
        if not through(one):
            continue
        for following, _ in one.next_functions:
            if following is not None and following not in known:
                known.add(following)
                todo.append(following)


def squeezed(tensor: Tensor, size: int, length: int) -> bool:
    """Whether what entered embeddings came here through something that has no positions.

    So an autoencoder tells again what it was given. Steps of a recurrent layer that PyTorch makes
    one by one, and packed rows, are taken to keep the positions.
    """
    if tensor.grad_fn is None or not any(name_of(n) == "Embedding" for n in walk(tensor.grad_fn)):
        return False

    def keeps(node: Any) -> bool:
        shapes = shapes_of_results(node)
        return not shapes or any(_has_positions(list(shape), size, length) for shape in shapes)

    for node in walk(tensor.grad_fn, keeps):
        name = name_of(node)
        steps = name in ("Stack", "Cat") and len(node.next_functions) >= length
        if steps or name in ("Embedding", "PackPaddedSequence"):
            return False
    return True


def _has_positions(shape: list[int], size: int, length: int) -> bool:
    """Whether an axis is one of positions, or of rows times positions."""
    if size in shape:
        shape.remove(size)
    most = length + PADDED if len(shape) > 1 else length + 1
    whole = (size * length, size * (length + 1))
    return any(length <= axis <= most or axis in whole for axis in shape)


def saved(node: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors that a node keeps for the backward pass."""
    for name in dir(node):
        if not name.startswith("_saved_"):
            continue
        try:
            value = getattr(node, name)
        except RuntimeError:  # freed, or changed in place since
            continue
        if isinstance(value, Tensor):
            yield name.removeprefix("_saved_"), value


def sizes_before(node: Any) -> tuple[int, ...] | None:
    """Return the shape that a view was made of."""
    for name in ("_saved_self_sym_sizes", "_saved_self_sizes"):
        found = getattr(node, name, None)
        if found is not None:
            return tuple(int(size) for size in found)
    return None


def offset(tensor: Tensor) -> int:
    """Return how many positions of axis 1 were cut off in front, behind reshapes."""
    node = tensor.grad_fn
    found = 0
    while node is not None and name_of(node) in VIEW_NODES:
        if name_of(node) == "Slice" and getattr(node, "_saved_dim", None) == 1:
            start, sizes = int(getattr(node, "_saved_start", 0)), sizes_before(node)
            if start >= 1 << 63:  # counted from the end: PyTorch shows it without its sign
                start += (sizes[1] if sizes is not None else 0) - (1 << 64)
            found += max(start, 0)
        node = below(node)
    return found


def is_finite(tensor: Tensor) -> bool:
    """Whether every entry is a finite number."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    return bool(torch.isfinite(tensor).all())
