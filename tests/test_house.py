"""The house rules that a machine can hold: layers, import weight, exports, docstrings, messages."""

import ast
import dataclasses
import inspect
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import xent
from xent import _check, _optional

SRC = Path(xent.__file__).parent
FILES = sorted(SRC.rglob("*.py"))
ROOMS = [room for room in xent.__all__ if room in dir(xent)]  # two need PyTorch, two scikit-learn
PUBLIC = [(room, name) for room in ROOMS for name in import_module(f"xent.{room}").__all__]
HEAVY = [
    "scipy",
    "numba",
    "sklearn",
    "torch",
    "jax",
    "pandas",
    "polars",
    "pyarrow",
    "rich",
    "typer",
]


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def loaded(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*{{m.partition('.')[0] for m in sys.modules}})"
    return set(python(code).split())


# ------------------------------------------------------------------ who may import whom


def test_layers():
    from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

    root = SRC.parent.parent
    assert lint_imports(str(root / "pyproject.toml"), no_cache=True) == EXIT_STATUS_SUCCESS, (
        "what is printed above names a file: if it is new, give it a place in the `layers` of the "
        "contract named there, in pyproject.toml; else it imports what stands above it"
    )


def test_no_circle_of_files():
    """No file imports another that imports it again, not even inside a function."""
    import grimp

    graph = grimp.build_graph("xent", cache_dir=None)
    arrows = {file: graph.find_modules_directly_imported_by(file) for file in graph.modules}
    TopologicalSorter(arrows).prepare()  # CycleError names the circle


def test_the_linter_sees_every_arrow():
    """A module of ours is imported by string only where a package loads its rooms when first named."""
    for path in FILES:
        text = path.read_text()
        if re.search(r"import_module\(f?[\"']xent", text):
            assert path.name == "__init__.py", path


def test_pyproject_names_no_module_that_is_not_there():
    settings = tomllib.loads((SRC.parent.parent / "pyproject.toml").read_text())["tool"]
    named = [m for o in settings["mypy"]["overrides"] for m in np.atleast_1d(o["module"])]
    named += settings["mypy"]["untyped_calls_exclude"]
    ours = [m.removesuffix(".*") for m in named if m.startswith("xent")]
    assert len(ours) > 9
    there = {path.relative_to(SRC.parent).with_suffix("") for path in (*FILES, *SRC.rglob("*"))}
    assert not [m for m in ours if Path(*m.split(".")) not in there]


