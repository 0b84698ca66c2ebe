"""TableEncoder against scikit-learn's transformers, on every kind of frame, and on what comes later."""

import io
import json
import math
import warnings
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from people import adult, penguins, titanic
from xent.training import SoftmaxClassifier, TableEncoder

TABLES = {
    "titanic": (titanic, ["PassengerId", "Name", "Ticket", "Cabin", "Survived"]),
    "adult": (adult, ["income"]),
    "penguins": (penguins, ["species"]),
}


def frame(name):
    make, left_out = TABLES[name]
    table = pd.read_csv(io.StringIO(make()), keep_default_na=name != "adult", na_values=[])
    return table.drop(columns=left_out)


def scikit_learns(table, scale):
    """The same encoding out of scikit-learn's parts, column by column in the order of the table."""
    parts = []
    for name in table.columns:
        gaps = table[name].isna().any()
        if pd.api.types.is_numeric_dtype(table[name]):
            fill = (
                SimpleImputer()
                if scale is MinMaxScaler
                else SimpleImputer(strategy="constant", fill_value=0.0)
            )
            own = make_pipeline(scale(), fill)
        else:
            own = make_pipeline(
                SimpleImputer(strategy="constant", fill_value="~gap", missing_values=np.nan),
                OneHotEncoder(sparse_output=False, categories=[[*sorted(table[name].dropna().unique()), "~gap"][: None if gaps else -1]]),
            )  # fmt: skip
            gaps = False
        parts.append((make_union(own, MissingIndicator()) if gaps else own, [name]))
    return make_column_transformer(*parts)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(("scale", "scaler"), [("standard", StandardScaler), ("range", MinMaxScaler)])  # fmt: skip
def test_agrees_with_scikit_learn(name, scale, scaler):
    table = frame(name)
    expected = scikit_learns(
        table.astype({c: object for c in table if table[c].dtype == "str"}), scaler
    )
    ours = TableEncoder(scale).fit_transform(table)
    np.testing.assert_allclose(ours, expected.fit_transform(table), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", TABLES)
def test_every_kind_of_frame_gives_the_same_numbers(name):
    table = frame(name)
    expected = TableEncoder().fit_transform(table)
    for other in (pl.from_pandas(table), pa.Table.from_pandas(table), table.astype(object),
                  {c: table[c].tolist() for c in table}, table.convert_dtypes()):  # fmt: skip
        encoder = TableEncoder().fit(other)
        np.testing.assert_array_equal(encoder.transform(other), expected)
        np.testing.assert_array_equal(encoder.transform(table.iloc[:, ::-1]), expected)


@pytest.mark.parametrize("name", TABLES)
def test_json_holds_all_of_it(name):
    table = frame(name)
    encoder = TableEncoder(max_levels=3).fit(table)
    again = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict(), allow_nan=False)))
    assert again.transform(table).tobytes() == encoder.transform(table).tobytes()
    assert again.columns_ == encoder.columns_
    assert again.get_feature_names_out().tolist() == encoder.get_feature_names_out().tolist()


def test_what_comes_later_has_an_encoding():
    encoder = TableEncoder().fit(
        {"n": [1.0, 2.0, 3.0], "gap": [1.0, None, 3.0], "who": ["a", "b", "b"], "lost": ["x", None, "y"]}
    )  # fmt: skip
    assert encoder.get_feature_names_out().tolist() == [
        "n", "gap", "gap is missing", "who=a", "who=b", "lost=x", "lost=y", "lost is missing",
    ]  # fmt: skip
    new = encoder.transform({"n": [None], "gap": [None], "who": ["new"], "lost": [None]})
    third = 1 / 3
    np.testing.assert_allclose(new, [[0, 0, 1, third, 2 * third, 0, 0, 1]])
    new = encoder.transform({"n": [math.nan], "gap": [2.0], "who": [None], "lost": ["new"]})
    np.testing.assert_allclose(new, [[0, 0, 0, third, 2 * third, third, third, third]])


def test_the_average_of_the_training_rows_is_what_a_new_name_gets():
    """A linear model gives a new name the mean of the logits that the training rows get."""
    rng = np.random.default_rng(0)
    table = {"who": rng.choice(["a", "b", "c"], 60, p=[0.6, 0.3, 0.1]).tolist()}
    encoder = TableEncoder().fit(table)
    weight = rng.normal(size=3)
    mean = (encoder.transform(table) @ weight).mean()
    assert encoder.transform({"who": ["z"]}) @ weight == pytest.approx(mean, rel=1e-12)


def test_rare_names_share_a_feature_with_new_ones():
    table = {"town": ["a"] * 5 + ["b"] * 4 + ["c"] * 3 + ["d"] * 3 + ["e"]}
    encoder = TableEncoder(max_levels=3).fit(table)
    assert encoder.get_feature_names_out().tolist() == ["town=a", "town=b", "town=c", "town=other"]
    np.testing.assert_array_equal(
        encoder.transform({"town": ["a", "d", "new", None]}),
        [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1]],
    )


