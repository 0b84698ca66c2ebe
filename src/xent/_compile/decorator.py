"""How a loop is compiled: one decorator."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar

import numba

from xent import _check
from xent._compile import interrupt, notice
from xent._compile import numba_private as _numba

F = TypeVar("F", bound=Callable[..., Any])

notice.register()
interrupt.register()


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
    package's folder nor the user's cache folder can be written, the kernel is compiled in memory,
    once a process.
    """
    if getattr(numba.config, "DISABLE_JIT", 0):
        return _refuse
    settings: dict[str, Any] = {"nogil": True, "error_model": "numpy", **options}

    def compile_later(function: F) -> F:
        if inside or options.get("forceinline"):
            return numba.njit(**_numba.INSIDE, **settings)(function)  # type: ignore[no-any-return]
        compiled = numba.njit(**settings)(function)
        _numba.keep_on_disk(compiled)
        return compiled  # type: ignore[no-any-return]

    return compile_later


def _refuse(function: F) -> F:
    """Say why a kernel does not run as plain Python: its words are the processor's."""

    @wraps(function)
    def refused(*arguments: Any, **named: Any) -> Any:
        advice = "Its loops are made of instructions of the processor, which Python cannot run."
        raise _check.invalid("NUMBA_DISABLE_JIT", "be 0 or unset where xent counts", 1, advice)

    return refused  # type: ignore[return-value]


# Rows allocate nothing, so Numba need not count references: every slice and every array handed to a
# function would cost an atomic operation, and of small rows those were two thirds of the time.
outer: Any = partial(kernel, _nrt=False)
inner: Any = partial(kernel, _nrt=False, forceinline=True)
step: Any = partial(kernel, _nrt=False, inside=True)  # called, for it is long or seldom runs
