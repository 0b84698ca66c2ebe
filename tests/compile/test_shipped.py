"""Code that came with the wheel: found where it fits, passed over where anything differs."""

import json
import os
import subprocess
import sys

import pytest

from xent._compile import shipped

PACK = (
    "import sys\nfrom pathlib import Path\nfrom xent._compile import numba_private, shipped\n"
    "files = Path(sys.argv[1]).rglob('*.nbc')\n"
    "pieces = [(f.name, numba_private.stripped(f.read_bytes())) for f in files]\n"
    "shipped.write(Path(shipped.__file__).parent / f'{shipped.named_level()}.code', pieces)\n"
)
COMPILED = (
    "from numba.core import event\nseen = []\nclass L(event.Listener):\n"
    "    def on_start(self, e): seen.append(e.data['dispatcher'].py_func.__name__)\n"
    "    def on_end(self, e): pass\nevent.register('numba:compile', L())\n"
    "from xent._kernels.distributions.outer import quarter\nfrom xent._math.apart import same\n"
    "print(quarter(8.0), same(1.0))\nprint(*sorted(seen))"
)
LEVELS = list(shipped.PROCESSOR_LEVELS)
HIGHEST = shipped.runs()
RUNS = LEVELS[LEVELS.index(HIGHEST) :] if HIGHEST else []

pytestmark = pytest.mark.skipif(not RUNS, reason="no archives for this processor")


def target(level):
    return {"NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": shipped.features(level)}


# One level says most; the others are tried with the long tests.
TRIED = [pytest.param(x, marks=[pytest.mark.long] if x != HIGHEST else []) for x in RUNS]


@pytest.fixture(scope="module", params=TRIED)
def shipped_once(tmp_path_factory, build, request):
    """The copy of the package with an archive of one level, as a wheel brings it."""
    level, house = request.param, build(tmp_path_factory.mktemp(request.param))
    assert house.said(**target(level)) == ["2.0 1.0", "0 0"]
    run = [sys.executable, "-c", PACK, house.cache]
    environment = os.environ | {"PYTHONPATH": str(house.place)} | target(level)
    subprocess.run(run, env=environment, check=True)
    for file in house.cache.rglob("*.nbc"):
        file.unlink()
    return house, level


@pytest.fixture
def shipping(shipped_once, build, tmp_path):
    """A copy of it that a test may change: where the package lies is no part of the code."""
    house, level = shipped_once
    return build(tmp_path, like=house), level


def test_nothing_is_compiled_or_written(shipping):
    house, level = shipping
    nowhere = {"NUMBA_CACHE_DIR": "/dev/null", "HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null"}
    assert house.run(COMPILED, **target(level), **nowhere) == (["2.0 1.0", ""], "")
    if level == HIGHEST:
        assert house.said(COMPILED, **nowhere) == ["2.0 1.0", ""]
    assert not list(house.place.rglob("*.nbc"))


@pytest.mark.parametrize(
    "other",
    [
        {"NUMBA_OPT": "1"},
        {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
        {"NUMBA_ENABLE_AVX": "0"},
        {"NUMBA_CPU_NAME": "x86-64-v3"},
        {"NUMBA_BOUNDSCHECK": "1"},
    ],
    ids=str,
)
def test_what_does_not_fit_is_compiled(shipping, other):
    house, _ = shipping
    assert house.said(COMPILED, **other) == ["2.0 1.0", "half quarter same"]


def test_other_sources_are_compiled(shipping):
    house, level = shipping
    house.helper.write_text(house.helper.read_text().replace("x / 2", "x / 4"))
    assert house.said(COMPILED, **target(level)) == ["0.5 1.0", "half quarter"]


def test_code_compiled_here_calls_shipped_code(shipping):
    house, level = shipping
    user = house.package / "_kernels" / "distributions" / "user.py"
    user.write_text(
        "from xent._compile.decorator import kernel\n"
        "from xent._kernels.distributions.outer import quarter\n\n"
        "@kernel()\ndef eighth(x):\n    return quarter(x) / 2\n"
    )
    code = COMPILED.replace(
        "print(quarter",
        "from xent._kernels.distributions.user import eighth\nprint(eighth(8.0), quarter",
        1,
    )
    assert house.said(code, **target(level)) == ["1.0 2.0 1.0", "eighth"]


def test_a_broken_archive_is_passed_over(shipping):
    house, level = shipping
    archive = house.package / "_compile" / f"{level}.code"
    whole = archive.read_bytes()
    for broken in (b"", b"no archive", whole[:-100], whole.replace(b"\n", b"\n\n", 1)):
        archive.write_bytes(broken)
        assert house.said(COMPILED, **target(level))[0] == "2.0 1.0"


def test_an_archive_of_machine_code_alone(shipping):
    house, level = shipping
    head, _, data = (house.package / "_compile" / f"{level}.code").read_bytes().partition(b"\n")
    assert {name.split(".cpython")[0] for name in json.loads(head)} == {
        "xent._math.helper.half",
        "xent._math.apart.same",
        "xent._kernels.distributions.outer.quarter",
    }
    assert sum(1 for begin, end in json.loads(head).values() if end > begin) == 3
    assert len(data) < 60_000


@pytest.mark.parametrize(
    ("features", "level"),
    [
        (shipped.V4, "x86-64-v4"),
        (shipped.V3, "x86-64-v3"),
        (f"{shipped.V3} avx512f", None),  # more of AVX-512 than the archive of v3 has
        (shipped.V3.replace(" fma", ""), None),
    ],
)
def test_an_archive_is_for_processors_of_its_level(features, level, monkeypatch):
    monkeypatch.setattr(
        shipped.binding, "get_host_cpu_features", lambda: dict.fromkeys(features.split(), True)
    )
    assert shipped.runs() == level
