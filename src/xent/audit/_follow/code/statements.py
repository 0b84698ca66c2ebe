"""Following statements: assignments, branches, loops, definitions."""

from __future__ import annotations

import ast
from collections.abc import Callable
from collections.abc import Sequence as Many
from typing import Any

from xent.audit._follow import loops, objects
from xent.audit._follow.averaging import arithmetic, averages, never_added
from xent.audit._follow.code import (
    columns,
    conditions,
    definitions,
    first_rounds,
    imports,
)
from xent.audit._follow.code.expressions import evaluate
from xent.audit._follow.pytorch import tokenizers, unread_losses
from xent.audit._follow.run import CallFrame, Flow, Walk, Writes
from xent.audit._follow.values import (
    LOOPS,
    Const,
    Dictionary,
    Function,
    Index,
    Instance,
    Loss,
    Made,
    Module,
    Opaque,
    Sequence,
    Tensor,
    Value,
    Zero,
)


def run_module(run: Walk, module: Module) -> None:
    """Follow the code of a file once."""
    if module.done or module.running:
        return
    module.running = True
    module.names["__name__"] = Const(module.name)
    # Whoever imports it, in whatever loop or branch: a file is followed once.
    kept = run.frames, run.loops, run.conditions, run.journals, run.without_grad
    run.frames = [CallFrame(module, module.names, [])]
    run.loops, run.conditions, run.journals, run.without_grad = [], [], [], 0
    try:
        block(run, module.source.tree.body)
    finally:
        run.frames, run.loops, run.conditions, run.journals, run.without_grad = kept
        module.running, module.done = False, True


def block(run: Walk, body: Many[ast.stmt]) -> Flow:
    """Follow statements until one of them leaves."""
    for statement in body:
        run.steps += 1
        follow = STATEMENTS.get(type(statement))
        if follow is not None:
            flow = follow(run, statement)
            if flow is not None:
                return flow
    return None


# ---------------------------------------------------------------------- names


SETS = ast.Assign | ast.AnnAssign


def bind(run: Walk, target: ast.expr, value: Value, at: ast.AST | None = None) -> None:
    """Give a name, attribute or item a value."""
    number = value.value if isinstance(value, Const) else None
    if type(number) in (int, float) and (
        number == 0 or (number == 1 and isinstance(at, SETS) and conditions.counts_up(run, target))
    ):
        value = Zero(number, tuple(run.loops), run.place(target))
    if isinstance(target, ast.Name):
        if isinstance(value, Opaque):
            value = unread_losses.named(run, target.id, value, at or target)
        elif isinstance(value, Made) and at is not None:
            value = unread_losses.supposed(run, value, at) or value
        run.write(_names_for(run, target.id), target.id, value)
    elif isinstance(target, ast.Attribute):
        holder = evaluate(run, target.value)
        attrs = objects.attributes(holder)
        if attrs is not None:
            run.write(attrs, target.attr, value)
        _pad_is_eos(run, target, holder, value)
    elif isinstance(target, ast.Subscript):
        _bind_item(run, target, value)
    elif isinstance(target, ast.Tuple | ast.List):
        _unpack(run, target.elts, value)


def _names_for(run: Walk, name: str) -> dict[Any, Value]:
    frame = run.frame
    if name in frame.shared:
        for names in reversed(frame.outer):
            if name in names:
                return names
        return frame.module.names
    return frame.names


def _bind_item(run: Walk, target: ast.Subscript, value: Value) -> None:
    holder = evaluate(run, target.value)
    key = evaluate(run, target.slice)
    name = key.value if isinstance(key, Const) else None
    tokenizers.ignored(holder, key)
    tokenizers.labelled(run, name, value, target)
    if isinstance(holder, Dictionary) and name is not None:
        if objects.held_here(run, holder, key) is False:
            value = objects.begun(holder, value)
            if isinstance(value, Loss):
                value = arithmetic.add(run, Zero(0, holder.loops), value, target)
        run.write(holder.items, name, value)
    elif isinstance(holder, Made) and name is not None:
        run.write(holder.attrs, ("item", name), value)
    elif isinstance(holder, Made) and _wraps(target, value):
        holder.attrs["wrapped"] = Const(True)
    elif isinstance(holder, Made) and isinstance(key, Index) and isinstance(value, Loss):
        _fill(run, target, holder, key, value)
    elif isinstance(holder, Sequence) and holder.items is not None and isinstance(name, int):
        if -len(holder.items) <= name < len(holder.items):
            holder.items[name] = value
    elif isinstance(holder, Opaque) and name is not None and not isinstance(value, Zero):
        run.write(holder.parts, ("item", name), value)
    elif isinstance(holder, Opaque) and _wraps(target, value):
        holder.parts["wrapped"] = Const(True)


def _fill(run: Walk, target: ast.Subscript, array: Made, key: Index, value: Loss) -> None:
    """Put a loss into an array at the number of its round, as a list would get it."""
    made = array.attrs.get(LOOPS)
    if isinstance(made, Sequence) and run.new_loops(made.loops)[-1:] == (key.loop,):
        # Rounds of loops further out fill the same places again.
        losses = averages.listed(run, value, (key.loop,), target)
        bind(run, target.value, Sequence(None, tuple(run.loops[:-1]), losses))


