"""ID3: Quinlan's weather table, gains and ratios as printed (1986, pages 88-101)."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from xent.measures import entropy
from xent.trees import ID3Classifier

GAINS = {"outlook": 0.2467, "temperature": 0.0292, "humidity": 0.1518, "windy": 0.0481}
RATIOS = {"outlook": 0.1564, "temperature": 0.0188, "humidity": 0.1518, "windy": 0.0488}


@pytest.fixture
def weather(weka):
    frame = pd.DataFrame({c["name"]: c["values"] for c in weka["weather.nominal"]["columns"]})
    return frame.iloc[:, :-1], frame.iloc[:, -1]


def test_weather(weather):
    X, y = weather
    tree = ID3Classifier().fit(X, y)
    assert tree.to_text() == "\n".join(
        [
            "outlook = overcast: yes (4)",
            "outlook = rainy",
            "|   windy = FALSE: yes (3)",
            "|   windy = TRUE: no (2)",
            "outlook = sunny",
            "|   humidity = high: no (3)",
            "|   humidity = normal: yes (2)",
        ]
    )
    for row in tree.gain_table(X, y):
        assert row["gain"] == pytest.approx(GAINS[row["column"]], abs=5.01e-5)
        assert row["gain_ratio"] == pytest.approx(RATIOS[row["column"]], abs=5.01e-5)
        assert row["chosen"] == (row["column"] == "outlook")


def test_importances_are_the_information_of_the_leaves(weather):
    X, y = weather
    tree = ID3Classifier(max_depth=1).fit(X, y)
    joint = pd.crosstab(X["outlook"], y).to_numpy() / len(y)
    left = entropy(joint.ravel(), base=2) - entropy(joint.sum(1), base=2)
    gained = entropy(joint.sum(0), base=2) - left
    assert tree.importances_in_bits_.sum() == pytest.approx(gained, abs=1e-14)
    assert tree.importances_in_bits_[0] == pytest.approx(0.24674981977443927, abs=1e-14)
    assert tree.feature_importances_ == pytest.approx([1, 0, 0, 0])


def test_gain_table_of_a_deeper_node(weather):
    X, y = weather
    tree = ID3Classifier().fit(X, y)
    sunny = {row["column"]: row["gain"] for row in tree.gain_table(X, y, node=3)}
    assert sunny["humidity"] == pytest.approx(0.971, abs=5e-4)
    assert sunny["windy"] == pytest.approx(0.020, abs=5e-4)
    assert sunny["outlook"] is None


def test_missing_values_are_refused(weather):
    X, y = weather
    X = X.copy()
    X.iloc[0, 0] = None
    with pytest.raises(ValueError, match="`X` must have no missing values"):
        ID3Classifier().fit(X, y)


def test_description_length(weather):
    X, y = weather
    tree = ID3Classifier().fit(X, y)
    bits = tree.description_length()
    # 8 nodes, 3 tests of 4 columns, the class prior.
    assert bits.tree == pytest.approx(8 + 3 * np.log2(4) + np.log2(14) / 2)
    classes = 0.0
    for count, label in ((4, "yes"), (3, "no"), (2, "yes"), (3, "yes"), (2, "no")):
        prior = Fraction({"yes": 9, "no": 5}[label], 14)
        classes -= sum(math.log2((k + prior) / (k + 1)) for k in range(count))
    assert bits.cases == pytest.approx(classes)
    assert bits.total == bits.tree + bits.cases
