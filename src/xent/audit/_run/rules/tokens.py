"""X207, X501 and X502: token ids that entered the model, against the targets of the loss."""

from __future__ import annotations

from torch import Tensor

from xent.audit._run.rules import graph, padding
from xent.audit._run.sites import Entered, LossCall, Site

ALMOST_ALL = 0.99
FEW_TOKENS = 3  # different tokens, below which equality says nothing


def shifts(site: Site, call: LossCall) -> None:
    """Compare the targets with the ids that entered the embeddings before."""
    if call.name not in ("cross_entropy", "nll_loss") or call.target.is_floating_point():
        return
    ignored = int(call.options.get("ignore_index", -100))
    start = graph.offset(call.output)
    verdicts: dict[str, Tensor] = {}
    pairs: list[tuple[str, Entered, Tensor, Tensor]] = []
    for entered in call.entered:
        if _is_count(entered.ids):
            continue
        for time_first in (False, True):
            pair = _rows(call.target, entered.ids, time_first)
            if pair is None:
                continue
            ids, target = pair
            verdict = _shift(ids, target, ignored, 0 if time_first else start)
            cut = call.output.grad_fn is None and target.size(1) < ids.size(1)
            if verdict == "twice" and cut:
                continue  # only a graph tells whether the first position was cut off, or the last
            if verdict == "right" or not time_first:
                verdicts.setdefault(verdict, ids)
            if not time_first or verdict == "right":
                pairs.append((verdict, entered, ids, target))
    told = any(verdict for verdict, *_ in pairs)  # by the tokens, which layout it is
    padding.of_entered(site, call, [one[1:] for one in pairs if one[0] or not told], ignored)
    if "copy" in verdicts:
        rows, length = verdicts["copy"].shape
        site.squeezed |= graph.squeezed(call.output, rows, min(length, call.target.numel() // rows))
        if site.squeezed:
            del verdicts["copy"]
    if not verdicts:
        return
    for rule, verdict in (("X501", "copy"), ("X502", "twice"), ("X207", "wrapped")):
        fact = site.fact(rule)
        if fact.saw(verdict in verdicts and (verdict == "wrapped" or "right" not in verdicts)):
            ids = verdicts[verdict]
            fact.seen = fact.seen or f"ids of {tuple(ids.shape)}, {distinct(ids)} different ones"


def distinct(ids: Tensor) -> int:
    """Return how many different ids there are."""
    ordered = ids.flatten().sort().values
    return int((ordered[1:] != ordered[:-1]).sum()) + 1 if ordered.numel() else 0


def _is_count(ids: Tensor) -> bool:
    """Whether ids are positions: every row counts up by one."""
    return ids.size(1) > 1 and bool((ids[:, 1:] - ids[:, :-1] == 1).all())


def _rows(target: Tensor, ids: Tensor, time_first: bool) -> tuple[Tensor, Tensor] | None:
    """Return ids and targets as (B, T) each; None where they do not belong together."""
    ids = ids.T if time_first else ids
    size, length = ids.shape
    if length < FEW_TOKENS or distinct(ids) < FEW_TOKENS:
        return None
    for long in (length, length - 1):
        shape = (long, size) if time_first else (size, long)
        if target.numel() == size * long and (target.dim() == 1 or target.shape == shape):
            return ids, target.reshape(long, size).T if time_first else target.reshape(shape)
    return None


def _equal(ids: Tensor, target: Tensor, ignored: int, by: int) -> float:
    """Return how many targets equal the id that stands so many places after the one predicted."""
    width = max(0, min(target.size(1), ids.size(1) - by))
    said, given = target[:, :width], ids[:, by : by + width]
    kept = said != ignored
    count = int(kept.sum())
    return float(((said == given) & kept).sum()) / count if count >= FEW_TOKENS else 0.0


def _shift(ids: Tensor, target: Tensor, ignored: int, start: int) -> str:
    """Say how far the targets are from the ids: "copy", "right", "twice", "wrapped" or ""."""
    start = start if target.size(1) < ids.size(1) else 0
    copy, right, twice = (_equal(ids, target, ignored, start + by) for by in range(3))
    if target.size(1) == ids.size(1) and right >= ALMOST_ALL:
        last = target[:, -1]
        if bool((last == ids[:, 0]).all()) and _differs(ids[:, 0]):
            return "wrapped"
    if right > 0.5:
        return "right"
    if copy >= ALMOST_ALL:
        return "copy"
    return "twice" if twice >= ALMOST_ALL else ""


def _differs(ids: Tensor) -> bool:
    return distinct(ids) > 1 and len(ids) > 1
