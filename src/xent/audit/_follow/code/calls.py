"""Following calls: into functions and classes of the script, and to what libraries have."""

from __future__ import annotations

import ast
from typing import Any

from xent.audit._follow import objects
from xent.audit._follow.averaging import entries, shown
from xent.audit._follow.code import columns, methods
from xent.audit._follow.code.builtin_calls import BUILTIN_CALLS
from xent.audit._follow.names import plain
from xent.audit._follow.pytorch import layers, losses, tensors, tokenizers, unread_losses
from xent.audit._follow.run import CALLS_WITHIN_CALLS, STEPS, CallFrame, Walk
from xent.audit._follow.values import (
    Choice,
    Class,
    Const,
    Dictionary,
    Expression,
    External,
    Function,
    Imported,
    Instance,
    Loss,
    Made,
    Opaque,
    Sequence,
    Total,
    Value,
)

MODULE_BASES = ("Module", "LightningModule", "PreTrainedModel", "ScriptModule")
CALLED = ("__call__", "forward")  # what a call of an object leads to, the first that it has


def call(run: Walk, node: ast.Call) -> Value:
    """Follow a call as it stands in the code."""
    run.steps += 1
    func = node.func
    if isinstance(func, ast.Attribute):
        if _is_super(func.value):
            return _super(run, node, func.attr)
        holder, (args, options) = run.evaluate(func.value), arguments(run, node)
        made = call_method(run, holder, func.attr, args, options, node)
    else:
        args, options = arguments(run, node)
        made = call_value(run, run.evaluate(func), args, options, node)
    methods.trains(run, node, [*args, *options.values()])
    return made


def arguments(run: Walk, node: ast.Call) -> tuple[list[Value], dict[str, Value]]:
    """Evaluate the arguments of a call."""
    args: list[Value] = []
    for part in node.args:
        value = run.evaluate(part)
        if isinstance(part, ast.Starred):
            known = isinstance(value, Sequence) and value.items is not None
            rest = columns.of_rows(value) or [Opaque("rest")]
            args += value.items if known else rest  # type: ignore[attr-defined]
        else:
            args.append(value)
    options: dict[str, Value] = {}
    for keyword in node.keywords:
        value = run.evaluate(keyword.value)
        if keyword.arg is not None:
            options[keyword.arg] = value
        elif isinstance(value, Dictionary):
            options.update(value.items)
            if value.default is not None:
                options["**"] = value.default
        elif getattr(value, "batch", None) is not None:
            options["**"] = value
    return args, options


def call_method(
    run: Walk,
    holder: Value,
    name: str,
    args: list[Value],
    options: dict[str, Value],
    node: ast.Call,
) -> Value:
    """Call a method of a value."""
    if name in objects.WRAPPED:
        return call_value(run, objects.attribute(run, holder, name), args, options, node)
    padded = tokenizers.encoded(run, holder, name, args, options)
    if padded is not None:
        return padded
    if name == "map" and args and isinstance(args[0], Function):
        return tokenizers.mapped(run, holder, args[0], node)
    if isinstance(holder, Choice):
        results = [call_method(run, one, name, args, options, node) for one in holder.options]
        return run.join(results) or Opaque(name)
    if isinstance(holder, Instance):
        if name == "__len__":
            return BUILTIN_CALLS["len"](run, [holder], {}, node) or Opaque(name)
        if name in holder.attrs or holder.of.member(name) is not None:
            if name == "forward":
                layers.note_forward(run, holder, node)
            return call_value(run, objects.attribute(run, holder, name), args, options, node)
        return methods.of_module(run, holder, name, args, options, node)
    if isinstance(holder, Made):
        found = holder.attrs.get(name)
        if isinstance(found, Function | Instance | Made):
            return call_value(run, found, args, options, node)
        return methods.of_made(run, holder, name, args, options, node)
    if isinstance(holder, External | Class | Function):
        return call_value(run, objects.attribute(run, holder, name), args, options, node)
    if isinstance(holder, Opaque):
        found = holder.parts.get(name)
        found = found if found is None else run.resolved(found)
        if isinstance(found, Function | Instance | Made | Class | External):
            return call_value(run, found, args, options, node)
    return methods.of_value(run, holder, name, args, options, node)


