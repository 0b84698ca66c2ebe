"""Methods of lists and dicts: what is put in them, and what comes out as a total."""

from __future__ import annotations

import ast

from xent.audit._follow import objects
from xent.audit._follow.averaging import arithmetic, averages, shown
from xent.audit._follow.pytorch import unread_losses
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    BatchSize,
    Const,
    Dictionary,
    Loss,
    Made,
    Opaque,
    Sequence,
    Total,
    Value,
)

SAME_LISTS = frozenset(
    ["to", "cuda", "cpu", "float", "double", "numpy", "clone", "detach", "tolist", "type"]
)


def of_list(
    run: Walk,
    holder: Sequence,
    name: str,
    args: list[Value],
    options: dict[str, Value],
    node: ast.AST,
) -> Value:
    """Call a method of a list or tuple."""
    if name == "append":
        entered = run.new_loops(holder.loops)
        holder.grown = holder.grown or bool(entered)
        value = unread_losses.of_output(run, args[0], node) or args[0]
        shown.appended(run, value, node)
        rows = isinstance(value, Dictionary | Sequence)
        if isinstance(value, Loss):
            shown.value(run, value, "", node)
        if isinstance(value, Loss) and entered:
            holder.total = averages.listed(run, value, entered, node)
        elif isinstance(value, BatchSize) and entered:
            holder.element = value
        elif rows and entered and holder.items == []:
            holder.items, holder.element, holder.filled = None, value, entered[-1]
        elif holder.items is not None:
            holder.items.append(value)
        return Const(None)
    if name in ("extend", "insert", "pop", "clear"):
        holder.total = None
        holder.grown = holder.grown or bool(run.new_loops(holder.loops))
        more = args[0].items if args and isinstance(args[0], Sequence) else None
        if args and isinstance(args[0], Made):
            more = [args[0]] if args[0].name == "parameters" else None
        if more and holder.items is not None:
            holder.items += more
            return Const(None)
        holder.items = None if name != "clear" else []
        return Opaque("item")
    if name == "mean" and holder.total is not None:
        total = holder.total
        return averages.divided(
            run, total, Total(total.loops, Const(1), total.place, under=total.under), node
        )
    if name == "sum" and holder.total is not None:
        return holder.total
    if name in SAME_LISTS:
        return holder
    return Opaque(name)


def of_dict(run: Walk, holder: Dictionary, name: str, args: list[Value], node: ast.AST) -> Value:
    """Call a method of a dict."""
    if name == "items":
        return Sequence([Sequence([Const(key), value]) for key, value in holder.items.items()])
    if name == "values":
        return Sequence(list(holder.items.values()))
    if name == "keys":
        return Sequence([Const(key) for key in holder.items])
    if name in ("get", "pop", "setdefault"):
        return _item_or_default(run, holder, name, args)
    if name == "update":
        for value in args:
            if isinstance(value, Dictionary) and holder.counter:
                for key, more in value.items.items():
                    total = objects.item(run, holder, Const(key))
                    run.write(holder.items, key, arithmetic.add(run, total, more, node))
            elif isinstance(value, Dictionary):
                holder.items.update(value.items)
            elif holder.default is None:
                holder.default = Opaque("item")  # it may have any key now
        return Const(None)
    return Opaque(name)


def _item_or_default(run: Walk, holder: Dictionary, name: str, args: list[Value]) -> Value:
    """Return what a dict has under a key, or what is given for a key that it lacks."""
    key = args[0].value if isinstance(args[0], Const) else None
    if key is None or key in holder.items or holder.default is not None or len(args) < 2:
        return objects.item(run, holder, args[0])
    made = objects.begun(holder, args[1])
    if name == "setdefault":
        run.write(holder.items, key, made)
    return made
