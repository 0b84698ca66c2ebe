"""X503 and X504: padding that a loss counts, and padding that is a token too."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from xent.audit._run.padding import Ends, Padding, trailing
from xent.audit._run.rules import graph
from xent.audit._run.sites import Entered, LossCall, Site
from xent.audit._run.torch_private import unseen

FEW_TOKENS = 3
LOSSES_OF_VALUES = frozenset(
    (
        *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"),
        *("binary_cross_entropy", "binary_cross_entropy_with_logits"),
    )
)
UNREDUCED = ("NllLoss", "NllLoss2D", "MseLoss", "SmoothL1Loss", "HuberLoss")
BY_HAND = ("Pow", "Abs")  # of a difference


def of_entered(
    site: Site, call: LossCall, pairs: list[tuple[Entered, Tensor, Tensor]], ignored: int
) -> None:
    """X503: trailing runs of one id are targets like any other. X504: it is a token too.

    ``pairs`` are ids (B, T) that entered an embedding and the targets (B, T) beside them.
    """
    counted = [one for pair in pairs if (one := _counted(site, call, *pair, ignored))]
    fact = site.fact("X503")
    if pairs and fact.saw(bool(counted)):
        pad, share = counted[0]
        what = f"{pad} ends the rows, and the loss ignores {ignored}"
        fact.facts = {"what": what, "fix": f"ignore_index={pad}"}
        fact.seen = fact.seen or f"{share:.0%} of the targets are trailing {pad}"
    alike = [ids for _, ids, target in pairs if ids.shape == target.shape]
    if alike and ignored >= 0:
        end, inside = site.fact("X504"), max(_inside(ids, ignored) for ids in alike)
        if end.saw(inside > 0):
            end.seen = end.seen or f"{inside} times {ignored} stands inside the rows of a batch"


def _counted(
    site: Site, call: LossCall, entered: Entered, ids: Tensor, target: Tensor, ignored: int
) -> tuple[int, float] | None:
    """Return the id that ends the targets in runs and is counted, and its share of them."""
    weight = call.options.get("weight")
    given = _without_ignored_end(target, ignored)
    alone = len(given) == 1
    pad = _end_of_one(site, given, ignored) if alone else _trailing(given, ignored)
    if pad is None:
        return None
    call.by_ids = True
    free = isinstance(weight, Tensor) and float(weight[pad]) == 0
    last = int(ids[0, -1]) if alone else _trailing(_without_start(ids), -1)
    embedded = pad in (entered.padding, last)
    if call.reduction not in ("mean", "sum") or free or not embedded:
        return None
    return pad, float(_run_lengths(given, pad).sum()) / target.numel()


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
    found = trailing(rows)
    pad = int(found[1]) if found is not None else ignored
    return pad if pad not in (ignored, -1) and pad >= 0 else None


def of_targets(site: Site, call: LossCall) -> None:
    """X503: class indices that are rows with their padding, or one step of such rows."""
    target, known = call.target, call.padding
    if call.name not in ("cross_entropy", "nll_loss") or target.is_floating_point():
        return
    for entered in call.entered:
        known.embeds(entered.ids)
    if call.reduction not in ("mean", "sum") or call.by_ids:
        return
    for ends, counted in _of_rows(target, known):
        pad = int(ends.pad)
        if pad < 0 or not counted or not (ends.sure or pad in known.ids):
            continue
        weight = call.options.get("weight")
        free = isinstance(weight, Tensor) and pad < len(weight) and float(weight[pad]) == 0
        ignored = int(call.options.get("ignore_index", -100))
        fact = site.fact("X503")
        if fact.saw(pad != ignored and not free):
            what = f"{pad} ends the rows, and the loss ignores {ignored}"
            fact.facts = {"what": what, "fix": f"ignore_index={pad}"}
            fact.seen = fact.seen or f"{counted / target.numel():.0%} of the targets are padding"
        return


def _of_rows(target: Tensor, known: Padding) -> Iterator[tuple[Ends, int]]:
    """Go over the rows that targets can be, with how many of the targets are padding."""
    for rows in _both_ways(target, known.sizes()):
        ends = known.ends(rows)
        if ends is not None:
            yield ends, int((rows.size(1) - ends.lengths).clamp(min=0).sum())
    whole = target._base
    if target.dim() != 1 or whole is None or whole.dim() != 2:
        return
    for rows in (whole, whole.T):
        ends = known.ends(rows) if rows.size(0) == len(target) else None
        if ends is not None and target.stride(0) == rows.stride(0):
            step = (target.storage_offset() - rows.storage_offset()) // rows.stride(1)
            yield ends, int((ends.lengths <= step).sum())


def _both_ways(values: Tensor, sizes: set[int]) -> Iterator[Tensor]:
    """Go over (B, T, ...) that values can be, of so many rows."""
    if values.dim() > 1:
        yield from (values, values.transpose(0, 1))
        return
    for size in sizes:
        length, rest = divmod(values.numel(), size)
        if not rest and length >= FEW_TOKENS:
            yield values.reshape(size, length)
            yield values.reshape(length, size).T


def of_values(site: Site, call: LossCall) -> None:
    """X503: numbers (B, T, ...) that end in padding, in an error that is averaged over all."""
    target, output = call.target, call.output
    if call.name not in LOSSES_OF_VALUES or call.reduction not in ("mean", "sum"):
        return
    if target.shape != output.shape or target.dim() < 2:
        return
    for turned in (False, True):
        rows = target.transpose(0, 1) if turned else target
        ends = call.padding.ends(rows)
        if ends is None or not ends.sure:  # pictures of a sky end so too
            continue
        beyond = torch.arange(rows.size(1), device=rows.device) >= ends.lengths[:, None]
        given = output.transpose(0, 1) if turned else output
        fact = site.fact("X503")
        fact.level = "warning"  # a model may be meant to tell the ends
        if fact.saw(not torch.equal(given[beyond], rows[beyond])):
            _tell_of_steps(site, f"{ends.pad:g} fills the ends of the rows", beyond)
        return


def _tell_of_steps(site: Site, what: str, beyond: Tensor) -> None:
    fact = site.fact("X503")
    fact.facts = {
        "what": f"{what}, and the mean is over all steps",
        "fix": "(error * mask).sum() / mask.expand_as(error).sum()    # mask: steps < lengths",
    }
    fact.seen = fact.seen or f"{float(beyond.float().mean()):.0%} of the steps are padding"


def of_entries(entries: Tensor, known: Padding) -> Tensor | None:
    """Return which steps of errors (B, T, ...) are padding, where all of them are averaged."""
    operation, node = graph.last_operation(entries)
    by_hand = operation in BY_HAND and graph.last_operation_of(graph.below(node))[0] == "Sub"
    if not by_hand and operation not in UNREDUCED and not operation.startswith("BinaryCross"):
        return None
    with unseen():
        for lengths in known.lengths():
            for rows in _both_ways(entries, {len(lengths)}):
                cut = max(lengths) - rows.size(1)
                if rows.size(0) != len(lengths) or cut not in (0, 1):
                    continue
                beyond = torch.arange(rows.size(1)) >= torch.tensor(lengths)[:, None] - cut
                if bool((rows[beyond] != 0).all()):
                    return beyond
    return None


def tell_of_entries(site: Site, beyond: Tensor) -> None:
    """X503 in a loss of one's own."""
    fact = site.fact("X503")
    fact.level = "warning"
    fact.saw(True)
    _tell_of_steps(site, "rows were filled up", beyond)


