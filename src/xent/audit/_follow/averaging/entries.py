"""Entries that are counted one by one: words, tokens, positives, where a mask keeps some.

A loss of ``x[:, 1:]`` is of one target fewer in each row than ``x`` has, so that a count of all
words that are no padding counts the first ones as well, which nothing predicts.
"""

from __future__ import annotations

import ast
import re

from xent.audit._follow.run import Walk
from xent.audit._follow.values import (
    BatchSize,
    Entries,
    Expression,
    Loss,
    Made,
    Opaque,
    Place,
    Total,
    Value,
)

MASK = re.compile(r"(\w+_)?mask", re.I)
LENGTH_WORDS = re.compile(r"(\w+_)?\w{0,3}(len|lens|lengths?)", re.I)  # of sequences: their words
FIRST_CUT = ("[:,1:]", "[1:]", "[...,1:]", "[:,1:,...]")
NUMBERS_OF = re.compile(
    r"(num|n|nb|number)_?(of_)?"
    r"(pos|positives?|box|boxes|bboxes|obj|objs|objects|gts?|fg|foreground|instances|matched"
    r"|matches|tokens|words|pixels)",
    re.I,
)


def cut(made: Opaque, holder: Opaque, text: str) -> None:
    """Remember of what a slice is that leaves out the first of each row."""
    if text in FIRST_CUT:
        made.root, made.cut = holder.root or holder, "first"


def whole(value: Value | None) -> Opaque | None:
    """Return the tensor of which a value has all entries."""
    if isinstance(value, Opaque) and value.batch is not None and not value.cut:
        return value.root or value
    return None


def shifted(*targets: Value | None) -> tuple[Value, ...]:
    """Return the tensors whose first entries the targets of a loss leave out."""
    return tuple(t.root for t in targets if isinstance(t, Opaque) and t.cut and t.root)


def kept(mask: Value | None, said: ast.expr | None) -> Entries | None:
    """Count what a mask keeps: ``(y != pad)``, ``y.ne(pad)``, ``attention_mask``; or lengths."""
    said = said.operand if isinstance(said, ast.UnaryOp) else said  # (~mask).sum()
    words = ast.unparse(said) if said is not None else ""
    of: Value | None = None
    if isinstance(mask, Expression) and mask.operator in ("!=", ">"):
        of = mask.left
    elif isinstance(mask, Opaque):
        names = (words, mask.name)
        counts = any(MASK.fullmatch(name) or LENGTH_WORDS.fullmatch(name) for name in names)
        of = mask if mask.mask or counts else None
    elif isinstance(mask, Expression) and MASK.fullmatch(words):  # positions >= lengths[:, None]
        sides = (mask.left, mask.right)
        of = next((one for one in sides if getattr(one, "batch", None) is not None), None)
    if not isinstance(of, Opaque) or of.batch is None:
        return None
    return Entries(of.batch, of.root or of, not of.cut)


def counted(run: Walk, name: str, args: list[Value], node: ast.AST) -> Entries | None:
    """Follow ``torch.sum(y != pad)`` and ``torch.count_nonzero(y)``."""
    first = args[0] if len(args) == 1 else None
    said = node.args[0] if isinstance(node, ast.Call) and node.args else None
    if name in ("torch.count_nonzero", "numpy.count_nonzero"):
        if isinstance(first, Opaque) and first.batch is not None:
            return Entries(first.batch, first.root or first, not first.cut)
        return kept(first, said)
    return kept(first, said) if name in ("torch.sum", "numpy.sum", "sum") else None


def first_counted(run: Walk, loss: Loss, count: Value, place: Place) -> bool:
    """X403: a sum over the targets is divided by a count that has the first words as well."""
    of = count.of if isinstance(count, Entries | BatchSize) and count.whole else None
    if loss.scale != 1 or not loss.shifted or not isinstance(of, Opaque):
        return False
    by_name = of.name.endswith("attention_mask") and not any(
        isinstance(root, Opaque) and root.name.endswith("mask") for root in loss.shifted
    )
    if not by_name and not any(root is of for root in loss.shifted):
        return False
    run.report(
        "X403",
        place,
        what="the targets begin with the second of each row, one fewer a row",
        divisor="a count that has the first as well",
        fix="count the targets: n += (y[:, 1:] != pad).sum()",
        level="warning" if isinstance(count, Entries) else None,
        losses=(loss.place,),
    )
    return True


def of_total(run: Walk, total: Total, term: Loss, divisor: Value, place: Place) -> str:
    """Judge a total that is divided by a count of entries; say what to do with it further.

    "told", "samples" where it divides what is known, or "".
    """
    if not isinstance(divisor, Total):
        return ""
    if divisor.loops != total.loops or divisor.under != total.under or divisor.earlier:
        return ""
    if first_counted(run, term, divisor.term, place):
        return "told"
    given = isinstance(divisor.term, Entries) and not term.assumed and not term.weighted
    return "samples" if given else ""


def of_mean(run: Walk, loss: Loss, divisor: Value, node: ast.AST) -> bool:
    """X403: one batch's mean is divided by a number of words, boxes or positives again."""
    counts = isinstance(divisor, Entries) or (
        isinstance(divisor, Opaque | Made)
        and NUMBERS_OF.fullmatch(divisor.name.rpartition(".")[2]) is not None
    )
    mean = loss.scale == 0 and not loss.assumed and not loss.weighted and not loss.over
    if not counts or not mean or loss.kind == "kl" or loss.carried or run.loops[-1:] != [loss.loop]:
        return False
    run.report(
        "X403",
        run.place_of_loop(node, loss.loop),
        what="the loss is a mean already",
        divisor="the number of what it is a mean of",
        fix="leave the division out, or sum with reduction='sum'",
        losses=(loss.place,),
    )
    return True
