"""One script, followed from its first line to its last, then what nothing in it calls."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from xent.audit._catalogue import RULES
from xent.audit._config import Config
from xent.audit._finding import Finding, finding
from xent.audit._follow import batches, loaded, loops, objects, steps
from xent.audit._follow.code import calls, expressions, imports, statements
from xent.audit._follow.modules import Modules
from xent.audit._follow.pytorch import layers, unread_losses
from xent.audit._follow.run import STEPS, Pending, Walk, Walker
from xent.audit._follow.values import Class, Function, Instance, Loop, Mode, Opaque, Place, Value
from xent.audit._source import Script

WALKER = Walker(
    expressions.evaluate,
    statements.block,
    statements.bind,
    calls.call_value,
    statements.run_module,
    imports.imported,
)


Coded = TypeVar("Coded", bound=Function | Class)


@dataclass
class Followed:
    """What following a script found, and how far it got."""

    findings: list[Finding] = field(default_factory=list)
    sites: set[tuple[str, int, int]] = field(default_factory=set)
    not_followed: dict[str, None] = field(default_factory=dict)


def follow(
    source: Script,
    sources: dict[Path, Script],
    config: Config,
    *,
    ran: loaded.SeenCalls | None = None,
    defaults: bool = True,
) -> Followed:
    """Follow a script that was read; ``sources`` are files that were read already.

    Of a script that ``ran`` more is told: what its files import is loaded, and what is supposed of
    unknown code is marked, so that what the run saw confirms it. Without ``defaults`` nothing is
    known of what a function is given that nothing in the file calls.
    """
    run = Walk(Modules(source, sources, ran), config, WALKER)
    run.defaults = defaults
    result = Followed(sites=run.sites, not_followed=run.not_followed)
    try:
        statements.run_module(run, run.modules.script)
        _uncalled(run)
    except RecursionError:
        run.not_followed[f"{source.shown} (too deeply nested)"] = None
    if run.steps > STEPS:
        run.not_followed[f"{source.shown} (the rest of its calls: too many)"] = None
    _modes(run)
    settled = (_settled(run, pending) for pending in run.pending)
    result.findings += [found for found in settled if found is not None]
    return result


def _uncalled(run: Walk) -> None:
    """Follow functions and methods that nothing calls, with unknown arguments."""
    module = run.modules.script
    own = [v for v in module.names.values() if getattr(v, "module", None) is module]
    for value in _callers_first([v for v in own if isinstance(v, Function | Class)]):
        if isinstance(value, Function):
            _try(run, value)
        else:
            _methods(run, value)


def _callers_first(values: list[Coded], before: str = "") -> list[Coded]:
    """Order what nothing calls: what the others call is better followed from there."""
    calls_of = {value: _calls(value.node) for value in values}

    def called(value: Coded) -> bool:
        name = before + getattr(value.node, "name", "lambda")
        return any(name in calls_of[other] for other in values if other is not value)

    return sorted(values, key=called)


def _calls(code: ast.AST) -> set[str]:
    """Return what code calls, by one or two words: ``evaluate``, ``self.evaluate``."""
    found = set()
    for part in ast.walk(code):
        func = part.func if isinstance(part, ast.Call) else None
        if isinstance(func, ast.Name):
            found.add(func.id)
        elif isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
            found.add(f"{func.value.id}.{func.attr}")
    return found


def _methods(run: Walk, made: Class) -> None:
    instances = [i for i in run.instances if i.of is made]
    instance = instances[0] if instances else None
    todo = [
        m for m in made.members.values() if isinstance(m, Function) and m.node not in run.called
    ]
    todo = sorted(_callers_first(todo, "self."), key=lambda m: m.name != "__init__")
    todo += _inherited(made)
    if instance is None:
        with run.from_outside([]):
            value = calls.instantiate(run, made, [], _reductions(made), made.node)
        instance = value if isinstance(value, Instance) else Instance(made)
    steps.follow(run, made, instance, todo)
    for member in todo:
        if member.owner is not made or member.node not in run.called:
            bound = Function(
                member.node,
                member.module,
                member.outer,
                member.owner,
                instance,
                member.without_grad,
            )
            _follow(run, bound)


def _reductions(made: Class) -> dict[str, Value]:
    """Return what a class that nothing makes may be told of its reduction: anything."""
    init = made.member("__init__")
    return {"reduction": Opaque("reduction")} if isinstance(init, Function) else {}


def _inherited(made: Class) -> list[Function]:
    """Return methods of the script's bases that call what the class overrides.

    A base's loop says nothing of a loss that only the class computes.
    """
    own, found = made.members, dict[str, Function]()
    for base in made.lineage()[1:]:
        for name, member in base.members.items() if isinstance(base, Class) else ():
            if isinstance(member, Function) and name not in own and _calls_own(member, own):
                found.setdefault(name, member)
    return list(found.values())


def _calls_own(method: Function, names: Collection[str]) -> bool:
    """Whether a method calls one of these members of its object."""
    return not _calls(method.node).isdisjoint(f"self.{name}" for name in names)


# As parts of names; `pretrained` is what functions that make models are given.
NAMES_OF_TRAINING = re.compile(
    r"loss|entropy|softmax|sigmoid|kl_|nll|criterion|(?<!pre)train|eval|backward|fit|main|run", re.I
)
TAKES_ITS_TIME = (ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.comprehension)


def _try(run: Walk, function: Function) -> None:
    if function.node not in run.called and _may_compute_losses(function.node):
        _follow(run, function)


def _may_compute_losses(code: ast.AST) -> bool:
    """Whether a function that nothing calls is more than one that makes a model.

    Files of models have dozens of those, and each builds all of its layers.
    """
    for part in ast.walk(code):
        if isinstance(part, TAKES_ITS_TIME):
            return True
        name = getattr(part, "id", None) or getattr(part, "attr", None) or getattr(part, "arg", "")
        if isinstance(name, str) and NAMES_OF_TRAINING.search(name):
            return True
    return False


def _follow(run: Walk, function: Function) -> None:
    with run.from_outside([]):
        calls.call_function(run, function, [], _given(function, run.defaults), function.node)


MAY_BE_GIVEN = (unread_losses.CRITERION, loops.LOADER)


def _given(function: Function, defaults: bool) -> dict[str, Value]:
    """Return the criteria and loaders that a caller may pass to a function: without, they are None.

    Where its defaults are not to be trusted, all that it may be passed.
    """
    code = function.node
    spec = code.args
    last = [*spec.posonlyargs, *spec.args][-len(spec.defaults) :] if spec.defaults else []
    given: dict[str, ast.expr | None]
    given = dict(zip((a.arg for a in last), spec.defaults, strict=True))
    given |= dict(zip((a.arg for a in spec.kwonlyargs), spec.kw_defaults, strict=True))
    if not defaults:
        return {name: Opaque(name) for name in given}
    stored = {p.id for p in ast.walk(code) if isinstance(p, ast.Name) and _is_stored(p)}
    return {
        name: Opaque(name)
        for name, default in given.items()
        if isinstance(default, ast.Constant) and default.value is None
        if any(named.fullmatch(name) for named in MAY_BE_GIVEN) and name not in stored
    }


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _modes(run: Walk) -> None:
    """X701: a loop that does not train evaluates a module in training mode."""
    done: set[tuple[int, Loop]] = set()
    for forward in run.forwards:
        loop = forward.loops[-1]
        key = (id(forward.module), loop)
        left = loop.trained and forward.grad and _left_by_evaluation(forward.mode, loop)
        if left and objects.moves(loop, forward.module):
            run.report("X702", forward.place, module=forward.module, since="what evaluated it on")
        test = forward.test or _of_held_out(loop)
        if key in done or loop.trained or (forward.grad and not test):
            continue
        # A loss shows that the loop measures; without one it must say so, and take no gradients.
        if not loop.losses and (forward.grad or not test or not loops.is_batches(loop)):
            continue
        if forward.mode is not None and (not forward.mode.training or _on_purpose(forward.mode)):
            continue
        if forward.mode is None and layers.begins_in_evaluation(forward.module):
            continue
        found = layers.differs_in_training(forward.module)
        if found:
            done.add(key)
            effect = "drops at random" if found == "Dropout" else "uses and changes its statistics"
            run.report("X701", forward.place, layers=found, effect=effect)


# `val_loader`, `testloader`, `loaders["valid"]`; not `latest`, `trainval_loader`.
HELD_OUT = re.compile(
    r"(?<![a-z])(test|val|valid|validation|dev|eval)(?=set|load|dl|data|[^a-z]|$)"
)


def _of_held_out(loop: Loop) -> bool:
    """Whether a loop goes over batches of what is called validation or test data."""
    over = getattr(loop.node, "iter", None)
    if not isinstance(over, ast.expr) or not loops.is_batches(loop):
        return False
    return HELD_OUT.search(ast.unparse(over).replace("_", " ")) is not None


def _evaluates(loop: Loop | None) -> bool:
    """Whether a loop, or the function that it is in, says that it evaluates: nothing learns."""
    if loop is None:
        return False
    function = getattr(loop.frame, "function", None)
    says = function is not None and layers.EVALUATION.search(function.name) is not None
    return not loop.trained and (says or _of_held_out(loop))


def _left_by_evaluation(mode: Mode | None, loop: Loop) -> bool:
    """Whether a function that evaluates, called before a loop, left the evaluation mode."""
    if mode is None or mode.training or mode.by is None or loop in mode.loops:
        return False
    return layers.EVALUATION.search(mode.by.name) is not None


def _on_purpose(mode: Mode) -> bool:
    """Whether code that does not train asks for training mode, as Monte Carlo dropout does."""
    code = mode.by.node if mode.by is not None else None
    return code is not None and not any(
        isinstance(part, ast.Attribute) and part.attr in ("backward", "step")
        for part in ast.walk(code)
    )


def _settled(run: Walk, pending: Pending) -> Finding | None:
    """Make the finding, if what came later did not take it back."""
    facts = dict(pending.facts)
    level = pending.level
    if pending.unless:
        return None
    if pending.rule == "X408":
        needs, rounds = facts.pop("needs"), facts.pop("rounds")
        if not needs and not _evaluates(rounds):  # type: ignore[arg-type]
            return None
    labels = facts.pop("labels", None)
    if isinstance(labels, Opaque) and batches.PADDED_WITH not in labels.parts:
        return None  # -100 was put there afterwards
    if pending.rule == "X702":
        module = facts.pop("module")
        if not _learns(run, module) or not layers.differs_in_training(module):  # type: ignore[arg-type]
            return None
    if pending.loop is not None and (pending.loop.trained or _says_it_trains(pending.loop)):
        level = "note"
    level = run.config.levels.get(pending.rule, level or RULES[pending.rule].level)
    module, node = pending.place
    source = module.source
    line, byte = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
    cell, line, column = source.position(line, byte)
    return finding(
        pending.rule,
        source.shown,
        line,
        column,
        cell=cell,
        level=level,
        seen=pending.seen,
        losses=tuple(_lines(place) for place in pending.losses),
        loop=_header(pending.loop),
        supposed=pending.supposed,
        **facts,
    )


# `train_epoch`, `_train_one_epoch`; not `train`, which may evaluate as well.
ONE_PASS = re.compile(r"(\w*_)?train(ing)?_(one_)?(epoch|step|pass|iter)|epoch_train", re.I)


def _says_it_trains(loop: Loop) -> bool:
    """Whether a loop is all of a function of one pass of training, whoever makes its steps."""
    function = getattr(loop.frame, "function", None)
    says = function is not None and ONE_PASS.fullmatch(function.name) is not None
    return says and not _of_held_out(loop)


def _header(loop: Loop | None) -> tuple[str, int, int] | None:
    """Return the file of a loop, and the first and last line of what it goes over."""
    if loop is None or not isinstance(loop.node, ast.For | ast.AsyncFor):
        return None
    path = str(loop.module.source.path.resolve())
    return path, loop.node.lineno, loop.node.iter.end_lineno or loop.node.lineno


def _lines(place: Place) -> tuple[str, int, int]:
    """Return the file of a place, and its first and last line."""
    module, node = place
    line = getattr(node, "lineno", 1)
    return str(module.source.path.resolve()), line, getattr(node, "end_lineno", None) or line


def _learns(run: Walk, module: Value) -> bool:
    """Whether an optimiser holds a module's parameters, as far as is known."""
    return not run.learning or any(held is module for held in run.learning)
