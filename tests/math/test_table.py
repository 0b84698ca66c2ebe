"""What is promised holds on this processor, with AVX2 alone, and without AVX and FMA.

Each target is a process of its own: Numba compiles for one processor. Every day this processor and
the plainest one are tried; `make test-generic` runs this file and the rooms' own tests of exactness
at each level, and the long tests try every target.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TARGETS = {
    "this processor": {},
    "x86-64-v3": {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""},
    "generic": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    # Were AVX-512 asked for here, LLVM would end the process.
    "no AVX": {"NUMBA_ENABLE_AVX": "0"},
}
if platform.machine() not in ("x86_64", "AMD64"):
    del TARGETS["x86-64-v3"]


def printed(target, script, *arguments):
    done = subprocess.run(
        [sys.executable, HERE / script, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, **TARGETS[target]},
    )
    return json.loads(done.stdout)


SELDOM = {"x86-64-v3", "no AVX"}


@pytest.mark.parametrize(
    "target", [pytest.param(t, marks=[pytest.mark.long] if t in SELDOM else []) for t in TARGETS]
)
def test_every_function_keeps_what_it_promises(target):
    assert printed(target, "table.py", "208")["broken"] == []


@pytest.mark.long
@pytest.mark.parametrize("target", TARGETS)
def test_of_many_numbers_every_function_keeps_what_it_promises(target, repeats):
    assert printed(target, "table.py", str(repeats(20000)))["broken"] == []


# It compiles loops of two rooms, as `make test-generic` does anyway.
UNDER_TEST_GENERIC = bool(os.environ.get("NUMBA_CPU_NAME"))


@pytest.mark.parametrize(
    "target", [pytest.param("generic", marks=[] if UNDER_TEST_GENERIC else [pytest.mark.long])]
)
def test_measures_and_losses_keep_what_they_promise_without_fma(target):
    for name, error in printed(target, "rooms.py").items():
        assert error <= (2 if name.startswith("cross-entropy") else 4), name
