"""What `xent tree fit` may be told about a tree: the library's options, checked together."""

from typing import Annotated, Any

import typer

from xent.cli._data import words
from xent.cli._help import one_of

TREES = {
    "default": "TreeClassifier",
    "id3": "ID3Classifier",
    "c45": "C45Classifier",
    "cart": "CARTClassifier",
    "regression": "TreeRegressor",
    "cart-regression": "CARTRegressor",
}
GROWN = "How the tree grows (by default as --tree says)"
PRUNED = "How the tree is pruned (by default as --tree says)"


def _option(
    *names: str,
    help: str,
    metavar: str | None = None,
    panel: str = GROWN,
    choices: tuple[str, ...] = (),
) -> Any:
    completes = one_of(*choices) if choices else None
    return typer.Option(
        *names, help=help, metavar=metavar, rich_help_panel=panel, autocompletion=completes
    )


Criterion = Annotated[
    str | None,
    _option(
        help="What a split is chosen by: entropy, gain_ratio or gini; for a target of "
        "numbers squared_error or poisson.",
        choices=("entropy", "gain_ratio", "gini", "squared_error", "poisson"),
        metavar="HOW",
    ),
]
Nominal = Annotated[
    str | None,
    _option(
        help="How a column of names splits: subset (two groups), multiway (a branch for each name) "
        "or one_vs_rest.",
        choices=("subset", "multiway", "one_vs_rest"),
        metavar="HOW",
    ),
]
MissingBranch = Annotated[
    str | None,
    _option(
        help="Where a missing value goes: direction (to the better side), fractional (into every "
        "branch, by its share), branch (into one of its own), surrogate (where other columns "
        "suggest) or refuse.",
        choices=("direction", "fractional", "branch", "surrogate", "refuse"),
        metavar="HOW",
    ),
]
MaxDepth = Annotated[int | None, _option(help="Greatest number of tests above a leaf.")]
MaxLeafNodes = Annotated[int | None, _option(help="Greatest number of leaves.")]
MinSamplesLeaf = Annotated[
    float | None, _option(help="Least number of rows that two branches of a split must have.")
]
MinSamplesSplit = Annotated[
    float | None, _option(help="Least number of rows that a node must have to be split.")
]
MinGain = Annotated[
    float | None,
    _option(help="Least gain that a split must have per row: in bits, Gini or squared error."),
]
ClassWeight = Annotated[
    list[str] | None,
    _option(
        help="balanced, or CLASS=NUMBER for a class whose weight is not 1; may be repeated.",
        metavar="WEIGHT",
    ),
]
Increasing = Annotated[
    list[str] | None,
    _option(
        help="Column with which the prediction may only rise: the number, or the probability of "
        "the "
        "second of two classes.",
        metavar="COLUMN",
    ),
]
Decreasing = Annotated[
    list[str] | None,
    _option(help="Column with which the prediction may only fall.", metavar="COLUMN"),
]
Pruning = Annotated[
    str | None,
    _option(
        help="How the tree is pruned: bits, pessimistic, cost_complexity, reduced_error or none.",
        choices=("bits", "pessimistic", "cost_complexity", "reduced_error", "none"),
        metavar="HOW",
        panel=PRUNED,
    ),
]
Cf = Annotated[
    float | None,
    _option(
        help="Confidence of pessimistic pruning, up to 0.5; a smaller one prunes more.",
        panel=PRUNED,
    ),
]
Raising = Annotated[
    bool | None,
    _option(
        "--raising/--no-raising",
        help="Let pessimistic pruning put a branch in the place of its node.",
        panel=PRUNED,
    ),
]
LeafEstimate = Annotated[
    str | None,
    _option(
        help="How many rows of the class prior are mixed into the counts of a leaf; or laplace, or "
        "none.",
        metavar="ROWS",
        panel=PRUNED,
    ),
]

MaxLevels = Annotated[
    str | None,
    typer.Option(
        "--max-levels",
        help="How many levels of a column a test lists, by default 10; or all.",
        metavar="NUMBER",
    ),
]


def levels_shown(text: str | None) -> dict[str, int | None]:
    """Return how many levels of a column a line may list, as `to_text` takes it."""
    from xent import _check

    if text is None or text == "all":
        return {} if text is None else {"max_levels": None}
    if not text.isdecimal() or not int(text):
        raise _check.invalid("--max-levels", "be a positive integer, or all", repr(text))
    return {"max_levels": int(text)}


