"""Following what defines functions and classes, and what decorates them."""

from __future__ import annotations

import ast

from xent.audit._follow.code.expressions import evaluate
from xent.audit._follow.names import full_name
from xent.audit._follow.run import STEPS, CallFrame, Flow, Walk
from xent.audit._follow.values import Class, Function, Opaque, Value

NO_GRAD = ("torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad")


def define(run: Walk, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Flow:
    frame = run.frame
    outer = [*frame.outer, frame.names] if frame.function is not None else frame.outer
    made: Value = Function(node, frame.module, outer)
    for decorator in node.decorator_list:
        name = full_name(run, decorator.func if isinstance(decorator, ast.Call) else decorator)
        if name in NO_GRAD:
            made.without_grad = True  # type: ignore[attr-defined]
        elif name.endswith("contextmanager"):  # what stands behind its yield comes later
            made = Opaque(node.name)
            break
        elif run.steps < STEPS:
            made = _decorated(run, decorator, made)
    run.write(frame.names, node.name, made)
    return None


def _decorated(run: Walk, decorator: ast.expr, function: Value) -> Value:
    """Return what a decorator of the script's own makes of a function."""
    wraps = evaluate(run, decorator)
    made = run.call_value(wraps, [function], {}, decorator) if isinstance(wraps, Function) else None
    return made if isinstance(made, Function) else function


def define_class(run: Walk, node: ast.ClassDef) -> Flow:
    bases = [evaluate(run, base) for base in node.bases]
    frame = run.frame
    made = Class(node, frame.module, bases, {})
    run.frames.append(CallFrame(frame.module, made.members, [*frame.outer]))
    try:
        run.walker.block(run, node.body)
    finally:
        run.frames.pop()
    for member in made.members.values():
        if isinstance(member, Function):
            member.owner = made
    run.write(frame.names, node.name, made)
    return None