def _wraps(target: ast.Subscript, value: Value) -> bool:
    """Whether this is ``y[:, -1] = x[:, 0]``."""
    where = ast.unparse(target.slice).replace(" ", "").strip("()")
    return where == ":,-1" and isinstance(value, Opaque) and value.name == "[:,0]"


def _pad_is_eos(run: Walk, target: ast.Attribute, holder: Value, value: Value) -> None:
    if target.attr in ("pad_token", "pad_token_id") and isinstance(holder, Made):
        ends = holder.attrs.get("eos" + target.attr[3:])
        if ends is value:
            run.write(holder.attrs, "pad is eos", Const(True))


def _unpack(run: Walk, targets: list[ast.expr], value: Value) -> None:
    first = 0
    for number, target in enumerate(targets):
        if isinstance(target, ast.Starred):
            first = -len(targets)  # what comes after it is counted from the end
            bind(run, target.value, Opaque("rest", getattr(value, "batch", None)))
        else:
            item = objects.item(run, value, Const(first + number))
            if isinstance(item, Opaque) and isinstance(target, ast.Name):
                alone = item.batch is None and item.name.isdigit()
                item.name = target.id if alone else item.name
            bind(run, target, item)


def assign(run: Walk, node: ast.Assign) -> Flow:
    total, target = node.value, node.targets[0]
    if isinstance(total, ast.IfExp) and run.loops and len(node.targets) == 1:
        test = evaluate(run, total.test)
        begun = first_rounds.of_choice(run, target, total, test)
        if begun is not None:
            return block(run, [begun])
    if (
        isinstance(total, ast.BinOp)
        and isinstance(total.op, ast.Add)
        and ast.unparse(total.left) == ast.unparse(target)
    ):
        before, more = evaluate(run, total.left), evaluate(run, total.right)
        before = _unknown_start(run, target, before, more)
        value = arithmetic.binary(run, ast.Add, before, more, total)
    else:
        value = evaluate(run, total)
        signed = isinstance(total, ast.UnaryOp) and isinstance(total.op, ast.UAdd) and run.loops
        if signed and never_added.set_anew(run, node, first_rounds.held(run, target), value):
            value = Opaque(ast.unparse(target))
    for target in node.targets:
        bind(run, target, value, node)
    return None


def assign_annotated(run: Walk, node: ast.AnnAssign) -> Flow:
    if node.value is not None:
        bind(run, node.target, evaluate(run, node.value), node)
    return None


def assign_augmented(run: Walk, node: ast.AugAssign) -> Flow:
    before = evaluate(run, node.target)
    value = evaluate(run, node.value)
    items = value.items if isinstance(value, Sequence) and isinstance(node.op, ast.Add) else None
    if items and isinstance(before, Made) and columns.added(run, before, items, node):
        return None
    if isinstance(node.op, ast.Add | ast.Sub):
        before = _unknown_start(run, node.target, before, value)
    after = arithmetic.binary(run, type(node.op), before, value, node)
    bind(run, node.target, after, node)
    return None


def _unknown_start(run: Walk, to: ast.expr, before: Value, value: Value) -> Value:
    """Take a number that a caller gives, and that a loop only adds to, for the start of a total."""
    unknown = isinstance(before, Made) or (isinstance(before, Opaque) and before.batch is None)
    unknown = unknown or before == Const(0)
    if not run.loops or not unknown or not isinstance(value, Loss):
        return before
    name, added = ast.unparse(to), [to]
    for part in ast.walk(run.loops[-1].node):
        if isinstance(part, ast.AugAssign) and isinstance(part.op, ast.Add | ast.Sub):
            added.append(part.target)
        stored = isinstance(getattr(part, "ctx", None), ast.Store) and part not in added
        if stored and ast.unparse(part) == name:
            return before
    return Zero(0, tuple(run.loops[:-1]))


def expression(run: Walk, node: ast.Expr) -> Flow:
    evaluate(run, node.value)
    if isinstance(node.value, ast.Call):
        return "raise" if ast.unparse(node.value.func) in ("exit", "quit", "sys.exit") else None
    return None


def delete(run: Walk, node: ast.Delete) -> Flow:
    for target in node.targets:
        if isinstance(target, ast.Name):
            run.write(run.frame.names, target.id, None)
    return None


def share(run: Walk, node: ast.Global | ast.Nonlocal) -> Flow:
    run.frame.shared.update(node.names)
    return None


# ---------------------------------------------------------------------- branches


