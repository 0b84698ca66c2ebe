"""`xent tree fit | predict | show | rules`: a decision tree from a table to a table."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from xent.cli._data import check_outputs, require, words

TREES = {
    "default": "TreeClassifier",
    "id3": "ID3Classifier",
    "c45": "C45Classifier",
    "cart": "CARTClassifier",
    "regression": "TreeRegressor",
    "cart-regression": "CARTRegressor",
}

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A tree that `xent tree fit` wrote.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    tree = typer.Typer(help="Fit, apply and read a decision tree.", no_args_is_help=True)
    tree.command("fit")(fit)
    tree.command("predict")(predict)
    tree.command("show")(show)
    tree.command("rules")(rules)
    app.add_typer(tree, name="tree")


def _batches(path: Path, drop: list[str], title: str) -> Iterator[Any]:
    """Yield the batches of a table without some columns, and show how many rows have been read."""
    from xent._progress import stage
    from xent.trees._stream import batches

    rows = 0
    with stage(title, None, "rows") as told:
        for batch in batches(path, argument="DATA"):
            yield batch.drop_columns(drop) if drop else batch
            rows += len(batch)
            told(rows)


def _load(path: Path) -> Any:
    """Read a tree."""
    import xent.trees

    with words(path="MODEL"):
        return xent.trees.load(path)


def _read(path: Path) -> Any:
    """Read a table; an empty field of a text file is a missing name."""
    from xent import _table
    from xent.trees._stream import with_gaps

    table = _table.read(path, argument="DATA")
    return table if path.suffix in (".parquet", ".npz") else with_gaps(table)


def _cases(table: Any, target: str, drop: list[str] | None = None) -> tuple[Any, Any]:
    """Part a table into the columns to read and the one to predict."""
    from xent import _check

    require(table.column_names, [target, *(drop or [])])
    y = table[target]
    if y.null_count:
        raise _check.invalid("--target", "have no missing values", f"{y.null_count} in {target!r}")
    return table.drop_columns([target, *(drop or [])]), y.to_numpy()


def fit(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A table: .csv, .tsv, .parquet, .jsonl, .npz.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "--out", "-o", help="Where the tree shall stand.")
    ],
    target: Annotated[str, typer.Option("--target", "-t", help="Column to predict.")],
    kind: Annotated[str, typer.Option("--tree", help=f"One of {', '.join(TREES)}.")] = "default",
    drop: Annotated[list[str] | None, typer.Option(help="Column to leave out.")] = None,
    missing: Annotated[
        str | None,
        typer.Option(help="direction, fractional, branch, surrogate or refuse.", metavar="HOW"),
    ] = None,
    pruning: Annotated[
        str | None,
        typer.Option(help="pessimistic, cost_complexity, reduced_error or none.", metavar="HOW"),
    ] = None,
    leaf_estimate: Annotated[
        str | None,
        typer.Option(
            help="Cases of the class prior mixed into each leaf; or laplace, or none.",
            metavar="CASES",
        ),
    ] = None,
    max_depth: Annotated[int | None, typer.Option(help="Tests above a leaf, at most.")] = None,
    max_leaf_nodes: Annotated[int | None, typer.Option(help="Leaves, at most.")] = None,
    min_samples_leaf: Annotated[
        float | None, typer.Option(help="Least rows of two branches.")
    ] = None,
    min_gain: Annotated[
        float | None, typer.Option(help="Least gain of a split, a row: in bits, Gini, or squares.")
    ] = None,
    splitter: Annotated[
        str, typer.Option(help="auto; or histogram: the table is read twice and not held.")
    ] = "auto",
    jobs: Annotated[int, typer.Option("--jobs", help="Threads.")] = 1,
) -> None:
    """Fit a tree and write it to a file.

    From --missing to --min-gain: without one it is as the tree has it in Python.
    """
    import xent.trees
    from xent import _check, _table

    _check.option("--tree", kind, TREES)
    _check.option("--splitter", splitter, ("auto", "histogram"))
    given = {
        "missing": missing,
        "pruning": pruning,
        "leaf_estimate": leaf_estimate,
        "max_depth": max_depth,
        "max_leaf_nodes": max_leaf_nodes,
        "min_samples_leaf": min_samples_leaf,
        "min_gain": min_gain,
    }
    options = _options(kind, {name: value for name, value in given.items() if value is not None})
    check_outputs([data], {"--output": output})
    dropped = drop or []
    tree = getattr(xent.trees, TREES[kind])(splitter=splitter, n_jobs=jobs, **options)
    with words(*given, X="DATA", y="--target", n_jobs="--jobs"):
        if splitter == "histogram":
            first = next(_table.scan(data, argument="DATA"), None)
            if first is None:
                raise _check.invalid("DATA", "have at least one row", "none")
            require(first.schema.names, [target, *dropped])
            titles = iter(("first reading: bins and levels", "second reading: codes"))
            tree.fit(lambda: _batches(data, dropped, next(titles)), target)
        else:
            tree.fit(*_cases(_read(data), target, dropped))
    xent.trees.save(tree, output)
    leaves, depth = tree.get_n_leaves(), tree.get_depth()
    typer.echo(f"{TREES[kind]}: {leaves} leaves, depth {depth}, written to {output}")


def _options(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given as the tree takes them; refuse those it has not."""
    import xent.trees
    from xent import _check
    from xent.trees._grow import MISSING

    kinds = {name: getattr(xent.trees, tree)() for name, tree in TREES.items()}
    tree = kinds[kind]
    for name in given:
        if name not in tree.get_params():
            having = [other for other, one in kinds.items() if name in one.get_params()]
            must = f"go with --tree {_check.join_names(having)}"
            raise _check.invalid("--" + name.replace("_", "-"), must, repr(kind))
    options = dict(given)
    if "missing" in given:
        how = _check.option("--missing", given["missing"], MISSING)
        if how == "surrogate" and tree.nominal == "multiway":
            advice = "A surrogate imitates a split in two, and this tree has a branch a level."
            raise _check.invalid("--missing", f"be another with --tree {kind}", repr(how), advice)
    if "pruning" in given:
        known = [how or "none" for how in tree._prunings]
        how = _check.option("--pruning", given["pruning"], known)
        options["pruning"] = None if how == "none" else how
    if "leaf_estimate" in given:
        options["leaf_estimate"] = _leaf_estimate(given["leaf_estimate"])
    return options


