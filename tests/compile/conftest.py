"""A small copy of the package, in which kernels inline one another, for tests that edit it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import children
import xent

SOURCE = Path(xent.__file__).parent
HELPER = (
    "from xent._compile.decorator import kernel\n\n@kernel({})\ndef half(x):\n    return x / 2\n"
)
OUTER = (
    "from xent._compile.decorator import kernel\nfrom xent._math.helper import (\n    half,\n)\n\n"
    "@kernel()\ndef quarter(x):\n    return half(half(x))\n"
)
APART = "from xent._compile.decorator import kernel\n\n@kernel()\ndef same(x):\n    return x\n"
RUN = (
    "from xent._kernels.distributions.outer import quarter\nfrom xent._math.apart import same\n"
    "print(quarter(8.0), same(1.0))\n"
    "print(*(sum(k.stats.cache_hits.values()) for k in (quarter, same)))"
)


class House:
    """The copy: `quarter` inlines `half` of another file, `same` stands apart."""

    def __init__(self, place, like=None):
        self.place, self.package, self.cache = place, place / "xent", place / "cache"
        self.helper = self.package / "_math" / "helper.py"
        if like is not None:
            shutil.copytree(like.place, place, dirs_exist_ok=True)
            return
        for folder in ("", "_compile", "_math", "_kernels", "_kernels/distributions"):
            (self.package / folder).mkdir()
            shutil.copy(SOURCE / folder / "__init__.py", self.package / folder)
        for file in [
            *(SOURCE / "_compile").glob("*.py"),
            SOURCE / "_check.py",
            SOURCE / "_progress.py",
            SOURCE / "_signals.py",
        ]:
            shutil.copy(file, self.package / file.relative_to(SOURCE))
        self.options("")
        (self.package / "_math" / "apart.py").write_text(APART)
        (self.package / "_kernels" / "distributions" / "outer.py").write_text(OUTER)

    def options(self, text):
        self.helper.write_text(HELPER.format(text))

    def places(self):
        places = {"PYTHONPATH": str(self.place), "NUMBA_CACHE_DIR": str(self.cache)}
        places["PYTHONDONTWRITEBYTECODE"] = "1"  # Python's own cache goes by size and time
        return places

    def start(self, code=RUN, stderr=subprocess.PIPE, **environment):
        """Start a fresh process in which the copy is `xent`."""
        run = [sys.executable, "-c", code]
        return subprocess.Popen(
            run,
            env=os.environ | self.places() | environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def run(self, code=RUN, **environment):
        """Return what a process said that had loaded Numba alone, on stdout and stderr."""
        done = children.python(
            code, cwd=Path.cwd(), environment=self.places() | environment, ahead=("numba",)
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines(), done.stderr

    def said(self, code=RUN, **environment):
        return self.run(code, **environment)[0]


@pytest.fixture(scope="session")
def build():
    """Build a copy, or a copy of a copy."""
    return House


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)