def branch(run: Walk, node: ast.If) -> Flow:
    test = evaluate(run, node.test)
    begun = first_rounds.of_branch(run, node, test) if run.loops else None
    if begun is not None:
        return block(run, begun)
    around = first_rounds.of_creation(run, node, test) if run.loops and not node.orelse else None
    if around is not None:
        kept, run.loops = run.loops, list(around)
        block(run, node.body)
        run.loops = kept
        return None
    known = conditions.known(run, node.test, test)
    if known is not None:
        return block(run, node.body if known else node.orelse)
    bodies: list[tuple[Many[ast.stmt], bool]] = [(node.body, True), (node.orelse, False)]
    left: list[Writes] = []
    flows: list[Flow] = []
    for body, truth in bodies:
        writes: Writes = {}
        run.conditions.append((node, test, truth))
        with run.trial(writes):
            flow = block(run, body)
        run.conditions.pop()
        flows.append(flow)
        if flow is None:
            left.append(writes)
        elif flow == "continue" and run.loops:
            left.append({w: e for w, e in writes.items() if not isinstance(e[3], Tensor)})
    run.merge(left)
    if None in flows:
        return None
    return flows[0]


def attempt(run: Walk, node: ast.Try | ast.TryStar) -> Flow:
    begun = first_rounds.of_attempt(run, node)
    if begun is not None:
        return block(run, begun)
    flow = block(run, node.body)
    if flow is None:
        flow = block(run, node.orelse)
    for handler in node.handlers:
        writes: Writes = {}
        with run.trial(writes):
            left = block(run, handler.body)
        if left is None:
            run.merge([writes, {}])
            flow = None
    block(run, node.finalbody)
    return flow


def match(run: Walk, node: ast.Match) -> Flow:
    evaluate(run, node.subject)
    left: list[Writes] = [{}]
    for case in node.cases:
        writes: Writes = {}
        with run.trial(writes):
            flow = block(run, case.body)
        if flow is None:
            left.append(writes)
    run.merge(left)
    return None


def with_(run: Walk, node: ast.With | ast.AsyncWith) -> Flow:
    without, managers = 0, []
    for item in node.items:
        value = evaluate(run, item.context_expr)
        if isinstance(value, Made) and value.name in definitions.NO_GRAD:
            without += 1
        elif isinstance(value, Made) and value.name.endswith("set_grad_enabled"):
            without += objects.truth(value.option("mode", 0) or value) is False
        elif isinstance(value, Opaque | Made) and isinstance(item.context_expr, ast.Call):
            for given in item.context_expr.args:  # with evaluating(net): it may set modes
                if isinstance(given, ast.Name | ast.Attribute):
                    objects.set_mode(run, evaluate(run, given), None)
        entered = _managed(run, value, "__enter__", item.context_expr)
        if item.optional_vars is not None:
            bind(run, item.optional_vars, value if entered is None else entered)
        managers.append((value, item.context_expr))
    run.without_grad += without
    flow = block(run, node.body)
    run.without_grad -= without
    for value, expression_ in reversed(managers):
        _managed(run, value, "__exit__", expression_)
    return flow


def _managed(run: Walk, manager: Value, name: str, node: ast.AST) -> Value | None:
    """Follow what a context manager of the script's own does where it begins and ends."""
    if not isinstance(manager, Instance) or not isinstance(manager.of.member(name), Function):
        return None
    return run.call_value(objects.attribute(run, manager, name), [], {}, node)


# ---------------------------------------------------------------------- loops


def for_(run: Walk, node: ast.For | ast.AsyncFor) -> Flow:
    source = evaluate(run, node.iter)
    items = loops.unrolled(source)
    if items is not None:
        for element in items:
            bind(run, node.target, element)
            flow = block(run, node.body)
            if flow in ("break", "return", "raise"):
                break
        return None
    loop = loops.of_iterable(run, node, source)
    run.loops.append(loop)
    try:
        bind(run, node.target, loops.element(run, loop, source))
        block(run, node.body)
    finally:
        loops.leave(run, loop)
    block(run, node.orelse)
    return None


def while_(run: Walk, node: ast.While) -> Flow:
    loop = loops.endless(run, node)
    run.loops.append(loop)
    try:
        evaluate(run, node.test)
        block(run, node.body)
    finally:
        loops.leave(run, loop)
    return None


def return_(run: Walk, node: ast.Return) -> Flow:
    value: Value = Const(None) if node.value is None else evaluate(run, node.value)
    run.frame.returned.append(value)
    return "return"


STATEMENTS: dict[type[ast.stmt], Callable[[Walk, Any], Flow]] = {
    ast.Assign: assign,
    ast.AnnAssign: assign_annotated,
    ast.AugAssign: assign_augmented,
    ast.Expr: expression,
    ast.Delete: delete,
    ast.Global: share,
    ast.Nonlocal: share,
    ast.If: branch,
    ast.Try: attempt,
    ast.TryStar: attempt,
    ast.Match: match,
    ast.With: with_,
    ast.AsyncWith: with_,
    ast.For: for_,
    ast.AsyncFor: for_,
    ast.While: while_,
    ast.FunctionDef: definitions.define,
    ast.AsyncFunctionDef: definitions.define,
    ast.ClassDef: definitions.define_class,
    ast.Return: return_,
    ast.Import: imports.import_,
    ast.ImportFrom: imports.import_from,
    ast.Raise: lambda run, node: "raise",
    ast.Break: lambda run, node: "break",
    ast.Continue: lambda run, node: "continue",
}
