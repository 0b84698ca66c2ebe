"""Levels and classes that may be one and are written in two ways: counted apart, and told."""

import warnings

import pandas as pd
import pytest

from xent.measures import drift, rank_features


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("cat ", "'cat ' differs from 'cat' in blanks alone."),
        ("Cat", "'Cat' differs from 'cat' in capital letters alone."),
        ("dog", None),
    ],
)
def test_new_levels_that_look_like_old_ones(level, told):
    old, new = pd.DataFrame({"x": ["cat", "fox"]}), pd.DataFrame({"x": [level, "fox"]})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        (found,) = drift(old, new, base=2)
    assert found.js == pytest.approx(0.5, abs=1e-15)  # half of the rows are in nothing common
    assert [str(w.message) for w in said] == (
        [f"A new level of 'x' may be an old one: {told}"] if told else []
    )


def test_accents_encoded_in_two_ways():
    old, new = pd.DataFrame({"x": ["\u00e9"]}), pd.DataFrame({"x": ["e\u0301"]})
    with pytest.warns(UserWarning, match="in how accents are encoded"):
        assert drift(old, new, base=2)[0].js == 1.0


def test_classes_that_look_alike():
    table = pd.DataFrame({"x": ["a", "b", "c"], "y": ["Yes", "yes", "no"]})
    with pytest.warns(UserWarning, match="Two classes of 'y' may be one: 'yes' differs from 'Yes'"):
        rank_features(table, "y")


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        (["\u22121", "\u22122"], "numbers with another sign for minus"),
        (["'1'", "'2'"], "numbers in quotation marks"),
        (["\u0661", "\u0662"], "numbers in another script's digits"),
        (["1", "2", "3 %"], "because of '3 %'. Take the sign % away"),
    ],
)
def test_numbers_that_are_text(cells, what):
    table = pd.DataFrame({"x": cells})
    with pytest.warns(UserWarning, match=what) as said:
        drift(table, table)
    assert not any("missing value" in str(w.message) for w in said)


def test_bytes_beside_text_are_refused():
    """They have no level in common, so that the same column would be log 2 apart."""
    text, binary = {"x": ["cat", "fox"]}, {"x": [b"cat", b"fox"]}
    because = "The drift of 'x': bytes in one table and text in the other."
    for old, new in ((text, binary), (binary, text)):
        with pytest.raises(ValueError, match=because):
            drift(old, new)