def tree_words(*options: str, **others: str) -> Any:
    """Let refusals name what was typed, also where the library names its classes and arguments."""
    return words(
        *options,
        X="DATA",
        y="--target",
        sample_weight="--weights",
        monotonic_cst="--increasing",
        n_jobs="--jobs",
        TreeClassifier="--tree default",
        TreeRegressor="--tree regression",
        **others,
    )


def options_of(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given as the tree takes them; refuse what does not go together.

    Parameters
    ----------
    kind : str
        One of `TREES`.
    given : dict
        By the library's names; None is not given.

    Returns
    -------
    dict
    """
    import xent.trees
    from xent import _check
    from xent.trees._grow.levels import MISSING_CODES

    given = {name: value for name, value in given.items() if value is not None}
    kinds = {name: getattr(xent.trees, tree)() for name, tree in TREES.items()}
    tree = kinds[kind]
    for name, value in given.items():
        if name not in tree.get_params():
            having = [other for other, one in kinds.items() if name in one.get_params()]
            must = f"go with --tree {_check.join_names(having)}"
            option = value if name == "monotonic_cst" else _typed(name)  # one of two is its name
            raise _check.invalid(option, must, repr(kind))
    options = dict(given)
    if "pruning" in given:
        known = [how or "none" for how in tree._prunings]
        how = _check.option("--pruning", given["pruning"], known)
        options["pruning"] = None if how == "none" else how
    pruning = options.get("pruning", tree.pruning)
    for name in {"cf", "raising"} & set(given):
        if pruning != "pessimistic":
            must = "go with --pruning pessimistic"
            raise _check.invalid(_typed(name), must, repr(pruning or "none"))
    if "missing" in given:
        how = _check.option("--missing", given["missing"], MISSING_CODES)
        if how == "surrogate" and options.get("nominal", tree.nominal) == "multiway":
            other = "--nominal multiway" if "nominal" in given else f"--tree {kind}"
            advice = "A surrogate imitates a split in two, and this tree has a branch a level."
            raise _check.invalid("--missing", f"be another with {other}", repr(how), advice)
    if "leaf_estimate" in given:
        options["leaf_estimate"] = _leaf_estimate(given["leaf_estimate"])
    if "class_weight" in given:
        options["class_weight"] = _class_weight(given["class_weight"])
    return options


def _typed(name: str) -> str:
    return "--" + name.replace("_", "-")


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


def _class_weight(words: list[str]) -> str | dict[str, float]:
    """Read `balanced`, or weights by the class's name."""
    from math import isfinite

    from xent import _check

    if words == ["balanced"]:
        return "balanced"
    out: dict[str, float] = {}
    for word in words:
        name, sign, number = word.rpartition("=")
        wrong = _check.invalid("--class-weight", "be balanced, or CLASS=NUMBER", repr(word))
        try:
            weight = float(number)
        except ValueError:
            raise wrong from None
        if not (sign and weight >= 0 and isfinite(weight)) or name in out:
            raise wrong
        out[name] = weight
    return out


def by_class(weight: dict[str, float], kind: Any) -> dict[Any, float]:
    """Return weights by class, of the type of the target's column, from weights by name."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    out: dict[Any, float] = {}
    for name, value in weight.items():
        try:
            whole = pa.types.is_integer(kind) or pa.types.is_boolean(kind)
            out[pa.scalar(name).cast(kind).as_py() if whole else name] = value
        except pa.ArrowInvalid:
            raise _unknown_class(name) from None
    return out


def check_classes(weight: dict[Any, float], classes: Any) -> None:
    """Refuse a weight for a class that no row has."""
    for name in weight:
        if name not in classes:
            raise _unknown_class(name, list(dict.fromkeys(classes.tolist())))


def _unknown_class(name: object, classes: list[Any] | None = None) -> ValueError:
    from xent import _check

    known = classes and f"It has {_check.join_names(classes, limit=5, last='and')}."
    return _check.invalid("--class-weight", "name classes of the target", repr(name), known or "")


def signs(features: list[str], increasing: list[str], decreasing: list[str]) -> list[int]:
    """Return 1, -1 or 0 for each feature: the prediction may only rise or fall with it, or both."""
    from xent import _check
    from xent.cli._data import require

    require(features, [*increasing, *decreasing])
    for name in increasing:
        if name in decreasing:
            raise _check.invalid("--increasing", "differ from --decreasing", f"{name!r} for both")
    return [(name in increasing) - (name in decreasing) for name in features]
