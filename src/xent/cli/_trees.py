"""`xent tree fit | predict | show | rules`: a decision tree from a table to a table."""

from pathlib import Path
from typing import Annotated, Any

import typer

TREES = {
    "default": "TreeClassifier",
    "id3": "ID3Classifier",
    "c45": "C45Classifier",
    "cart": "CARTClassifier",
    "regression": "TreeRegressor",
    "cart-regression": "CARTRegressor",
}

Model = Annotated[Path, typer.Argument(help="A tree written by `xent tree fit`.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    tree = typer.Typer(help="Fit, apply and read a decision tree.", no_args_is_help=True)
    tree.command("fit")(fit)
    tree.command("predict")(predict)
    tree.command("show")(show)
    tree.command("rules")(rules)
    app.add_typer(tree, name="tree")


def _read(path: Path) -> Any:
    """Read a table; an empty field of a text file is a missing name."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from xent import _table

    table = _table.read(path, argument="DATA")
    if path.suffix in (".parquet", ".npz"):
        return table
    for i, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            column = table.column(i)
            known = pc.if_else(pc.equal(column, ""), pa.scalar(None, field.type), column)
            table = table.set_column(i, field.name, known)
    return table


def _cases(table: Any, target: str, drop: list[str] | None = None) -> tuple[Any, Any]:
    """Part a table into the columns to read and the one to predict."""
    from xent import _check

    for name in [target, *(drop or [])]:
        if name not in table.column_names:
            got = _check.join_names(table.column_names, last="and")
            raise _check.invalid("DATA", f"have the column {name!r}", got)
    y = table[target]
    if y.null_count:
        raise _check.invalid("--target", "have no missing values", f"{y.null_count} in {target!r}")
    return table.drop_columns([target, *(drop or [])]), y.to_numpy()


def fit(
    data: Annotated[Path, typer.Argument(help="CSV, Parquet or JSON lines, with the target.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the tree is written.")],
    target: Annotated[str, typer.Option("--target", "-t", help="Column to predict.")],
    kind: Annotated[str, typer.Option("--tree", help=f"One of {', '.join(TREES)}.")] = "default",
    drop: Annotated[list[str] | None, typer.Option(help="Column to leave out.")] = None,
) -> None:
    """Fit a tree and write it to a file."""
    import xent.trees
    from xent import _check

    _check.option("--tree", kind, TREES)
    table = _read(data)
    X, y = _cases(table, target, drop or [])
    tree = getattr(xent.trees, TREES[kind])().fit(X, y)
    xent.trees.save(tree, out)
    leaves, depth = tree.get_n_leaves(), tree.get_depth()
    typer.echo(f"{TREES[kind]}: {leaves} leaves, depth {depth}, written to {out}")


def predict(
    model: Model,
    data: Annotated[Path, typer.Argument(help="A table with the columns of the fit.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV or Parquet to write.")],
) -> None:
    """Write the prediction, and each class's probability, for every row of a table."""
    import pyarrow as pa

    import xent.trees
    from xent import _check, _store

    if out.suffix not in (".csv", ".parquet"):
        raise _check.invalid("--out", "end in .csv or .parquet", repr(str(out)))
    tree = xent.trees.load(model)
    X = _read(data)
    columns = {"prediction": pa.array(tree.predict(X).tolist())}
    if hasattr(tree, "classes_"):
        proba = tree.predict_proba(X)
        for c, name in enumerate(tree.classes_):
            columns[f"p_{name}"] = pa.array(proba[:, c])
    with _store.writing(out, argument="--out") as file:
        if out.suffix == ".csv":
            import pyarrow.csv

            pyarrow.csv.write_csv(pa.table(columns), file)
        else:
            import pyarrow.parquet

            pyarrow.parquet.write_table(pa.table(columns), file)
    typer.echo(f"{len(X)} rows written to {out}")


def show(
    model: Model,
    as_: Annotated[
        str, typer.Option("--as", help="text, dot, sql, svg or json.", metavar="FORM")
    ] = "text",
) -> None:
    """Print a tree."""
    import xent.trees
    from xent import _check

    _check.option("--as", as_, ("text", "dot", "sql", "svg", "json"))
    tree = xent.trees.load(model)
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
    """Print one rule for each leaf; with --data and --target a shorter list, as C4.5 makes it."""
    import xent.trees
    from xent import _check

    tree = xent.trees.load(model)
    if (data is None) != (target is None):
        raise _check.invalid("--data", "be given together with --target", "one of them")
    if data is None or target is None:
        typer.echo(tree.to_rules())
        return
    if not isinstance(tree, xent.trees.TreeClassifier):
        raise _check.cannot("The rules cannot be simplified", "the tree predicts numbers")
    X, y = _cases(_read(data), target)
    typer.echo(tree.to_ruleset(X, y).to_text())
