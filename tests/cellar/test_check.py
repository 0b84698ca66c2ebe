"""An error knows its parts; a command writes it again from these, whatever the data is called."""

import math
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from typer.testing import CliRunner

from xent import _check, _progress
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


def test_how_much_a_sentence_quotes():
    """To the letter: what is just short enough is whole."""
    names = [f"c{i}" for i in range(14)]
    shown = [repr(name) for name in names]
    for many, said in (
        (0, ""),
        (1, "'c0'"),
        (2, "'c0' and 'c1'"),
        (12, ", ".join(shown[:11]) + " and 'c11'"),
        (13, ", ".join(shown[:12]) + " and 1 more"),
        (14, ", ".join(shown[:12]) + " and 2 more"),
    ):
        assert _check.join_names(names[:many], last="and") == said
    assert _check.join_names(names[:3], limit=2) == "'c0', 'c1' and 1 more"
    assert _check.join_names(names[:2], limit=2) == "'c0' or 'c1'"
    for length in (599, 600, 601, 700):
        text = "".join(chr(97 + i % 26) for i in range(length))
        said = str(_check.invalid("x", "be short", text))
        left = length - 600
        whole = text if left <= 0 else (
            f"{text[:500]} ... ({left} characters left out) ... {text[-100:]}"
        )  # fmt: skip
        assert said == f"`x` must be short, got {whole}."


def test_a_word_is_one_of_some_or_near_one():
    allowed = ("mean", "sum", "none")
    assert [_check.option("how", word, allowed) for word in allowed] == list(allowed)
    start = "`how` must be 'mean', 'sum' or 'none', got "
    for value, rest in (
        ("men", "'men'. Did you mean 'mean'?"),
        ("Sum", "'Sum'. Did you mean 'sum'?"),
        ("total", "'total'."),
        (None, "None. Did you mean 'none'?"),
        (3, "3."),
    ):
        with pytest.raises(ValueError) as caught:
            _check.option("how", value, allowed)
        assert str(caught.value) == start + rest
    with pytest.raises(ValueError, match=r"got 'meen'\. Did you mean 'mean'\?$"):
        _check.option("how", "meen", ("means", "mean", "sum"))  # the nearer of two


def test_numbers_of_things():
    assert _check.count(1, "row") == "1 row"
    assert _check.count(0, "row") == "0 rows"
    assert _check.count(12_345, "class") == "12,345 classes"
    assert _check.count(1, "class") == "1 class"
    assert [_check.a(v) for v in (1, "s", [], object(), np.zeros(1), Exception())] == [
        "an int", "a str", "a list", "an object", "an ndarray", "an Exception",
    ]  # fmt: skip
    for value, unit, said in (
        (999.4, "rows", "999 rows"), (1000.0, "rows", "1 k rows"), (1234.0, "rows", "1.23 k rows"),
        (1e6, "rows", "1 M rows"), (1e9, "rows", "1 G rows"), (0.4, "rows", "0 rows"),
        (1000.0, "B", "1 kB"), (2.5e9, "B", "2.5 GB"), (999.0, "B", "999 B"),
    ):  # fmt: skip
        assert _progress._figure(value, unit) == said


def test_where_a_number_an_integer_and_a_share_end():
    """Each end is in or out as the sentence says it."""
    assert _check.integer("n", np.int64(2), least=2) == 2
    for value in (1, -5):
        with pytest.raises(ValueError, match=f"`n` must be an integer of at least 2, got {value}"):
            _check.integer("n", value, least=2)
    for value in (True, 2.0, "2", None):
        with pytest.raises(TypeError, match="`n` must be an integer of at least 2"):
            _check.integer("n", value, least=2)
    assert _check.share("s", 5e-324) == 5e-324
    assert _check.share("s", 1 - 2.0**-53) == 1 - 2.0**-53
    for value in (0, 1, math.nan, -0.5, math.inf):
        with pytest.raises(ValueError, match="`s` must be between 0 and 1, both excluded, got"):
            _check.share("s", value)
    assert _check.positive("p", 5e-324) == 5e-324
    for value in (0, math.inf, math.nan, -1):
        with pytest.raises(ValueError, match="`p` must be positive and finite, got"):
            _check.positive("p", value)
    assert _check.log_of_base(0.5) == math.log(0.5)
    for value in (0, 1, math.inf, math.nan, -2):
        with pytest.raises(ValueError, match="`base` must be positive and not 1, got"):
            _check.log_of_base(value)
    with pytest.raises(ValueError, match="got one too large for a float"):
        _check.number("p", 10**400)
