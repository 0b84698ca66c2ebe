"""Data frames of every kind: one column is the same column, whoever holds it and whoever asks."""

import datetime
import re
from decimal import Decimal
from functools import partial

import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from xent import _table
from xent._table.frames import Frame, is_frame
from xent._table.frames.levels import codes_of, levels_of, merged
from xent.measures import drift, rank_features
from xent.trees import TreeClassifier

HOLDERS = {
    "polars": lambda v: pl.DataFrame({"c": v}),
    "Arrow": lambda v: pa.table({"c": v}),
    "Arrow in pandas": lambda v: pa.table({"c": v}).to_pandas(types_mapper=pd.ArrowDtype),
    "objects": lambda v: pd.DataFrame({"c": pd.Series(v, dtype=object)}),
    "dict": lambda v: {"c": v},
    "dict of Arrow": lambda v: {"c": pa.array(v)},
    "dict of chunks": lambda v: {"c": pa.chunked_array([pa.array(v)])},
    "scalars of Arrow": lambda v: {"c": list(pa.array(v))},
}
DAY = datetime.date(2020, 2, 29)
MOMENT = datetime.datetime(2020, 2, 29, 12, 0, 0, 5)
COLUMNS = {
    "whole": ([3, None, -1], "number", [3, np.nan, -1]),
    "real": ([0.5, None, 2.0], "number", [0.5, np.nan, 2]),
    "decimal": ([Decimal("0.1"), None, Decimal("2.50")], "number", [0.1, np.nan, 2.5]),
    "date": ([DAY, None], "date", [18321 * 86400e6, np.nan]),
    "moment": ([MOMENT, None], "date", [18321.5 * 86400e6 + 5, np.nan]),
    "time": ([datetime.time(1, 0, 2, 3), None], "time", [3602e6 + 3, np.nan]),
    "duration": ([datetime.timedelta(1, 2, 3), None], "duration", [86402e6 + 3, np.nan]),
}


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("column", COLUMNS)
def test_numbers_and_moments(column, holder):
    values, kind, expected = COLUMNS[column]
    found = Frame(HOLDERS[holder](values)).column("c")
    assert (found.kind, len(found)) == (kind, len(values))
    np.testing.assert_array_equal(found.floats(), expected)
    assert found.missing().tolist() == [value is None for value in values]
    assert (found.whole() is not None) == (column == "whole")


@pytest.mark.parametrize("holder", HOLDERS)
def test_names_and_booleans(holder):
    for values, levels in (
        (["b", None, "a", "b"], ("a", "b")),
        ([True, None, True], (False, True)),
    ):
        found = Frame(HOLDERS[holder](values)).column("c")
        assert found.kind == "name"
        assert levels_of(found.names()) == levels
        codes = codes_of(found.names(), levels).tolist()
        assert [None if code == 2 else levels[code] for code in codes] == values
    nothing = Frame(HOLDERS[holder]([None, None])).column("c")
    assert nothing.empty
    assert np.isnan(nothing.floats()).all()
    assert codes_of(nothing.names(), ("a",)).tolist() == [1, 1]


def test_values_of_objects():
    for values, kind, expected in (
        ([np.bool_(True), None, False], "name", None),
        ([np.int8(3), 2**63, np.nan], "number", [3, 2.0**63, np.nan]),
        ([1, 2.5, Decimal("0.25")], "number", [1, 2.5, 0.25]),
        ([DAY, MOMENT], "date", [18321 * 86400e6, 18321.5 * 86400e6 + 5]),
        ([np.datetime64("2020-02-29"), pd.NaT], "date", [18321 * 86400e6, np.nan]),
        ([pd.Timestamp("1970-01-01T00:00:00.000001500")], "date", [1.5]),
        ([pd.Timedelta(1500, "ns"), None], "duration", [1.5, np.nan]),
        ([pd.NA, float("inf")], "number", [np.nan, np.inf]),
        (["a", True], "name", None),
        ([1, "a"], "other", None),
        ([True, 1], "other", None),
        ([DAY, 1], "other", None),
        ([MOMENT, MOMENT.replace(tzinfo=datetime.UTC)], "other", None),
    ):
        found = Frame({"c": values}).column("c")
        assert found.kind == kind, values
        if expected is not None:
            np.testing.assert_array_equal(found.floats(), expected)
    late = pd.DataFrame({"c": pd.Series([None] * 150 + [1, 2], dtype=object)})
    assert Frame(late).column("c").kind == "number"


