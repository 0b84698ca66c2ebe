"""`make tables`: write what a type checker and an editor know of losses and measures.

What a loss returns depends on `stats`, what a measure returns on how many axes it is given. Python
says that by writing a signature several times; here each is written once, in the code, and this
makes `__init__.pyi` of it, beside the `__init__.py` of the room.
"""

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

HEAD = '"""Made by `make tables` of the signatures in the code; docs/stubs.py says how."""\n\n'
# Lists of one distribution, of several, and of joint distributions. Of an array the number of axes
# is no part of what is known, so what comes back is Any, as it is of NumPy's own means and sums.
NUMBERS, ROWS, TABLES = "_Numbers", "_Rows", "_Tables"
KINDS = """
_Numbers = Sequence[float]
_Rows = Sequence[Sequence[float]]
_Tables = Sequence[Sequence[Sequence[float]]]
_Array = NDArray[np.float64]
"""
GIVEN = {"p", "q", "joint"}


def definition(thing):
    """Return the syntax of a function, and of the file it stands in."""
    path = inspect.getsourcefile(inspect.unwrap(thing))
    tree = ast.parse(Path(path).read_text())
    name = thing.__name__
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    return found[0], tree


def arguments_of(node, types):
    """Return a function's arguments, some of other types; a value that is not plain is ..."""
    arguments = ast.parse(ast.unparse(node)).body[0].args
    for each in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
        if each.arg in types:
            each.annotation = ast.parse(types[each.arg], mode="eval").body
    for values in (arguments.defaults, arguments.kw_defaults):
        for i, value in enumerate(values):
            if value is not None and not _plain(value):
                values[i] = ast.Constant(...)
    return arguments


def _plain(value):
    try:
        ast.literal_eval(value)
    except ValueError:
        return False
    return True


def written(node, returns, types=(), overloaded=False):
    """Return a function of a stub."""
    head = "@overload\n" if overloaded else ""
    text = ast.unparse(arguments_of(node, dict(types)))
    return f"{head}def {node.name}({text}) -> {returns}: ...\n"


def loss(node):
    """Return a loss: with statistics it is a pair."""
    if not any(a.arg == "stats" for a in node.args.kwonlyargs):
        found = ast.unparse(node.returns)
        return written(node, "Tensor" if found == "Any" else found)
    plain = written(node, "Tensor", {"stats": "Literal[False]"}, overloaded=True)
    both = arguments_of(node, {"stats": "Literal[True]"})
    place = [a.arg for a in both.kwonlyargs].index("stats")
    both.kw_defaults[place] = None
    both = f"@overload\ndef {node.name}({ast.unparse(both)}) -> tuple[Tensor, Stats]: ...\n"
    return plain + both


def measure(node):
    """Return a measure: a number of one distribution, an array of several, a Tensor of one."""
    given = [a.arg for a in node.args.args + node.args.posonlyargs if a.arg in GIVEN]
    if not given or ast.unparse(node.returns) != "Any":
        return written(node, ast.unparse(node.returns))
    joint = given[0] == "joint"
    one = {"axis": "tuple[int, int]" if joint else "int", "keepdims": "Literal[False]"}
    kinds = (
        [(ROWS, "float"), (TABLES, "_Array")] if joint else [(NUMBERS, "float"), (ROWS, "_Array")]
    )
    if node.name == "self_information":
        kinds = [(NUMBERS, "_Array"), (ROWS, "_Array")]
    if node.name in SEVERAL:
        kinds = []
    parts = [(*kind, one) for kind in kinds] + [("Tensor", "Tensor", {}), (None, "Any", {})]
    out = ""
    for kind, returns, others in parts:
        # A second distribution that may be left out may be left out of each.
        types = {name: f"{kind} | None" if _optional(node, name) else kind for name in given}
        out += written(node, returns, {**(types if kind else {}), **others}, overloaded=True)
    return out


SEVERAL = {"conditional_mutual_information", "total_correlation"}  # of three axes and more


def _optional(node, name):
    names = [a.arg for a in node.args.posonlyargs + node.args.args]
    return names.index(name) >= len(names) - len(node.args.defaults)


def stub(room):
    """Return the stub of a room."""
    module = import_module(f"xent.{room}")
    bodies, again, needed, trees = [], [], set(), []
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isclass(thing):
            again.append(f"from {thing.__module__} import {name} as {name}\n")
            continue
        node, tree = definition(thing)
        trees.append(tree)
        bodies.append({"losses": loss, "measures": measure}[room](node))
    text = "\n".join(bodies)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Name):
            needed.add(node.id)
    imports = "from collections.abc import Sequence\nfrom typing import Any, Literal, overload\n"
    imports += "import numpy as np\nimport torch\nfrom numpy.typing import NDArray\n"
    imports += "from torch import Tensor\n"
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    name = alias.asname or alias.name
                    if name in needed - {*module.__all__} and name not in imports:
                        imports += f"from {node.module} import {ast.unparse(alias)}\n"
    known = KINDS if room == "measures" else ""
    names = "".join(f"    {name!r},\n" for name in module.__all__)
    return f"{HEAD}{imports}{''.join(again)}{known}\n{text}\n__all__ = [\n{names}]\n"


def formatted(text):
    """Return a stub as `make check` wants it."""
    ruff = [sys.executable, "-m", "ruff"]
    for command in (
        ["check", "--select", "I,F401", "--fix-only", "--quiet"],
        ["format", "--quiet"],
    ):
        done = subprocess.run(
            [*ruff, *command, "--stdin-filename", "src/xent/__init__.pyi", "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[1],
        )
        text = done.stdout
    return text


ROOMS = ("losses", "measures")


def place_of(room):
    """Return where a room's stub stands."""
    return Path(__file__).parents[1] / "src" / "xent" / room / "__init__.pyi"


if __name__ == "__main__":
    for room in ROOMS:
        place_of(room).write_text(formatted(stub(room)))
