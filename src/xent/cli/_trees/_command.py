"""`xent tree fit | predict | show | rules`: a decision tree from a table to a table."""

from pathlib import Path
from typing import Annotated, Any

import typer

from xent._terminal import as_typed
from xent.cli import _data
from xent.cli._data import check_outputs, require
from xent.cli._help import one_of
from xent.cli._tables._doubts import doubt_classes, doubt_ids
from xent.cli._tables._file import TableFile
from xent.cli._tables._options import TableOptions, with_options
from xent.cli._trees import _options as options
from xent.cli._trees._options import TREES, tree_words

TreePath = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A tree that `xent tree fit` wrote.")
]
DropMissingTarget = Annotated[
    bool,
    typer.Option("--drop-missing-target", help="Leave out rows whose target is missing."),
]
MANY_CLASSES = 50  # whole numbers, above which they are probably not classes
WeightColumn = Annotated[
    str | None, typer.Option(help="Column with the weight of each row; it is not a feature.")
]


def _load(path: Path) -> Any:
    """Read a tree."""
    import xent.trees

    with _data.words(path="MODEL"):
        return xent.trees.load(path)


def _cases(table: Any, target: str, weights: str | None) -> tuple[Any, Any, Any]:
    """Part a table into the columns to read, the one to predict, and the rows' weights."""
    from xent import _table

    y = _target(table[target], target)
    weight = None
    if weights is not None:
        weight = _table.numbers(table, [weights], argument="--weights")[:, 0]
    left = table.drop_columns([target, *([weights] if weights is not None else [])])
    return left, y, weight


def _target(y: Any, target: str) -> Any:
    from xent import _check

    if y.null_count:
        row = y.is_null().index(True).as_py()
        must = f"have no missing values in column {target!r}"
        got = f"{_check.count(y.null_count, 'row')} without, the first at row {row}"
        advice = "Nothing can be learned from them: pass --drop-missing-target to leave them out."
        raise _check.invalid("--target", must, got, advice)
    return y.to_numpy()


def _with_target(table: Any, target: str) -> Any:
    """Return the rows whose target is not missing."""
    import pyarrow.compute as pc

    require(table.schema.names, [target])
    return table.filter(pc.is_valid(table[target]))