def test_zones_are_instants():
    rome = datetime.timezone(datetime.timedelta(hours=1))
    moments = [MOMENT.replace(tzinfo=zone) for zone in (rome, datetime.UTC)]
    expected = [18321.5 * 86400e6 + 5 - 3600e6, 18321.5 * 86400e6 + 5]
    for table in (
        {"c": moments},
        pl.DataFrame({"c": moments}),
        pd.DataFrame({"c": pd.to_datetime(moments, utc=True).tz_convert("Asia/Tokyo")}),
    ):
        column = Frame(table).column("c")
        assert column.floats().tolist() == expected
        assert column.zoned is True
    for values, zoned in (
        ([MOMENT, None], False),
        ([DAY], False),
        ([None], None),
        ([datetime.time(1)], None),
    ):
        assert Frame({"c": values}).column("c").zoned is zoned


def test_categories_keep_their_levels_and_rows():
    held = pd.Categorical(["b", None, "b", "a", "b"], categories=["z", "b", "a"])
    column = Frame(pd.DataFrame({"c": held})).column("c")
    assert len(column) == 5
    assert levels_of(column.names()) == ("z", "b", "a")
    assert column.names().codes.tolist() == [1, -1, 1, 2, 1]
    assert column.objects() == ["b", None, "b", "a", "b"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_units_of_time(unit):
    ticks = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    kinds = [pa.timestamp(unit), pa.timestamp(unit, "Asia/Tokyo"), pa.duration(unit)]
    kinds.append(pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit))
    for kind in kinds:
        column = Frame(pa.table({"c": pa.array([ticks, None], kind)})).column("c")
        np.testing.assert_array_equal(column.floats(), [1e6, np.nan])


def test_arrays_and_what_is_no_table():
    fields = [("a", "i8"), ("b", "U1"), ("d", "M8[D]"), ("o", object)]
    table = np.array([(2**60, "x", "2020-02-29", DAY), (1, "y", "NaT", None)], fields)
    frame = Frame(table)
    assert [c.kind for c in frame.columns()] == ["number", "name", "date", "date"]
    assert frame.column("a").whole().tolist() == [2**60, 1]
    for name in ("d", "o"):
        np.testing.assert_array_equal(frame.column(name).floats(), [18321 * 86400e6, np.nan])
    sparse = pd.DataFrame({"c": pd.arrays.SparseArray([0, 0, 1])})
    assert Frame(sparse).column("c").floats().tolist() == [0, 0, 1]
    assert is_frame(table)
    assert is_frame({"a": [1]})
    assert not any(map(is_frame, ([[1]], np.ones((2, 2)), pl.LazyFrame({"a": [1]}), None)))
    for wrong, sentence in (
        *(
            (array, "`X` must be a data frame in memory that narwhals reads")
            for array in ([[1]], np.ones((2, 2)), np.array(["a", "b"]), np.array([[["a"]]]))
        ),
        (
            pa.table([[1], [2], [3]], names=["a", "b", "b"]),
            "must name each column once, got 'b' twice",
        ),
        (pd.DataFrame([[1, 2, 3]], columns=["a", 7, 7]), "must name each column once, got 7 twice"),
        ({"a": [1], "b": [1, 2]}, "`X` must have columns of one length, got '1' and '2'"),
    ):
        with pytest.raises((TypeError, ValueError), match=sentence):
            Frame(wrong)


