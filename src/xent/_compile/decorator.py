"""How a loop is compiled: one decorator, and a notice for whoever waits."""

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import numba
from numba.core import event

from xent._compile import numba_private as _numba

F = TypeVar("F", bound=Callable[..., Any])

NOTICE = "xent: first use here, compiling for this processor; later runs start at once."


class _Notice(event.Listener):
    """Tells whoever waits at a terminal why the first run takes long, once a process."""

    told = False

    def on_start(self, event: Any) -> None:
        # What was made by exec() belongs to no module.
        compiled = event.data["dispatcher"].py_func.__module__ or ""
        if not self.told and compiled.startswith("xent.") and sys.stderr.isatty():
            self.told = True
            sys.stderr.write(NOTICE + "\n")

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", _Notice())


def kernel(*, inside: bool = False, **options: Any) -> Callable[[F], F]:
    """Compile a function on its first call and keep the machine code on disk where one may write.

    Parameters
    ----------
    inside : bool
        Whether other kernels alone call it: it is compiled as a part of each of them, and only so.
    **options
        Passed to `numba.njit`; ``fastmath`` as the set of flags that the loop can stand,
        ``forceinline=True`` (it tells ``inside`` too) or ``inline="always"``.

    Notes
    -----
    ``error_model="numpy"``: without it a division in a loop costs the SIMD. Where neither the
    package's folder nor the user's cache folder can be written, Numba's ``cache=True`` raises at
    import; then the kernel is compiled in memory, once a process.
    """
    settings: dict[str, Any] = {"nogil": True, "error_model": "numpy", **options}

    def compile_later(function: F) -> F:
        if inside or options.get("forceinline"):
            return numba.njit(**_numba.INSIDE, **settings)(function)  # type: ignore[no-any-return]
        compiled = numba.njit(**settings)(function)
        with suppress(RuntimeError):
            _numba.keep_on_disk(compiled)
        return compiled  # type: ignore[no-any-return]

    return compile_later


# Rows allocate nothing, so Numba need not count references: every slice and every array handed to a
# function would cost an atomic operation, and of small rows those were two thirds of the time.
outer: Any = partial(kernel, _nrt=False)
inner: Any = partial(kernel, _nrt=False, forceinline=True)
step: Any = partial(kernel, _nrt=False, inside=True)  # called, for it is long or seldom runs
