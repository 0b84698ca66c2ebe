"""What a kernel's machine code is made of: its source file and all kernel files that go in.

Kernels inline one another across files, so a kernel is as old as the newest file that it imports.
Only the kernel folders are followed: nothing else of xent may be imported there.
"""

import hashlib
import os
import re
from functools import cache

ROOT = os.path.dirname(os.path.dirname(__file__))
FOLDERS = {"_kernels", "_math"}
# How every kernel is compiled.
ALWAYS = tuple(f"{ROOT}/_compile/{name}.py" for name in ("decorator", "numba_private"))
IMPORT = re.compile(rb"from xent\.([\w.]+) import (\([^)]*\)|.*)")


@cache
def digest(path: str) -> str:
    """Return a digest of a source file and of the kernel files that it imports, however deep.

    Raises OSError where a file cannot be read.
    """
    found: dict[str, str] = {}
    waiting = [path, *ALWAYS]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found[file], imported = _read(file)
            waiting += imported
    # By content: where the package lies is not part of it.
    return hashlib.sha256("".join(sorted(found.values())).encode()).hexdigest()


@cache
def _read(path: str) -> tuple[str, tuple[str, ...]]:
    """Return the digest of one file and the kernel files that it imports."""
    with open(path, "rb") as file:
        content = file.read()
    imported: list[str] = []
    for module, names in IMPORT.findall(content):
        parts = module.decode().split(".")
        if not FOLDERS.isdisjoint(parts):
            place = os.path.join(ROOT, *parts)
            within = (os.path.join(place, name) for name in re.findall(r"\w+", names.decode()))
            candidates = [place] if os.path.isfile(f"{place}.py") else within
            imported += [f"{c}.py" for c in candidates if os.path.isfile(f"{c}.py")]
    return hashlib.sha256(content).hexdigest(), tuple(imported)