def test_the_plan_of_the_house_shows_every_part():
    """CONTRIBUTING's drawing, pyproject's layers and the folder itself name the same parts."""
    root = SRC.parent.parent
    drawn = re.findall(r"```text\n(.*?)```", (root / "CONTRIBUTING.md").read_text(), re.DOTALL)[0]
    layers = (root / "pyproject.toml").read_text().split("layers = [")[1].split("]")[0]
    there = {p.stem for p in SRC.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    there -= {"__init__", "__main__"}
    assert set(drawn.split()) == there
    planned = set(re.findall(r"\w+", layers)) - {"__main__"}
    assert planned == there


def test_no_page_promises_what_is_not_there():
    """A room or a command that the README and docs name can be called."""
    pages = [SRC.parent.parent / "README.md", *(SRC.parent.parent / "docs").glob("*.md")]
    text = "\n".join(page.read_text() for page in pages)
    named = set(re.findall(r"`xent\.(\w+)", text)) | set(re.findall(r"from xent\.(\w+)", text))
    assert named <= set(xent.__all__), "rooms"
    import typer

    from xent import cli

    commands = typer.main.get_command(cli.app).commands
    called = set(re.findall(r"^xent (\w[\w-]*)", text, re.MULTILINE))
    called |= set(re.findall(r"`xent (\w[\w-]*)", text))
    assert len(called) > 6
    assert called <= set(commands)


def test_xent_itself_loads_nothing():
    assert loaded("import xent").isdisjoint({"numpy", *HEAVY})


def test_measures_loads_numpy_alone():
    found = loaded("import xent.measures")
    assert "numpy" in found
    assert found.isdisjoint(HEAVY)


def test_measures_loads_estimates_and_tables_on_first_use():
    code = "import sys, xent.measures as m; print('xent.measures.tables._rank' in sys.modules, "
    code += "set(m.__all__) <= set(dir(m)), m.rank_features.__name__)"
    assert python(code) == "False True rank_features"
    with pytest.raises(AttributeError, match="no attribute 'entropie'"):
        _ = xent.measures.entropie


def test_the_proof_of_absence_would_notice():
    pytest.importorskip("torch")
    assert "torch" in loaded("import xent.losses")


def test_rooms_are_loaded_on_first_use():
    assert python("import xent; print(xent.measures.entropy([1.0]))") == "0.0"
    assert set(ROOMS) <= set(dir(xent))
    with pytest.raises(AttributeError, match="no attribute 'cellar'"):
        _ = xent.cellar


def test_the_architecture_page_names_what_is_there():
    """Each `file.py:name` and each folder of docs/architecture.md exists."""
    page = (SRC.parent.parent / "docs" / "architecture.md").read_text()
    places = set(re.findall(r"`([\w/]+\.py)(?::(\w+))?`", page))
    assert len({name for _, name in places if name}) > 25
    for path, name in sorted(places):
        assert (SRC / path).is_file() or (SRC.parent.parent / path).is_file(), path
        if name:
            nodes = ast.parse((SRC / path).read_text()).body
            named = {getattr(node, "name", "") for node in nodes}
            for node in nodes:
                if isinstance(node, ast.Assign | ast.AnnAssign):
                    named |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
            assert name in named, f"{path} has no {name}"
    for folder in re.findall(r"`([\w/]+)/`", page):
        assert (SRC / folder).is_dir() or (SRC.parent.parent / folder).is_dir(), folder


def test_one_name_has_one_meaning():
    """A public constant or class of a module is nowhere else something different."""
    meanings: dict[str, dict[str, str]] = {}
    for path in FILES:
        place = str(path.relative_to(SRC))
        for node in ast.parse(path.read_text()).body:
            found = []
            if isinstance(node, ast.ClassDef):
                found = [(node.name, place)]
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
                values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
                names = [ast.unparse(name) for name in node.targets[0].elts]
                same = len(values) == len(names)
                found = [
                    (name, ast.unparse(values[i] if same else values[0]))
                    for i, name in enumerate(names)
                ]
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found = [(ast.unparse(name), ast.unparse(node.value)) for name in targets]
            for name, meaning in found:
                if name.isidentifier() and not name.startswith("_"):
                    meanings.setdefault(name, {})[place] = meaning
    # What a file is of: every format has a name and a version of its own.
    # The drop-in for KenLM has the names of KenLM.
    allowed = {"FORMAT", "VERSION", "Config"}
    twice = {n: places for n, places in meanings.items() if len(set(places.values())) > 1}
    assert twice.keys() <= allowed, {n: twice[n] for n in twice.keys() - allowed}


def test_no_folder_is_crowded():
    """At most about twelve files a folder; a family of alike things has a folder of its own."""
    for folder in {path.parent for path in FILES}:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= 14, (
            f"{folder.relative_to(SRC)} holds {len(files)} files: put those of one thing into a "
            "folder of their own, as cli/_trees/ is one"
        )


# ------------------------------------------------------------------ what a room shows


def test_help_without_torch_shows_the_other_rooms():
    code = "import sys; sys.modules['torch'] = None; import importlib.util as u; find = u.find_spec"
    code += "; u.find_spec = lambda name, *rest: None if name == 'torch' else find(name, *rest)"
    code += "; import pydoc, xent; print(pydoc.render_doc(xent).count('measures'), dir(xent))"
    shown = python(code)
    assert shown.endswith("['__version__', 'audit', 'evaluation', 'language', 'measures', 'trees']")


@pytest.mark.parametrize("room", ROOMS)
def test_exports(room):
    module = import_module(f"xent.{room}")
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        thing = getattr(module, name)
        assert thing.__module__.startswith(f"xent.{room}"), f"{name} lives elsewhere"
    furniture = [p.stem for p in Path(module.__file__).parent.glob("*.py")]
    doors = {"xent.language": {"kenlm"}}.get(f"xent.{room}", set())
    assert all(stem.startswith("_") or stem in doors for stem in furniture)
    folders = {"xent.language": {"kenlm", "smoothing"}}.get(f"xent.{room}", set())
    # Pytest rewrites the modules of a package that has a plugin, and leaves names with "@" there.
    shown = {name for name in dir(module) if not name.startswith(("_", "@"))}
    assert shown - folders == set(module.__all__), "what completion offers is what is public"


SECTIONS = ["Parameters", "Attributes", "Returns", "Yields", "Raises", "Warns", "Notes", "Examples"]
SECTIONS.append("References")


def documented_things():
    for room, name in PUBLIC:
        thing = getattr(import_module(f"xent.{room}"), name)
        yield pytest.param(thing, id=f"{room}.{name}")
        if inspect.isclass(thing):
            for method, member in vars(thing).items():
                if not method.startswith("_") and inspect.isfunction(member):
                    yield pytest.param(member, id=f"{room}.{name}.{method}")


@pytest.mark.parametrize("thing", list(documented_things()))
def test_docstring(thing):
    text = inspect.getdoc(thing)
    assert text, "has no docstring"
    lines = text.splitlines()
    # A report has a number for every question.
    most = 80 if dataclasses.is_dataclass(thing) else 60
    assert len(lines) <= most, f"docstring of {len(lines)} lines"
    assert lines[0].endswith("."), "the first line is one sentence"
    found = [a for a, b in pairwise(lines) if re.fullmatch("-{3,}", b)]
    assert found == sorted(found, key=SECTIONS.index), f"sections in the order {found}"


@pytest.mark.parametrize(("room", "name"), PUBLIC)
def test_every_public_name_has_an_example(room, name):
    text = inspect.getdoc(getattr(import_module(f"xent.{room}"), name)) or ""
    assert ">>> " in text.partition("Examples\n--------\n")[2], "add a section Examples to it"


@pytest.mark.parametrize(("room", "name"), PUBLIC)
def test_every_parameter_is_documented(room, name):
    thing = getattr(import_module(f"xent.{room}"), name)
    if not inspect.isfunction(thing) and "__init__" not in vars(thing):
        pytest.skip("has no parameters of its own")
    text = inspect.getdoc(thing) or ""
    section = text.partition("Parameters\n----------\n")[2]
    named = {n.strip(" *") for line in section.splitlines() for n in line.split(":")[0].split(",")}
    missing = [n for n in inspect.signature(thing).parameters if n not in {*named, "self"}]
    assert not missing, f"undocumented: {missing}"


NOTHING_REFUSED = {
    # What functions return: records that nobody fills in by hand.
    "audit": {"AuditReport", "Config", "Finding"},
    "evaluation": {"Bin", "Calibrator", "ClassRow", "ConfusedRows", "HardRow", "Report", "SliceRow"}
    | {"CostDifference", "ModelComparison", "ModelCost", "LabelHardRow", "LabelRow"}
    | {
        "MultilabelReport",
        "OrderedReport",
        "ThresholdRow",
        "OperatingPoint",
        "SoftClassRow",
        "SoftHardRow",
    }
    | {"SoftReport", "DocumentRow", "TokenPlace", "TokenReport", "TokenUnit"},
    "language": {"Evaluation", "Selection", "TokenLogProbs", "WittenBell"},  # and one switch
    "losses": {"Stats"},
    # Views say what numbers mean; the function that takes them checks them.
    "measures": {"ColumnDrift", "Estimate", "FeatureRank", "Measurement"}
    | {"Counts", "LogProbs", "Logits"},
    # As scikit-learn wants it, an estimator's constructor keeps what it is given; `fit` refuses.
    "training": {"Comparison", "Scaling", "TrainedModel", "SoftmaxClassifier", "TableEncoder"}
    | {"FairComparison", "FairResult", "Images", "LikelihoodTable", "MultilabelClassifier"}
    | {"DenseClassifier"},
    "trees": {"C45Classifier", "CARTClassifier", "CARTRegressor", "ID3Classifier"}
    | {"TreeClassifier", "TreeRegressor"},
}
PAGES = {"Report.add_to", "Comparison.add_to"}  # take a page that this library made


def things_with_parameters():
    """Public functions and classes, and the methods whose parameters are described."""
    for thing in documented_things():
        (member,) = thing.values
        room, name = thing.id.split(".", 1)
        if name in NOTHING_REFUSED[room] | PAGES:
            continue
        described = "Parameters\n----------" in inspect.getdoc(member)
        if described or ("." not in name and {*inspect.signature(member).parameters} - {"self"}):
            yield thing


@pytest.mark.parametrize("thing", list(things_with_parameters()))
def test_what_is_raised_is_documented(thing):
    errors = (inspect.getdoc(thing) or "").partition("Raises\n------\n")[2].splitlines()
    assert errors, "no section Raises"
    named = errors[0].split(", ")
    known = {"ValueError", "TypeError", "ImportError", "FileNotFoundError", "ConnectionError"}
    assert set(named) <= known, errors[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_file(path):
    text = path.read_text()
    tree = ast.parse(text)
    if text.strip():
        assert ast.get_docstring(tree), "a file opens with what lives here and why"
    assert len(text.splitlines()) <= 500, "one idea a file"
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Assert), f"assert on line {node.lineno}"
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            raised = getattr(node.exc.func, "id", "")
            built_elsewhere = path.name != "_check.py" and raised in {"ValueError", "TypeError"}
            assert not built_elsewhere, f"line {node.lineno}: build the sentence with _check"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [node.module]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
            )
            if path.name != "numba_private.py":  # machine code: docs/design/0008-machine-code.md
                assert not {"pickle", "shelve", "marshal"} & set(names), "nothing is unpickled here"


