"""A tree on disk, and a tree as JSON: written whole, read with suspicion, never unpickled.

Whatever a file says, the tree that is built from it has children behind their parents, codes within
its sets and columns that exist: it can be wrong, but it cannot loop or read beyond its arrays.
"""

import json
import os
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from xent import _check, _store
from xent.trees import _classifier, _presets, _regressor
from xent.trees._estimator import BaseTree
from xent.trees._table.columns import COLUMN_KINDS, FittedColumn
from xent.trees._tree import Tree

FORMAT, VERSION = "xent.trees", 1
ESTIMATORS = {
    kind.__name__: kind
    for kind in (
        _classifier.TreeClassifier,
        _regressor.TreeRegressor,
        _presets.ID3Classifier,
        _presets.C45Classifier,
        _presets.CARTClassifier,
        _presets.CARTRegressor,
    )
}
DTYPES = {  # by the name in a file
    "feature": "i4",
    "threshold": "f8",
    "first": "i4",
    "width": "i4",
    "missing_to": "i4",
    "set_start": "i8",
    "sets": "u1",
    "stats": "f8",
    "low": "f8",
    "high": "f8",
    "spare_of": "i4",
    "spare_start": "i4",
    "spare_feature": "i4",
    "spare_threshold": "f8",
    "spare_flip": "u1",
    "spare_set": "i8",
}


FIELDS = [f.name for f in fields(Tree) if f.name != "is_number"]  # in the order of DTYPES


def save(tree: BaseTree, path: str | os.PathLike[str]) -> None:
    """Write a fitted tree to a file, complete or not at all.

    Parameters
    ----------
    tree : fitted tree
        Any estimator of this room.
    path : str or PathLike
        Where the file shall stand.

    Raises
    ------
    ValueError, TypeError
        If ``tree`` is no fitted tree, the folder does not exist or ``path`` is a folder.

    Examples
    --------
    >>> import tempfile
    >>> from xent.trees import TreeClassifier, load
    >>> tree = TreeClassifier(pruning=None).fit([[1.0], [4.0]] * 2, ["low", "high"] * 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(tree, f"{folder}/small.tree")
    ...     load(f"{folder}/small.tree").predict([[0.0], [9.0]]).tolist()
    ['low', 'high']
    """
    state, arrays = _state(tree)
    _store.save(path, format=FORMAT, version=VERSION, state=state, arrays=arrays)


def load(path: str | os.PathLike[str]) -> BaseTree:
    """Read a tree that `save` wrote.

    Parameters
    ----------
    path : str or PathLike
        The file; it may come from a stranger.

    Returns
    -------
    fitted tree
        Of the class that was saved.

    Raises
    ------
    ValueError
        If the file is no tree, damaged, or was written by a newer version.

    Examples
    --------
    >>> import tempfile
    >>> from xent.trees import CARTRegressor, save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(CARTRegressor().fit([[0.0], [1.0]], [2.0, 4.0]), f"{folder}/small.tree")
    ...     type(load(f"{folder}/small.tree")).__name__
    'CARTRegressor'
    """
    state, arrays = _store.load(path, format=FORMAT, version=VERSION)
    return _build(state, arrays)


def to_json(tree: BaseTree) -> str:
    """Return a fitted tree as JSON, exactly.

    Parameters
    ----------
    tree : fitted tree
        Any estimator of this room.

    Returns
    -------
    str
        An object whose ``arrays`` are the nodes; infinity is the string "inf".

    Raises
    ------
    ValueError, TypeError
        If ``tree`` is no fitted tree.

    Examples
    --------
    >>> from xent.trees import CARTRegressor
    >>> text = to_json(CARTRegressor().fit([[0.0], [1.0]], [2.0, 4.0]))
    >>> sorted(json.loads(text))
    ['arrays', 'format', 'state', 'version']
    """
    state, arrays = _state(tree)

    def listed(array: NDArray[Any]) -> list[Any]:
        flat = array.ravel().tolist()
        return [v if v == v and abs(v) != float("inf") else repr(v) for v in flat]

    whole = {
        "format": FORMAT,
        "version": VERSION,
        "state": state,
        "arrays": {name: {"shape": a.shape, "values": listed(a)} for name, a in arrays.items()},
    }
    return json.dumps(whole, ensure_ascii=False, allow_nan=False)


