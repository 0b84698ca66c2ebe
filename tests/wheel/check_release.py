"""`make release-check`: what has to be true before a version is published, in one run.

Builds the plain wheel and the source distribution, has twine read them, sees to it that version,
changelog and citation agree, installs the wheel into an empty environment with the core's
dependencies alone, and runs the README's first three blocks there. With `--no-install` it stops
before the environment.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from email.parser import Parser
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CORE_ONLY = ("torch", "altair", "jax", "distributed")  # what extras bring


def run(*command, **options):
    print("$", *command, flush=True)
    return subprocess.run([str(part) for part in command], check=True, **options)


def faults():
    """Return what does not agree, a sentence each."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    version = project["project"]["version"]
    changes, cited = (ROOT / "CHANGELOG.md").read_text(), (ROOT / "CITATION.cff").read_text()
    heads = re.findall(r"^## (.*)$", changes, re.MULTILINE)
    if not heads[0].startswith(version):
        yield f"CHANGELOG.md begins with {heads[0]!r}: rename it to {version!r} and the day."
    elif "unreleased" in heads[0].lower():
        yield f"CHANGELOG.md says {heads[0]!r}: write the day instead."
    if f"version: {version}\n" not in cited:
        yield f"CITATION.cff does not name version {version}."
    if not project["tool"]["hatch"]["metadata"]["hooks"]["custom"]["repository"]:
        yield "pyproject.toml: `repository` is not filled in, so the page has no links."
    if subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True).stdout:
        yield "The working tree has changes that are not committed."


def metadata(wheel):
    with ZipFile(wheel) as file:
        name = next(n for n in file.namelist() if n.endswith(".dist-info/METADATA"))
        return Parser().parsestr(file.read(name).decode())


def first_blocks(number=3):
    """Return the language and the text of the README's first blocks."""
    return BLOCK.findall((ROOT / "README.md").read_text())[:number]


def try_core(wheel, scratch):
    """Install the wheel with its core dependencies alone and run the README's first blocks."""
    environment = scratch / "environment"
    run(sys.executable, "-m", "venv", environment)
    python, programs = environment / "bin" / "python", environment / "bin"
    limits = ROOT / "constraints.txt"
    run(python, "-m", "pip", "install", "--quiet", "-c", limits, wheel)
    absent = f"from importlib.util import find_spec as f; assert not any(map(f, {CORE_ONLY}))"
    run(python, "-c", absent)
    for language, text in first_blocks():
        command = ["sh", "-ec", text] if language == "sh" else [python, "-c", text]
        run(*command, cwd=scratch, env={"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(scratch)})


def main():
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", dist, ROOT)
    (wheel,), (source,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, source)
    print(metadata(wheel)["Version"], f"{wheel.stat().st_size / 1e6:.2f} MB", wheel.name)
    if "--no-install" not in sys.argv:
        with TemporaryDirectory() as scratch:
            try_core(wheel, Path(scratch))
    left = list(faults())
    for fault in left:
        print("-", fault)
    print("Nothing is left to do." if not left else f"{len(left)} left to do by hand.")
    sys.exit(bool(left))


if __name__ == "__main__":
    main()
