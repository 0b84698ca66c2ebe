"""The table of `xent._math` holds on this processor, with AVX2 alone, and without AVX and FMA."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TABLE = Path(__file__).with_name("table.py")
TARGETS = {
    "this processor": {},
    "x86-64-v3": {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""},
    "generic": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    # Were AVX-512 asked for here, LLVM would end the process.
    "no AVX": {"NUMBA_ENABLE_AVX": "0"},
}


def broken_on(target, count):
    done = subprocess.run(
        [sys.executable, TABLE, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, **TARGETS[target]},
    )
    return json.loads(done.stdout)["broken"]


@pytest.mark.parametrize("target", TARGETS)
def test_every_function_keeps_what_it_promises(target):
    assert broken_on(target, 208) == []


@pytest.mark.long
@pytest.mark.parametrize("target", TARGETS)
def test_of_many_numbers_every_function_keeps_what_it_promises(target):
    assert broken_on(target, 20_000) == []
