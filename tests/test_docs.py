"""Every Python block and every shell command of the README and of docs/ runs, in an empty folder."""

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import children

ROOT = Path(__file__).parent.parent
NOT_FOR_READERS = {"audit", "site"}  # pages of rules are made, and tests/audit reads them
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *(
        page
        for page in sorted((ROOT / "docs").rglob("*.md"))
        if page.relative_to(ROOT / "docs").parts[0] not in NOT_FOR_READERS
    ),
]
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHELLS = {"sh", "bash", "shell", "console"}
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
FOR_A_SHELL = re.compile(r"[|&;<>()$`\\*?\[\]{}~#]")
XENT = f"{shlex.quote(sys.executable)} -c 'from xent.cli import main; main()'"


def blocks(page, languages):
    return [text for language, text in BLOCK.findall(page.read_text()) if language in languages]


TRANSLATED = [pytest.mark.grid, pytest.mark.long]  # their programs are those of the English pages


def with_blocks(*languages, translated=TRANSLATED):
    pages = [
        pytest.param(page, marks=translated if page.name.endswith(".zh.md") else [], id=page.name)
        for page in PAGES
        if blocks(page, languages)
    ]
    return pytest.mark.parametrize("page", pages)


# Python code and commands see this checkout, and say what they are warned of.
# `python` is the environment's, as where a reader has activated it.
OURS = {
    "PYTHONPATH": str(ROOT / "src"),
    "PYTHONWARNINGS": "default",
    "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
}


@with_blocks("python")
def test_python(page, tmp_path):
    """The blocks of a page are one program, as a reader would run them from top to bottom.

    A tutorial's commands run before, in the same folder: its program reads what they wrote.
    """
    if page.parent.name == "tutorials":
        run_commands(page, tmp_path)
    code = "\n".join(textwrap.dedent(text) for text in blocks(page, {"python"}))
    done = children.python(code, cwd=tmp_path, environment=OURS)
    assert done.returncode == 0, done.stderr
    # What a comment says that a line prints is printed.
    for said in re.findall(r"print\(.*\)  # (tensor\(.*\)|`.*?)(?: \.\.\.)?$", code, re.MULTILINE):
        assert said in done.stdout


@pytest.mark.long
@with_blocks("python", translated=[])
def test_python_where_nothing_is_loaded(page, tmp_path, monkeypatch):
    """A page imports what it uses: no library is there because another program loaded it."""
    monkeypatch.setattr(children, "python", children.fresh)
    test_python(page, tmp_path)


@with_blocks(*SHELLS)
def test_shell(page, tmp_path):
    if page.parent.name == "tutorials" and blocks(page, {"python"}):
        pytest.skip("test_python runs the commands of a tutorial")
    run_commands(page, tmp_path)


def run_commands(page, tmp_path):
    for text in blocks(page, SHELLS):
        for line in text.replace("\\\n", " ").splitlines():
            command = line.strip().removeprefix("$ ").partition("  #")[0].strip()
            if command and not command.startswith("#"):
                run(command, tmp_path)


def run(command, folder):
    """Run a command; what would install or recurse is checked for being there instead."""
    program, *rest = command.split()
    if program == "make":
        done = subprocess.run(["make", "-n", *rest], cwd=ROOT, capture_output=True, text=True)
    elif program == "pip":
        extras = re.search(r"\[([\w,]+)\]", command)
        declared = (ROOT / "pyproject.toml").read_text()
        missing = (
            [e for e in extras[1].split(",") if f"\n{e} = [" not in declared] if extras else []
        )
        assert not missing, f"no extra {missing}"
        return
    elif program == "git":
        assert rest[0] == "clone"
        (folder / rest[-1]).mkdir(exist_ok=True)
        return
    elif program == "python" and rest[:2] == ["-m", "bench"]:
        known = {p.stem for p in (ROOT / "bench").glob("*.py")}
        assert set(rest[2:]) <= known
        return
    elif program == "xent" and not FOR_A_SHELL.search(QUOTED.sub("", command)):
        done = children.xent(*shlex.split(command)[1:], cwd=folder, environment=OURS)
    else:
        command = re.sub(r"(^|[|;&]\s*)xent\b", lambda m: m[1] + XENT, command)
        env = {**os.environ, **OURS}
        done = subprocess.run(
            command, shell=True, cwd=folder, env=env, capture_output=True, text=True
        )
    assert done.returncode == 0, f"{command}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=[p.name for p in PAGES])
