"""Dates with a time zone and dates without one are two kinds: no number says how far apart."""

import re
import sqlite3
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from xent.trees import TreeClassifier, TreeRegressor, from_json, to_json

NAIVE = pd.date_range("2020-01-01", periods=48, freq="h")
AWARE = NAIVE.tz_localize("UTC")
Y = np.repeat([0, 1], 24)
WRONG = r"^`X` must hold dates {} a time zone in column 'at', as before, got dates {} a time zone\."


def frames(times):
    """The same dates in every library."""
    zone = "UTC" if times.tz else None
    kind = pa.timestamp("us", zone)
    yield pd.DataFrame({"at": times})
    yield pd.DataFrame({"at": [t.to_pydatetime() for t in times]}, dtype=object)
    yield pa.table({"at": pa.array(times.to_pydatetime().tolist(), kind)})
    yield pl.DataFrame({"at": pl.Series(times.to_pydatetime().tolist())})
    yield {"at": list(times.to_pydatetime())}


@pytest.mark.parametrize(("fit", "other"), [(NAIVE, AWARE), (AWARE, NAIVE)])
def test_predict_refuses_the_other_kind(fit, other):
    words = ("without", "with") if fit is NAIVE else ("with", "without")
    for X in frames(fit):
        tree = from_json(to_json(TreeClassifier(pruning=None).fit(X, Y)))
        for same in frames(fit):
            assert tree.predict(same).tolist() == Y.tolist()
        for new in frames(other):
            with pytest.raises(ValueError, match=WRONG.format(*words)):
                tree.predict(new)
        assert len(tree.predict(pd.DataFrame({"at": [pd.NaT] * 2}))) == 2


def test_another_zone_is_the_same_moment():
    tree = TreeClassifier(pruning=None).fit(pd.DataFrame({"at": AWARE}), Y)
    local = pd.DataFrame({"at": AWARE.tz_convert("America/New_York")})
    assert tree.predict(local).tolist() == Y.tolist()


def test_one_column_of_both_kinds_is_refused():
    both = [*NAIVE[:5].to_pydatetime(), *AWARE[5:].to_pydatetime()]
    with pytest.raises(TypeError, match="dates, some with a time zone and some without, in column"):
        TreeClassifier().fit(pd.DataFrame({"at": both}, dtype=object), Y)


def test_batches_of_both_kinds_are_refused(tmp_path):
    def batches():
        for times in (NAIVE, AWARE):
            yield pd.DataFrame({"at": times, "y": Y})

    fit = TreeClassifier(splitter="histogram").fit
    with pytest.raises(ValueError, match=WRONG.format("without", "with")):
        fit(batches, "y")
    path = tmp_path / "aware.parquet"
    pyarrow.parquet.write_table(pa.table({"at": AWARE.to_pydatetime(), "y": Y}), path)
    tree = fit(path, "y")
    assert tree.columns_[0].zoned is True
    with pytest.raises(ValueError, match=WRONG.format("with", "without")):
        tree.predict(pd.DataFrame({"at": NAIVE}))
    # A batch in which every date is missing fits both.
    gone = pd.DataFrame({"at": pd.to_datetime([None] * 4), "y": [0, 1, 0, 1]})
    tree = fit(lambda: iter((gone, pd.DataFrame({"at": AWARE, "y": Y}))), "y")
    assert tree.columns_[0].zoned is True


def test_sql_says_the_zone_and_text_too():
    """5 of 96 rows differed where the session's clock was New York's and the literal had no zone."""
    times = pd.date_range("2020-03-07", periods=96, freq="30min", tz="UTC")
    y = (times.hour >= 5) & (times.day == 7)
    tree = TreeClassifier(pruning=None).fit(pd.DataFrame({"at": times}), y)
    sql = tree.to_sql()
    found = re.findall(r"""CAST\('([\d-]+ [\d:.]+\+00:00)' AS TIMESTAMP WITH TIME ZONE\)""", sql)
    assert found
    assert "TIMESTAMP '" not in sql
    # What a session in New York makes of the literals; sqlite has no such type, so as seconds.
    seconds = re.sub(
        r"CAST\('(.*?)' AS TIMESTAMP WITH TIME ZONE\)",
        lambda m: str(datetime.fromisoformat(m[1]).timestamp()),
        sql,
    )
    with sqlite3.connect(":memory:") as base:
        base.execute("create table t (at)")
        local = [t.astimezone(ZoneInfo("America/New_York")) for t in times.to_pydatetime()]
        base.executemany("insert into t values (?)", [(t.timestamp(),) for t in local])
        said = [row[0] for row in base.execute(f"select {seconds} from t order by rowid")]
    assert said == [str(p) for p in tree.predict(pd.DataFrame({"at": times}))]
    assert re.search(r"at <= 2020-03-07T04:45:00Z", tree.to_text())
    midnight = [datetime(2020, 1, d, tzinfo=UTC) for d in (1, 3)] * 9
    tree = TreeRegressor(pruning=None).fit({"at": midnight}, [0, 1] * 9)
    assert tree.to_text().startswith("at <= 2020-01-02T00:00:00Z or missing: 0")
    tree = TreeRegressor(pruning=None).fit(
        {"at": [t.replace(tzinfo=None) for t in midnight]}, [0, 1] * 9
    )
    assert tree.to_text().startswith("at <= 2020-01-02 or missing: 0")
    assert "TIMESTAMP '2020-01-02 00:00:00'" in tree.to_sql()


def test_a_tree_of_an_older_file_knows_no_zone():
    text = to_json(TreeClassifier(pruning=None).fit(pd.DataFrame({"at": AWARE}), Y))
    old = from_json(re.sub(r'(\["at", "date", \[\]), true\]', r"\1]", text))
    assert old.columns_[0].zoned is None
    assert old.predict(pd.DataFrame({"at": AWARE})).tolist() == Y.tolist()