def test_booleans_are_one_feature():
    for values in ([True, False, None, True], np.array([True, False, True, True])):
        encoder = TableEncoder().fit({"paid": values, "x": [1, 2, 3, 4]})
        assert encoder.get_feature_names_out()[0] == "paid=True"
        assert encoder.transform({"paid": values, "x": [1, 2, 3, 4]})[:2, 0].tolist() == [1, 0]
    # Names of booleans, as a file spells them, are those booleans.
    spelt = encoder.transform({"paid": ["true", "FALSE", "maybe"], "x": [1, 2, 3]})
    assert spelt[:, 0].tolist() == [1, 0, 0.75]


def test_categories_of_numbers_are_names():
    table = pd.DataFrame({"pclass": pd.Categorical([3, 1, 3, 2], categories=[1, 2, 3, 4])})
    encoder = TableEncoder().fit(table)
    assert encoder.get_feature_names_out().tolist() == ["pclass=1", "pclass=2", "pclass=3"]
    assert TableEncoder().fit(pd.DataFrame({"c": pd.Categorical([0, 1, 1])})).columns_[0].kind == "name"  # fmt: skip


def test_dates_keep_their_place_in_the_year_and_the_week():
    days = [date(2020, 1, 1) + timedelta(days=k) for k in range(0, 900, 3)]
    encoder = TableEncoder().fit({"born": days})
    names = encoder.get_feature_names_out().tolist()
    assert names == ["born", "born_year_sin", "born_year_cos", "born_week_sin", "born_week_cos"]
    out = encoder.transform({"born": days})
    number = np.array([d.toordinal() for d in days], dtype=float)
    np.testing.assert_allclose(out[:, 0], (number - number.mean()) / number.std(), rtol=1e-12)
    since = number - date(1970, 1, 1).toordinal()
    for k, length in ((1, 365.2425), (3, 7.0)):
        np.testing.assert_allclose(out[:, k], np.sin(2 * np.pi * since / length), atol=1e-10)
        np.testing.assert_allclose(out[:, k + 1], np.cos(2 * np.pi * since / length), atol=1e-10)
    gap = TableEncoder().fit({"born": days, "one": np.arange(300)}).transform({"born": [None], "one": [0]})  # fmt: skip
    np.testing.assert_allclose(gap[0, :5], out.mean(axis=0), atol=1e-12)


def test_moments_have_a_time_of_day_and_short_ones_no_year():
    hours = [datetime(2024, 3, 1, tzinfo=UTC) + timedelta(hours=5 * k) for k in range(20)]
    encoder = TableEncoder().fit({"seen": hours})
    assert encoder.get_feature_names_out().tolist() == ["seen", "seen_day_sin", "seen_day_cos"]
    np.testing.assert_allclose(
        encoder.transform({"seen": hours})[:, 1],
        [np.sin(2 * np.pi * h.hour / 24) for h in hours],
        atol=1e-12,
    )
    with pytest.raises(ValueError, match="must hold dates with a time zone in column 'seen'"):
        encoder.transform({"seen": [datetime(2024, 3, 1)]})
    clock = TableEncoder().fit({"at": [time(6), time(18), time(12)]})
    assert clock.get_feature_names_out().tolist() == ["at", "at_day_sin", "at_day_cos"]
    assert TableEncoder().fit({"d": [timedelta(1), timedelta(2)]}).n_features_in_ == 1


def test_what_tells_nothing_is_left_out_and_said():
    n = 300
    table = {
        "x": np.arange(n),
        "one": ["T"] * n,
        "zero": [0.0] * n,
        "void": [None] * n,
        "id": [f"id {i}" for i in range(n)],
        "ticket": [f"t{i // 1.5:.0f}" for i in range(n)],
        "cabin": [f"c{i}" if i % 2 else None for i in range(n)],
        "sure": [5.0 if i % 3 else None for i in range(n)],
    }
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        encoder = TableEncoder().fit(table)
    assert encoder.left_out_ == {
        "one": "the same in every row",
        "zero": "the same in every row",
        "void": "missing in every row",
        "id": "a name of its own in every row",
        "ticket": "too many names: 200 in 300 rows",
        "cabin": "a name of its own in every row",
        "sure": "the same in every row",
    }
    assert encoder.get_feature_names_out().tolist() == ["x", "cabin is missing", "sure is missing"]
    assert encoder.transform(table)[:2, 1:].tolist() == [[1, 1], [0, 0]]
    assert [str(w.message) for w in said] == [
        "X has in column 'id' a name of its own in every row: it tells nothing of other rows and is left out.",
        "X has in column 'ticket' too many names: 200 in 300 rows: it tells nothing of other rows and is left out.",
        "X has in column 'cabin' a name of its own in every row: it tells nothing of other rows and is left out, but for where it is missing.",
    ]  # fmt: skip
    later = {**{c: v[:1] for c, v in table.items()}, "cabin": ["new"], "id": [3]}
    assert np.isfinite(encoder.transform(later)).all()