@with_options()
def fit(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="A table: .csv, .tsv, .parquet, .arrow, .jsonl, .npz."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "--out", "-o", help="Write the tree to this file.")
    ],
    target: Annotated[str, typer.Option("--target", "-t", help="Column to predict.")],
    kind: Annotated[
        str,
        typer.Option(
            "--tree", help=f"The kind of tree: {', '.join(TREES)}.", autocompletion=one_of(*TREES)
        ),
    ] = "default",
    weights: WeightColumn = None,
    drop_missing_target: DropMissingTarget = False,
    splitter: Annotated[
        str,
        typer.Option(
            help="auto, or histogram for tables larger than memory: they are read twice.",
            autocompletion=one_of("auto", "histogram"),
        ),
    ] = "auto",
    jobs: Annotated[int, typer.Option("--jobs", help="Number of threads.")] = 1,
    criterion: options.Criterion = None,
    nominal: options.Nominal = None,
    missing: options.MissingBranch = None,
    max_depth: options.MaxDepth = None,
    max_leaf_nodes: options.MaxLeafNodes = None,
    min_samples_leaf: options.MinSamplesLeaf = None,
    min_samples_split: options.MinSamplesSplit = None,
    min_gain: options.MinGain = None,
    class_weight: options.ClassWeight = None,
    increasing: options.Increasing = None,
    decreasing: options.Decreasing = None,
    pruning: options.Pruning = None,
    cf: options.Cf = None,
    raising: options.Raising = None,
    leaf_estimate: options.LeafEstimate = None,
    *,
    reading: TableOptions,
) -> None:
    """Fit a tree and write it to a file.

    Columns of numbers, names, booleans, dates and times are taken as they are, with gaps.

    Example: xent tree fit days.csv --target play --output days.tree
    """
    import xent.trees
    from xent import _check

    _check.option("--tree", kind, TREES)
    _check.option("--splitter", splitter, ("auto", "histogram"))
    given = {
        "criterion": criterion,
        "nominal": nominal,
        "missing": missing,
        "max_depth": max_depth,
        "max_leaf_nodes": max_leaf_nodes,
        "min_samples_leaf": min_samples_leaf,
        "min_samples_split": min_samples_split,
        "min_gain": min_gain,
        "class_weight": class_weight or None,
        "monotonic_cst": "--increasing" if increasing else "--decreasing" if decreasing else None,
        "pruning": pruning,
        "cf": cf,
        "raising": raising,
        "leaf_estimate": leaf_estimate,
    }
    chosen = options.options_of(kind, given)
    check_outputs([data], {"--output": output})
    source = TableFile(data, reading)
    streamed = splitter == "histogram"
    table = next(source.batches("first rows"), None) if streamed else source.read()
    every = 0 if table is None else len(table)
    if drop_missing_target and not streamed:
        table = _with_target(table, target)
    if table is None or not table.num_rows:
        raise _check.invalid("DATA", "have at least one row", "none")
    others = [target, *([weights] if weights is not None else [])]
    require(table.schema.names, others)
    features = [name for name in table.schema.names if name not in others]
    if isinstance(class_weights := chosen.get("class_weight"), dict):
        class_weights = options.by_class(class_weights, table.schema.field(target).type)
        chosen["class_weight"] = class_weights
    if "monotonic_cst" in chosen:
        chosen["monotonic_cst"] = options.signs(features, increasing or [], decreasing or [])
    if source.is_text:
        doubt_ids(table.select([name for name in features if name not in source.names]))

    def declared(table: Any) -> Any:
        """Return the table with what was said to be names as categories, which nobody doubts."""
        for name in source.names:
            at = table.schema.get_field_index(name)
            table = table.set_column(at, name, table.column(at).dictionary_encode())
        return _with_target(table, target) if drop_missing_target and streamed else table

    tree = getattr(xent.trees, TREES[kind])(splitter=splitter, n_jobs=jobs, **chosen)
    with tree_words("na", "decimal", "drop_missing_target", *given):
        if streamed:
            titles = iter(("first reading: bins and levels", "second reading: codes"))
            tree.fit(lambda: map(declared, source.batches(next(titles))), target, weights)
        else:
            X, y, weight = _cases(table, target, weights)
            if isinstance(class_weights, dict):
                options.check_classes(class_weights, y)
            tree.fit(declared(X), y, weight)
    if isinstance(class_weights, dict):
        options.check_classes(class_weights, tree.classes_)
    _doubt_classes(getattr(tree, "classes_", None), every)
    xent.trees.save(tree, output)
    leaves, depth = tree.get_n_leaves(), tree.get_depth()
    size = "1 leaf" if leaves == 1 else f"{leaves} leaves"
    typer.echo(f"{TREES[kind]}: {size}, depth {depth}, written to {as_typed(output)}")
    if leaves == 1 and getattr(tree, "pruning", None) == "bits":
        typer.echo("No test saves the bits that it takes to say. --pruning none keeps them all.")
    typer.echo(_as_read(tree))
    if not streamed and len(table) < every:
        typer.echo(f"{_check.count(every - len(table), 'row')} without {target!r} left out")


def _doubt_classes(classes: Any, rows: int) -> None:
    """Warn of whole numbers that are classes, and are rather quantities, and of gaps."""
    from xent import _check

    doubt_classes(() if classes is None else classes)
    whole = classes is not None and classes.dtype.kind in "iu"
    if whole and len(classes) > max(MANY_CLASSES, rows / 10):
        found = f"The target has {len(classes):,} whole numbers, each taken for a class."
        _check.warn(f"{found} If they are quantities, pass --tree regression.")


def _as_read(tree: Any) -> str:
    """Say how the columns were read."""
    from xent import _check

    kinds = [column.kind for column in tree.columns_]
    found = [
        f"{kinds.count(kind)} of {kind}s"
        for kind in ("number", "name", "date", "time", "duration")
        if kind in kinds
    ]
    return f"{_check.count(len(kinds), 'column')}: {', '.join(found)}"


@with_options("names", "drop")
def predict(
    model: TreePath,
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A table with the columns of the fit.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "--out",
            "-o",
            help="Write the predictions to this file: .csv, .parquet, .jsonl, .npz.",
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--target", "-t", help="Column of DATA with the truth, to keep beside the predictions."
        ),
    ] = None,
    *,
    reading: TableOptions,
) -> None:
    """Predict every row of a table of any size, with a probability p_CLASS for each class.

    Example: xent tree predict days.tree days.csv --output predictions.csv
    """
    from xent import _check, _table

    check_outputs([model, data], {"--output": output})
    tree = _load(model)
    source = TableFile(data, reading, names=_names(tree))
    rows = 0
    with _table.writing(output, argument="--output") as add:
        for batch in source.batches("rows predicted"):
            with tree_words("na", "decimal"):
                columns = _said(tree, batch)
            if target is not None:
                require(batch.schema.names, [target])
                if target in columns:
                    must = "name a column that the predictions do not have"
                    raise _check.invalid("--target", must, repr(target))
                columns[target] = batch[target]
            add(columns)
            rows += len(batch)
        if not rows:
            raise _check.invalid("DATA", "have at least one row", "none")
    typer.echo(f"{_check.count(rows, 'row')} written to {as_typed(output)}")
    if target is not None and hasattr(tree, "classes_"):
        typer.echo(f"Evaluate them: xent evaluate {as_typed(output)} --target {as_typed(target)}")


