"""What type checkers and tables of the docs say is made of the code, and of it as it is now."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def made_by(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stubs():
    return made_by("stubs")


def test_the_tables_of_the_docs_are_what_the_code_says():
    for page, text in made_by("tables").pages().items():
        written = page.read_text() if page.exists() else ""
        assert written == text, f"run `make tables`: {page.name} differs"


@pytest.mark.parametrize("room", ["losses", "measures"])
def test_the_stub_is_what_the_code_says(stubs, room):
    written = stubs.place_of(room).read_text()
    assert written == stubs.formatted(stubs.stub(room)), "run `make tables`"


def test_every_loss_and_measure_is_in_it(stubs):
    for room in stubs.ROOMS:
        module = importlib.import_module(f"xent.{room}")
        text = stubs.place_of(room).read_text()
        for name in module.__all__:
            there = re.search(rf"\b(def {name}\(|as {name}$)", text, re.MULTILINE)
            assert there, f"run `make tables`: {name} is in no stub"
