"""Made by `make tables` of the signatures in the code; docs/stubs.py says how."""

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xent.measures.densities._measurement import Measurement as Measurement
from xent.measures.rows._protocols import ArrayLike, Axis, Samples
from xent.measures.rows._typed_arrays import Counts as Counts
from xent.measures.rows._typed_arrays import Input
from xent.measures.rows._typed_arrays import Logits as Logits
from xent.measures.rows._typed_arrays import LogProbs as LogProbs
from xent.measures.samples._result import Estimate as Estimate
from xent.measures.tables._drift import ColumnDrift as ColumnDrift
from xent.measures.tables._rank_column import FeatureRank as FeatureRank

_Numbers = Sequence[float]
_Rows = Sequence[Sequence[float]]
_Tables = Sequence[Sequence[Sequence[float]]]
_Array = NDArray[np.float64]

def adjusted_mutual_information(joint: Counts, *, average: str = "arithmetic") -> float: ...
@overload
def conditional_entropy(
    joint: _Rows,
    *,
    given: int | tuple[int, ...],
    axis: tuple[int, int] = (-2, -1),
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> float: ...
@overload
def conditional_entropy(
    joint: _Tables,
    *,
    given: int | tuple[int, ...],
    axis: tuple[int, int] = (-2, -1),
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> _Array: ...
@overload
def conditional_entropy(
    joint: Tensor,
    *,
    given: int | tuple[int, ...],
    axis: tuple[int, ...] = (-2, -1),
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def conditional_entropy(
    joint: Input,
    *,
    given: int | tuple[int, ...],
    axis: tuple[int, ...] = (-2, -1),
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...
@overload
def conditional_mutual_information(
    joint: Tensor,
    *,
    axis: tuple[int, ...] = (-3, -2, -1),
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def conditional_mutual_information(
    joint: Input,
    *,
    axis: tuple[int, ...] = (-3, -2, -1),
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...
@overload
def cross_entropy(
    p: _Numbers,
    q: _Numbers,
    *,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> float: ...
@overload
def cross_entropy(
    p: _Rows,
    q: _Rows,
    *,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> _Array: ...
@overload
def cross_entropy(
    p: Tensor,
    q: Tensor,
    *,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> Tensor: ...
@overload
def cross_entropy(
    p: Input,
    q: Input,
    *,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> Any: ...
def drift(
    reference: Any,
    current: Any,
    *,
    columns: list[str] | None = None,
    bins: int = 10,
    weights: Any = None,
    missing: str = "symbol",
    bootstrap: int = 0,
    rng: np.random.Generator | int | None = None,
    confidence: float = 0.95,
    base: float = ...,
) -> list[ColumnDrift]: ...
@overload
def entropy(
    p: _Numbers,
    *,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> float: ...
@overload
def entropy(
    p: _Rows,
    *,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> _Array: ...
@overload
def entropy(
    p: Tensor,
    *,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> Tensor: ...
@overload
def entropy(
    p: Input,
    *,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> Any: ...
def estimate_cross_entropy(
    x: Samples,
    y: Samples,
    *,
    method: str = "plugin",
    size: int | None = None,
    prior: float | str | None = None,
    neighbors: int | None = None,
    rng: np.random.Generator | int | None = None,
    base: float = ...,
    confidence: float = 0.95,
    missing: str = "refuse",
) -> Estimate: ...
def estimate_entropy(
    x: Samples,
    *,
    given: Samples | None = None,
    method: str = "plugin",
    size: int | None = None,
    prior: float | str | None = None,
    neighbors: int | None = None,
    rng: np.random.Generator | int | None = None,
    base: float = ...,
    confidence: float = 0.95,
    missing: str = "refuse",
) -> Estimate: ...
def estimate_kl_divergence(
    x: Samples,
    y: Samples,
    *,
    method: str = "plugin",
    size: int | None = None,
    prior: float | str | None = None,
    neighbors: int | None = None,
    permutations: int = 0,
    rng: np.random.Generator | int | None = None,
    base: float = ...,
    confidence: float = 0.95,
    missing: str = "refuse",
) -> Estimate: ...
def estimate_mutual_information(
    x: Samples,
    y: Samples,
    *,
    given: Samples | None = None,
    method: str = "plugin",
    neighbors: int | None = None,
    permutations: int = 0,
    rng: np.random.Generator | int | None = None,
    base: float = ...,
    confidence: float = 0.95,
    missing: str = "refuse",
) -> Estimate: ...
@overload
def f_divergence(
    p: _Numbers,
    q: _Numbers,
    name: str,
    *,
    alpha: float | None = None,
    axis: int = -1,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> float: ...
@overload
def f_divergence(
    p: _Rows,
    q: _Rows,
    name: str,
    *,
    alpha: float | None = None,
    axis: int = -1,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> _Array: ...
@overload
def f_divergence(
    p: Tensor,
    q: Tensor,
    name: str,
    *,
    alpha: float | None = None,
    axis: Axis = -1,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def f_divergence(
    p: Input,
    q: Input,
    name: str,
    *,
    alpha: float | None = None,
    axis: Axis = -1,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...
@overload
def gain_ratio(
    joint: _Rows,
    *,
    axis: tuple[int, int] = (-2, -1),
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> float: ...
@overload
def gain_ratio(
    joint: _Tables,
    *,
    axis: tuple[int, int] = (-2, -1),
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> _Array: ...
@overload
def gain_ratio(
    joint: Tensor,
    *,
    axis: tuple[int, ...] = (-2, -1),
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def gain_ratio(
    joint: Input,
    *,
    axis: tuple[int, ...] = (-2, -1),
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...
@overload
def gini(
    p: _Numbers, *, axis: int = -1, keepdims: Literal[False] = False, where: ArrayLike | None = None
) -> float: ...
@overload
def gini(
    p: _Rows, *, axis: int = -1, keepdims: Literal[False] = False, where: ArrayLike | None = None
) -> _Array: ...
@overload
def gini(
    p: Tensor, *, axis: Axis = -1, keepdims: bool = False, where: ArrayLike | None = None
) -> Tensor: ...
@overload
def gini(
    p: Input, *, axis: Axis = -1, keepdims: bool = False, where: ArrayLike | None = None
) -> Any: ...
@overload
def information_gain(
    joint: _Rows,
    *,
    axis: tuple[int, int] = (-2, -1),
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> float: ...
@overload
def information_gain(
    joint: _Tables,
    *,
    axis: tuple[int, int] = (-2, -1),
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> _Array: ...
@overload
def information_gain(
    joint: Tensor,
    *,
    axis: tuple[int, ...] = (-2, -1),
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def information_gain(
    joint: Input,
    *,
    axis: tuple[int, ...] = (-2, -1),
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...
@overload
def js_distance(
    p: _Numbers,
    q: _Numbers,
    *more: Input,
    weights: ArrayLike | None = None,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> float: ...
@overload
def js_distance(
    p: _Rows,
    q: _Rows,
    *more: Input,
    weights: ArrayLike | None = None,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> _Array: ...
@overload
def js_distance(
    p: Tensor,
    q: Tensor,
    *more: Input,
    weights: ArrayLike | None = None,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def js_distance(
    p: Input,
    q: Input,
    *more: Input,
    weights: ArrayLike | None = None,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...
@overload
def js_divergence(
    p: _Numbers,
    q: _Numbers,
    *more: Input,
    weights: ArrayLike | None = None,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> float: ...
@overload
def js_divergence(
    p: _Rows,
    q: _Rows,
    *more: Input,
    weights: ArrayLike | None = None,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> _Array: ...
@overload
def js_divergence(
    p: Tensor,
    q: Tensor,
    *more: Input,
    weights: ArrayLike | None = None,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> Tensor: ...
@overload
def js_divergence(
    p: Input,
    q: Input,
    *more: Input,
    weights: ArrayLike | None = None,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> Any: ...
@overload
def kl_divergence(
    p: _Numbers,
    q: _Numbers,
    *,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> float: ...
@overload
def kl_divergence(
    p: _Rows,
    q: _Rows,
    *,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> _Array: ...
@overload
def kl_divergence(
    p: Tensor,
    q: Tensor,
    *,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> Tensor: ...
@overload
def kl_divergence(
    p: Input,
    q: Input,
    *,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    draws: int | None = None,
) -> Any: ...
@overload
def mutual_information(
    joint: _Rows,
    *,
    axis: tuple[int, int] = (-2, -1),
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> float: ...
@overload
def mutual_information(
    joint: _Tables,
    *,
    axis: tuple[int, int] = (-2, -1),
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> _Array: ...
@overload
def mutual_information(
    joint: Tensor,
    *,
    axis: tuple[int, ...] = (-2, -1),
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def mutual_information(
    joint: Input,
    *,
    axis: tuple[int, ...] = (-2, -1),
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...
@overload
def normalized_mutual_information(
    joint: _Rows,
    *,
    average: str = "arithmetic",
    axis: tuple[int, int] = (-2, -1),
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> float: ...
@overload
def normalized_mutual_information(
    joint: _Tables,
    *,
    average: str = "arithmetic",
    axis: tuple[int, int] = (-2, -1),
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> _Array: ...
@overload
def normalized_mutual_information(
    joint: Tensor,
    *,
    average: str = "arithmetic",
    axis: tuple[int, ...] = (-2, -1),
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def normalized_mutual_information(
    joint: Input,
    *,
    average: str = "arithmetic",
    axis: tuple[int, ...] = (-2, -1),
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...
@overload
def perplexity(
    p: _Numbers,
    q: _Numbers | None = None,
    *,
    axis: int = -1,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> float: ...
@overload
def perplexity(
    p: _Rows,
    q: _Rows | None = None,
    *,
    axis: int = -1,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> _Array: ...
@overload
def perplexity(
    p: Tensor,
    q: Tensor | None = None,
    *,
    axis: Axis = -1,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def perplexity(
    p: Input,
    q: Input | None = None,
    *,
    axis: Axis = -1,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...
def rank_features(
    table: Any,
    target: str,
    *,
    columns: list[str] | None = None,
    score: str = "information_gain",
    numeric: str = "mdl",
    weights: Any = None,
    missing: str = "symbol",
    permutations: int = 0,
    rng: np.random.Generator | int | None = None,
    base: float = ...,
    target_bins: int | None = None,
) -> list[FeatureRank]: ...
@overload
def renyi_divergence(
    p: _Numbers,
    q: _Numbers,
    alpha: float,
    *,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> float: ...
@overload
def renyi_divergence(
    p: _Rows,
    q: _Rows,
    alpha: float,
    *,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> _Array: ...
@overload
def renyi_divergence(
    p: Tensor,
    q: Tensor,
    alpha: float,
    *,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def renyi_divergence(
    p: Input,
    q: Input,
    alpha: float,
    *,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...
@overload
def renyi_entropy(
    p: _Numbers,
    alpha: float,
    *,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> float: ...
@overload
def renyi_entropy(
    p: _Rows,
    alpha: float,
    *,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> _Array: ...
@overload
def renyi_entropy(
    p: Tensor,
    alpha: float,
    *,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def renyi_entropy(
    p: Input,
    alpha: float,
    *,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...
@overload
def self_information(
    p: _Numbers,
    *,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> _Array: ...
@overload
def self_information(
    p: _Rows,
    *,
    axis: int = -1,
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> _Array: ...
@overload
def self_information(
    p: Tensor,
    *,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def self_information(
    p: Input,
    *,
    axis: Axis = -1,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...
@overload
def symmetric_uncertainty(
    joint: _Rows,
    *,
    axis: tuple[int, int] = (-2, -1),
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> float: ...
@overload
def symmetric_uncertainty(
    joint: _Tables,
    *,
    axis: tuple[int, int] = (-2, -1),
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> _Array: ...
@overload
def symmetric_uncertainty(
    joint: Tensor,
    *,
    axis: tuple[int, ...] = (-2, -1),
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def symmetric_uncertainty(
    joint: Input,
    *,
    axis: tuple[int, ...] = (-2, -1),
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...
@overload
def total_correlation(
    joint: Tensor,
    *,
    axis: tuple[int, ...] | None = None,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def total_correlation(
    joint: Input,
    *,
    axis: tuple[int, ...] | None = None,
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...
@overload
def tsallis_entropy(
    p: _Numbers,
    alpha: float,
    *,
    axis: int = -1,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> float: ...
@overload
def tsallis_entropy(
    p: _Rows,
    alpha: float,
    *,
    axis: int = -1,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> _Array: ...
@overload
def tsallis_entropy(
    p: Tensor,
    alpha: float,
    *,
    axis: Axis = -1,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def tsallis_entropy(
    p: Input,
    alpha: float,
    *,
    axis: Axis = -1,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...
@overload
def variation_of_information(
    joint: _Rows,
    *,
    axis: tuple[int, int] = (-2, -1),
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> float: ...
@overload
def variation_of_information(
    joint: _Tables,
    *,
    axis: tuple[int, int] = (-2, -1),
    base: float = ...,
    keepdims: Literal[False] = False,
    where: ArrayLike | None = None,
) -> _Array: ...
@overload
def variation_of_information(
    joint: Tensor,
    *,
    axis: tuple[int, ...] = (-2, -1),
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Tensor: ...
@overload
def variation_of_information(
    joint: Input,
    *,
    axis: tuple[int, ...] = (-2, -1),
    base: float = ...,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Any: ...

__all__ = [
    "ColumnDrift",
    "Counts",
    "Estimate",
    "FeatureRank",
    "LogProbs",
    "Logits",
    "Measurement",
    "adjusted_mutual_information",
    "conditional_entropy",
    "conditional_mutual_information",
    "cross_entropy",
    "drift",
    "entropy",
    "estimate_cross_entropy",
    "estimate_entropy",
    "estimate_kl_divergence",
    "estimate_mutual_information",
    "f_divergence",
    "gain_ratio",
    "gini",
    "information_gain",
    "js_distance",
    "js_divergence",
    "kl_divergence",
    "mutual_information",
    "normalized_mutual_information",
    "perplexity",
    "rank_features",
    "renyi_divergence",
    "renyi_entropy",
    "self_information",
    "symmetric_uncertainty",
    "total_correlation",
    "tsallis_entropy",
    "variation_of_information",
]
