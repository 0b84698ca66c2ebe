"""The divergence of a Gaussian from the standard one, written by hand.

Per dimension it is (mu^2 + var - log var - 1) / 2, in any order and with any names.
"""

from __future__ import annotations

import ast
import re

from xent.audit._follow.run import Walk

LOGARITHM = re.compile(r"log|^lv$", re.I)
DEVIATION = re.compile(r"std|sig|scale", re.I)
VARIANCE = re.compile(r"var|sig(ma)?_?(2|sq)", re.I)
SUMMANDS = re.compile(r"kl|div|elem", re.I)  # names that the summands are kept under

Term = tuple[int, ast.expr]


def is_divergence(run: Walk, node: ast.AST) -> bool:
    """Whether a call sums or averages 1 + log var - mu^2 - var."""
    if not isinstance(node, ast.Call):
        return False
    method = isinstance(node.func, ast.Attribute) and not _is_module(node.func.value)
    summed = node.func.value if method else node.args[0] if node.args else None  # type: ignore[attr-defined]
    if isinstance(summed, ast.Name) and SUMMANDS.search(summed.id):
        summed = _assigned(run, summed.id)
    if not isinstance(summed, ast.expr):
        return False
    terms = _terms(summed, 1)
    raised = {ast.unparse(of) for _, term in terms if (of := _exponent(term)) is not None}
    logs = {ast.unparse(of) for _, term in terms if (of := _called(term, "log")) is not None}
    kinds = {(_kind(term, raised, logs), sign) for sign, term in terms}
    return kinds in (WANTED, {(kind, -sign) for kind, sign in WANTED})


WANTED = {("one", 1), ("log", 1), ("square", -1), ("variance", -1)}
MODULES = ("torch", "np", "numpy", "F")


def _is_module(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in MODULES


def _assigned(run: Walk, name: str) -> ast.expr | None:
    """Return what the code around gives a name."""
    function = run.frame.function
    code = function.node if function is not None else run.frame.module.source.tree
    found = [
        part.value
        for part in ast.walk(code)
        if isinstance(part, ast.Assign)
        and isinstance(part.targets[0], ast.Name)
        and part.targets[0].id == name
    ]
    return found[0] if len(found) == 1 else None


def _terms(node: ast.expr, sign: int) -> list[Term]:
    """Return what is added up, each with its sign, whatever numbers it is multiplied by."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _terms(node.operand, -sign)
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Add | ast.Sub):
            right = sign if isinstance(node.op, ast.Add) else -sign
            return _terms(node.left, sign) + _terms(node.right, right)
        for one, other in ((node.left, node.right), (node.right, node.left)):
            by = (ast.Mult, ast.Div) if one is node.right else ast.Mult
            if isinstance(node.op, by) and (number := _number(one)) and _number(other) is None:
                return _terms(other, sign if number > 0 else -sign)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        name, of = node.func.attr.rstrip("_"), node.func.value
        number = _number(node.args[0])
        if name in ("add", "sub") and not _is_module(of):
            return _terms(of, sign) + _terms(node.args[0], sign if name == "add" else -sign)
        if name in ("mul", "div") and number and not _is_module(of):
            return _terms(of, sign if number > 0 else -sign)
    return [(sign, node)]


def _number(node: ast.expr) -> float | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand)
        return -inner if inner is not None else None
    known = node.value if isinstance(node, ast.Constant) else None
    return float(known) if isinstance(known, int | float) else None


def _called(node: ast.expr, *names: str) -> ast.expr | None:
    """Return what a function or method of one of these names is given first."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    if node.func.attr.rstrip("_") not in names:
        return None
    if not _is_module(node.func.value):
        return node.func.value
    return node.args[0] if node.args else None


def _exponent(node: ast.expr) -> ast.expr | None:
    return _called(node, "exp")


def _squared(node: ast.expr) -> ast.expr | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and _number(node.right) == 2:
        return node.left
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return node.left if ast.unparse(node.left) == ast.unparse(node.right) else None
    return _called(node, "pow", "square")


def _kind(node: ast.expr, raised: set[str], logs: set[str]) -> str:
    """Say which summand this is: "one", "log", "variance", "square", or "".

    What is raised to a power of e beside is a logarithm, and what has its logarithm beside a
    variance.
    """
    text, squared = ast.unparse(node), _squared(node)
    if text in logs:
        return "variance"
    if _number(node) is not None or text == "1 / 2":
        return "one"
    if squared is not None:
        deviation = _exponent(squared) is not None or DEVIATION.search(text)
        return "variance" if deviation else "square"
    if _exponent(node) is not None:
        return "variance"
    if text in raised or LOGARITHM.search(text):
        return "log"
    return "variance" if VARIANCE.search(text) else ""