# ------------------------------------------------------------------ how it refuses


WORDING = [
    (
        lambda: xent.measures.entropy([[0.5, 0.5], [2.0, 4.0]]),
        "`p` must sum to 1 along axis -1, got 6 at row 1. For counts pass Counts(p).",
    ),
    (
        lambda: xent.measures.entropy([[0.5, 0.5, -1.2]]),
        "`p` must be non-negative, got -1.2 at [0, 2]. For logits pass Logits(p).",
    ),
    (
        lambda: xent.measures.entropy([0.5, 0.5], base=1),
        "`base` must be positive and not 1, got 1. Use math.e for nats, 2 for bits.",
    ),
    (
        lambda: _check.option("reduction", "maen", ("mean", "sum", "none")),
        "`reduction` must be 'mean', 'sum' or 'none', got 'maen'. Did you mean 'mean'?",
    ),
    (
        lambda: _check.integer("epochs", 0, least=1),
        "`epochs` must be an integer of at least 1, got 0.",
    ),
    (
        lambda: _check.integer("epochs", 2.5, least=1),
        "`epochs` must be an integer of at least 1, got 2.5.",
    ),
    (
        lambda: _check.positive("learning_rate", float("nan")),
        "`learning_rate` must be positive and finite, got nan.",
    ),
    (
        lambda: _check.share("hold_out", 1),
        "`hold_out` must be between 0 and 1, both excluded, got 1.",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), WORDING, ids=[s for _, s in WORDING])
