"""What type checkers know of losses and measures is made of the code, and made of it as it is now."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def stubs():
    spec = importlib.util.spec_from_file_location("stubs", ROOT / "docs" / "stubs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("room", ["losses", "measures"])
def test_the_stub_is_what_the_code_says(stubs, room):
    written = stubs.place_of(room).read_text()
    assert written == stubs.formatted(stubs.stub(room)), "run `make tables`"


def test_every_loss_and_measure_is_in_it(stubs):
    for room in stubs.ROOMS:
        module = importlib.import_module(f"xent.{room}")
        text = stubs.place_of(room).read_text()
        for name in module.__all__:
            assert re.search(rf"\b(def {name}\(|as {name}$)", text, re.MULTILINE), name
