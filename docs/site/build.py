"""`make site`: lay out what the site is made of, and build it, offline, with warnings as errors.

The pages keep their places below the root of the repository, so the links that hold on GitHub hold
here. The reference has a page for each public name, written here and filled by its docstring.
"""

import inspect
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import xent

ROOT = Path(__file__).parents[2]
STAGE, SITE = ROOT / "build" / "site-source", ROOT / "build" / "site"
PAGES = (
    "*.md",
    "bench/RESULTS.md",
    "docs/**/*.md",
    "docs/pictures/*.png",
    "examples/*.py",
    "LICENSE",
    "CITATION.cff",
)


def stage():
    """Copy the pages to where Sphinx reads them."""
    shutil.rmtree(STAGE, ignore_errors=True)
    for pattern in PAGES:
        for path in sorted(ROOT.glob(pattern)):
            place = STAGE / path.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    here = Path(__file__).parent
    shutil.rmtree(STAGE / "docs" / "site", ignore_errors=True)
    for path in [here / "conf.py", *here.glob("*.md")]:
        shutil.copy(path, STAGE / path.name)
    (STAGE / "_static").mkdir()
    shutil.copy(here / "site.css", STAGE / "_static" / "site.css")
    (STAGE / "changed_numbers.md").write_text(changed_numbers())


def changed_numbers():
    """Return the part of the changelog that says which numbers are different."""
    text = (ROOT / "CHANGELOG.md").read_text()
    parts = ["# Numbers that are now different\n"]
    for head, body in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE):
        _, found, rest = body.partition("### Numbers that are now different\n")
        if found:
            own, _, _ = rest.partition("\n### ")
            parts.append(f"## {head}\n{own}")
    return "\n".join(parts)


def reference():
    """Write a page for each public name, one for each room, and one that lists the rooms."""
    folder = STAGE / "reference"
    folder.mkdir()
    rooms = []
    for room in xent.__all__:
        module = import_module(f"xent.{room}")
        first = (inspect.getdoc(module) or "").partition("\n")[0]
        rooms.append((f"xent.{room}", first))
        names = [f"xent.{room}.{name}" for name in module.__all__]
        for full, name in zip(names, module.__all__, strict=True):
            write_name(folder, full, getattr(module, name))
        said = [summary(getattr(module, name)) for name in module.__all__]
        pairs = zip(names, said, strict=True)
        rows = [f"   * - :doc:`{name} <{name}>`\n     - {text}" for name, text in pairs]
        write_room(folder, f"xent.{room}", first, rows, names)
    table = [f"   * - :doc:`{name} <{name}>`\n     - {first}" for name, first in rooms]
    write_room(folder, "index", "Every public name, room by room.", table, [n for n, _ in rooms])


def summary(thing):
    """Return the first line of a docstring, as reStructuredText."""
    return (inspect.getdoc(thing) or "").partition("\n")[0].replace("|", r"\|")


def write_name(folder, full, thing):
    kind = "autoclass" if inspect.isclass(thing) else "autofunction"
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        kind = "autodata"
    members = "\n   :members:" if kind == "autoclass" else ""
    title = full.rpartition(".")[2]
    text = f":orphan:\n\n{title}\n{'=' * len(title)}\n\n.. {kind}:: {full}{members}\n"
    (folder / f"{full}.rst").write_text(text.removeprefix(":orphan:\n\n"))


def write_room(folder, name, first, rows, pages):
    title = "Reference" if name == "index" else name
    listed = "\n".join(f"   {page}" for page in pages)
    text = (
        f"{title}\n{'=' * len(title)}\n\n{first}\n\n"
        ".. list-table::\n   :widths: 35 65\n\n" + "\n".join(rows) + "\n\n"
        f".. toctree::\n   :hidden:\n\n{listed}\n"
    )
    (folder / f"{name}.rst").write_text(text)


def main():
    stage()
    reference()
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "--keep-going", "-W"]
    done = subprocess.run([*command, STAGE, SITE])
    print(f"{SITE}/index.html" if not done.returncode else "The site has warnings: see above.")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
