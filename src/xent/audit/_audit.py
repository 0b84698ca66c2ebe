"""The audit of files: read, followed, and what comments and settings leave of the findings."""

from __future__ import annotations

import gc
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from xent import _check
from xent.audit._catalogue import FINDING_LEVELS, RULES
from xent.audit._config import Config, load
from xent.audit._files import collect
from xent.audit._finding import Finding, finding
from xent.audit._follow.loaded import SeenCalls
from xent.audit._follow.modules import shown
from xent.audit._follow.script import Followed, follow
from xent.audit._report import AuditReport
from xent.audit._source import Script, read

KEPT_CODE = 1 << 21  # letters of scripts whose parsed code is kept: it takes 500 times as much

SPEAKS_OF_LOSSES = re.compile(r"loss|entropy|softmax|sigmoid|kl_|criterion|train|eval", re.I)


def audit(*paths: str | Path, config: Config | None = None) -> AuditReport:
    r"""Read training scripts and say what is wrong with their losses; nothing is run.

    Parameters
    ----------
    *paths : str or Path
        Scripts, notebooks, or folders of them.
    config : Config, optional
        Settings; by default those of the nearest pyproject.toml.

    Returns
    -------
    AuditReport
        Findings by place, the number of losses looked at, and what could not be followed.

    Raises
    ------
    ValueError
        If a path does not exist or is neither a folder, a script nor a notebook.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> code = "import torch.nn.functional as F\nF.cross_entropy(F.softmax(z, dim=1), y)\n"
    >>> with TemporaryDirectory() as folder:
    ...     script = Path(folder, "train.py")
    ...     _ = script.write_text(code)
    ...     report = audit(script)
    >>> [(found.rule, found.name, found.line) for found in report.findings]
    [('X101', 'double-softmax', 2)]
    """
    given = [Path(path) for path in paths]
    if config is None:
        config = load(_folder(given))
    return reading(given, config).report(config)


@dataclass
class ScriptsRead:
    """What was read of files, before comments and settings leave some of it."""

    sources: dict[Path, Script] = field(default_factory=dict)
    given: list[Script] = field(default_factory=list)
    found: dict[tuple[object, ...], Finding] = field(default_factory=dict)
    sites: set[tuple[str, int, int]] = field(default_factory=set)
    not_followed: dict[str, None] = field(default_factory=dict)
    alone: list[Finding] = field(default_factory=list)  # in files that ran, had they not been run

    def add(self, one: Finding) -> None:
        """Keep a finding; of two at one place the louder."""
        key = (one.path, one.cell, one.line, one.column, one.rule)
        kept = self.found.get(key)
        if kept is None or FINDING_LEVELS.index(one.level) > FINDING_LEVELS.index(kept.level):
            self.found[key] = one

    def forget_trees(self) -> None:
        """Free the parsed code of all scripts."""
        for source in self.sources.values():
            source.forget_tree()
        gc.collect()

    def report(self, config: Config) -> AuditReport:
        """Return what settings and comments leave."""
        wanted = [one for one in self.found.values() if config.wants(one.rule)]
        findings = _without_ignored(wanted, self.sources.values(), self.given, config)
        return AuditReport(sorted(findings), len(self.sites), list(self.not_followed))


def reading(paths: list[Path], config: Config, *, ran: SeenCalls | None = None) -> ScriptsRead:
    """Read files, each followed from its first line to its last.

    Of files that ``ran``, what they imported is followed too, wherever it lies, and findings may be
    supposed: they count if the run confirms them. Those with losses are read alone as well: a call
    that is known may hide what a file shows by itself.
    """
    # The collector would look at every node of parsed code again and again: most of the time.
    collects = gc.isenabled()
    gc.disable()
    try:
        return _reading(paths, config, ran)
    finally:
        if collects:
            gc.enable()


def _reading(paths: list[Path], config: Config, ran: SeenCalls | None) -> ScriptsRead:
    read_files, kept = ScriptsRead(), 0
    for path in collect(paths, config):
        key = path.resolve()
        if key not in read_files.sources:
            read_files.sources[key] = read(path, str(path))
            kept += len(read_files.sources[key].text)
            if kept > KEPT_CODE:
                read_files.forget_trees()
                kept = 0
        read_files.given.append(read_files.sources[key])
    for source in read_files.given:
        kept += len(source.text)
        if kept > KEPT_CODE:
            read_files.forget_trees()
            kept = 0
        for one in _broken(source, config):
            read_files.add(one)
        if ran is None and not SPEAKS_OF_LOSSES.search(source.text):
            continue
        result = _followed(source, read_files, config, ran)
        read_files.sites |= result.sites
        read_files.not_followed |= result.not_followed
        for one in result.findings:
            read_files.add(one)
    for path in sorted(ran.files) if ran is not None else ():
        source = read_files.sources.get(path) or read(path, shown(path))
        read_files.sources.setdefault(path, source)
        read_files.alone += _followed(source, read_files, config, None, defaults=False).findings
    return read_files


