"""An error knows its parts; a command writes it again from these, whatever the data is called."""

import pickle

import pyarrow as pa
import pyarrow.csv
import pytest
from typer.testing import CliRunner

from xent import _check
from xent.cli import app


def refusal() -> ValueError:
    advice = "Pass " + _check.setting("missing", "drop") + " or a higher "
    advice += _check.setting("min_count") + ", as " + _check.argument("memory") + " allows."
    return _check.invalid("table['missing=drop']", "hold numbers", "'X' at row 3", advice)


def test_an_error_knows_its_argument_rule_value_and_advice():
    error = refusal()
    assert error.argument == "table['missing=drop']"
    assert error.must == "hold numbers"
    assert error.got == "'X' at row 3"
    assert error.advice == 'Pass missing="drop" or a higher min_count=, as `memory` allows.'
    assert str(error) == (
        "`table['missing=drop']` must hold numbers, got 'X' at row 3. "
        'Pass missing="drop" or a higher min_count=, as `memory` allows.'
    )
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_command_spells_arguments_and_leaves_data_alone():
    error = refusal()
    names = {"missing": "--missing", "min_count": "--min-count", "memory": "--memory"}
    _check.respell(error, {**names, "table": "TABLE", "X": "DATA"})
    assert str(error) == (
        "`TABLE['missing=drop']` must hold numbers, got 'X' at row 3. "
        "Pass --missing drop or a higher --min-count, as `--memory` allows."
    )
    said = str(error)
    _check.respell(error, {"table": "--other", "missing": "--also"})
    assert str(error) == said, "the command nearest to the library has the say"


@pytest.mark.parametrize(
    ("value", "python", "typed"),
    [(";", 'separator=";"', "--separator ';'"), (4, "separator=4", "--separator 4")],
)
def test_a_value_is_quoted_where_a_shell_needs_it(value, python, typed):
    mention = _check.setting("separator", value)
    assert str(mention) == python
    assert mention.spelled({"separator": "--separator"}) == typed


def test_an_error_of_others_keeps_its_words():
    error = ValueError("missing=drop in `table`")
    _check.respell(error, {"missing": "--missing", "table": "TABLE"})
    assert str(error) == "missing=drop in `table`"


def test_a_column_with_a_settings_name_keeps_it(tmp_path):
    """Reported once as ``TABLE['--missing drop']``."""
    table = pa.table({"missing=drop": ["a", None, "b"], "X": ["a", None, "b"], "y": [0, 1, 0]})
    pa.csv.write_csv(table, tmp_path / "t.csv")
    done = CliRunner().invoke(
        app, ["rank", str(tmp_path / "t.csv"), "--target", "y", "--missing", "refuse"]
    )
    assert "TABLE['missing=drop']" in str(done.exception)
    assert "--missing drop or --missing symbol" in str(done.exception)


def test_a_warning_quotes_no_megabytes():
    with pytest.warns(UserWarning, match="characters left out") as caught:
        _check.warn("Column " + "x" * 5_000_000 + " reads like a number.")
    said = str(caught[0].message)
    assert len(said) < 2_000
    assert said.endswith("reads like a number.")
