"""Ways through Numba that it does not promise to keep, for the versions they were tried with.

Other versions go the long way: the numbers are the same bits, the first use of a kernel takes half
as long again to compile, and the first call of a process about twice as long.
"""

import hashlib
import os
import pickle
import sys
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryFile
from typing import Any

import llvmlite
import numba
from llvmlite import binding
from numba.core import config

from xent._compile import interrupt, shipped, sources

TRIED = ("0.68.",)
INSIDE: Any = {}  # what `numba.njit` and an `overload` are told of a part of other kernels


def keep_on_disk(compiled: Any) -> None:
    """Keep machine code on disk, where its source can be read and a folder be written."""
    with suppress(RuntimeError, OSError):
        compiled.enable_caching()
        # Numba compares the stamp of one file, but others go into the code as well.
        compiled._cache._cache_file._source_stamp = sources.digest(
            compiled.py_func.__code__.co_filename
        )


def home(compiled: Any) -> tuple[str | None, list[str]]:
    """Return where the code of a kernel is kept, if anywhere, and the places tried."""
    return getattr(compiled._cache, "cache_path", None), []


if numba.__version__.startswith(TRIED):
    from numba.core.caching import (
        InTreeCacheLocator,
        NullCache,
        UserProvidedCacheLocator,
        UserWideCacheLocator,
    )
    from numba.core.codegen import JITCodeLibrary
    from numba.core.compiler import Compiler, CompileResult
    from numba.core.runtime.nrt import rtsys
    from numba.core.serialize import dumps

    # What changes the code, beside the processor that Numba itself asks for.
    SWITCHES = (
        "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "USING_SVML",
    )  # fmt: skip
    PROCESSOR = ("CPU_NAME", "CPU_FEATURES", "ENABLE_AVX")
    PLAIN = (bool, int, float, str, bytes, type(None))

    class Disk(NullCache):
        """Machine code of one kernel on disk, one file for each signature and processor.

        Numba's own cache knows one source file of a kernel, lets two processes write one file
        under two names, reads only where it may write, and imports for a first call all that it
        can compile, scipy.linalg among it. Nothing here touches the disk before the first call but
        to read the source.
        """

        def __init__(self, function: Any) -> None:
            self.function = function
            made_of = sources.digest(function.__code__.co_filename)
            versions = numba.__version__, llvmlite.__version__
            self.stamp = _hash(made_of, *versions)

        @cached_property
        def folders(self) -> list[Path]:
            """Where code may lie: the user's choice, beside the source, the user's cache."""
            source = os.path.abspath(self.function.__code__.co_filename)
            kinds: list[Any] = [InTreeCacheLocator, UserWideCacheLocator]
            if getattr(config, "CACHE_DIR", ""):
                kinds.insert(0, UserProvidedCacheLocator)
            return [Path(kind(self.function, source).get_cache_path()) for kind in kinds]

        @cached_property
        def cache_path(self) -> str | None:
            """The folder where code is kept; None where none can be written."""
            for folder in self.folders:
                with suppress(OSError):
                    folder.mkdir(parents=True, exist_ok=True)
                    TemporaryFile(dir=folder).close()
                    return str(folder)
            return None

        @cached_property
        def name(self) -> str:
            """What the names of all files of this function begin with, old ones too."""
            function = self.function
            name = f"{function.__module__}.{function.__qualname__}".replace("<locals>.", "")
            return f"{name}.{sys.implementation.cache_tag}{sys.abiflags}."

        def file(self, signature: Any, codegen: Any, level: str | None) -> str | None:
            """Name the code for a level, or for the processor that Numba compiles for.

            None where nothing tells this function from another of its name.
            """
            arguments = signature if isinstance(signature, tuple) else signature.args
            cells = [cell.cell_contents for cell in self.function.__closure__ or ()]
            named = str(arguments)
            if " at 0x" in named or not all(isinstance(cell, PLAIN) for cell in cells):
                return None
            system, *processor = codegen.magic_tuple()
            processor += [getattr(config, name, None) for name in PROCESSOR]
            switches = [getattr(config, name, None) for name in SWITCHES]
            line = self.function.__code__.co_firstlineno
            key = _hash(self.stamp, line, cells, named, system, level or processor, switches)
            return f"{self.name}{self.stamp[:8]}.{key[:24]}.nbc"

        def load_overload(self, sig: Any, target_context: Any) -> Any:
            with interrupt.held():
                rtsys.initialize(target_context)  # memory for arrays made in kernels
            codegen = target_context.codegen()
            level = shipped.host_level()
            if level and (name := self.file(sig, codegen, level)) and (data := shipped.find(name)):
                return _load(data, target_context)
            name = self.file(sig, codegen, shipped.named_level())
            for folder in self.folders if name else ():
                with suppress(OSError):
                    data = (folder / str(name)).read_bytes()
                    if hashlib.sha256(data[32:]).digest() == data[:32]:
                        return _load(data[32:], target_context)
            return None

        def save_overload(self, sig: Any, cres: Any) -> None:
            name = self.file(sig, cres.codegen, shipped.named_level())
            if name is None or cres.lifted or cres.library.has_dynamic_globals:
                return
            if self.cache_path is not None:
                data = dumps(cres._reduce())
                folder = Path(self.cache_path)
                with suppress(OSError):
                    _write(folder / name, hashlib.sha256(data).digest() + data)
                    for old in folder.glob(f"{self.name}*.nbc"):
                        if not old.name.startswith(f"{self.name}{self.stamp[:8]}."):
                            old.unlink(missing_ok=True)

    def _load(data: bytes, context: Any) -> Any:
        """Make a compiled function of what was kept."""
        # As trusted as the source: whoever writes there could write that.
        library, function, *rest = pickle.loads(data)  # noqa: S301
        name, kind, (code, bitcode) = library
        if not bitcode:
            # Numba reads off the bitcode what the object defines, and calls null otherwise.
            names = (
                function.llvm_func_name,
                function.llvm_cpython_wrapper_name,
                function.llvm_cfunc_wrapper_name,
            )
            context.codegen()._engine._defined_symbols.update(names)
            library = name, kind, (code, binding.parse_assembly("").as_bitcode())
        return CompileResult._rebuild(context, library, function, *rest)

    def stripped(data: bytes) -> bytes:
        """Return kept code without what only a reader or another compilation wants."""
        (name, kind, (code, _)), *rest = pickle.loads(data[32:])  # noqa: S301
        rest[5] = ""  # the types of all variables, as text: longer than the code
        return bytes(dumps(((name, kind, (code, b"")), *rest)))

    def _hash(*parts: object) -> str:
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _write(path: Path, data: bytes) -> None:
        """Write a file whole or not at all, whoever else writes it."""
        beside = path.with_name(f"{path.name}.{token_hex(4)}")
        try:
            beside.write_bytes(data)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)

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
        """Keep machine code on disk, where its source can be read and a folder be written."""
        with suppress(OSError):
            compiled._cache = Disk(compiled.py_func)

    def home(compiled: Any) -> tuple[str | None, list[str]]:
        """Return where the code of a kernel is kept, if anywhere, and the places tried."""
        disk = compiled._cache
        kept = disk.cache_path and _place(Path(disk.cache_path))
        return kept, [_place(folder) for folder in getattr(disk, "folders", ())]

    def _place(folder: Path) -> str:
        """Name a folder as the user chose it: each folder of sources has one of its own in it."""
        return sources.ROOT if folder.name == "__pycache__" else str(folder.parent)

    INSIDE.update(pipeline_class=_Inside, no_cpython_wrapper=True, no_cfunc_wrapper=True)
