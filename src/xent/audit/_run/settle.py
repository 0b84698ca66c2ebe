"""What reading found and what a run saw, in one report: confirmed, silenced or given in numbers."""

from __future__ import annotations

import linecache
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from xent.audit._audit import ScriptsRead
from xent.audit._catalogue import FINDING_LEVELS, RULES
from xent.audit._config import Config
from xent.audit._finding import Finding, finding
from xent.audit._report import AuditReport
from xent.audit._run.frames import Location
from xent.audit._run.observer import Observer
from xent.audit._run.reach import Reach, at
from xent.audit._run.rules.averages import from_loader, quantified
from xent.audit._run.rules.modes import ran, stepped
from xent.audit._run.rules.shown import shown_right
from xent.audit._run.sites import Fact, Pass, Round, Site

MODES = ("X701", "X702")  # which the run watches itself
AVERAGES = frozenset(["X401", "X402", "X405"])
ADDED_UP = AVERAGES | {"X403", "X404", "X406", "X407"}
ONE_CALL_ENOUGH = frozenset(["X107", "X201", "X203", "X604", "X605"])  # one call is enough
SHARE_ENOUGH = {"X409": 0.3, "X503": 0.5, "X504": 0.5}  # the share of calls that is
MOSTLY = 0.9
LEAST_TIMES = {"X409": 2}
BEHIND = {  # what follows from another finding at the same site
    "X604": ("X106", "X201"),
    "X104": ("X101",),
    "X301": ("X303",),
}
UNDEFINED = ("X106", "X201", "X303")  # what makes a loss NaN by itself
SCALED_BACK = re.compile(r"\bsize\(|\.shape\b|num_classes|n_classes|numel\(")


def settled(
    observer: Observer,
    read_files: ScriptsRead,
    config: Config,
    folder: Path,
    *,
    only_run: bool = False,
) -> AuditReport:
    """Return the report of a run; ``only_run`` leaves out what was read of losses that did not."""
    joined = _Joined(observer, read_files, config, folder, only_run)
    joined.read()
    joined.watched()
    joined.printed()
    joined.modes()
    joined.broken()
    joined.unreached()
    return read_files.report(config)


