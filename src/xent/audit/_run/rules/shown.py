"""X401 to X406 by value: what is printed after a pass, against what its losses give.

However a script adds and divides, the number that it shows is one of a few: the mean of all
samples, or what one of the mistakes makes of the same losses. A printed number is taken for one of
these where its digits tell it from what is right, and where chance is ruled out.
"""

from __future__ import annotations

import linecache
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from xent.audit._run.frames import Location
from xent.audit._run.rules.averages import apart, sizes
from xent.audit._run.sites import KEPT_PASSES, Pass, Site

PRINTED_NUMBER = re.compile(r"(?<![\w.])-?\d+\.(\d+)(?:e([-+]?\d+))?(?!\w|\.\d)")
OF_A_LOSS = re.compile(
    r"loss|nll|\bb?ce\b|elbo|perplexity|ppl|cost|error|mse|entropy|\bbits|\bnats", re.IGNORECASE
)
OF_A_METRIC = re.compile(
    r"\b(?!\w*loss)\w*(?:acc(?!um|ount|ess|ept)|metric|score|dice|iou|psnr|ssim|correct|f1)",
    re.IGNORECASE,
)
OF_AN_AVERAGE = re.compile(r"\w*(?<![a-z])(?:av(?:g|erage)d?|mean)(?![a-z])\w*", re.IGNORECASE)
NAMED_AVERAGE = re.compile(r"(?<![.\w])\w*(?:avg|average)\w*\b(?!\()", re.IGNORECASE)
OF_A_SUM = re.compile(r"sum|total|running", re.IGNORECASE)
OF_FLOAT32 = 2e-6  # how far off a sum of a few numbers may be, relatively
MOST_CHANCE = 3e-4  # that the digits agree by chance, in all passes
FEWEST_DIGITS = 3  # of what is handed over as a number: others are counts, shares and settings
Kind = tuple[object, ...]


class Wrong(NamedTuple):
    """What a mistake makes of the losses of a pass, and what is right."""

    rule: str
    value: float
    right: float
    facts: dict[str, str]


class Number(NamedTuple):
    """A number of a printed line."""

    value: float
    reach: float  # how far off what was rounded to its digits may be
    named: bool  # the words in front of it speak of a loss
    average: str  # the word by which it is called an average


@dataclass(slots=True)
class Shown:
    """A number at one place of a printed line, compared with one mistake pass by pass."""

    place: Location
    site: Site
    told: int = 0  # passes in which the digits tell the mistake from what is right
    found: int = 0
    chance: float = 1.0
    wrong: Wrong | None = None
    seen: str = ""


