"""Steps that a trainer calls, as Lightning does: each batch one, and at the end what they left.

The loop over the batches is the trainer's. So one is supposed around ``validation_step``, and
``validation_epoch_end`` is given what the step returned in each of its rounds.
"""

from __future__ import annotations

from xent.audit._follow.code import calls
from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    Class,
    Function,
    Instance,
    Loop,
    Loss,
    Opaque,
    Sequence,
    Total,
    Value,
)

STEPS_OF = {"training": "train", "validation": "val", "test": "test"}


def follow(run: Walk, made: Class, instance: Instance, uncalled: list[Function]) -> None:
    """Follow the steps of a class that a trainer drives, and what ends an epoch of them."""
    names = {member.name: member for member in uncalled}
    for part, short in STEPS_OF.items():
        step = names.get(f"{part}_step") or made.member(f"{part}_step")
        ends = {f"{part}_epoch_end", f"on_{part}_epoch_end", f"on_{short}_epoch_end"} & names.keys()
        if not isinstance(step, Function) or not (ends or made.descends_from("LightningModule")):
            continue
        loop = _batches(run, made, instance, short, step)
        loop.trained = part == "training"
        run.without_grad += not loop.trained  # so does the trainer
        left = _call(run, step, instance, [Opaque("batch", loop)], [loop])
        # The trainer sets the mode.
        run.forwards = [forward for forward in run.forwards if loop not in forward.loops]
        total = None
        if isinstance(left, Loss):
            total = Total((loop,), left, (step.module, step.node))
        outputs = Sequence(None, (), total, left, loop)
        for name in sorted(ends):
            takes = len(names[name].node.args.args) > 1
            _call(run, names[name], instance, [outputs] if takes else [], [])
        run.without_grad -= not loop.trained


def _batches(run: Walk, made: Class, instance: Instance, short: str, step: Function) -> Loop:
    """Return the trainer's loop: over what the class's own method returns, if it has one."""
    source: Value = Opaque(f"{short}_loader")
    method = made.member(f"{short}_dataloader")
    if isinstance(method, Function):
        known = _call(run, method, instance, [], [])
        source = known if not isinstance(known, Sequence) else source
    return Loop(step.node, step.module, source, object(), "batches")


def _call(
    run: Walk, method: Function, instance: Instance, args: list[Value], loops: list[Loop]
) -> Value:
    bound = Function(
        method.node, method.module, method.outer, method.owner, instance, method.without_grad
    )
    with run.from_outside(loops):
        return calls.call_function(run, bound, args, {}, method.node)
