"""What the core does without the libraries of the extras, and how it names the one that is missing."""

import re
import subprocess
import sys

import pytest

EXTRAS = ("pyarrow", "narwhals", "sklearn", "torch", "altair", "jax", "pandas", "polars")
TABLES = r'.* needs .*Install it with: pip install .*"(pyarrow|narwhals|scikit-learn)(>=|")'


def without(code, *names, cwd=None):
    """Run Python that finds none of some libraries."""
    hidden = f"import sys\nfor name in {names or EXTRAS}: sys.modules[name] = None\n"
    return subprocess.run(
        [sys.executable, "-c", hidden + code], capture_output=True, text=True, cwd=cwd
    )


def test_the_core_needs_no_extra(tmp_path):
    """Measures, evaluation, language and audit work with what `pip install .` brings."""
    done = without(
        "import xent\n"
        "from xent import audit, evaluation, language, measures\n"
        "assert measures.entropy([0.5, 0.5], base=2) == 1\n"
        "assert [getattr(measures, name) for name in measures.__all__]\n"
        "measures.estimate_mutual_information([1, 2, 1, 2], [1, 2, 1, 2])\n"
        "print(evaluation.evaluate([0, 1], [[0.5, 0.5], [0.5, 0.5]]).cross_entropy)\n"
        "model = language.NGramModel(2, language.WittenBell()).fit(['a b', 'a c'])\n"
        "model.save('m.xent'), language.NGramModel.load('m.xent').score(['a b'])\n"
        "open('t.py', 'w').write('import torch.nn.functional as F\\nF.nll_loss(F.softmax(z, 1), y)')\n"
        "print(len(audit.audit('t.py').findings), dir(xent))\n",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "1.0"
    assert done.stdout.split("\n")[1] == (
        "1 ['__version__', 'audit', 'evaluation', 'language', 'measures']"
    )


@pytest.mark.parametrize(
    "use",
    [
        "import xent.trees",
        "from xent.measures import rank_features; rank_features({'a': [1, 2], 'b': [0, 1]}, 'b')",
        "from xent.measures import drift; drift({'a': [1, 2]}, {'a': [2, 2]})",
        "from xent import _table; _table.read('x.csv')",
        "from xent import _table; _table.write('x.csv', {'a': [1]})",
    ],
)
def test_a_missing_library_is_named(use, tmp_path):
    done = without(use, cwd=tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert re.match("ImportError: " + TABLES, last), done.stderr


@pytest.mark.parametrize(
    "command", ["rank t.csv --target b", "tree fit t.csv -t b -o t.tree", "evaluate t.csv"]
)
def test_a_command_says_it_in_one_sentence(command, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    code = f"sys.argv[1:] = {command.split()}\nfrom xent.cli import main\nmain()"
    done = without(code, cwd=tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(TABLES + ".*\n", done.stderr), done.stderr


def test_training_names_what_it_needs():
    pytest.importorskip("torch")
    done = without("import xent.training", "sklearn")
    assert "xent.training needs scikit-learn. Install it with: pip install" in done.stderr
