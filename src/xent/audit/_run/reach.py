"""The files of a run, and how far it saw: lines not reached, losses of other libraries."""

from __future__ import annotations

import re
from pathlib import Path

from xent import _check
from xent.audit._audit import ScriptsRead
from xent.audit._run.frames import Location, is_users
from xent.audit._run.observer import Observer
from xent.audit._source import read

NAMED_PLACE = re.compile(r"\(([^()]+):(\d+)\)$")
IN_NUMPY = re.compile(r"(loss|entropy|criterion).*\.numpy\(|\blog_loss\(")
UNREACHED = 5  # lines that are named


class Reach:
    """What was read, by the names that findings give it, beside what ran."""

    def __init__(self, observer: Observer, read_files: ScriptsRead, folder: Path) -> None:
        self.observer, self.reading, self.folder = observer, read_files, folder
        self.files = {str(path): source.shown for path, source in read_files.sources.items()}
        self.sites = list(observer.sites.values())
        self._forget_libraries()

    def _forget_libraries(self) -> None:
        """Leave out installed files: they were read for what the script makes of them."""
        read_files, given = self.reading, {one.shown for one in self.reading.given}
        for path, source in list(read_files.sources.items()):
            if source.shown in given or is_users(str(path)):
                continue
            del read_files.sources[path]
            read_files.sites = {site for site in read_files.sites if site[0] != source.shown}
            for key, one in list(read_files.found.items()):
                if one.path == source.shown:
                    del read_files.found[key]
            for said in list(read_files.not_followed):
                place = NAMED_PLACE.search(said)
                if place is not None and place[1] == source.shown:
                    del read_files.not_followed[said]

    def shown(self, file: str) -> str:
        """Return a file's name in findings, and read it for its comments."""
        known = self.files.get(file)
        if known is not None:
            return known
        path = Path(file)
        resolved = path.resolve()
        shown = self.files.get(str(resolved))
        if shown is None:
            try:
                shown = str(resolved.relative_to(self.folder))
            except ValueError:
                shown = file
            if resolved.is_file():
                self.reading.sources[resolved] = read(resolved, shown)
        self.files[file] = shown
        return shown

    def unreached(self) -> None:
        """Count the sites, and name what was not followed."""
        not_reached = [
            f"{path}:{line}"
            for path, line, _ in sorted(self.reading.sites)
            if not self._reached(path, line)
        ]
        for said in list(self.reading.not_followed):
            place = NAMED_PLACE.search(said)
            if place is not None and self._reached(place[1], int(place[2])):
                del self.reading.not_followed[said]  # reading did not know it; the run saw it
        scalars = self.observer.scalars
        own = [site for site in scalars.losses() if site.named and not scalars.parts_of(site)]
        for site in [*self.sites, *own]:
            if site.name in ("backward", "softmax"):
                continue
            path = self.shown(site.place.file)
            lines = range(site.place.line, site.place.last + 1)
            if not any(p == path and line in lines for p, line, _ in self.reading.sites):
                self.reading.sites.add((path, site.place.line, site.place.column))
        more = len(not_reached) - UNREACHED
        # Losses of xent are read, and not watched: a line may have run with one.
        ours = any("xent.losses" in source.text for source in self.reading.sources.values())
        because = "not seen: losses of xent are not watched" if ours else "not reached in this run"
        for where in not_reached[:UNREACHED]:
            self.observer.missed(f"{where} ({because})")
        if more > 0:
            self.observer.missed(f"{_check.count(more, 'more line')} not reached")
        for source in self.reading.sources.values():
            for line, text in enumerate(source.text.splitlines(), 1):
                if IN_NUMPY.search(text) and not text.lstrip().startswith("#"):
                    self.observer.missed(f"{source.shown}:{line} (a loss in NumPy)")
        self.reading.not_followed |= self.observer.not_followed

    def _reached(self, path: str, line: int) -> bool:
        """Whether a loss was computed at a line, or below it."""
        file = next((f for f, shown in self.files.items() if shown == path), path)
        return any(
            at(site.place, (file, line, line))
            or site.calls_from(lambda place: at(place, (file, line, line)))
            for site in self.sites
        )


def at(place: Location, wanted: tuple[str, int, int]) -> bool:
    """Whether a place is, or lies in, the lines of a file, by whatever name it goes."""
    return place.covers(*wanted) or (
        place.line <= wanted[2]
        and wanted[1] <= place.last
        and str(Path(place.file).resolve()) == wanted[0]
    )