def call_value(
    run: Walk, called: Value, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value:
    """Call whatever a name holds."""
    padded = tokenizers.encoded(run, called, "", args, options)
    if padded is not None:
        return padded
    if isinstance(called, Function):
        return _known(run, call_function(run, called, args, options, node), args, options, node)
    if isinstance(called, Class):
        return instantiate(run, called, args, options, node)
    if isinstance(called, Instance):
        return _known(run, call_instance(run, called, args, options, node), args, options, node)
    if isinstance(called, Made) and called.name == "functools.partial":
        given = [*called.args[1:], *args]
        return call_value(run, called.args[0], given, {**called.options, **options}, node)
    if isinstance(called, Made):
        row = columns.row(called, args, options)
        return row if row is not None else layers.call(run, called, args, options, node)
    if isinstance(called, External):
        return call_external(run, plain(called.name), args, options, node)
    if isinstance(called, Choice):
        before, results, reports = len(run.pending), [], []
        # Of criteria that a setting chooses between, a call is of those that take its arguments.
        fitting = [one for one in called.options if _takes(one, args, options, node)]
        for one in fitting or called.options:
            results.append(call_value(run, one, args, options, node))
            reports.append(run.pending[before:])
            del run.pending[before:]
        if all(reports):
            run.pending += reports[0]
        return run.join(results) or Opaque("result")
    return unknown(run, called, args, options, node)


def _takes(called: Value, args: list[Value], options: dict[str, Value], node: ast.AST) -> bool:
    """Whether a call gives a function, or an object's, as many arguments as it has places for."""
    code: Value | None = called
    if isinstance(called, Instance):
        found = [called.of.member(name) for name in CALLED]
        code = next((one for one in found if one is not None), None)
    if not isinstance(code, Function) or not isinstance(node, ast.Call):
        return True
    bound = isinstance(called, Instance) or code.bound is not None
    if len(node.args) != len(args) or any(isinstance(one, ast.Starred) for one in node.args):
        return True
    spec = code.node.args
    places = len(spec.posonlyargs) + len(spec.args) - bound
    if len(args) > places and spec.vararg is None:
        return False
    unpacked = any(one.arg is None for one in node.keywords)
    return unpacked or len(args) + len(options) >= places - len(spec.defaults)


def _seen_in_run(
    run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    """Follow what a call led to when the script ran: a function, or a method of some object."""
    line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", -1) + 1
    place = run.modules.called(run.frame.module, line, column)
    if place is None or "<" in place.name:
        return None
    first, _, method = place.name.partition(".")
    found = run.resolved(Imported(place.module, first))
    if isinstance(found, Function) and not method:
        return call_value(run, found, args, options, node)
    if not isinstance(found, Class) or method not in ("forward", "__call__"):
        return None
    if found not in run.made:
        made = instantiate(run, found, [], {}, node)
        run.made[found] = made if isinstance(made, Instance) else Instance(found)
    return call_value(run, run.made[found], args, options, node)


def _known(
    run: Walk, value: Value, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value:
    """Return what a call gave; what was not understood of a batch, as unknown code gives it."""
    lost = isinstance(value, Expression) or (isinstance(value, Opaque) and value.batch is None)
    if not run.ran or not lost:
        return value
    batches = [b for v in (*args, *options.values()) if (b := getattr(v, "batch", None))]
    return Opaque("result", batches[0], made=run.place(node)) if batches else value


def unknown(
    run: Walk, called: Value, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value:
    """Call something that is not known: a criterion by its settings, or a model."""
    name = getattr(called, "name", "")
    reduction = run.config.criteria.get(name)
    if reduction is not None:
        return losses.by_reduction(run, reduction, args, node)
    seen = _seen_in_run(run, args, options, node)
    if seen is not None:
        return seen
    if unread_losses.is_criterion(name, [*args, *options.values()]):
        return unread_losses.assumed(run, name, [*args, *options.values()], node)
    loss = unread_losses.called_criterion(run, args, options, node)
    if loss is not None:
        return loss
    shown.arguments(run, name, args, options, node)
    batches = [b for v in (*args, *options.values()) if (b := getattr(v, "batch", None))]
    made = Opaque("result", batches[0] if batches else None, made=run.place(node))
    if "labels" in options and batches:
        tokenizers.given(run, tokenizers.labels_of(options), node)
        return losses.of_labels(run, made, node)
    made.parts["called"] = called
    made.parts["place"] = Opaque(_text(node))
    return made


def _text(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


OF_LISTS = {"torch.mean": "numpy.mean", "torch.nanmean": "numpy.mean", "torch.sum": "sum"}


def call_external(
    run: Walk, name: str, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value:
    """Call a library's function or class."""
    many = entries.counted(run, name, args, node) if not options else None
    if many is not None:
        return many
    listed = bool(args) and isinstance(args[0], Sequence) and args[0].total is not None
    follow = BUILTIN_CALLS.get(OF_LISTS.get(name, name) if listed else name)
    if follow is not None:
        return follow(run, args, options, node) or Opaque(name)
    found = losses.function(run, name, args, options, node)
    if found is not None:
        return found
    found = tensors.function(run, name, args, options, node)
    if found is not None:
        return found
    shown.arguments(run, name, args, options, node)
    loss = unread_losses.called_so(run, name, args, options, node)
    if loss is None and isinstance(getattr(node, "func", None), ast.Attribute):
        loss = unread_losses.called_criterion(run, args, options, node)  # self.criterion(x, y)
    if loss is not None:
        return loss
    made = Made(name, args, options, run.place(node))
    objects.note_made(run, made)
    if "optim" in name.lower():
        layers.note_optimiser(run, made)
    return layers.wrapped(name, args) or made


# ---------------------------------------------------------------------- the script's own


def call_function(
    run: Walk, function: Function, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value:
    """Follow a call into a function of the script."""
    code = function.node
    run.called.add(code)
    depth = sum(1 for frame in run.frames if frame.function and frame.function.node is code)
    if depth > 1 or len(run.frames) > CALLS_WITHIN_CALLS or run.steps > STEPS:
        return Opaque(function.name)
    names = parameters(run, function, args, options)
    frame = CallFrame(function.module, names, function.outer, function, node)
    run.frames.append(frame)
    run.without_grad += function.without_grad
    kept, run.conditions = run.conditions, list(run.conditions)
    try:
        if isinstance(code, ast.Lambda):
            return run.evaluate(code.body)
        run.walker.block(run, code.body)
    finally:
        run.conditions = kept
        run.without_grad -= function.without_grad
        run.frames.pop()
    if frame.yielded:
        inner = first = frame.yielded[0]
        if isinstance(inner, Loss) and inner.loop is not None:
            total = Total((inner.loop,), inner, inner.place)
            return Sequence(None, tuple(run.loops), total, inner, inner.loop)
        if isinstance(inner, Sequence):
            inner = next(iter(inner.items or ()), inner.element)  # type: ignore[assignment]
        batch = getattr(inner, "batch", None)
        source = batch.source if batch is not None and batch.kind == "batches" else None
        return Made("generator", [source or Opaque("given")], {}, attrs={"yielded": first})
    return _returned(run, frame)


def _returned(run: Walk, frame: CallFrame) -> Value:
    returned = frame.returned
    if not returned:
        return Const(None)
    return run.join(returned) or Opaque()


def parameters(
    run: Walk, function: Function, args: list[Value], options: dict[str, Value]
) -> dict[Any, Value]:
    """Bind what a function is called with; what is left out has its default."""
    spec = function.node.args
    names = [a.arg for a in (*spec.posonlyargs, *spec.args)]
    given = [function.bound, *args] if function.bound is not None else list(args)
    bound: dict[Any, Value] = dict(zip(names, given, strict=False))
    if spec.vararg is not None:
        bound[spec.vararg.arg] = Sequence(given[len(names) :])
    rest: dict[Any, Value] = {}
    keywords = {a.arg for a in spec.kwonlyargs}
    for key, value in options.items():
        if key in names or key in keywords:
            bound[key] = value
        else:
            rest[key] = value
    if spec.kwarg is not None:
        bound[spec.kwarg.arg] = Dictionary(rest)
    defaults: dict[str, ast.expr | None] = dict(
        zip(names[len(names) - len(spec.defaults) :], spec.defaults, strict=True)
    )
    defaults |= {a.arg: d for a, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)}
    batch = options.get("**")
    for name in (*names, *keywords):
        if name not in bound:
            default = defaults.get(name)
            bound[name] = run.evaluate(default) if default is not None else Opaque(name)
            if batch is not None and (default is None or bound[name] == Const(None)):
                bound[name] = objects.item(run, batch, Const(name))  # model(**batch)
    return bound


def instantiate(
    run: Walk, made: Class, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value:
    """Make an object of a class of the script."""
    instance = Instance(made)
    objects.note_made(run, instance)
    run.instances.append(instance)
    init = made.member("__init__")
    if isinstance(init, Function):
        bound = Function(init.node, init.module, init.outer, init.owner, instance)
        call_function(run, bound, args, options, node)
    else:
        fields = [ast.unparse(s.target) for s in made.node.body if isinstance(s, ast.AnnAssign)]
        for name, value in (*zip(fields, args, strict=False), *options.items()):
            instance.attrs[name] = value
        after = made.member("__post_init__")
        if isinstance(after, Function):
            bound = Function(after.node, after.module, after.outer, after.owner, instance)
            call_function(run, bound, [], {}, node)
    return instance


def call_instance(
    run: Walk, instance: Instance, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value:
    """Call an object: its __call__, or a module's forward."""
    for name in CALLED:
        member = instance.of.member(name)
        if isinstance(member, Function):
            if name == "forward":
                layers.note_forward(run, instance, node)
            bound = Function(
                member.node,
                member.module,
                member.outer,
                member.owner,
                instance,
                member.without_grad,
            )
            return call_function(run, bound, args, options, node)
    return losses.of_subclass(run, instance, args, options, node) or unknown(
        run, Opaque(instance.of.node.name), args, options, node
    )


def _is_super(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
    )


def _super(run: Walk, node: ast.Call, name: str) -> Value:
    function = run.frame.function
    owner = function.owner if function is not None else None
    this = function.bound if function is not None else None
    args, options = arguments(run, node)
    if owner is None or not isinstance(this, Instance):
        return Opaque("super")
    member = this.of.member(name, after=owner)
    if isinstance(member, Function):
        bound = Function(member.node, member.module, member.outer, member.owner, this)
        return call_function(run, bound, args, options, node)
    if name in ("train", "eval"):
        return methods.of_module(run, this, name, args, options, node)
    if name == "forward":
        return losses.of_subclass(run, this, args, options, node) or Opaque("super")
    if name == "__init__":
        this.attrs.setdefault("init", Made("init", args, options))
    return Opaque("super")
