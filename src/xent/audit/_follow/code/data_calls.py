"""What libraries do with data before they are batches: splits, tables, padding."""

from __future__ import annotations

import ast
from collections.abc import Callable

from xent.audit._follow import rows
from xent.audit._follow.run import Walk
from xent.audit._follow.values import Const, Dictionary, Made, Opaque, Sequence, Value, Zero

# None where nothing is known of what it returns.
LibraryCall = Callable[[Walk, list[Value], dict[str, Value], ast.AST], Value | None]


def _random_split(
    run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value | None:
    lengths = options.get("lengths", args[1] if len(args) > 1 else None)
    if not isinstance(lengths, Sequence) or lengths.items is None:
        return None
    parts: list[Value] = []
    whole = rows.count(options.get("dataset", args[0] if args else None))
    for length in lengths.items:
        part = Const(rows.share(whole, length)) if isinstance(length, Const) else length
        parts.append(Opaque("part", parts={"length": part}))
    return Sequence(parts)


def _train_test_split(
    run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST
) -> Value:
    """sklearn: of each array two parts, for training first."""
    parts: list[Value] = []
    for one in args:
        whole = rows.count(one)
        sizes = [options.get(name, Opaque()) for name in ("train_size", "test_size")]
        known = [rows.share(whole, size) for size in sizes]
        for part, other in (known, known[::-1]):
            if part is None and other is not None and whole is not None:
                part = whole - other
            parts.append(Opaque("part", getattr(one, "batch", None), {"length": Const(part)}))
    return Sequence(parts)


def _pad_sequence(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value:
    value = options.get("padding_value", args[2] if len(args) > 2 else Const(0))
    made = Opaque("padded", getattr(args[0], "batch", None) if args else None)
    made.parts["padded"] = value
    return made


def _collator(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> None:
    """X504: a collator of transformers ignores padding, which is the end of the text as well."""
    tokenizer = options.get("tokenizer", args[0] if args else None)
    masked = options.get("mlm", args[1] if len(args) > 1 else None)
    causal = isinstance(masked, Const) and masked.value is False
    if causal and isinstance(tokenizer, Made) and "pad is eos" in tokenizer.attrs:
        source = run.frame.module.source
        packed = any(word in source.text for word in ("group_texts", "pack", "block_size"))
        if not packed and _is_used(source.tree, node):
            run.report("X504", run.place(node))


def _is_used(code: ast.AST, made: ast.AST) -> bool:
    """Whether what a line makes is more than a name that no other line mentions."""
    names = {
        part.targets[0].id
        for part in ast.walk(code)
        if isinstance(part, ast.Assign) and part.value is made
        if isinstance(part.targets[0], ast.Name)
    }
    return not names or any(
        isinstance(part, ast.Name) and part.id in names and isinstance(part.ctx, ast.Load)
        for part in ast.walk(code)
    )


def _frame(run: Walk, args: list[Value], options: dict[str, Value], node: ast.AST) -> Value | None:
    """Follow a table: of rows, or of numbers that are filled in by column and key."""
    named = options.get("columns")
    if args or not isinstance(named, Sequence) or not named.items:
        return args[0] if args else None
    loops_ = tuple(run.loops)
    keys = [name.value for name in named.items if isinstance(name, Const)]
    start = Zero(0, loops_, run.place(node))
    return Dictionary({key: Dictionary({}, start, loops_) for key in keys}, loops=loops_)


DATA_CALLS: dict[str, LibraryCall] = {
    "torch.utils.data.random_split": _random_split,
    "sklearn.model_selection.train_test_split": _train_test_split,
    "torch.nn.utils.rnn.pad_sequence": _pad_sequence,
    "transformers.DataCollatorForLanguageModeling": _collator,
    "pandas.DataFrame": _frame,
}