def test_wording(call, sentence):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert str(caught.value) == sentence


def test_missing_library_names_the_command():
    with pytest.raises(ImportError) as caught:
        _optional.need("no_such_library", extra="torch", by="xent.losses")
    expected = 'xent.losses needs no_such_library. Install it with: pip install "torch>='
    assert str(caught.value).startswith(expected)
    with pytest.raises(ImportError, match=r'"altair>=\S+" "jinja2>=\S+" "vl-convert'):
        _optional.need("no_such_library", extra="report", by="An HTML report")


def test_no_message_advises_a_package_that_is_not_on_the_index():
    """Until xent is on a package index, `pip install xent` is somebody else's package, or none."""
    for path in FILES:
        advised = re.search(r"pip install[^\n]*\bxent\b", path.read_text())
        assert not advised or path.name == "_optional.py", path


def test_indices_are_plain_numbers():
    assert _check.at(np.array([0, 2])) == "[0, 2]"


# ------------------------------------------------------------------ what its suite says


def test_the_suite_says_for_want_of_which_program_tests_were_skipped():
    """The reasons of the suite's own skips are understood, and one line counts them."""
    import importlib.util
    from types import SimpleNamespace

    root = SRC.parent.parent
    spec = importlib.util.spec_from_file_location("root_conftest", root / "conftest.py")
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    texts = [path.read_text() for path in (root / "tests").rglob("*.py")]
    said = set(re.findall(r'(?:reason=|skip\(f?)"([^"]+)"', "\n".join(texts)))
    lines = []
    reporter = SimpleNamespace(
        stats={"skipped": [SimpleNamespace(longrepr=("file", 1, reason)) for reason in said]},
        write_line=lines.append,
    )
    conftest.pytest_terminal_summary(reporter)
    counted = dict(re.findall(r"(R|Weka's package|KenLM|Chromium) (\d+)", lines[0]))
    assert set(counted) == set(conftest.PROGRAMS)
    assert int(counted["R"]) == 2
