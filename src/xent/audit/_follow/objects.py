"""Attributes, items and truth of values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from xent.audit._follow import rows
from xent.audit._follow.run import STEPS, Walk
from xent.audit._follow.values import (
    HELD,
    LOOPS,
    MADE_IN,
    MODE,
    BatchSize,
    Choice,
    Class,
    Const,
    Dictionary,
    Entries,
    Expression,
    External,
    Function,
    Index,
    Instance,
    Length,
    Loop,
    Loss,
    Made,
    Mean,
    Mode,
    Module,
    Opaque,
    Sequence,
    Tensor,
    Total,
    Value,
    Zero,
)


def attributes(holder: Value) -> dict[Any, Value] | None:
    """Return where an object keeps its attributes, or None where it has none."""
    if isinstance(holder, Instance | Made):
        return holder.attrs
    if isinstance(holder, Opaque):
        return holder.parts
    if isinstance(holder, Class):
        return holder.members
    return None


def of_module(run: Walk, module: Module) -> Value:
    """Return a file as a value, whose attributes are its names."""
    if run.steps < STEPS:
        run.walker.run_module(run, module)
    return Opaque(f"module {module.name}", parts=module.names)


def attribute(run: Walk, holder: Value, name: str) -> Value:
    """Return an attribute."""
    if isinstance(holder, External):
        return External(f"{holder.name}.{name}")
    if isinstance(holder, Instance):
        return _of_instance(run, holder, name)
    if isinstance(holder, Class):
        found = holder.member(name)
        return found if found is not None else Opaque(name)
    if isinstance(holder, Made):
        return _of_made(run, holder, name)
    options = holder.options if isinstance(holder, Choice) else ()
    if isinstance(holder, Expression) and holder.operator == "or":
        options = holder.left, holder.right  # given or Default()
    if options:
        return run.join([attribute(run, option, name) for option in options]) or Opaque(name)
    if isinstance(holder, Loss):
        if name == "grad":
            return Opaque(name)
        return holder.but(grad=False) if name == "data" else holder
    if isinstance(holder, Tensor):
        return _of_tensor(holder, name)
    if isinstance(holder, Opaque):
        if name in ("num_graphs", "batch_size") and holder.batch is not None:
            return BatchSize(holder.batch)
        if name in ("data", "T", "values") and holder.batch is not None:
            return holder
        if name == "shape" and holder.batch is not None:
            return Sequence([BatchSize(holder.batch)], element=Opaque("size"))
        return run.resolved(holder.part(name))
    if isinstance(holder, Dictionary) and name in holder.items:  # a row of named tuples
        return holder.items[name]
    if isinstance(holder, Expression | Entries | Mean | Total | Zero) and name == "data":
        return holder
    return Opaque(name)


def _of_tensor(holder: Tensor, name: str) -> Value:
    if name == "data":
        return holder.but(grad=False)
    if name == "shape":
        first: Value = BatchSize(holder.batch) if holder.batch else Opaque(rows.FIRST_AXIS)
        return Sequence([first], element=Opaque("size"))
    if name in ("T", "mT", "H", "mH", "real", "logits", "sample", "last_hidden_state"):
        return holder
    return Opaque(name, holder.batch)


WRAPPED = ("module", "_orig_mod")  # of a wrapper, which stands for what is in it


def _of_instance(run: Walk, holder: Instance, name: str) -> Value:
    if name in holder.attrs:
        return holder.attrs[name]
    if name == "training" and holder.mode is not None:
        return Const(holder.mode.training) if isinstance(holder.attrs[MODE], Mode) else Opaque(name)
    found = holder.of.member(name)
    if isinstance(found, Function):
        decorators = {getattr(d, "id", "") for d in getattr(found.node, "decorator_list", [])}
        if "staticmethod" in decorators:
            return found
        bound = Function(
            found.node,
            found.module,
            found.outer,
            found.owner,
            holder.of if "classmethod" in decorators else holder,
            found.without_grad,
        )
        if decorators & {"property", "cached_property"}:
            return run.call_value(bound, [], {}, run.at or found.node)
        return bound
    if found is not None:
        return found
    if name in WRAPPED:
        return holder
    run.write(holder.attrs, name, Opaque(name))
    return holder.attrs[name]


def _of_made(run: Walk, holder: Made, name: str) -> Value:
    if name in holder.attrs:
        return holder.attrs[name]
    if holder.name.endswith("DataLoader"):
        position = {"dataset": 0, "batch_size": 1, "sampler": 3}.get(name)
        if position is not None:
            found = holder.option(name, position)
            if found is not None:
                return found
    if name in holder.options:  # SimpleNamespace(loss=loss), the output of a model
        return holder.options[name]
    if name == "shape" and rows.count(holder) is not None:
        return Sequence([Length(holder)], element=Opaque("size"))
    if name in WRAPPED and holder.name.startswith("torch.nn."):
        return holder
    if name in WRAPPED and holder.args and isinstance(holder.args[0], Instance):
        return holder.args[0]
    run.write(holder.attrs, name, Opaque(name, batch_of(holder), made=holder.place))
    return holder.attrs[name]


def batch_of(made: Value) -> Loop | None:
    """Return the loop whose batch something unknown is of, or unknown code was given."""
    if not isinstance(made, Made):
        return getattr(made, "batch", None)
    if made.name.startswith(("torch.", "numpy.")):
        return None
    given = (*made.args, *made.options.values())
    return next((b for value in given if (b := getattr(value, "batch", None))), None)


def item(run: Walk, holder: Value, key: Value) -> Value:
    """Return the item under a key."""
    name = key.value if isinstance(key, Const) else None
    if isinstance(holder, Instance):
        member = holder.of.member("__getitem__")
        if isinstance(member, Function) and not holder.of.descends_from("Dataset"):
            return run.call_value(attribute(run, holder, "__getitem__"), [key], {}, member.node)
        return Opaque("item")
    if isinstance(holder, Sequence):
        known = holder.items or []
        if type(name) is int and -len(known) <= name < len(known):
            return known[name]
        if name == -1 and holder.total is not None:
            return holder.total.term
        return holder.row or Opaque("item")
    if isinstance(holder, Dictionary):
        if name in holder.items:
            return holder.items[name]
        if holder.default is not None:
            default = holder.default
            made: Value = default
            if isinstance(default, Zero):
                made = Zero(default.value, default.loops)
            elif isinstance(default, Sequence) and default.items == []:
                made = Sequence([], default.loops)
            elif isinstance(default, Class | Function):
                made = _by_factory(run, holder, default)
            run.write(holder.items, name, made)
            return made
        return Zero(0, holder.loops) if held_here(run, holder, key) else _any_of(run, holder)
    if isinstance(holder, Loss) and holder.assumed and name not in (0, None):
        return holder if "loss" in str(name) or name == "total" else Opaque(str(name))
    if isinstance(holder, Loss | BatchSize | Length | Index | Zero):
        return holder
    if isinstance(holder, Tensor):
        return holder.but(dims=None, ignores=False)
    if isinstance(holder, Made):
        if ("item", name) in holder.attrs:
            return holder.attrs["item", name]
        if LOOPS in holder.attrs and type(name) is int:
            made_in = holder.attrs[LOOPS]
            return Zero(0, made_in.loops if isinstance(made_in, Sequence) else ())
        if holder.name.endswith("Sequential") and isinstance(name, int):
            return holder.args[name] if -len(holder.args) <= name < len(holder.args) else Opaque()
        if name is not None:
            made = Opaque(f"{name}", batch_of(holder), made=holder.place)
            if holder.name.startswith("sklearn.datasets."):
                made.parts["length"] = Length(holder)
            run.write(holder.attrs, ("item", name), made)
            return made
        return Opaque("item", getattr(key, "batch", None))
    if isinstance(holder, Choice):
        return run.join([item(run, option, key) for option in holder.options]) or Opaque()
    if isinstance(holder, Opaque):
        if holder.name == "shape" and name == 0:
            return holder.part(("item", 0), rows.FIRST_AXIS)
        return holder.part(("item", name), str(name)) if name is not None else _slice(holder, key)
    return Opaque("item", getattr(key, "batch", None))


def _by_factory(run: Walk, holder: Dictionary, default: Class | Function) -> Value:
    """Call what a defaultdict was made with: what it makes stands there since the dict does."""
    kept, run.loops = run.loops, list(holder.loops)
    made = run.call_value(default, [], {}, default.node)
    run.loops = kept
    return begun(holder, made)


def _slice(holder: Opaque, key: Value) -> Value:
    text = key.name if isinstance(key, Opaque) else ""
    batch = holder.batch
    if isinstance(key, Opaque) and key.batch is not None:
        batch = key.batch
    if batch is None and isinstance(key, Opaque):
        return holder.part(("under", key), text)  # loaders[name], and len(loaders[name])
    return Opaque(text, batch)


def held_here(run: Walk, holder: Dictionary, key: Value) -> bool | None:
    """Whether the conditions that hold here say that a dict has a key, None where none does."""
    for _, test, truth in run.conditions:
        for operator in ("in", "not in"):
            if test == Expression(operator, key, holder):
                return truth == (operator == "in")
    return None


def begun(holder: Dictionary, value: Value) -> Value:
    """Return what a key holds that a dict lacked: 0 and [] stand there since the dict was made."""
    if isinstance(value, Sequence) and value.items == []:
        return Sequence([], holder.loops)
    zero = isinstance(value, Const) and type(value.value) in (int, float) and value.value == 0
    return Zero(0, holder.loops) if zero or isinstance(value, Zero) else value


def _any_of(run: Walk, holder: Dictionary) -> Value:
    return run.join(list(holder.items.values())) or Opaque("item")


def truth(value: Value) -> bool | None:
    """Return whether a value is true, or None where that is not known."""
    if isinstance(value, Const):
        return bool(value.value)
    if isinstance(value, Made) and value.name.startswith("torch.optim."):
        return True
    return None


def set_mode(run: Walk, module: Value, training: bool | None) -> None:
    """Put a module, and all that is in it, into training or evaluation mode, None where unknown."""
    mode: Value = Opaque("mode")
    if training is not None:
        mode = Mode(training, tuple(run.loops), run.frame.function)
    todo = [module]
    while todo:
        part = todo.pop()
        if isinstance(part, Choice):
            todo += part.options
        elif isinstance(part, Sequence):
            todo += part.items or []
        elif (
            isinstance(part, Instance | Made)
            and part.attrs.get(MODE) is not mode
            and (part is module or _is_module(part))
        ):
            run.write(part.attrs, MODE, mode)
            todo += [*part.attrs.values(), *getattr(part, "args", [])]


def note_made(run: Walk, part: Instance | Made) -> None:
    """Remember in which loops a module was made: it is another one in each of their rounds."""
    if run.loops and _is_module(part):
        part.attrs[MADE_IN] = Sequence([], tuple(run.loops))


def made_in(loop: Loop, module: Instance | Made) -> bool:
    """Whether a module was made in a loop."""
    made = module.attrs.get(MADE_IN)
    return isinstance(made, Sequence) and loop in made.loops


def moves(loop: Loop, module: Value) -> bool:
    """Whether a step that is made in a loop may be of a module's parameters."""
    held = [mover.attrs.get(HELD) for mover in loop.movers if isinstance(mover, Made)]
    known = [one.items for one in held if isinstance(one, Sequence) and one.items]
    unknown = not known or len(known) < len(loop.movers)
    return unknown or any(one is module for items in known for one in items)


def copied(run: Walk, value: Value) -> Value:
    """Return what deepcopy makes: a module that has modes of its own, and the modules in it."""
    if not isinstance(value, Instance | Made) or not _is_module(value):
        return value
    copy = replace(value, attrs={key: copied(run, part) for key, part in value.attrs.items()})
    if isinstance(copy, Made):
        copy.args = [copied(run, part) for part in copy.args]
    note_made(run, copy)
    return copy


def _is_module(part: Instance | Made) -> bool:
    return isinstance(part, Instance) or part.name.startswith(("torch.nn.", "torchvision."))