def test_tests_that_a_page_names_are_there(page):
    """What a page says is tested, by a file or a test in it, can be looked up."""
    for path, _, name in re.findall(r"`(tests/[\w/]+\.py)(::(\w+))?`", page.read_text()):
        assert (ROOT / path).is_file(), path
        assert not name or f"def {name}(" in (ROOT / path).read_text(), name


CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
FORMULA = re.compile(
    r"\$\$(.+?)\$\$|(?<![\w$\\])\$(?![\s$])([^$\n]+?)(?<!\s)\$(?![\w$])", re.DOTALL
)
# Of the commands that GitHub's MathJax has; it refuses \operatorname, \newcommand, \def and others.
MACROS = """
    alpha ast bar begin beta big Big bigl bigr binom cdot cdots delta Delta dots ell end epsilon exp
    frac gamma Gamma ge geq hat in infty int lambda langle ldots le left leq lfloor log ln mapsto
    mathbb mathbf mathcal mathrm max mid min mu ne neq nu over partial pi prod propto psi qquad quad
    rangle rfloor rho right sigma sim sqrt sum tau text tfrac theta tilde times to top vert Vert lVert
    rVert varepsilon varphi phi Phi Sigma Omega eta kappa zeta xi widehat wedge vee notin subset
    sup prime circ pm approx equiv forall exists neg Pr ln lceil rceil overline underline
"""


def formulas(text):
    return [a or b for a, b in FORMULA.findall(CODE.sub("", text))]


def unfit(text):
    """Return the formulas of a page that GitHub does not show as they are meant."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    children = [child for token in tokens for child in token.children or ()]
    # Markdown comes before the formulas: it eats a backslash before a sign, and reads * and _.
    shown = "".join("\n" if c.type == "softbreak" else c.content for c in children)
    return [
        formula
        for formula in formulas(text)
        if formula not in shown
        # The site's converter takes `12` of `\frac12` for one argument.
        or re.search(r"frac(?!\{)|frac\{[^{}]*\}(?!\{)", formula)
        or not set(re.findall(r"\\([A-Za-z]+)", formula)) <= set(MACROS.split())
    ]


@pytest.mark.parametrize("page", PAGES, ids=[p.name for p in PAGES])
def test_formulas_show_on_github(page):
    assert not unfit(page.read_text()), "write them so that Markdown leaves them alone"


def test_the_proof_of_formulas_would_notice():
    assert sum(len(formulas(page.read_text())) for page in PAGES) > 90
    bad = [
        r"$\operatorname{diag}(p)$",
        r"$a\,b$",
        r"$c^*$ and $d^*$",
        r"| $a|b$ | c |",
        r"$\frac12$",
    ]
    for text in bad:
        assert unfit(f"| a | b |\n| --- | --- |\n| {text} | c |\n"), text
    assert not unfit(r"So $\frac{a}{b}$ and $c^\ast$, $d^\ast$.")


def test_the_proof_runs_something():
    assert any(blocks(page, {"python"}) for page in PAGES)
    with pytest.raises(AssertionError):
        run("xent trian", ROOT)


def test_the_page_on_an_index_leads_somewhere(monkeypatch):
    """The package's page has no link that leads to a file beside it; pictures are shown or told."""
    import importlib.util
    from types import SimpleNamespace

    # pip has hatchling where it builds a package; here two names of it are enough.
    bases = SimpleNamespace(BuildHookInterface=object, MetadataHookInterface=object)
    for module in (
        "hatchling.builders.hooks.plugin.interface",
        "hatchling.metadata.plugin.interface",
    ):
        parts = module.split(".")
        for end in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:end]), bases)
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    readme = (ROOT / "README.md").read_text()
    for address in ("", "https://example.org/xent"):
        page = hook.page_of(readme, address)
        assert not re.findall(r"\]\((?!https?:|#)[^)]*\)", CODE.sub("", page))
        assert not re.findall(r'src="(?!https?:)', page)
        assert ("https://example.org/xent/blob/main/docs/why.md" in page) == bool(address)
        assert "double-softmax" in page, "the words of a picture"


def test_the_version_is_one():
    """pyproject.toml, CITATION.cff and the newest head of the changelog agree."""
    import tomllib

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    newest = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[:2]
    assert any(head.startswith((version, "Unreleased")) for head in newest)
