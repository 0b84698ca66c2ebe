"""How many rows something has, where the code says it: arrays, parts of them, and data sets.

A number that is not written is not guessed: ``None`` then.
"""

from __future__ import annotations

import ast
import re

from xent.audit._follow.values import (
    Const,
    Expression,
    Function,
    Instance,
    Length,
    Loop,
    Made,
    Opaque,
    Sequence,
    Tensor,
    Value,
    Zero,
)

KNOWN_SIZES = {
    "MNIST": (60000, 10000),
    "FashionMNIST": (60000, 10000),
    "KMNIST": (60000, 10000),
    "CIFAR10": (50000, 10000),
    "CIFAR100": (50000, 10000),
    "SVHN": (73257, 26032),
    "USPS": (7291, 2007),
}
FILLED = frozenset(["rand", "randn", "zeros", "ones", "empty", "full", "random", "normal"])
AS_LONG = frozenset(  # functions that return as many rows as they are given first
    [
        "DataFrame",
        "FloatTensor",
        "LongTensor",
        "Series",
        "Tensor",
        "TensorDataset",
        "array",
        "as_tensor",
        "asarray",
        "enumerate",
        "from_numpy",
        "list",
        "ones_like",
        "permutation",
        "rand_like",
        "randn_like",
        "randperm",
        "reversed",
        "sorted",
        "stack",
        "tensor",
        "tuple",
        "zeros_like",
        "zip",
    ]
)
KEEPING = frozenset(  # methods, of data sets among others, that keep all rows
    [
        "add_column",
        "astype",
        "bfloat16",
        "cast",
        "cast_column",
        "class_encode_column",
        "clone",
        "copy",
        "cpu",
        "cuda",
        "detach",
        "double",
        "flatten",
        "float",
        "half",
        "int",
        "long",
        "map",
        "numpy",
        "remove_columns",
        "rename_column",
        "rename_columns",
        "requires_grad_",
        "select_columns",
        "set_format",
        "shuffle",
        "sort",
        "squeeze",
        "to",
        "to_pandas",
        "type",
        "unsqueeze",
        "with_format",
        "with_transform",
    ]
)
PART = re.compile(r"^[\w.+-]*\[(\d*):(\d+)\]$")  # train[:1000], test[100:200]; not train[100:]
FIRST_AXIS = "shape[0]"  # the name of an unknown tensor's first size: x.shape[0], x.size(0)
WIDTH = 12  # calls within calls


def count(value: Value | None, depth: int = 0) -> int | None:
    """Return the number of rows of a value, or None."""
    if value is None or depth > WIDTH:
        return None
    if isinstance(value, Sequence):
        if value.items is not None and not value.grown:
            return len(value.items)
        return count(value.over, depth + 1)
    if isinstance(value, Opaque):
        return number(value.parts.get("length"), depth)
    if isinstance(value, Made):
        found = number(value.attrs.get("length"), depth)
        return _of_made(value, depth + 1) if found is None else found
    return None


def number(value: Value | None, depth: int = 0) -> int | None:
    """Return a whole number that is written, or the length of what has one."""
    found = _evaluated(value, depth)
    if isinstance(found, float) and isinstance(value, Expression):
        return int(found)  # int(0.8 * n)
    return found if type(found) is int else None


def _evaluated(value: Value | None, depth: int) -> float | None:
    if isinstance(value, Const | Zero):
        return value.value if type(value.value) in (int, float) else None
    if isinstance(value, Length):
        return count(value.of, depth + 1)
    if isinstance(value, Expression) and value.operator in ("*", "+", "-", "/", "//"):
        if depth > WIDTH:
            return None
        left, right = _evaluated(value.left, depth + 1), _evaluated(value.right, depth + 1)
        if left is None or right is None or (value.operator in "//" and not right):
            return None
        if value.operator == "*":
            return left * right
        if value.operator in ("+", "-"):
            return left + right if value.operator == "+" else left - right
        return left / right if value.operator == "/" else left // right
    return None


def is_first_axis(value: Value) -> bool:
    """Whether a number is the first size of a tensor of which nothing is known."""
    if isinstance(value, Length):
        return isinstance(value.of, Opaque | Tensor) and value.of.batch is None
    return isinstance(value, Opaque) and value.name == FIRST_AXIS and value.batch is None


def share(whole: int | None, part: Value) -> int | None:
    """Return a part of a number of rows: so many, or a share of them that is a whole number."""
    if isinstance(part, Const) and isinstance(part.value, float):
        size = None if whole is None else part.value * whole
        exact = size is not None and abs(size - round(size)) < 1e-6
        return round(size) if exact else None  # type: ignore[arg-type]
    return number(part)


def of_slice(holder: Value, lower: Value | None, upper: Value | None) -> int | None:
    """Return how many rows a slice has: ``data[:1000]`` and ``data[-1000:]`` have no fewer."""
    whole = count(holder)
    first, last = (number(one) if one is not None else None for one in (lower, upper))
    if (lower is not None and first is None) or (upper is not None and last is None):
        return None
    if whole is not None:
        return len(range(whole)[slice(first, last)])
    if lower is None and last is not None and last > 0:
        return last
    return -first if upper is None and first is not None and first < 0 else None