def from_json(text: str) -> BaseTree:
    """Return the tree that `to_json` wrote.

    Parameters
    ----------
    text : str
        The JSON; it may come from a stranger.

    Returns
    -------
    fitted tree
        Predicts to the last bit what the first one does.

    Raises
    ------
    ValueError
        If the text is no tree or was written by a newer version.

    Examples
    --------
    >>> from xent.trees import CARTRegressor
    >>> tree = CARTRegressor().fit([[0.0], [1.0]], [2.0, 4.0])
    >>> from_json(to_json(tree)).predict([[0.2]]).tolist() == tree.predict([[0.2]]).tolist()
    True
    """
    try:
        whole = json.loads(text)
        if whole["format"] != FORMAT or int(whole["version"]) > VERSION:
            raise _check.invalid("text", f"be {FORMAT} JSON up to version {VERSION}", "another")
        arrays = {
            name: np.array([float(v) for v in a["values"]]).reshape(a["shape"])
            for name, a in whole["arrays"].items()
        }
        state = whole["state"]
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        if str(error).startswith("`text`"):
            raise
        raise _check.invalid("text", "be a tree as JSON", f"{type(error).__name__}") from None
    return _build(state, arrays)


def _state(tree: BaseTree) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    check_is_fitted(tree)
    params = tree.get_params(deep=False)
    weight = params.get("class_weight")
    if isinstance(weight, dict):
        params["class_weight"] = {"keys": _plain(list(weight)), "values": list(weight.values())}
    if params.get("monotonic_cst") is not None:
        params["monotonic_cst"] = np.asarray(params["monotonic_cst"]).tolist()
    classes = getattr(tree, "classes_", None)
    state = {
        "kind": type(tree).__name__,
        "params": {name: _plain(value) for name, value in params.items()},
        "columns": [
            [c.name, c.kind, _plain(list(c.levels)), *([] if c.zoned is None else [c.zoned])]
            for c in tree.columns_
        ],
        "named": hasattr(tree, "feature_names_in_"),
        "classes": None if classes is None else _plain(classes.tolist()),
        "class_kind": None if classes is None else classes.dtype.str,
    }
    named = zip(DTYPES, tree.tree_.arrays().values(), strict=True)
    return state, {**dict(named), "value": tree.value_}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def _build(state: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> BaseTree:
    try:
        kind = ESTIMATORS[state["kind"]]
        params = dict(state["params"])
        weight = params.get("class_weight")
        if isinstance(weight, dict):
            params["class_weight"] = dict(zip(weight["keys"], weight["values"], strict=True))
        tree = kind(**params)
        tree.columns_ = [
            FittedColumn(
                str(name),
                _check.option("kind", what, COLUMN_KINDS),
                tuple(_flat(levels)),
                None if not rest else bool(rest[0]),
            )
            for name, what, levels, *rest in state["columns"]
        ]
        tree.n_features_in_ = len(tree.columns_)
        if state["named"]:
            tree.feature_names_in_ = np.array([c.name for c in tree.columns_], dtype=object)
        if state["classes"] is not None:
            kind_of = np.dtype(state["class_kind"])
            if kind_of.kind not in "biufUO":
                raise _check.invalid("path", "hold a tree", f"classes of the kind {kind_of}")
            tree.classes_ = np.array(_flat(state["classes"]), dtype=kind_of)
        is_number = state["classes"] is None
        own = (_exact(arrays[name], DTYPES[name]) for name in DTYPES)
        tree.tree_ = Tree(**dict(zip(FIELDS, own, strict=True)), is_number=is_number)
        tree.value_ = np.array(arrays["value"], dtype=np.float64)
        classes = 3 if is_number else len(tree.classes_)
    except (LookupError, TypeError, AttributeError, OverflowError, ValueError) as error:
        if str(error).startswith("`path`"):
            raise
        raise _check.invalid("path", "hold a tree", f"{type(error).__name__}: {error}") from None
    _sound(tree.tree_, tree.columns_, classes, tree.value_)
    return tree


def _flat(names: list[Any]) -> list[Any]:
    """Return names of levels or classes, which must be texts, or booleans, or numbers."""
    for kinds in (str, bool, (int, float)):
        if isinstance(names, list) and all(isinstance(name, kinds) for name in names):
            return names
    raise _check.invalid("path", "hold a tree", "names that are not of one plain kind")


def _exact(array: Any, kind: str) -> NDArray[Any]:
    """Return the array in its kind; whole numbers must be whole, and fit."""
    given, wanted = np.asarray(array), np.dtype(kind)
    if given.dtype == wanted:
        return given.copy()
    if given.dtype.kind not in "biuf":
        raise _check.invalid("path", "hold a tree", f"an array of {given.dtype}")
    if wanted.kind != "f" and given.size:
        limit = np.iinfo(wanted)
        if not (
            np.isfinite(given).all()
            and (given == np.floor(given)).all()
            and float(given.min()) >= limit.min
            and float(given.max()) <= limit.max
        ):
            raise _check.invalid("path", "hold a tree", f"numbers that are no {wanted}")
    # Only an int64 can be one too great: its limit is rounded up as a float.
    with np.errstate(invalid="ignore"):
        return given.astype(wanted)


def _plausible(tree: Tree, value: NDArray[np.float64]) -> bool:
    """Whether weights and values are such that nothing computed from them overflows."""
    stats = tree.stats
    if tree.is_number:
        good = (np.abs(stats) <= 1e300).all() and (stats[:, 0] >= 0).all()
        return bool(good and np.isfinite(value).all())
    # Squares are summed for Gini.
    return bool(((stats >= 0) & (stats <= 1e150)).all() and ((value >= 0) & (value <= 1)).all())


def _sound(tree: Tree, columns: list[FittedColumn], stats: int, value: NDArray[np.float64]) -> None:
    """Refuse arrays that do not make a tree."""
    n, d = tree.size, len(columns)
    levels = np.array([len(c.levels) for c in columns], np.int64)
    name = np.array([c.kind == "name" for c in columns], np.bool_)
    per_node = [
        "threshold",
        "first",
        "width",
        "missing_to",
        "set_start",
        "low",
        "high",
        "surrogates_of",
    ]
    count = len(tree.surrogate_feature)
    wide = 1 if tree.is_number else stats
    ok = (
        n > 0
        and all(
            f.name == "is_number" or getattr(tree, f.name).ndim == 1 + (f.name == "stats")
            for f in fields(tree)
        )
        and all(len(getattr(tree, field)) == n for field in per_node)
        and tree.stats.shape == (n, stats)
        and value.shape == (n, wide)
        and _plausible(tree, value)
        and len(tree.surrogate_start) == n + 1
        and {len(a) for a in (tree.surrogate_threshold, tree.surrogate_flip, tree.surrogate_set)}
        == {count}
    )
    ok = ok and bool(
        tree.surrogate_start[0] == 0
        and tree.surrogate_start[-1] == count
        and (np.diff(tree.surrogate_start) >= 0).all()
        and (tree.surrogates_of == np.arange(n)).all()
        and ((tree.feature >= -1) & (tree.feature < d)).all()
        and ((tree.surrogate_feature >= 0) & (tree.surrogate_feature < d)).all()
        and (tree.surrogate_flip <= 1).all()
    )
    inner = np.flatnonzero(tree.feature >= 0)
    if ok and len(inner):
        f, first = tree.feature[inner], tree.first[inner].astype(np.int64)
        width, to, at = tree.width[inner], tree.missing_to[inner], tree.set_start[inner]
        inside = bool((first > inner).all() and (width > 0).all() and (first + width <= n).all())
        inside = inside and int(width.sum(dtype=np.int64)) == n - 1
        children = np.sort(tree.parent()[1:]) if inside else np.empty(0)
        grouped = at >= 0
        least = np.where(name[f] & ~grouped, levels[f], 2)
        ok = bool(
            (first > inner).all()
            and (first + width <= n).all()
            and ((width >= least) & (width <= least + 1) & (least > 0)).all()
            and width.sum() == n - 1
            and len(children) == n - 1
            and (children >= 0).all()
            and ((to >= -1) & (to < width)).all()
            and (~grouped | name[f]).all()
            and (at <= len(tree.sets) - np.where(grouped, levels[f], 0)).all()
            and not np.isnan(tree.threshold).any()
            and (tree.sets <= 1).all()
        )
        sf, sa = tree.surrogate_feature, tree.surrogate_set
        ok = ok and bool(
            ((sa >= 0) == name[sf]).all()
            and (sa <= len(tree.sets) - np.where(sa >= 0, levels[sf], 0)).all()
        )
    elif ok:
        ok = n == 1
    if not ok:
        raise _check.invalid("path", "hold a tree", "arrays that do not make one")