@pytest.mark.parametrize("values", [[1e300, 1.0, -1e300], [1e-320, 0.0, 2e-320], [1e15, 1e15 + 1, 1e15 + 2]])  # fmt: skip
def test_numbers_at_the_ends_of_the_range(values):
    out = TableEncoder().fit_transform({"x": values})[:, 0]
    exact = np.array(values, dtype=np.longdouble)
    expected = (exact - exact.mean()) / np.sqrt(np.square((exact - exact.mean()) / np.abs(exact).max()).mean()) / np.abs(exact).max()  # fmt: skip
    np.testing.assert_allclose(out, expected.astype(float), rtol=1e-3)


def test_in_a_pipeline():
    table = frame("titanic")
    y = pd.read_csv(io.StringIO(titanic()))["Survived"]
    model = make_pipeline(TableEncoder(), SoftmaxClassifier(random_state=0, epochs=20))
    assert clone(model).fit(table, y).score(table, y) > 0.75
    named = TableEncoder().set_output(transform="pandas").fit_transform(table)
    assert "Sex=female" in named.columns


REFUSED = [
    ({"a": [[1], [2]]}, {}, "`X` must hold in each column numbers, names, booleans, dates or times, got list in column 'a'. Leave the column out, or make its values text."),
    ({"a": [1.0, math.inf]}, {}, "`X` must be finite or missing, got infinity in 'a'[1]."),
    ({"a": []}, {}, "`X` must have at least one row and one column, got 0 rows and 1 column."),
    ({"a": [1, 1], "b": ["x", "x"]}, {}, "`X` must have a column that tells rows apart, got 'a': the same in every row; 'b': the same in every row."),
    ({"a": [1, 2]}, {"scale": "minmax"}, "`scale` must be 'standard' or 'range', got 'minmax'."),
    ({"a": [1, 2]}, {"max_levels": 0}, "`max_levels` must be an integer of at least 1, got 0."),
    ({"a": [-1e308, 1.5e308]}, {}, "`X` must hold numbers whose range float64 can hold in column 'a', got -1e+308 to 1.5e+308."),
]  # fmt: skip


@pytest.mark.parametrize(("table", "options", "sentence"), REFUSED)
def test_fit_refuses(table, options, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        TableEncoder(**options).fit(table)
    assert str(caught.value) == sentence


LATER = [
    ({"n": [1]}, "`X` must have the column 'who', got none among 'n'."),
    ({"n": ["1"], "who": ["a"]}, "`X` must hold a number in column 'n', as in fit, got a name (String)."),
    ({"n": ["1", "?"], "who": ["a", "b"]}, "`X` must hold a number in column 'n', as in fit, got a name (String), '?'. If '?' means a missing value, make it None where the table is read."),
    ({"n": [1], "who": [3]}, "`X` must hold a name in column 'who', as in fit, got a number (Int64)."),
]  # fmt: skip


@pytest.mark.parametrize(("table", "sentence"), LATER)
def test_transform_refuses(table, sentence):
    encoder = TableEncoder().fit({"n": [1, 2, 3], "who": ["a", "b", "a"]})
    with pytest.raises(ValueError) as caught:
        encoder.transform(table)
    assert str(caught.value) == sentence


def test_other_states_are_refused():
    state = TableEncoder().fit({"a": [1, 2], "b": ["u", "v"]}).to_dict()
    number, name = state["columns"]
    (part,) = number["parts"]
    texts = {**number, "parts": [{**part, "fill": "x" * 5000}]}, {**name, "shares": [0.5, None]}
    kinds = [{**number, "kind": "x"}, {**number, "name": 3}, {**name, "gaps": "x"}]
    kinds += [{**number, "parts": [{**part, "what": w}]} for w in (1e308, "x", "year_x", None, [])]
    for broken in (
        {},
        {**state, "columns": [{"name": "a"}]},
        {**state, "columns": 3},
        None,
        *({**state, "columns": [one]} for one in (*texts, *kinds)),
    ):
        with pytest.raises(ValueError, match=r"`state` must be what TableEncoder.to_dict returned"):
            TableEncoder.from_dict(broken)


def test_text_that_looks_like_numbers_is_doubted():
    table = {"age": ["1", "2", "?", "3"], "b": [1, 2, 3, 4]}
    with pytest.warns(UserWarning, match=r"has numbers in 3 of 4 rows of 'age', which is read as"):
        TableEncoder().fit(table)


@parametrize_with_checks([TableEncoder()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)
