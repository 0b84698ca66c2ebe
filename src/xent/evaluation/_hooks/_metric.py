"""The door to the metric of torchmetrics, which is imported when it is asked for."""

from typing import Any

from xent import _check
from xent._optional import need

METRIC_KINDS = ("logits", "probs", "log_probs")


def torchmetrics_metric(
    *,
    kind: str = "logits",
    class_axis: int = 1,
    ignore_index: int | None = None,
    ranking: bool = False,
    once: bool = False,
    base: float = 2,
    **options: Any,
) -> Any:
    """Return a `torchmetrics.Metric` of the cross-entropy whose merge over processes is exact.

    value = - Σ log2 p(true class) / rows, over all batches of all processes

    Parameters
    ----------
    kind : {"logits", "probs", "log_probs"}
        What ``update(preds, target)`` is given: (N, C), or (N, C, ...) as PyTorch has masks.
    class_axis : int
        Where the classes are in what has more than two dimensions.
    ignore_index : int, optional
        A target that says to leave its row out.
    ranking : bool
        Whether the report has ROC AUC and average precision, which takes longer than all the rest.
    once : bool
        Whether rows of one id count once: ``update(preds, target, ids)``. All rows are then kept.
    base : float
        Base of the logarithm: 2 gives bits, math.e nats.
    **options : object
        Of `torchmetrics.Metric`, such as ``process_group`` and ``sync_on_compute``.

    Returns
    -------
    torchmetrics.Metric
        ``compute()`` is the cross-entropy of all processes as a float64 tensor; ``report()`` the
        whole `Report`. Its state travels in checkpoints.

    Raises
    ------
    ImportError, ValueError
        If torchmetrics is not installed, or an option is none of those above.

    Notes
    -----
    A DistributedSampler repeats rows, to give every process as many: without ``once`` they are
    counted as often as they come.

    Examples
    --------
    >>> metric = torchmetrics_metric(classes=10)  # doctest: +SKIP
    >>> metric.update(logits, target)  # doctest: +SKIP
    """
    _check.option("kind", kind, METRIC_KINDS)
    need("torch", extra="torch", by="torchmetrics_metric")
    need("torchmetrics", extra="torchmetrics", by="torchmetrics_metric")
    settings = {
        "ignore_index": ignore_index, "ranking": ranking, "once": once, "base": base,
        "allow_probabilities": True,
    }  # fmt: skip
    from xent.evaluation._hooks._torchmetrics import CrossEntropyMetric

    return CrossEntropyMetric(kind, settings, class_axis, **options)