def _of_made(made: Made, depth: int) -> int | None:
    name = made.name.rpartition(".")[2]
    first = made.args[0] if made.args else None
    if name in ("range", "arange", "trange", "linspace"):
        return _of_range(made, name)
    if name in KNOWN_SIZES and "torchvision" in made.name:
        part = made.option("split" if name == "SVHN" else "train", 1) or Const(True)
        if part in (Const(True), Const("train")):
            return KNOWN_SIZES[name][0]
        return KNOWN_SIZES[name][1] if part in (Const(False), Const("test")) else None
    if name == "Subset":
        return count(made.option("indices", 1), depth)
    if name == "ConcatDataset":
        parts = made.option("datasets", 0)
        each = [count(one, depth) for one in getattr(parts, "items", None) or [None]]
        return None if None in each else sum(each)  # type: ignore[arg-type]
    if name == "FakeData":
        size = made.option("size", 0)
        return 1000 if size is None else number(size)
    if made.name.startswith("sklearn.datasets.make_"):
        rows = made.option("n_samples", 0)
        return 100 if rows is None else number(rows)
    if name == "load_dataset":
        split = made.options.get("split")
        said = PART.match(split.value.replace(" ", "")) if _is_text(split) else None  # type: ignore[union-attr]
        return int(said[2]) - int(said[1] or 0) if said else None
    if name in ("SubsetRandomSampler", "Sampler", "SequentialSampler"):
        return count(first or next(iter(made.options.values()), None), depth)
    if name in ("RandomSampler", "WeightedRandomSampler"):
        drawn = made.option("num_samples", 2 if name == "RandomSampler" else 1)
        if drawn is None or drawn == Const(None):
            return count(made.option("data_source", 0), depth)
        return number(drawn)
    if name == "randint":
        size = made.options.get("size", made.args[-1] if len(made.args) > 1 else None)
        return _of_shape(size)
    if name in FILLED:
        size = made.options.get("size", made.option("size", 2) if name == "normal" else first)
        return _of_shape(size) if len(made.args) > 1 or isinstance(size, Sequence) else number(size)
    if name in AS_LONG:
        given = (*made.args, *made.options.values())
        return next((n for one in given if (n := count(one, depth)) is not None), None)
    return None


def _is_text(value: Value | None) -> bool:
    return isinstance(value, Const) and isinstance(value.value, str)


def _of_range(made: Made, name: str) -> int | None:
    if name == "linspace":
        return number(made.option("steps", 2) or made.option("num", 2))
    bounds = [number(one) for one in made.args]
    if not bounds or None in bounds:
        return None
    return len(range(*bounds)) if len(bounds) < 3 or bounds[2] else None  # type: ignore[arg-type]


def _of_shape(size: Value | None) -> int | None:
    if isinstance(size, Sequence):
        return number(size.items[0]) if size.items else None
    return number(size)


def kept(holder: Value, name: str, args: list[Value], options: dict[str, Value]) -> Value | None:
    """Return the number of rows that a method leaves of a data set, where it is known."""
    rows: int | None = None
    if name == "select":
        rows = count(options.get("indices", args[0] if args else None))
    elif name in ("take", "head", "sample", "limit"):
        rows = number(options.get("n", args[0] if args else None))
    elif name in KEEPING:
        rows = count(holder)
    return Const(rows) if rows is not None else None


def split(options: dict[str, Value], args: list[Value]) -> dict[str, Value]:
    """Return the parts of ``train_test_split`` whose rows are written."""
    sizes = {"test": options.get("test_size", args[0] if args else None)}
    sizes["train"] = options.get("train_size")
    found: dict[str, Value] = {}
    for part, size in sizes.items():
        rows = number(size)
        if rows is not None:
            found[part] = Opaque(part, parts={"length": Const(rows)})
    return found


def of_loop(loop: Loop, data: Value | None) -> int | None:
    """Return how many samples a loop's loader draws: of its sampler, or of its data set."""
    source = loop.source
    if isinstance(source, Made) and source.name.endswith("DataLoader"):
        sampler = source.option("sampler", 3)
        if sampler is not None and sampler != Const(None):
            return count(sampler)
    return count(data)


def counted_by(data: Instance, divisor: Value) -> bool:
    """Whether a number is the length of what the script's own data set takes its length of."""
    member = data.of.member("__len__")
    code = ast.unparse(member.node) if isinstance(member, Function) else ""
    return isinstance(divisor, Length) and any(
        divisor.of in (value, getattr(value, "over", None)) and f"self.{name})" in code
        for name, value in data.attrs.items()
    )


def are_counted(divisor: Value, data: Value | None) -> bool:
    """Whether a number is the length of what a data set of elsewhere is made of: its rows."""
    foreign = isinstance(data, Made) and not data.name.startswith(("torch.", "torchvision."))
    of = divisor.of if foreign and isinstance(divisor, Length) else None
    return isinstance(of, Opaque | Sequence) and of in data.args[:1]  # type: ignore[union-attr]