def of_ctc(site: Site, call: LossCall) -> None:
    """X503 and X201: the lengths of CTC's targets count padding, or targets hold the blank."""
    targets, lengths = call.options.get("targets"), call.options.get("target_lengths")
    if call.name != "ctc_loss" or not isinstance(targets, Tensor) or targets.dim() != 2:
        return
    given = torch.as_tensor(lengths, device=targets.device)
    if given.shape != targets.shape[:1]:
        return
    blank = int(call.options.get("blank", 0))
    counted = torch.arange(targets.size(1), device=targets.device) < given[:, None]
    ends = call.padding.ends(targets)
    if ends is None or not (ends.sure or ends.pad == blank):
        ends = _ends_of_labels(targets, given)
    beyond = torch.zeros_like(counted)
    if ends is not None:
        steps = torch.arange(targets.size(1), device=targets.device)
        beyond = counted & (steps >= ends.lengths[:, None])
    fact = site.fact("X503")
    if fact.saw(2 * int(beyond.any(1).sum()) >= len(targets)) and ends is not None:
        pad = int(ends.pad)
        fact.level = "error" if ends.sure or pad == blank else "warning"
        fact.facts = {
            "what": f"{pad} ends the rows, and target_lengths count it",
            "fix": "target_lengths = torch.tensor([len(y) for y in labels])    # as they were "
            "before they were filled up",
        }
        share = int(beyond.sum()) / max(1, int(counted.sum()))
        fact.seen = fact.seen or f"{share:.0%} of the labels are padding"
        return
    fact = site.fact("X201")
    if fact.saw(bool(((targets == blank) & counted).any())):
        classes = call.options["log_probs"].size(-1)
        low, high = int(targets[counted].min()), int(targets[counted].max())
        fact.facts = {
            "loss": "ctc_loss",
            "range": f"[0, {classes - 1}] without the blank, {blank}",
            "got": f"{low} to {high} with {blank} among them",
            "fix": "give the blank a class of its own: one more output, and CTCLoss(blank=...)",
        }


def _ends_of_labels(targets: Tensor, given: Tensor) -> Ends | None:
    """Return how labels end that all count as long as the longest, where several are one."""
    if bool((given != targets.size(1)).any()) or targets.size(1) < FEW_TOKENS:
        return None
    pad = int(targets[:, -1].mode().values)
    run = _run_lengths(targets, pad)
    twice = (targets[:, 1:] == pad) & (targets[:, :-1] == pad)
    if int(twice.sum()) != int((run - 1).clamp(min=0).sum()):
        return None
    if (
        int((run > 1).sum()) < 2
        or len(set(run.tolist())) < 3
        or 2 * int((run > 0).sum()) < len(run)
    ):
        return None
    return Ends(targets.size(1) - run, float(pad), False)
