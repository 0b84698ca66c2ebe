"""No stale machine code: an edit of any file that goes into a kernel is seen in its number."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import xent

HELPER = (
    "from xent._compile.decorator import kernel\n\n@kernel({})\ndef half(x):\n    return x / 2\n"
)
OUTER = (
    "from xent._compile.decorator import kernel\nfrom xent._math.helper import (\n    half,\n)\n\n"
    "@kernel()\ndef quarter(x):\n    return half(half(x))\n"
)
APART = "from xent._compile.decorator import kernel\n\n@kernel()\ndef same(x):\n    return x\n"
RUN = (
    "from xent._kernels.outer import quarter\nfrom xent._math.apart import same\n"
    "print(quarter(8.0), same(1.0))\n"
    "print(*(sum(k.stats.cache_hits.values()) for k in (quarter, same)))"
)


@pytest.fixture
def house(tmp_path):
    """A copy of the package in which a kernel of one file inlines one of another."""
    package = tmp_path / "xent"
    for folder in ("", "_compile", "_math", "_kernels"):
        (package / folder).mkdir()
        shutil.copy(Path(xent.__file__).parent / folder / "__init__.py", package / folder)
    for file in (Path(xent.__file__).parent / "_compile").glob("*.py"):
        shutil.copy(file, package / "_compile")
    for name in ("_check", "_progress"):
        shutil.copy(Path(xent.__file__).parent / f"{name}.py", package)
    (package / "_math" / "helper.py").write_text(HELPER.format(""))
    (package / "_math" / "apart.py").write_text(APART)
    (package / "_kernels" / "outer.py").write_text(OUTER)
    return package


def said(house):
    places = {"PYTHONPATH": str(house.parent), "NUMBA_CACHE_DIR": str(house.parent / "cache")}
    places["PYTHONDONTWRITEBYTECODE"] = "1"  # Python's own cache goes by size and time
    run = [sys.executable, "-c", RUN]
    done = subprocess.run(run, env=os.environ | places, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def edit(file, old, new):
    """Edit a file as a pull or an upgrade would: same size, and a time that has been before."""
    text, time = file.read_text(), file.stat().st_mtime_ns
    assert text.count(old) == 1
    assert len(old) == len(new)
    file.write_text(text.replace(old, new))
    os.utime(file, ns=(time, time))


@pytest.mark.parametrize(
    ("options", "tried"),
    [("", True), ("inside=True", True), ('inline="always"', True), ("inside=True", False)],
)
def test_an_edit_of_an_inlined_kernel_is_seen(house, options, tried):
    if not tried:
        private = house / "_compile" / "numba_private.py"
        edit(private, 'TRIED = ("0.68.",)', 'TRIED = ("9.99.",)')
    helper = house / "_math" / "helper.py"
    helper.write_text(HELPER.format(options))
    assert said(house) == ["2.0 1.0", "0 0"]
    assert said(house) == ["2.0 1.0", "1 1"]
    edit(helper, "x / 2", "x / 4")
    assert said(house) == ["0.5 1.0", "0 1"]  # what does not import the helper is not compiled anew
    assert said(house) == ["0.5 1.0", "1 1"]


def test_what_compiles_the_kernels_goes_in(house):
    assert said(house) == ["2.0 1.0", "0 0"]
    edit(house / "_compile" / "decorator.py", "one decorator", "One decorator")
    assert said(house) == ["2.0 1.0", "0 0"]


def test_old_code_is_cleared_away(house):
    said(house)
    edit(house / "_math" / "helper.py", "x / 2", "x / 4")
    said(house)
    kept = [path.name for path in (house.parent / "cache").rglob("*.nbc")]
    assert len(kept) == len({name.partition(".cpython")[0] for name in kept})
