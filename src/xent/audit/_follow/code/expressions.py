"""Following expressions: what each part of a line may hold."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from xent.audit._follow import loops, objects, rows
from xent.audit._follow.averaging import arithmetic, averages, entries, shown
from xent.audit._follow.code import calls, columns, conditions
from xent.audit._follow.names import name_of
from xent.audit._follow.pytorch import tokenizers
from xent.audit._follow.run import Walk, Writes
from xent.audit._follow.values import (
    Const,
    Dictionary,
    Expression,
    External,
    Function,
    Instance,
    Loss,
    Made,
    Mean,
    Opaque,
    Sequence,
    Tensor,
    Total,
    Value,
    Zero,
)


def evaluate(run: Walk, node: ast.expr) -> Value:
    """Return what an expression holds."""
    follow = EXPRESSIONS.get(type(node))
    return follow(run, node) if follow is not None else Opaque(type(node).__name__)


def _constant(run: Walk, node: ast.Constant) -> Value:
    return Const(node.value)


def _name(run: Walk, node: ast.Name) -> Value:
    found = name_of(run, node.id)
    if isinstance(found, Mean):
        averages.read_after(run, found)
    return found


def _attribute(run: Walk, node: ast.Attribute) -> Value:
    holder = evaluate(run, node.value)
    run.at = node
    found = objects.attribute(run, holder, node.attr)
    run.at = None
    return found


def _subscript(run: Walk, node: ast.Subscript) -> Value:
    holder = evaluate(run, node.value)
    if isinstance(node.slice, ast.Slice | ast.Tuple):
        for part in ast.walk(node.slice):
            if isinstance(part, ast.Name) and isinstance(holder, Opaque | Made | External):
                index = name_of(run, part.id)
                if isinstance(index, Opaque) and index.batch is not None:
                    return Opaque("slice", index.batch)
        text = "[" + ast.unparse(node.slice).replace(" ", "").strip("()") + "]"
        if isinstance(holder, Sequence) and holder.items and isinstance(node.slice, ast.Slice):
            return _part(run, holder, node.slice)
        if isinstance(holder, Tensor):
            return holder.but(dims=None)
        if isinstance(holder, Loss):
            return holder
        made = Opaque("slice")
        if isinstance(holder, Opaque):
            made = Opaque(text, holder.batch)
            entries.cut(made, holder, text)
            if "padded" in holder.parts:
                made.parts["padded"] = holder.parts["padded"]
        length = _length_of_slice(run, holder, node.slice)
        if length is not None:
            made.parts["length"] = Const(length)
        return made
    key = evaluate(run, node.slice)
    column = columns.under(holder, key) if isinstance(holder, Sequence) else None
    return column or objects.item(run, holder, key)


def _part(run: Walk, whole: Sequence, part: ast.Slice) -> Value:
    """Return a slice of a tuple or list whose items are known."""
    given = (part.lower, part.upper, part.step)
    numbers = [None if one is None else rows.number(evaluate(run, one)) for one in given]
    if whole.grown or [one is None for one in given] != [one is None for one in numbers]:
        return Opaque("slice")
    return Sequence((whole.items or [])[slice(*numbers)], whole.loops)


def _length_of_slice(run: Walk, holder: Value, part: ast.expr) -> int | None:
    """Return how many rows a slice has, taken that there are more."""
    if isinstance(part, ast.Tuple) and part.elts:
        part = part.elts[0]
    if not isinstance(part, ast.Slice) or part.step is not None:
        return None
    lower, upper = (None if one is None else evaluate(run, one) for one in (part.lower, part.upper))
    return rows.of_slice(holder, lower, upper)


def _binary(run: Walk, node: ast.BinOp) -> Value:
    left, right = evaluate(run, node.left), evaluate(run, node.right)
    if isinstance(node.op, ast.Mod) and isinstance(left, Const) and isinstance(left.value, str):
        shown.with_template(run, left.value, _flat(right), node)
        return Const(left.value)
    return arithmetic.binary(run, type(node.op), left, right, node)


def _flat(value: Value) -> list[Value]:
    return value.items if isinstance(value, Sequence) and value.items is not None else [value]


def _unary(run: Walk, node: ast.UnaryOp) -> Value:
    value = evaluate(run, node.operand)
    if isinstance(node.op, ast.Not):
        known = objects.truth(value)
        return Const(not known) if known is not None else Expression("not", value, Const(None))
    if isinstance(node.op, ast.USub):
        if isinstance(value, Const) and isinstance(value.value, int | float):
            return Const(-value.value)
        return arithmetic.negative(value)
    return value


def _boolean(run: Walk, node: ast.BoolOp) -> Value:
    operator = "and" if isinstance(node.op, ast.And) else "or"
    parts = [evaluate(run, part) for part in node.values]
    known = [objects.truth(part) for part in parts]
    if None not in known:
        decides = operator == "or"
        return parts[known.index(decides)] if decides in known else parts[-1]
    if operator == "and" and False in known:
        return Const(False)
    passed = operator == "and"  # what is known to decide nothing
    open_ = [part for part, truth in zip(parts, known, strict=True) if truth is not passed]
    if known[-1] is passed:
        open_.append(parts[-1])
    result = open_[0]
    for part in open_[1:]:
        result = Expression(operator, result, part)
    return result


COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}


def _is_something(value: Value) -> bool:
    """Whether a value is surely not None: a tensor, an object, or a batch of a loader."""
    if isinstance(value, Opaque):
        return value.batch is not None and value.made is None
    if isinstance(value, Made):
        return value.name.rpartition(".")[2][:1].isupper()
    if isinstance(value, Loss):
        return not value.by_name  # out.loss is None without labels
    return isinstance(value, Tensor | Instance | Sequence | Dictionary)


def _compare(run: Walk, node: ast.Compare) -> Value:
    left = evaluate(run, node.left)
    rights = [evaluate(run, part) for part in node.comparators]
    right, operator = rights[0], COMPARISONS[type(node.ops[0])]
    if len(rights) == 1 and isinstance(left, Const) and isinstance(right, Const):
        same = left.value == right.value
        if operator in ("==", "is"):
            return Const(same)
        if operator in ("!=", "is not"):
            return Const(not same)
        if operator in ("in", "not in") and isinstance(right.value, str):
            inside = isinstance(left.value, str) and left.value in right.value
            return Const(inside == (operator == "in"))
    if right == Const(None) and operator in ("is", "is not") and _is_something(left):
        return Const(operator == "is not")
    if isinstance(left, Tensor | Loss):
        return Opaque("comparison", getattr(left, "batch", None))
    if operator in ("in", "not in") and isinstance(right, Sequence) and isinstance(left, Const):
        items = right.items
        if items is not None and all(isinstance(i, Const) for i in items):
            return Const((left in items) == (operator == "in"))
    return Expression(operator, left, right)


def _if_else(run: Walk, node: ast.IfExp) -> Value:
    test = evaluate(run, node.test)
    known = conditions.known(run, node.test, test)
    if known is not None:
        return evaluate(run, node.body if known else node.orelse)
    options, left = [], []
    for part, truth in ((node.body, True), (node.orelse, False)):
        writes: Writes = {}
        run.conditions.append((node, test, truth))
        with run.trial(writes):
            options.append(evaluate(run, part))
        run.conditions.pop()
        left.append(writes)
    run.merge(left)  # model.train() if optimizer else model.eval()
    return run.join(options) or Opaque()


def _call(run: Walk, node: ast.Call) -> Value:
    return calls.call(run, node)


def _items(run: Walk, node: ast.Tuple | ast.List | ast.Set) -> Value:
    items: list[Value] = []
    known = True
    for part in node.elts:
        if isinstance(part, ast.Starred):
            rest = evaluate(run, part.value)
            if isinstance(rest, Sequence) and rest.items is not None:
                items += rest.items
            elif isinstance(rest, Made) and rest.name == "parameters":
                items.append(rest)
            elif part is node.elts[-1] and items and isinstance(node, ast.Tuple):
                items.append(Opaque("rest", getattr(rest, "batch", None)))  # (loss, *outputs)
            else:
                known = False
        else:
            items.append(_start(run, evaluate(run, part), part))
    return Sequence(items if known else None, tuple(run.loops))


def _start(run: Walk, value: Value, node: ast.AST) -> Value:
    if isinstance(value, Const) and type(value.value) in (int, float) and value.value == 0:
        return Zero(value.value, tuple(run.loops), run.place(node))
    return value


def _dict(run: Walk, node: ast.Dict) -> Value:
    items: dict[Any, Value] = {}
    for key, part in zip(node.keys, node.values, strict=True):
        value = evaluate(run, part)
        if key is None:
            if isinstance(value, Dictionary):
                items.update(value.items)
            continue
        name = evaluate(run, key)
        tokenizers.labelled(run, getattr(name, "value", None), value, part)
        items[name.value if isinstance(name, Const) else ast.unparse(key)] = _start(
            run, value, part
        )
    return Dictionary(items, loops=tuple(run.loops))


def _comprehension(
    run: Walk, node: ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp
) -> Value:
    """Follow a comprehension as the loop that it is."""
    if len(node.generators) != 1:
        return _nested(run, node, node.generators)
    generator = node.generators[0]
    source = evaluate(run, generator.iter)
    items = loops.unrolled(source)
    if items is not None and not generator.ifs:
        pairs = []
        for value in items:
            run.walker.bind(run, generator.target, value)
            key, made = _element(run, node)
            pairs.append((key, _start(run, made, node)))
        around = tuple(run.loops)
        if isinstance(node, ast.DictComp):
            return Dictionary({getattr(k, "value", k): v for k, v in pairs}, loops=around)
        return Sequence([value for _, value in pairs], around)
    if (
        isinstance(source, Made)
        and source.name == "parameters"
        and isinstance(getattr(node, "elt", None), ast.Name)
    ):
        return source  # some of them
    outside = tuple(run.loops)
    loop = loops.of_iterable(run, node, source)
    run.loops.append(loop)
    try:
        run.walker.bind(run, generator.target, loops.element(run, loop, source))
        _, value = _element(run, node)
    finally:
        loops.leave(run, loop)
    if isinstance(node, ast.DictComp):
        return Dictionary({}, default=_start(run, value, node), loops=outside)
    total = None
    of_parts = loop.kind == "items"  # all of them are one batch's loss, whichever are taken
    if isinstance(value, Loss) and (of_parts or not generator.ifs):
        total = Total((loop,), value, run.place(node), under=run.under())
    rows_left = isinstance(value, Dictionary | Sequence)
    left = rows_left and loops.is_batches(loop) and not generator.ifs
    over = source if not generator.ifs else None
    return Sequence(None, outside, total, value, loop if left else None, over)


def _nested(run: Walk, node: Any, generators: list[ast.comprehension]) -> Value:
    """Follow a comprehension over what another one goes over, each within the one before."""
    if not generators:
        return _element(run, node)[1]
    generator, inner = generators[0], generators[1:]
    source = evaluate(run, generator.iter)
    if not inner and isinstance(source, Made) and source.name == "parameters":
        return source
    items = loops.unrolled(source)
    if items is not None:
        found: list[Value] = []
        for value in items:
            run.walker.bind(run, generator.target, value)
            found.append(_nested(run, node, inner))
        return Sequence(found if all(isinstance(v, Made) for v in found) else None)
    loop = loops.of_iterable(run, node, source)
    run.loops.append(loop)
    try:
        run.walker.bind(run, generator.target, loops.element(run, loop, source))
        element = _nested(run, node, inner)
    finally:
        loops.leave(run, loop)
    return Sequence(None, tuple(run.loops), None, element)


def _element(run: Walk, node: Any) -> tuple[Value, Value]:
    if isinstance(node, ast.DictComp):
        return evaluate(run, node.key), evaluate(run, node.value)
    return Const(None), evaluate(run, node.elt)


def _text(run: Walk, node: ast.JoinedStr) -> Value:
    """Follow an f-string: the text in front of a value says what it is shown as."""
    before, text = "", ""
    for part in node.values:
        if isinstance(part, ast.Constant):
            before = str(part.value)
            text += before
        elif isinstance(part, ast.FormattedValue):
            value = evaluate(run, part.value)
            shown.value(run, value, before, part.value)
            before = ""
            if isinstance(value, Const):
                text += str(value.value)
    return Const(text)


def _lambda(run: Walk, node: ast.Lambda) -> Value:
    frame = run.frame
    outer: Any = [*frame.outer, frame.names] if frame.function is not None else frame.outer
    return Function(node, frame.module, outer)


def _named(run: Walk, node: ast.NamedExpr) -> Value:
    value = evaluate(run, node.value)
    run.walker.bind(run, node.target, value)
    return value


def _starred(run: Walk, node: ast.Starred) -> Value:
    return evaluate(run, node.value)


def _yield(run: Walk, node: ast.Yield) -> Value:
    if node.value is not None:
        run.frame.yielded.append(evaluate(run, node.value))
    return Opaque("sent")


def _yield_from(run: Walk, node: ast.YieldFrom) -> Value:
    source = evaluate(run, node.value)
    run.frame.yielded.append(loops.element(run, loops.of_iterable(run, node, source), source))
    return Opaque("sent")


def _await(run: Walk, node: ast.Await) -> Value:
    return evaluate(run, node.value)


EXPRESSIONS: dict[type[ast.expr], Callable[[Walk, Any], Value]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.IfExp: _if_else,
    ast.Call: _call,
    ast.Tuple: _items,
    ast.List: _items,
    ast.Set: _items,
    ast.Dict: _dict,
    ast.ListComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.SetComp: _comprehension,
    ast.DictComp: _comprehension,
    ast.JoinedStr: _text,
    ast.Lambda: _lambda,
    ast.NamedExpr: _named,
    ast.Starred: _starred,
    ast.Yield: _yield,
    ast.YieldFrom: _yield_from,
    ast.Await: _await,
}