@pytest.mark.parametrize("kind", ["datetime64", "timedelta64"])
@pytest.mark.parametrize("unit", ["100ns", "10ms", "7D", "15m", "1000ps", "D", "h", "us"])
def test_every_unit_of_numpy(tmp_path, kind, unit):
    """Against NumPy's own nanoseconds: steps of a unit, too, and units that Arrow has not."""
    values = np.array([12_345, -1000, 0]).astype(f"{kind}[{unit}]")
    values[2] = "NaT"
    expected = [*(values[:2].astype(f"{kind}[ns]").astype(int) / 1000), np.nan]
    np.savez(tmp_path / "t.npz", c=values)
    for table in ({"c": values}, {"c": values.astype(values.dtype.newbyteorder())}):
        np.testing.assert_array_equal(Frame(table).column("c").floats(), expected)
    read = Frame(_table.read(tmp_path / "t.npz")).column("c")
    np.testing.assert_array_equal(read.floats(), expected)
    for lost in (np.array([1], f"{kind}[ps]"), np.array([2**62], f"{kind}[100ns]")):
        column = Frame({"c": lost}).column("c")
        assert (column.kind, column.dtype) == ("other", str(lost.dtype))


def test_what_is_missing_throughout_has_no_zone():
    for values, zone in (([None], None), ([MOMENT], False), ([MOMENT, None], False)):
        for tz in (None, "UTC"):
            column = Frame(pa.table({"c": pa.array(values, pa.timestamp("us", tz))})).column("c")
            assert column.zoned is (None if zone is None else tz is not None)


def test_levels_are_one_however_they_are_spelt():
    names = lambda values: Frame({"c": values}).column("c").names()  # noqa: E731
    booleans = [True, False, None]
    for spelt in (["true", "false", None], ["True", "False", None], ["TRUE", "False", None]):
        assert codes_of(names(spelt), (False, True)).tolist() == [1, 0, 2]
        known = levels_of(names(spelt))
        codes = codes_of(names(booleans), known).tolist()
        assert [known[code].lower() for code in codes[:2]] == ["true", "false"]
    years = pd.Categorical([2020, None, 2021])
    codes = codes_of(Frame(pd.DataFrame({"c": years})).column("c").names(), ("2021", "2020"))
    assert codes.tolist() == [1, 2, 0]
    assert merged((False, True), ("false", "true")) == (False, True)
    for text, known in (  # numbers are found again in text, whole ones without a point
        (["1", "2.5", "3.0", None], (1.0, 2.5)),
        (["1", "2.5", "7"], (1, 2.5)),
    ):
        assert codes_of(names(text), known).tolist() == [0, 1, *[2] * (len(text) - 2)]
    for one, other, both in (
        (("false",), ("true",), ("false", "true")),  # nobody has said that these are booleans
        (("true", "false"), ("false",), ("false", "true")),
        ((False,), ("true",), (False, True)),
        (("false",), (True,), (False, True)),
        ((False, True), ("maybe",), ("false", "maybe", "true")),
        ((), (True,), (True,)),
    ):
        found = merged(one, other)
        assert (found, list(map(type, found))) == (both, list(map(type, both)))
    assert merged(("b", "a"), ()) == ("b", "a")
    assert merged(("b", "a"), ("c",)) == ("a", "b", "c")


# ------------------------------------------------------------------ in both rooms

TIMES = [datetime.time(8, i % 60) if i % 2 else datetime.time(20, i % 60, 1, 5) for i in range(40)]
LATE = ["yes" if time.hour == 20 else "no" for time in TIMES]
SPANS = [datetime.timedelta(hours=t.hour, minutes=t.minute) for t in TIMES]
DAYS = [datetime.datetime(2020, 1, 1) + span for span in SPANS]


@pytest.mark.parametrize("values", [TIMES, SPANS, DAYS], ids=["times", "durations", "dates"])
@pytest.mark.parametrize("holder", HOLDERS)
def test_moments_in_every_room_in_memory_and_streamed(holder, values, tmp_path):
    hold = HOLDERS[holder]
    (found,) = rank_features(pa.table({"c": values, "y": LATE}), "y", base=2)
    assert found.score == 1
    assert drift(hold(values), hold(values))[0].js == 0
    tree = TreeClassifier(min_samples_leaf=1, pruning=None).fit(hold(values), LATE)
    assert tree.predict(hold(values)).tolist() == LATE
    whole = pa.table({"c": values, "y": LATE})
    _table.write(tmp_path / "t.parquet", {"c": whole["c"], "y": whole["y"]})
    assert rank_features(tmp_path / "t.parquet", "y", base=2) == [found]
    binned = TreeClassifier(splitter="histogram", min_samples_leaf=1, pruning=None)
    text = binned.fit(hold(values), LATE).to_text()
    cut = partial(whole.slice, length=7)
    for source in (tmp_path / "t.parquet", lambda: map(cut, range(0, 40, 7))):
        assert binned.fit(source, "y").to_text() == text


