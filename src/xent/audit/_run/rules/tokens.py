"""X207 and X501 to X504: token ids that entered the model, against the targets of the loss."""

from __future__ import annotations

import torch
from torch import Tensor

from xent.audit._run.rules import graph
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
                _padding(site, call, entered, ids, target, ignored)
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


def _padding(
    site: Site, call: LossCall, entered: Entered, ids: Tensor, target: Tensor, ignored: int
) -> None:
    """X503: trailing runs of one id are targets like any other. X504: it is a token too."""
    weight = call.options.get("weight")
    given = _without_ignored_end(target, ignored)
    alone = len(given) == 1
    pad = _end_of_one(site, given, ignored) if alone else _trailing(given, ignored)
    counted = pad is not None and call.reduction in ("mean", "sum")
    free = counted and isinstance(weight, Tensor) and float(weight[pad]) == 0
    last = int(ids[0, -1]) if alone else _trailing(_without_start(ids), -1)
    embedded = pad in (entered.padding, last)
    fact = site.fact("X503")
    if fact.saw(counted and not free and embedded) and pad is not None:
        share = float(_run_lengths(given, pad).sum()) / target.numel()
        what = f"{pad} ends the rows, and the loss ignores {ignored}"
        fact.facts = {"what": what, "fix": f"ignore_index={pad}"}
        fact.seen = fact.seen or f"{share:.0%} of the targets are trailing {pad}"
    if ids.shape == target.shape and ignored >= 0:
        end, inside = site.fact("X504"), _inside(ids, ignored)
        if end.saw(inside > 0):
            end.seen = end.seen or f"{inside} times {ignored} stands inside the rows of a batch"


def _inside(ids: Tensor, pad: int) -> int:
    """Return how often what ends most rows in runs also stands inside them: it ends texts there."""
    run = _run_lengths(ids, pad)
    within = (ids[:, 1:-1] == pad) & (ids[:, 2:] != pad) & (ids[:, :-2] != pad)
    if int(run.max()) < 2 or 2 * int((run > 0).sum()) < len(ids):
        return 0
    return int(within.sum()) if bool((within.any(1) | (run == 0)).all()) else 0


def _without_ignored_end(target: Tensor, ignored: int) -> Tensor:
    """Leave out the last places that are ignored in all rows, as models that shift leave one."""
    kept = (target != ignored).any(0).nonzero()
    return target[:, : int(kept[-1]) + 1] if len(kept) else target


def _run_lengths(rows: Tensor, pad: int) -> Tensor:
    """Return how many entries at the end of each row are the padding."""
    return (rows.flip(1) == pad).long().cumprod(1).sum(1)


def _without_start(ids: Tensor) -> Tensor:
    """Leave out what all rows begin with: a decoder is often started by the padding."""
    return ids[:, 1:] if len(ids) > 1 and bool((ids[:, 0] == ids[0, 0]).all()) else ids


def _end_of_one(site: Site, row: Tensor, ignored: int) -> int | None:
    """Return the id that ends rows that come one by one, in runs of unlike length."""
    pad, length = int(row[0, -1]), row.size(1)
    run = int(_run_lengths(row, pad))
    if length < FEW_TOKENS or pad == ignored or pad < 0 or not 2 <= run < length:
        return None
    if int((row == pad).sum()) != run:
        return None
    lengths = site.ends.setdefault(pad, set())
    lengths.add(run)
    return pad if len(lengths) > 1 else None


def _trailing(rows: Tensor, ignored: int) -> int | None:
    """Return the id that ends rows in runs of unlike length and stands nowhere inside them."""
    if rows.size(1) < FEW_TOKENS:
        return None
    pad = int(rows[:, -1].mode().values)
    if pad == ignored or pad < 0:
        return None
    run = _run_lengths(rows, pad)
    full = run == rows.size(1)
    if int(run.max()) < 2 or distinct(torch.where(full, 0, run)) < 2:
        return None
    if int((run > 0).sum()) * 2 < len(rows) or int((rows == pad).sum()) != int(run.sum()):
        return None
    return pad
