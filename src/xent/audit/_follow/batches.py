"""What a batch holds: the rows of the script's own data set, put together by its own function.

Only what is padded matters here, and what else goes its own way: all else is unknown.
"""

from __future__ import annotations

import ast

from xent.audit._follow import objects
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    Dictionary,
    Function,
    Instance,
    Loop,
    Made,
    Opaque,
    Sequence,
    Value,
)

PADDED_WITH = "padded"  # where a tensor keeps what its rows were padded with
ROWS_OF = ("row",)  # where a data set keeps what its rows are


def of_loader(run: Walk, loop: Loop, loader: Made) -> Value:
    """Return a batch of a loader, as its own collate_fn or its data set makes it."""
    made: Value | None = None
    puts = loader.options.get("collate_fn")
    if isinstance(puts, Function | Instance) or getattr(puts, "name", "") == "functools.partial":
        made = _called(run, loader.options["collate_fn"], "rows", loop)
    else:
        data = loader.option("dataset", 0)
        if isinstance(data, Opaque):
            made = data.parts.get(ROWS_OF)
        elif isinstance(data, Instance) and _pads(data):
            made = _called(run, objects.attribute(run, data, "__getitem__"), "index", loop)
    if isinstance(made, Sequence) and made.items is not None:
        return Sequence([_part(item, loop) for item in made.items])
    batch = Opaque("batch", loop)
    for key, value in _items(made).items():
        part = _part(value, loop)
        if PADDED_WITH in part.parts:
            batch.parts["item", key] = part
    return batch


def _called(run: Walk, function: Value, name: str, loop: Loop) -> Value:
    kept, run.loops = run.loops, []
    run.without_grad += 1
    made = run.call_value(function, [Opaque(name)], {}, loop.node)
    run.without_grad -= 1
    run.loops = kept
    return made


def _pads(data: Instance) -> bool:
    member = data.of.member("__getitem__")
    return isinstance(member, Function) and "pad" in ast.unparse(member.node)


def _items(made: Value | None) -> dict[object, Value]:
    if isinstance(made, Dictionary):
        return dict(made.items)
    if isinstance(made, Opaque):
        return {key[1]: value for key, value in made.parts.items() if key[:1] == ("item",)}
    return {}


def _part(value: Value, loop: Loop) -> Opaque:
    """Return what a batch has of what a row has."""
    part = Opaque("batch", loop)
    if isinstance(value, Opaque) and PADDED_WITH in value.parts:
        part.name, part.root = value.name, value
        part.parts[PADDED_WITH] = value.parts[PADDED_WITH]
    return part
