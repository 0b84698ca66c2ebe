"""Watchers in front of boards of curves, plots, and what writes a history as it is.

A sink is watched where it stands in a module that the script has loaded, by its own name; nothing
is imported for it. A script's own classes are sinks where a method goes by a board's name.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from threading import get_ident
from types import FunctionType, ModuleType
from typing import Any

from torch import nn

from xent.audit._run.frames import is_users
from xent.audit._run.loading import UNBLAMED, AfterLoading
from xent.audit._run.outlets.listener import Listener

_BOARD = ("SummaryWriter.add_scalar", "SummaryWriter.add_scalars")
_LINES = ("plot", "semilogy", "semilogx", "loglog", "scatter", "step")
SINKS: dict[str, tuple[str, ...]] = {
    "torch.utils.tensorboard": _BOARD,
    "tensorboardX": _BOARD,
    "wandb": ("log", "Run.log"),
    "mlflow": ("log_metric", "log_metrics"),
    "comet_ml": ("Experiment.log_metric", "Experiment.log_metrics"),
    "neptune": ("log_metric", "send_metric", "handler.Handler.append", "handler.Handler.log"),
    "visdom": ("Visdom.line",),
    "accelerate": ("Accelerator.log",),
    "aim": ("Run.track",),
    "clearml": ("Logger.report_scalar",),
    "swanlab": ("log",),
    "trackio": ("log",),
    "tqdm": ("tqdm.set_postfix",),
    "matplotlib.pyplot": _LINES,
    "matplotlib.axes": tuple(f"Axes.{name}" for name in _LINES),
    "json": ("dump", "dumps"),
    "pickle": ("dump",),
    "joblib": ("dump",),
    "yaml": ("dump", "safe_dump"),
    "numpy": ("save", "savetxt", "savez", "savez_compressed"),
    "torch": ("save",),
}
MOCK = "CallableMixin.__call__"
OF_A_BOARD = frozenset(
    [
        *("add_scalar", "add_scalars", "log", "log_metric", "log_metrics", "log_scalar"),
        *("log_scalars", "log_value", "scalar_summary", "report_scalar", "track", "set_postfix"),
        *_LINES[:2],
    ]
)


def sink_watcher(listener: Listener, original: Any, method: bool, mock: bool) -> Callable[..., Any]:
    """Return a function that hands on what it is given, once it was taken."""

    def watched(*args: Any, **kwargs: Any) -> Any:
        if not listener.on or listener.handing or get_ident() != listener.thread:
            return original(*args, **kwargs)
        if mock and getattr(args[0], "_mock_new_name", None) not in OF_A_BOARD:
            return original(*args, **kwargs)
        listener.handing = True
        try:
            result = original(*args, **kwargs)
        finally:
            listener.handing = False
        listener.handed(args[method:], kwargs, sys._getframe(1))
        return result

    functools.update_wrapper(watched, original)
    watched.__code__ = watched.__code__.replace(co_filename=UNBLAMED)
    return watched


_OPEN: list[Sinks] = []  # the innermost last


class Sinks:
    """The sinks that are watched."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.loaded = 0  # modules, when they were looked at
        self.finder = AfterLoading(SINKS, lambda: listener.unnoticed("sinks", self.look))
        self.places: list[tuple[Any, str, Any, Any]] = []
        self.watched: dict[int, Any] = {}  # what stood there, by the ids of what does

    def put(self) -> None:
        """Watch the sinks of modules that are loaded, and look again when more are."""
        _OPEN.append(self)
        self.listener.at_a_pass = self.look
        self.listener.unnoticed("sinks", self.look)
        self.loaded = 0  # the script goes on to define its own
        sys.meta_path.insert(0, self.finder)

    def look(self) -> None:
        """Watch what was loaded since; while another watches within, it does, and what it put."""
        if len(sys.modules) == self.loaded or _OPEN[-1:] != [self]:
            return
        modules = dict(sys.modules)
        self.loaded = len(modules)
        functions: dict[int, tuple[Any, Any]] = {}
        for name in SINKS.keys() & modules.keys():
            for path in SINKS[name]:
                self._watch(modules[name], path, functions)
        if "unittest.mock" in modules:
            self._watch(modules["unittest.mock"], MOCK, functions)
        for module in modules.values():
            for holder, name in _boards_of(module):
                self._watch(holder, name, functions)
        for module in modules.values() if functions else ():
            names = _names_in(module)
            if type(names) is not dict or str(names.get("__name__")).startswith("xent."):
                continue
            for key, value in list(names.items()):
                original, watcher = functions.get(id(value), (None, None))
                if watcher is not None and value is original:
                    self._set(module, key, value, watcher)

    def _watch(self, holder: Any, path: str, functions: dict[int, tuple[Any, Any]]) -> None:
        """Watch a method where its class holds it; a function is held by many modules."""
        *way, name = path.split(".")
        for part in way:
            holder = getattr(holder, "__dict__", {}).get(part)
        of_class = inspect.isclass(holder)
        if of_class:
            holder = next((one for one in holder.__mro__ if name in one.__dict__), None)
        held = getattr(holder, "__dict__", {}).get(name)
        static = isinstance(held, staticmethod)
        original: Any = held.__func__ if isinstance(held, staticmethod) else held
        if not callable(original) or inspect.isclass(original) or id(original) in self.watched:
            return
        if getattr(original, "_mock_new_name", None) is not None:
            return  # all mocks are watched
        watcher = sink_watcher(self.listener, original, of_class and not static, path == MOCK)
        self.watched[id(watcher)] = original
        if of_class:
            self._set(holder, name, held, staticmethod(watcher) if static else watcher)
        else:
            functions[id(original)] = original, watcher

    def _set(self, holder: Any, name: str, old: Any, new: Any) -> None:
        self.places.append((holder, name, old, new))
        setattr(holder, name, new)

    def take_away(self) -> dict[int, Any]:
        """Put all back; return what stood there by the ids of what did."""
        if self in _OPEN:
            _OPEN.remove(self)
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        for holder, name, old, new in reversed(self.places):
            if holder.__dict__.get(name) is new:
                setattr(holder, name, old)
        back, self.watched = self.watched, {}
        return back


def _names_in(module: object) -> Any:
    """Return what a module holds; one that is loaded when it is first used stays unloaded."""
    try:
        return object.__getattribute__(module, "__dict__")
    except AttributeError:
        return None


def _boards_of(module: ModuleType) -> Iterator[tuple[type, str]]:
    """Go over the methods of a script's own classes that go by a board's name."""
    names = _names_in(module)
    if type(names) is not dict or not is_users(str(names.get("__file__") or "<frozen")):
        return
    for held in list(names.values()):
        if isinstance(held, type) and held.__module__ == names.get("__name__"):
            for name in (
                OF_A_BOARD & held.__dict__.keys() if not issubclass(held, nn.Module) else ()
            ):
                if isinstance(held.__dict__[name], FunctionType | staticmethod):
                    yield held, name