@dataclass(slots=True)
class Printed:
    """The numbers that a run has printed after its passes, by their places."""

    numbers: dict[tuple[object, ...], Shown] = field(default_factory=dict)
    latest: dict[Location, tuple[int, int, str]] = field(default_factory=dict)
    histories: dict[tuple[Location, str], tuple[int, float]] = field(default_factory=dict)
    right: set[Location] = field(default_factory=set)  # where only what is right was printed

    def line(self, text: str, place: Location, sites: Iterable[Site], calls: int) -> None:
        """Compare a line's numbers with what the passes give that ended before it.

        ``calls`` counts the calls of losses: while it stays, what one place prints is one line.
        """
        if not _of_a_loss(text, place):
            return
        numbers, words, before = [], "", 0
        for found in PRINTED_NUMBER.finditer(text):
            label, before = text[before : found.start()], found.end()
            words += "".join(one for one in label if not one.isdigit())
            average = OF_AN_AVERAGE.search(label)
            called = average[0] if average is not None and not OF_A_SUM.search(label) else ""
            numbers.append(Number(float(found[0]), _reach(found), _names_a_loss(label), called))
        if len(numbers) == 1 and not numbers[0].average:
            numbers = [numbers[0]._replace(average=_average(text, place))]
        since, first, said = self.latest.get(place, (calls, 0, ""))
        first = first if since == calls else 0
        self.latest[place] = calls, first + len(numbers), words
        compared = []
        for site in sites if numbers else ():
            for kind, passes in _kinds(site).items():
                one = passes[-1]
                if _over(one) and one.printed.setdefault(place, calls) == calls:  # no older pass
                    compared.append((site, kind, one))
        row = first > 0 and words == said  # one of many alike, as those of batches
        self._compare(list(enumerate(numbers, first)), place, compared, row)

    def series(
        self, label: str, length: int, latest: list[float], place: Location, sites: Iterable[Site]
    ) -> None:
        """Compare a history with the passes: its last number with the last pass, and so on.

        Only what came since the same history was handed over is compared.
        """
        if not latest or not _of_a_loss(label, place):
            return
        known, last = self.histories.get((place, label), (0, math.nan))
        self.histories[place, label] = length, latest[-1]
        new = length - known
        if not 0 <= new < len(latest) or latest[-1 - new] != last:
            new = length
        named, average = _names_a_loss(label), OF_AN_AVERAGE.search(label)
        called = average[0] if average is not None and not OF_A_SUM.search(label) else ""
        every = [
            (site, kind, passes)
            for site in sites
            for kind, passes in _as_long(site, length).items()
        ]
        for back in range(1, min(new, len(latest)) + 1):
            digits = PRINTED_NUMBER.fullmatch(repr(latest[-back]))
            if digits is not None and len(digits[1]) >= FEWEST_DIGITS:
                number = Number(latest[-back], _reach(digits), named, called)
                passes = [
                    (site, kind, of[-back])
                    for site, kind, of in every
                    if back <= len(of) and _over(of[-back])
                ]
                self._compare([(label, number)], place, passes, row=False)

    def _compare(
        self,
        numbers: list[tuple[object, Number]],
        place: Location,
        passes: list[tuple[Site, Kind, Pass]],
        row: bool,
    ) -> None:
        compared = [
            (site, kind, one, *averages(one, "sum" in site.reductions))
            for site, kind, one in passes
        ]
        right_of_any = [value for *_, rights, _ in compared for value in rights]
        for each in compared:
            self._compare_with(numbers, place, row, right_of_any, *each)

    def _compare_with(
        self,
        numbers: list[tuple[object, Number]],
        place: Location,
        row: bool,
        right_of_any: list[float],
        site: Site,
        kind: Kind,
        one: Pass,
        rights: list[float],
        wrongs: list[Wrong],
    ) -> None:
        for at, (value, reach, named, average) in numbers:
            if not site.named and not named:
                continue  # its neighbour on the line is called a loss, and it is not
            told = [
                (which, wrong)
                for which, wrong in enumerate(wrongs)
                if all(abs(wrong.value - right) > 3 * reach for right in right_of_any)
            ]
            if any(abs(value - right) <= reach for right in rights):
                if told:
                    one.shown_right = True
                    self.right.add(place)
                continue
            right = any(abs(value - right) <= reach for right in right_of_any)
            for which, wrong in told:
                if wrong.rule == "X402" and one.trains:
                    continue  # the model changes meanwhile: it is what one shows
                if wrong.rule == "X404" and not average:
                    continue  # it says that it is a sum, or nothing
                if wrong.rule == "X406" and row:
                    continue
                shown = self.numbers.setdefault(
                    (place, at, id(site), kind, which), Shown(place, site)
                )
                shown.told += 1
                if abs(value - wrong.value) <= reach and not right:
                    one.shown_wrong = True
                    shown.found += 1
                    shown.chance *= min(1.0, 2 * reach / abs(value)) if value else 1.0
                    pair = apart(wrong.value, wrong.right)
                    shown.wrong = wrong
                    if wrong.rule == "X404":
                        shown.wrong = wrong._replace(facts={"label": f"`{average}`"})
                    shown.seen = f"{sizes(one.sizes)}; shown {pair[0]}, right {pair[1]}"

    def wrongs(self) -> Iterator[tuple[Shown, Wrong]]:
        """Go over the numbers that are wrong in every pass, one of each line and site."""
        lines = set()
        for shown in self.numbers.values():
            line = shown.place.file, shown.place.line, id(shown.site)
            sure = 0 < shown.told == shown.found and shown.chance <= MOST_CHANCE
            if sure and shown.wrong is not None and line not in lines:
                lines.add(line)
                yield shown, shown.wrong


def shown_right(passes: list[Pass]) -> bool:
    """Whether what is right was printed after some of the passes, and what is wrong after none."""
    return any(one.shown_right for one in passes) and not any(one.shown_wrong for one in passes)


