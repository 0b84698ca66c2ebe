"""Tokenizers of transformers: which ids are padded, and which labels are left so.

A model that is given ``labels`` ignores -100 and nothing else. What the tokenizer pads holds its
padding token, until the script puts -100 there.
"""

from __future__ import annotations

import ast
import re

from xent.audit._follow import rows
from xent.audit._follow.averaging import sizes
from xent.audit._follow.batches import PADDED_WITH, ROWS_OF
from xent.audit._follow.run import Pending, Walk
from xent.audit._follow.values import (
    Const,
    Function,
    Made,
    Opaque,
    Sequence,
    Value,
)

BY_TOKENIZER = Const("the padding token")
ENCODES = frozenset(["", "batch_encode_plus", "encode_plus", "encode", "pad", "__call__"])
TAKES_LOSS = re.compile(r"\.loss\b|\[0\]|\[.loss.\]|loss,|return ")
IGNORED = re.compile(r"(?<!ignore_index=)(?<!ignore_index = )-100\b")
USED = re.compile(r"Trainer\(|DataCollator|labels=")  # here, and not by who imports the file
MASKING = ("DataCollatorForLanguageModeling", "DataCollatorForWholeWordMask")


def is_tokenizer(value: Value) -> bool:
    """Whether a value is a tokenizer of transformers, or called so."""
    if isinstance(value, Made):
        return "okenizer" in value.name
    return isinstance(value, Opaque) and value.name.lower().endswith("tokenizer")


def encoded(
    run: Walk, holder: Value, name: str, args: list[Value], options: dict[str, Value]
) -> Value | None:
    """Follow a call of a tokenizer that pads: its ids end in padding."""
    if name not in ENCODES or not is_tokenizer(holder) or not args + list(options.values()):
        return None
    if not _pads(run, args, options):
        return None
    batch = next((b for v in (*args, *options.values()) if (b := getattr(v, "batch", None))), None)
    ids = Opaque("input_ids", batch)
    ids.parts[PADDED_WITH] = BY_TOKENIZER
    if name == "encode":
        return ids
    made = Opaque("encoded", batch)
    for key in ("input_ids", ("item", "input_ids")):
        made.parts[key] = ids
    return made


def _pads(run: Walk, args: list[Value], options: dict[str, Value]) -> bool:
    padding, older = options.get("padding"), options.get("pad_to_max_length")
    if padding == Const("max_length") or older == Const(True):
        return True
    if padding not in (Const(True), Const("longest")):
        return False
    # One text alone is as long as the longest; a list of them is not.
    first = args[0] if args else next(iter(options.values()))
    batch = getattr(first, "batch", None)
    if isinstance(first, Sequence):
        return first.items is None or len(first.items) > 1
    source = batch.source if batch is not None else None
    named = isinstance(source, Made | Opaque) and source.name.lower().endswith("loader")
    return batch is not None and named and not sizes.batches_of_one(batch)


def ignored(value: Value, key: Value) -> None:
    """Note that some entries of a tensor are set to something else: ``y[y == pad] = -100``."""
    if isinstance(value, Opaque) and not isinstance(key, Const):
        for one in (value, value.root):
            if one is not None:
                one.parts.pop(PADDED_WITH, None)


def labelled(run: Walk, key: object, value: Value, node: ast.AST) -> None:
    """X503: a row's labels are the padded ids themselves; settled when the script was followed."""
    if (
        key != "labels"
        or not isinstance(value, Opaque)
        or value.parts.get(PADDED_WITH) != BY_TOKENIZER
    ):
        return
    text = run.frame.module.source.text
    if any(name in text for name in MASKING) or IGNORED.search(text) or not USED.search(text):
        return
    said = _report(run, node, BY_TOKENIZER)
    said.facts["labels"] = value
    value.parts["labelled"] = Const(said)


def labels_of(options: dict[str, Value]) -> Value | None:
    """Return the labels that a model is called with, by name or in a batch that is unpacked."""
    spread = options.get("**")
    known = spread.parts.get(("item", "labels")) if isinstance(spread, Opaque) else None
    return options.get("labels", known)


def given(run: Walk, labels: Value | None, node: ast.AST) -> None:
    """X503: a model of transformers is given labels that are padded with what it counts."""
    if not isinstance(labels, Opaque) or labels.parts.get(PADDED_WITH) is None:
        return
    padded, function = labels.parts[PADDED_WITH], run.frame.function
    source = run.frame.module.source
    code = source.text if function is None else ast.unparse(function.node)
    if not TAKES_LOSS.search(code):
        return  # the labels make the inputs of the decoder; what is made of them is not used
    if not isinstance(padded, Const) or padded.value == -100:
        return
    for one in (labels, labels.root):
        said = one.parts.get("labelled") if one is not None else None
        if isinstance(said, Const):
            said.value.unless = [True]  # it is told here
    _report(run, node, padded)


def mapped(run: Walk, holder: Value, function: Value, node: ast.AST) -> Opaque:
    """Follow ``data.map(f)``: a data set of the rows that the function returns."""
    made = Opaque("map")
    if isinstance(function, Function):
        kept, run.loops = run.loops, []
        made.parts[ROWS_OF] = run.call_value(function, [Opaque("rows")], {}, node)
        run.loops = kept
    whole = rows.count(holder)
    if whole is not None:
        made.parts["length"] = Const(whole)
    return made


def _report(run: Walk, node: ast.AST, padded: Const) -> Pending:
    how = "by the tokenizer" if padded == BY_TOKENIZER else f"with {padded.value}"
    what = f"the labels were padded {how}, and the model ignores -100"
    return run.report("X503", run.place(node), what=what, fix="labels[labels == pad] = -100")