class _Joined(Reach):
    """The findings of both halves while they are put together."""

    def __init__(
        self,
        observer: Observer,
        read_files: ScriptsRead,
        config: Config,
        folder: Path,
        only_run: bool,
    ) -> None:
        super().__init__(observer, read_files, folder)
        self.only_run, self.config = only_run, config
        self.own = [site for site in observer.scalars.losses() if site.named]
        self.told: set[tuple[int, str]] = set()  # site and rule that reading found already

    # ------------------------------------------------------------------ what reading found

    def read(self) -> None:
        """Confirm, silence or quantify what reading found."""
        alone = self._alone()
        found = {_line(one) for one in self.reading.found.values()}
        for line, one in alone.items():
            if line not in found:
                self.reading.add(one)
        for key, one in list(self.reading.found.items()):
            if one.rule in MODES:
                continue
            about = self._about(one)
            if (one.rule == "X407" and self._printed_right(one)) or self._own_is_right(one):
                del self.reading.found[key]
                continue
            if one.supposed in ("sizes", "loss") and not self._seen(one, about):
                instead = alone.get(_line(one))
                if instead is None:
                    del self.reading.found[key]
                    continue
                one, about = instead, self._about(instead)
            kept: Finding | None = one if about or not self.only_run else None
            if one.rule == "X402" and not about and kept is not None:
                kept = self._of_rounds(one)
            for site in about:
                if _louder(site.facts.get(one.rule), one):
                    kept = None  # the run tells it better
                    break
                kept = self._confirmed(one, site)
                self.told.add((id(site), one.rule))
                if kept is not None:
                    break
            if one.rule == "X403" and one.loop is not None and kept is not None:
                kept = self._of_rounds(kept)
            if kept is None:
                del self.reading.found[key]
            else:
                self.reading.found[key] = kept

    def _alone(self) -> dict[tuple[str, int, str], Finding]:
        """Return the averages that a file that ran shows by itself, of losses that ran just there.

        What its caller gives may hide them: a list of batches, a part of a loss that none knows.
        All else that a file shows by itself the run looks at itself.
        """
        kept = {}
        for one in self.reading.alone:
            wanted = self._wanted(one)
            about = [
                site
                for site in self.sites
                if site.name not in ("backward", "softmax") and wanted(site.place)
            ]
            learns = one.rule != "X408" or any(site.with_grad for site in about)
            if about and learns and one.rule.startswith("X4"):
                kept[_line(one)] = replace(one, supposed="part")
        return kept

    def _file(self, one: Finding) -> str:
        return next((path for path, shown in self.files.items() if shown == one.path), one.path)

    def _seen(self, one: Finding, about: list[Site]) -> bool:
        """Whether the run confirms what reading supposes: every loss in that call is a mean."""
        losses = [site for site in about if site.name not in ("backward", "softmax")]
        if one.supposed == "sizes" and not losses:
            judged = self._of_rounds(one)
            return judged is not None and judged.seen is not None
        if not losses or any(set(site.reductions) != {"mean"} for site in losses):
            return False
        if one.rule not in AVERAGES:
            return True
        return any(self._quantified(one, site)[0] for site in losses)

    def _by_steps(self, one: Finding, site: Site) -> Finding:
        """Tell a mean of batch means in training as a note, and louder where the loop evaluates."""
        passes = self._passes(one, site)
        if self.config.levels.get(one.rule) is not None or not passes:
            return one
        if one.level != "note":
            return replace(one, level="note") if all(each.trains for each in passes) else one
        louder = replace(one, level=RULES[one.rule].level)
        both = any(each.trains for each in passes) and any(not each.grad for each in passes)
        return louder if both and self._quantified(louder, site)[0] else one

    def _of_rounds(self, one: Finding) -> Finding | None:
        """Judge a mean of batch means by the loader, where no loss of PyTorch's was computed."""
        rounds = self._rounds(one)
        known = [each for each in rounds if each.samples is not None and each.size is not None]
        if one.seen is not None or not known or len(known) < len(rounds):
            return one
        ragged = next((each for each in known if each.ragged), None)
        return replace(one, seen=from_loader(ragged)) if ragged is not None else None

    def _about(self, one: Finding) -> list[Site]:
        """Return the sites of the run that a finding of reading is about."""
        wanted = self._wanted(one)
        found = [site for site in self.sites if wanted(site.place)]
        return found or [site for site in self.sites if site.calls_from(wanted)]

    def _wanted(self, one: Finding) -> Callable[[Location], bool]:
        """Return whether a place is one that a finding of reading is about."""
        places = one.losses or ((self._file(one), one.line, one.line),)
        return lambda called: any(at(called, place) for place in places)

    def _quantified(self, one: Finding, site: Site) -> tuple[bool | None, str]:
        """Judge an average by the passes that were begun where it is taken."""
        passes = self._passes(one, site)
        return quantified(one.rule, replace(site, passes=passes or site.passes), one.level)

    def _passes(self, one: Finding, site: Site) -> list[Pass]:
        """Return the passes that a finding is about, by its loop or by the calls that it names.

        The loss of a model that computes it itself is one site for training and evaluation.
        """
        wanted, rounds = self._wanted(one), self._rounds(one)
        passes = [each for each in site.passes if any(each.round is of for of in rounds)]
        return passes or [
            each for each in site.passes if wanted(site.place) or any(map(wanted, each.callers))
        ]

    def _rounds(self, one: Finding) -> list[Round]:
        """Return the rounds of loaders that the loop of a finding went over."""
        return [
            each
            for place, kept in self.observer.rounds.values()
            if one.loop is not None and at(replace(place, last=place.line), one.loop)
            for each in kept
        ]

    def _confirmed(self, one: Finding, site: Site) -> Finding | None:
        if one.rule in AVERAGES and shown_right(self._passes(one, site)):
            return None
        if one.rule in AVERAGES:
            if one.rule == "X402":
                one = self._by_steps(one, site)
            wrong, seen = self._quantified(one, site)
            other = one.supposed in ("loss", "part") or "nominal batch size" in one.message
            if other or self._is_part(site):
                seen = seen.partition(";")[0]  # of the loss in it, not of what is shown
            if wrong is False and one.seen is None:
                return None
            if wrong is False and seen:  # the data of this run are not those of the script
                return replace(one, seen=f"{one.seen}; in this run {seen}")
            return replace(one, seen=seen or one.seen)
        fact = site.facts.get(one.rule)
        if fact is None or not fact.looked:
            return one
        if not fact.found:
            return None
        return replace(one, seen=fact.seen or one.seen)

    def _printed_right(self, one: Finding) -> bool:
        """Whether the line of a finding prints what is right."""
        line = self._file(one), one.line, one.line
        return any(at(place, line) for place in self.observer.printed.right)

    def _is_part(self, site: Site) -> bool:
        """Whether a loss is added to others before it is read."""
        return any(site in self.observer.scalars.parts_of(own) for own in self.own)

    def _own_is_right(self, one: Finding) -> bool:
        """Whether an average of one's own arithmetic was printed as it should be."""
        if one.rule not in AVERAGES or any(self._about(one)):
            return False
        wanted, rounds = self._wanted(one), self._rounds(one)
        passes = [
            each
            for site in self.own
            for each in site.passes
            if wanted(site.place)
            or any(map(wanted, each.callers))
            or any(each.round is of for of in rounds)
        ]
        return shown_right(passes)

    # ------------------------------------------------------------------ what the run saw

    def watched(self) -> None:
        """Add what the run alone saw."""
        for site in self.sites:
            fired = {rule for rule, fact in site.facts.items() if _fires(rule, fact)}
            for rule in sorted(fired):
                if fired.intersection(BEHIND.get(rule, ())) or (id(site), rule) in self.told:
                    continue
                if rule == "X501" and not site.with_grad and any(s.squeezed for s in self.sites):
                    continue  # without a graph: the autoencoder, evaluated
                if rule == "X302" and _scaled_back(site.place):
                    continue
                fact = site.facts[rule]
                self._add(rule, site.place, fact.level, fact.seen or None, fact.facts)

    def printed(self) -> None:
        """Add the averages that were printed wrongly, of losses of which reading told nothing."""
        told = [
            one
            for one in self.reading.found.values()
            if one.rule in ADDED_UP and one.level != "note"
        ]
        for shown, wrong in self.observer.printed.wrongs():
            place = shown.place
            stands = any(
                one.rule == wrong.rule and at(place, (self._file(one), one.line, one.line))
                for one in told
            )
            if not stands and not any(self._tells_of(one, shown.site) for one in told):
                self._add(wrong.rule, shown.place, None, shown.seen, wrong.facts)

    def _tells_of(self, one: Finding, site: Site) -> bool:
        """Whether a finding of reading is about a site, or about a loss that is part of its."""
        about = self._about(one)
        if site in about or any(part in about for part in self.observer.scalars.parts_of(site)):
            return True
        wanted = self._wanted(one)
        return site.name == "own" and (wanted(site.place) or site.calls_from(wanted))

    def _add(
        self,
        rule: str,
        place: Location,
        level: str | None,
        seen: str | None,
        facts: dict[str, Any],
    ) -> None:
        level = self.config.levels.get(rule, level or "") or None
        path = self.shown(place.file)
        self.reading.add(
            finding(rule, path, place.line, place.column, level=level, seen=seen, **facts)
        )

    def modes(self) -> None:
        """X701 and X702, of models whose parameters an optimiser holds."""
        modes, held = self.observer.modes, self.observer.held
        evaluated = {
            p: f
            for p, f in modes.evaluated.items()
            if f.event.parameters & held and p not in modes.averaged
        }
        trained = {p: f for p, f in modes.trained.items() if len(f.steps) > 1}
        for key, one in list(self.reading.found.items()):
            if one.rule == "X701":
                places = [p for p in evaluated if self.shown(p.file) == one.path]
                same = [p for p in places if p.line <= one.line <= p.last]
                right = [
                    p
                    for p in modes.right | modes.averaged
                    if self.shown(p.file) == one.path and p.line <= one.line <= p.last
                ]
                if right and not same:
                    del self.reading.found[key]
                for place in same:
                    self.reading.found[key] = replace(one, seen=ran(evaluated.pop(place).count))
            elif one.rule == "X702":
                for place in [p for p in trained if self.shown(p.file) == one.path]:
                    steps = len(trained.pop(place).steps)
                    one = self.reading.found[key] = replace(one, seen=stepped(steps))
                if one.seen is None and self._trained_as_it_should_be(one):
                    del self.reading.found[key]
        for place, fact in evaluated.items():
            if fact.count:
                self._evaluated(place, fact.event.layer, fact.event.by_hand, fact.count)
        for place, fact in trained.items():
            facts = {"since": "the second round on"}
            self._add("X702", place, None, stepped(len(fact.steps)), facts)

    def _trained_as_it_should_be(self, one: Finding) -> bool:
        """Whether steps were made of what X702 is about, no layer of which was in evaluation."""
        modes = self.observer.modes
        if not modes.watched or any(self.shown(place.file) == one.path for place in modes.trained):
            return False
        return self.observer.steps > 1 and any(site.with_grad > 1 for site in self._about(one))

    def _evaluated(self, place: Location, layer: str, by_hand: bool, count: int) -> None:
        drops = layer == "Dropout"
        effect = "drops at random" if drops else "uses and changes its statistics"
        facts: dict[str, Any] = {"layers": layer, "effect": effect}
        seen = ran(count)
        if by_hand:
            seen += "; a function of torch.nn.functional is called without training=self.training"
        self._add("X701", place, None, seen, facts)

    def broken(self) -> None:
        """X603: the first loss that was not finite."""
        for one in self.observer.broken.values():
            if one.graph and not one.confirmed:
                continue
            if any(
                _fires(rule, fact) for rule, fact in one.site.facts.items() if rule in UNDEFINED
            ):
                continue
            self._add("X603", one.site.place, None, None, {"value": one.value, "first": one.first})
            break


def _line(one: Finding) -> tuple[str, int, str]:
    """Return where a finding stands, and of which rule it is."""
    return one.path, one.line, one.rule


def _louder(fact: Fact | None, one: Finding) -> bool:
    """Whether a run saw at a higher level what reading found."""
    if fact is None or not _fires(one.rule, fact) or fact.level is None:
        return False
    return FINDING_LEVELS.index(fact.level) > FINDING_LEVELS.index(one.level)


def _fires(rule: str, fact: Fact) -> bool:
    if not fact.found or fact.found < LEAST_TIMES.get(rule, 1):
        return False
    return rule in ONE_CALL_ENOUGH or fact.found >= SHARE_ENOUGH.get(rule, MOSTLY) * fact.looked


def _scaled_back(place: Location) -> bool:
    """Whether the mean over classes too is multiplied by their number again."""
    lines = linecache.getlines(place.file)[place.line - 1 : place.last]
    return bool(SCALED_BACK.search("".join(lines)))
