"""Two short cuts through Numba, for the versions they were tried with; others go the long way.

Both rest on what Numba does not promise to keep. Without them the numbers are the same bits, the
first use of a kernel takes half as long again to compile, and the first call of a process about
twice as long.
"""

from typing import Any

import numba

TRIED = ("0.68.",)
INSIDE: Any = {}  # what `numba.njit` and an `overload` are told of a part of other kernels


def keep_on_disk(compiled: Any) -> None:
    """Keep machine code on disk; RuntimeError where no folder for it can be written."""
    compiled.enable_caching()


if numba.__version__.startswith(TRIED):
    from numba.core.caching import FunctionCache
    from numba.core.codegen import JITCodeLibrary
    from numba.core.compiler import Compiler
    from numba.core.runtime.nrt import rtsys

    class _Disk(FunctionCache):
        """Machine code from the disk, without loading first what only a compilation needs.

        Numba's own way imports all that it can compile, scipy.linalg among it: half of the first
        call. What is compiled after all loads it then.
        """

        def load_overload(self, sig: Any, target_context: Any) -> Any:
            rtsys.initialize(target_context)  # memory for arrays made in kernels
            with self._guard_against_spurious_io_errors():
                return self._load_overload(sig, target_context)

    class _Part(JITCodeLibrary):
        """Code that only goes into other code: optimised and linked, never made machine code of.

        Numba would make machine code of each function that others inline, with wrappers for Python,
        and keep it on disk. Left unoptimised until it is linked, it would be slower by a tenth.
        """

        def finalize(self) -> None:
            for library in dict.fromkeys(self._linking_libraries):
                self._final_module.link_in(library._get_module_for_linking(), preserve=True)
            self._optimize_final_module()
            self._finalized = True

        def get_pointer_to_function(self, name: str) -> int:
            return 0  # there is none: Python does not call it

        @property
        def codegen(self) -> Any:
            return self

        def set_env(self, name: str, environment: Any) -> None:
            pass  # what Python objects the code refers to: none

    class _Inside(Compiler):
        def define_pipelines(self) -> Any:
            state = self.state
            state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
            return super().define_pipelines()

    def keep_on_disk(compiled: Any) -> None:
        """Keep machine code on disk; RuntimeError where no folder for it can be written."""
        compiled._cache = _Disk(compiled.py_func)

    INSIDE.update(pipeline_class=_Inside, no_cpython_wrapper=True, no_cfunc_wrapper=True)