def test_booleans_with_gaps_are_booleans_in_fit_and_predict():
    gaps = [True, False, None, True] * 10
    y = ["yes" if v else "no" for v in gaps]
    tree = TreeClassifier(min_samples_leaf=1, pruning=None)
    tree.fit(pd.DataFrame({"c": gaps}), y)
    assert tree.columns_[0].levels == (False, True)
    for known in ([True, False], ["True", "False"], ["true", "false"]):
        assert tree.predict(pd.DataFrame({"c": known})).tolist() == ["yes", "no"]
    tree.fit(pd.DataFrame({"c": ["True", "False"] * 20}), ["yes", "no"] * 20)
    assert tree.predict(pd.DataFrame({"c": [True, False, True]})).tolist() == ["yes", "no", "yes"]


def test_a_batch_without_a_value_fits_every_kind():
    empty = pd.DataFrame({"n": [None] * 4, "s": [None] * 4, "y": [0, 1, 0, 1]})
    some = pd.DataFrame({"n": [1.5, 2.5] * 9, "s": ["a", "b"] * 9, "y": [0, 1] * 9})
    for batches in ([empty, some], [some, empty]):
        tree = TreeClassifier(splitter="histogram", min_samples_leaf=1).fit(
            lambda b=batches: b, "y"
        )
        assert [c.kind for c in tree.columns_] == ["number", "name"]
        assert tree.columns_[1].levels == ("a", "b")


@pytest.mark.parametrize("holder", HOLDERS)
def test_whole_numbers_that_floats_may_join_are_in_question(holder):
    far = [2**53, 2**53 + 1, -(2**53) - 1]
    found = Frame(HOLDERS[holder]([5, *far, 2**53 - 1])).column("c").in_question()
    assert set(far) <= set(found.tolist())
    assert Frame(HOLDERS[holder]([0.5, 2.0**60])).column("c").in_question().tolist() == []
    narrow = Frame(pl.DataFrame({"c": pl.Series([1, 2], dtype=pl.Int32)})).column("c")
    assert narrow.in_question().tolist() == []
    wide = Frame(pl.DataFrame({"c": pl.Series([1, 2**63], dtype=pl.UInt64)})).column("c")
    assert wide.in_question().tolist() == [2**63]


@pytest.mark.parametrize(
    "held",
    [
        lambda v: torch.tensor(v),
        lambda v: torch.tensor(v, dtype=torch.bfloat16, requires_grad=True),
        lambda v: [torch.tensor(one) for one in v],
        lambda v: [np.array(one) for one in v],
        lambda v: np.array(v, dtype=np.longdouble),
        lambda v: np.array(v, dtype=">f4"),
        lambda v: jnp.array(v),
    ],
)
def test_arrays_in_a_dict_are_numbers(held):
    """A tensor is equal to no other: as symbols the same two columns were log 2 apart."""
    values = [0.5, 2.0, 0.5, -1.0]
    assert Frame({"c": held(values)}).column("c").floats().tolist() == values
    (found,) = drift({"c": held(values)}, {"c": values})
    assert (found.js, found.kind) == (0, "numbers")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((i for i in range(3)), "a generator"), ({1, 2}, "a set"), ("abc", "a str"),
        (b"abc", "a bytes"), ({"a": 1}, "a dict"), (3.5, "a float"),
    ],
)  # fmt: skip
def test_what_is_no_column_is_refused(values, kind):
    said = f"`X` must have a list or an array in every column, got {kind} for 'c'."
    with pytest.raises(TypeError, match=re.escape(said)):
        Frame({"c": values})
