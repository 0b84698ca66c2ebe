"""What a run hears: lines that a script prints, and numbers that it hands to a board or a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from threading import get_ident
from types import FrameType
from typing import Any

from xent.audit._run.frames import Location, location, of_user
from xent.audit._run.outlets.numbers import HandedNumbers
from xent.audit._run.own.rounds import Rounds
from xent.audit._run.own.scalars import Scalars
from xent.audit._run.rules.shown import Printed
from xent.audit._run.sites import Site
from xent.audit._run.torch_private import dispatch_modes, function_modes, unseen

MOST_LINES = 100  # of one place


class Listener(Rounds):
    """What is shown after a pass; it follows the thread that made it."""

    def __init__(self, scalars: Scalars) -> None:
        super().__init__(scalars)
        self.on = True
        self.thread = get_ident()
        self.sites: dict[tuple[int, int], Site] = {}
        self.printed = Printed()
        self.shown: Counter[tuple[int, int]] = Counter()  # lines of one place
        self.handing = False  # what a sink writes itself was handed to it
        self.not_followed: dict[str, None] = {}
        self.at_a_pass: Callable[[], None] = lambda: None

    def missed(self, what: str) -> None:
        """Note what is not followed."""
        self.not_followed[what] = None

    def failed(self, where: str, error: Exception) -> None:
        """Note a fault of xent's own; the script goes on."""
        self.missed(f"{where} (xent failed: {type(error).__name__}: {error})")

    def unnoticed(self, where: str, work: Callable[..., None], *facts: Any) -> None:
        """Do the work of a watcher: no mode of the script sees it, and no error leaves it."""
        try:
            if function_modes() or dispatch_modes():
                with unseen():
                    work(*facts)
            else:
                work(*facts)
        except Exception as error:
            self.failed(where, error)

    def line(self, text: str, frame: FrameType) -> None:
        """Take note of a line that is printed; only what comes after a pass is looked at."""
        if not self.on or self.handing or get_ident() != self.thread:
            return
        self.leave_behind(frame)
        if self._after_a_pass():
            self.unnoticed("what is printed", self._line, text, frame)

    def handed(self, args: tuple[Any, ...], named: dict[str, Any], frame: FrameType) -> None:
        """Take note of what a board, a plot or a file is given."""
        self.leave_behind(frame)
        ended = self.calls_before_end >= 0 and self.round is None
        if ended or self._after_a_pass():
            self.unnoticed("what is handed over", self._handed, args, named, frame)

    def _after_a_pass(self) -> bool:
        return self.calls + self.scalars.calls == self.calls_before_end

    def _line(self, text: str, frame: FrameType) -> None:
        place = self._place(frame)
        if place is not None:
            self.printed.line(text, place, self._sites(), self.calls_before_end)

    def _handed(self, args: tuple[Any, ...], named: dict[str, Any], frame: FrameType) -> None:
        place = self._place(frame)
        if place is None:
            return
        numbers = HandedNumbers(args, named)
        if self.round is None:
            for history in numbers.series():
                self.printed.series(*history, place, self._sites())
        if numbers.text and self._after_a_pass():
            self.printed.line(" ".join(numbers.text), place, self._sites(), self.calls_before_end)

    def _sites(self) -> list[Site]:
        return [*self.sites.values(), *self.scalars.losses()]

    def _place(self, frame: FrameType) -> Location | None:
        """Return the line of the script; None if it has shown enough."""
        user = of_user(frame)
        while user.f_code.co_name == "write" and user.f_back is not None:
            user = of_user(user.f_back)  # a stream of the script's own
        key = id(user.f_code), user.f_lasti
        self.shown[key] += 1
        if self.shown[key] > MOST_LINES:
            return None
        return location(user.f_code, user.f_lasti, user.f_lineno)