def _followed(
    source: Script,
    read_files: ScriptsRead,
    config: Config,
    ran: SeenCalls | None,
    *,
    defaults: bool = True,
) -> Followed:
    """Follow one file: one that xent fails on must not hide the others."""
    try:
        return follow(source, read_files.sources, config, ran=ran, defaults=defaults)
    except Exception as error:
        said = f"{source.shown} (xent failed: {type(error).__name__}: {error})"
        return Followed(not_followed={said: None})


def _folder(given: list[Path]) -> Path:
    first = given[0] if given else Path()
    return first if first.is_dir() else first.parent


def _broken(source: Script, config: Config) -> list[Finding]:
    found, level = [], config.levels.get("X000")
    for line, column, reason in source.broken:
        cell, shown, _ = source.position(line, 0)
        found.append(
            finding(
                "X000",
                source.shown,
                shown,
                column,
                cell=cell,
                level=level,
                reason=reason.rstrip("."),
            )
        )
    return found


def _without_ignored(
    findings: list[Finding], sources: Iterable[Script], given: list[Script], config: Config
) -> list[Finding]:
    """Drop what comments silence, and report comments that silence nothing."""
    places: dict[tuple[str, int | None, int], tuple[Script, int, frozenset[str]]] = {}
    whole: dict[str, frozenset[str]] = {}
    for source in sources:
        for line, (_, rules) in source.ignores.items():
            cell, shown, _ = source.position(line, 0)
            places[source.shown, cell, shown] = (source, line, rules)
        everywhere = source.ignored_everywhere
        if everywhere is not None:
            whole[source.shown] = everywhere
    used: set[tuple[str, int | None, int, str]] = set()
    kept = []
    for one in findings:
        file = whole.get(one.path)
        if file is not None and (not file or one.rule in file):
            continue
        place = (one.path, one.cell, one.line)
        if place in places and (not places[place][2] or one.rule in places[place][2]):
            used.add((*place, one.rule))
            continue
        kept.append(one)
    if config.wants("X001"):
        kept += _unused(places, used, {source.shown for source in given}, config)
    return kept


def _unused(
    places: dict[tuple[str, int | None, int], tuple[Script, int, frozenset[str]]],
    used: set[tuple[str, int | None, int, str]],
    given: set[str],
    config: Config,
) -> list[Finding]:
    found = []
    for (path, cell, line), (source, raw, rules) in places.items():
        if path not in given:
            continue
        fired = {rule for p, c, number, rule in used if (p, c, number) == (path, cell, line)}
        idle = {
            rule
            for rule in rules - fired
            if rule not in RULES or (RULES[rule].static and config.wants(rule))
        }
        if idle or (not rules and not fired):
            column = source.ignores[raw][0]
            said = ", ".join(sorted(idle)) or "finding"
            level = config.levels.get("X001")
            found.append(finding("X001", path, line, column, cell=cell, level=level, rules=said))
    return found


def without_baseline(report: AuditReport, file: Path) -> AuditReport:
    """Leave out what a JSON report of before has: by file, rule and message, wherever it moved."""
    if not file.exists():
        raise FileNotFoundError(f"There is no file {str(file)!r}.")
    try:
        before = json.loads(file.read_text(encoding="utf-8"))["findings"]
        known = Counter((one["path"], one["rule"], _gist(one["message"])) for one in before)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        advice = "Write one with: xent audit --format json PATH > FILE"
        raise _check.invalid(
            "--baseline", "be a JSON report of xent audit", error, advice
        ) from None
    kept = []
    for one in report.findings:
        key = (one.path, one.rule, _gist(one.message))
        if known[key] > 0:
            known[key] -= 1
        else:
            kept.append(one)
    return replace(report, findings=kept)


def _gist(message: str) -> str:
    """Return a message without its numbers, which change when code moves."""
    return re.sub(r"\d+", "#", message)