def _names(tree: Any) -> list[str]:
    """Return the columns whose levels are text: 01 is not read as 1 where no row has letters."""
    return [
        column.name
        for column in tree.columns_
        if column.levels and all(isinstance(level, str) for level in column.levels)
    ]


def _said(tree: Any, X: Any) -> dict[str, Any]:
    """Return the prediction, and each class's probability, as columns."""
    if not hasattr(tree, "classes_"):
        return {"prediction": tree.predict(X)}
    proba = tree.predict_proba(X)
    columns = {"prediction": tree.classes_[proba.argmax(1)]}
    return columns | {f"p_{name}": proba[:, c] for c, name in enumerate(tree.classes_)}


def show(
    model: TreePath,
    as_: Annotated[
        str,
        typer.Option(
            "--as",
            help="The form: text, dot (Graphviz), sql, svg or json.",
            autocompletion=one_of("text", "dot", "sql", "svg", "json"),
            metavar="FORM",
        ),
    ] = "text",
    max_levels: options.MaxLevels = None,
) -> None:
    """Print a tree.

    A leaf shows its class. In brackets: the training cases that reach it, and after a slash how
    many of them are of another class. "or missing" marks the branch of a missing value, and of a
    name that the fit never saw.

    Example: xent tree show days.tree
    """
    import xent.trees
    from xent import _check

    _check.option("--as", as_, ("text", "dot", "sql", "svg", "json"))
    shown = options.levels_shown(max_levels)
    if shown and as_ != "text":
        raise _check.invalid("--max-levels", "go with --as text", f"--as {as_}")
    tree = _load(model)
    if as_ == "json":
        typer.echo(xent.trees.to_json(tree))
    else:
        with tree_words("missing"):
            typer.echo(getattr(tree, f"to_{as_}")(**shown))


@with_options("names", "drop")
def rules(
    model: TreePath,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The table of the fit, on which the rules are simplified."),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="Column of --data with the classes.")
    ] = None,
    cf: Annotated[
        float | None,
        typer.Option(
            help="Confidence of the error estimate, 0.25 by default; a smaller one drops more "
            "rules."
        ),
    ] = None,
    weights: WeightColumn = None,
    drop_missing_target: DropMissingTarget = False,
    max_levels: options.MaxLevels = None,
    *,
    reading: TableOptions,
) -> None:
    """Print one rule for each leaf; with --data and --target a shorter list, as C4.5 makes it.

    In brackets: the training cases that the rule covers, after a slash how many of them are of
    another class, and in the shorter list the probability of the class.

    Example: xent tree rules days.tree --data days.csv --target play
    """
    import xent.trees
    from xent import _check

    shown = options.levels_shown(max_levels)
    tree = _load(model)
    if (data is None) != (target is None):
        raise _check.invalid("--data", "be given together with --target", "one of them")
    if data is None or target is None:
        of_data = {
            "--cf": cf is not None,
            "--weights": weights is not None,
            "--drop-missing-target": drop_missing_target,
            **reading.given(),
            "--unpacked": reading.unpacked is not None,
        }
        for option, given in of_data.items():
            if given:
                raise _check.invalid(option, "go with --data", "it alone")
        typer.echo(tree.to_rules(**shown))
        return
    if not isinstance(tree, xent.trees.TreeClassifier):
        raise _check.cannot("The rules cannot be simplified", "the tree predicts numbers")
    names = _names(tree) + ([target] if tree.classes_.dtype.kind in "UO" else [])
    table = TableFile(data, reading, names=names).read()
    require(table.column_names, [target, *([weights] if weights is not None else [])])
    if drop_missing_target:
        table = _with_target(table, target)
    X, y, weight = _cases(table, target, weights)
    with tree_words("cf"):
        found = tree.to_ruleset(X, y, weight, cf=0.25 if cf is None else cf)
    typer.echo(found.to_text(**shown))