def averages(one: Pass, sums: bool) -> tuple[list[float], list[Wrong]]:
    """Return what may be right of a pass of batch means or sums, and what mistakes make of it."""
    cells = [(size, terms, cell) for (size, terms), cell in one.cells.items()]
    batches = sum(cell.batches for *_, cell in cells)
    samples = sum(size * cell.batches for size, _, cell in cells)
    terms = sum(count * cell.batches for _, count, cell in cells)
    total = sum(cell.total for *_, cell in cells)
    if not samples or not terms or batches < 2 or not math.isfinite(total):
        return [], []
    if any(cell.unread for *_, cell in cells):
        return [], []
    drawn = one.round.samples if one.round is not None else None  # of which each may have many rows
    of_means = {"over": "", "size": "len(x)"}
    if sums:
        rights = [total / terms, total / samples, total / (drawn or samples), total]
        said = {
            "what": "sums of each batch's losses are added up",
            "divisor": "the number of batches",
        }
        by_batches = said | {"fix": "divide by the number of samples"}
        means = sum(cell.total / size for size, _, cell in cells) / batches
        return rights, [
            Wrong("X402", means, rights[1], of_means),
            Wrong("X403", total / batches, rights[1], by_batches),
        ]
    right = sum(count * cell.total for _, count, cell in cells) / terms
    by_samples = sum(size * cell.total for size, _, cell in cells)
    rights = [right, by_samples / samples]
    of_batches = {
        "what": "all batches' losses are added up",
        "fix": "divide by the number of batches: len(loader)",
    }
    wrongs = [
        Wrong("X402", total / batches, right, of_means),
        *(
            Wrong("X401", total / count, right, of_means | {"divisor": f"{count:,}"})
            for count in (samples, terms, drawn or samples)
        ),
        *(
            Wrong("X403", total / (batches + step), right, of_batches | {"divisor": said})
            for step, said in ((-1, "one fewer than there are"), (1, "one more than there are"))
        ),
    ]
    if one.value is not None and not one.grad and not (one.round and one.round.early):
        wrongs.append(Wrong("X406", one.value, right, {"label": "", "size": "len(x)"}))
    size = one.round.size if one.round is not None else None
    if size:
        said = {
            "what": "all samples' losses are added up",
            "divisor": "the number of batches times the size of a whole one",
            "fix": "divide by the number of samples: len(loader.dataset)",
        }
        wrongs.append(Wrong("X403", by_samples / (batches * size), right, said))
    wrongs.append(Wrong("X404", total, right, {}))
    mean = sum(cell.exponentials for *_, cell in cells) / batches
    perplexity = _perplexity(right)
    if math.isfinite(mean) and math.isfinite(perplexity):
        wrongs.append(Wrong("X405", mean, perplexity, {}))
    for change in (_perplexity, _bits):
        rights += [change(value) for value in rights[:2]]
        first = wrongs[0]
        wrongs.append(first._replace(value=change(first.value), right=change(right)))
    return rights, wrongs


def _perplexity(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf


def _bits(nats: float) -> float:
    return nats / math.log(2)


def _kinds(site: Site) -> dict[Kind, list[Pass]]:
    """Return a site's passes by what they were for: training or not, whose calls, which loader."""
    found: dict[Kind, list[Pass]] = {}
    if len(site.reductions) == 1 and site.reductions.keys() <= {"mean", "sum"}:
        for one in site.passes:
            of = (one.round.size, one.round.samples) if one.round is not None else ()
            found.setdefault((one.grad, one.callers, *of), []).append(one)
    return found


def _as_long(site: Site, length: int) -> dict[Kind, list[Pass]]:
    """Return the passes of which a history may tell: of each kind, or of all kinds together."""
    kinds = _kinds(site)
    if len(site.passes) == KEPT_PASSES:
        return kinds  # older ones are forgotten
    long = {kind: passes for kind, passes in kinds.items() if length <= len(passes)}
    for grad in (True, False):
        if not any(kind[0] is grad for kind in long):
            every = [one for one in site.passes if one.grad is grad]
            if kinds and length <= len(every):
                long[grad,] = every
    return long


def _over(one: Pass) -> bool:
    """Whether a pass has come to its end, and was seen in full."""
    if one.round is None or not one.round.ended or one.partly:
        return False
    return not one.round.made or _of_one_size(one)


def _of_one_size(one: Pass) -> bool:
    """Whether all batches but a smaller last one have one size: so data are cut, and tasks not."""
    sizes = one.sizes
    return len(sizes) == 1 or (len(sizes) == 2 and one.size == min(sizes) and sizes[one.size] == 1)


def _reach(number: re.Match[str]) -> float:
    """Return how far a number may be from what was rounded to its digits."""
    half = 0.501 * 10.0 ** (int(number[2] or 0) - len(number[1]))
    return max(half, OF_FLOAT32 * abs(float(number[0])))


def _average(text: str, place: Location) -> str:
    """Return the word by which a line of one number, or its code, calls it an average."""
    code = "".join(linecache.getlines(place.file)[place.line - 1 : place.last])
    found = NAMED_AVERAGE.search(code)
    return found[0] if found is not None and not OF_A_SUM.search(text + code) else ""


def _names_a_loss(label: str) -> bool:
    """Whether the words between two numbers of a line are the name of a loss."""
    return bool(OF_A_LOSS.search(label)) and not OF_A_METRIC.search(label)


def _of_a_loss(text: str, place: Location) -> bool:
    """Whether a line, or the code that prints it, speaks of a loss."""
    code = "".join(linecache.getlines(place.file)[place.line - 1 : place.last])
    return bool(OF_A_LOSS.search(text) or OF_A_LOSS.search(code))