def _leaf_estimate(text: str) -> float | str | None:
    from math import isfinite

    from xent import _check

    if text in ("none", "laplace"):
        return None if text == "none" else text
    wrong = _check.invalid("--leaf-estimate", "be above 0, or laplace, or none", repr(text))
    try:
        cases = float(text)
    except ValueError:
        raise wrong from None
    if not (cases > 0 and isfinite(cases)):
        raise wrong
    return cases


def predict(
    model: Model,
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A table with the columns of the fit.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "--out",
            "-o",
            help="Where the predictions shall stand: .csv, .parquet, .jsonl, .npz.",
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", help="Column of DATA to keep beside them: the truth."),
    ] = None,
) -> None:
    """Predict every row of a table of any size: the prediction, and columns p_CLASS."""
    from xent import _check, _table

    check_outputs([model, data], {"--output": output})
    tree = _load(model)
    rows = 0
    with _table.writing(output, argument="--output") as add:
        for batch in _batches(data, [], "rows predicted"):
            with words(X="DATA"):
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
    typer.echo(f"{_check.count(rows, 'row')} written to {output}")
    if target is not None and hasattr(tree, "classes_"):
        typer.echo(f"Evaluate them: xent evaluate {output} --target {target}")


def _said(tree: Any, X: Any) -> dict[str, Any]:
    """Return the prediction, and each class's probability, as columns."""
    if not hasattr(tree, "classes_"):
        return {"prediction": tree.predict(X)}
    proba = tree.predict_proba(X)
    columns = {"prediction": tree.classes_[proba.argmax(1)]}
    return columns | {f"p_{name}": proba[:, c] for c, name in enumerate(tree.classes_)}


def show(
    model: Model,
    as_: Annotated[
        str, typer.Option("--as", help="text, dot, sql, svg or json.", metavar="FORM")
    ] = "text",
) -> None:
    """Print a tree.

    A leaf says its class, and in brackets the training cases that reach it, and after a slash how
    many of them are of another class.
    """
    import xent.trees
    from xent import _check

    _check.option("--as", as_, ("text", "dot", "sql", "svg", "json"))
    tree = _load(model)
    if as_ == "json":
        typer.echo(xent.trees.to_json(tree))
    else:
        typer.echo(getattr(tree, f"to_{as_}")())


def rules(
    model: Model,
    data: Annotated[
        Path | None, typer.Option("--data", help="The table of the fit: simplify the rules on it.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="Its class column.")] = None,
) -> None:
    """Print one rule for each leaf; with --data and --target a shorter list, as C4.5 makes it.

    In brackets: the training cases that the rule covers, after a slash how many of them are of
    another class, and in the shorter list the probability of the class.
    """
    import xent.trees
    from xent import _check

    tree = _load(model)
    if (data is None) != (target is None):
        raise _check.invalid("--data", "be given together with --target", "one of them")
    if data is None or target is None:
        typer.echo(tree.to_rules())
        return
    if not isinstance(tree, xent.trees.TreeClassifier):
        raise _check.cannot("The rules cannot be simplified", "the tree predicts numbers")
    X, y = _cases(_read(data), target)
    with words(X="DATA", y="--target"):
        typer.echo(tree.to_ruleset(X, y).to_text())
