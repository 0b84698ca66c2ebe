"""`make tables`: write the tables of the docs that the code itself knows.

- Which loss takes which option, in `losses.md`, from the signatures. Its columns are those of the
  page; a new option is a word in the first line there.
- Formula and source of each loss and measure, in `losses.md` and `measures.md`. A new one gets a
  last line with the formula and the first reference of its docstring. The lines that are there stay
  as they are written: the traps are known to people, not to the code.
- The pages of the audit's rules, `audit/X101.md` and so on, from its catalogue.
"""

import inspect
import re
from importlib import import_module
from pathlib import Path

DOCS = Path(__file__).parent
OPTIONS = "## Which option where"
NO_TRAP = "—"  # until somebody knows one


def table_below(page, head):
    """Return what stands before the table below a head, its lines, and what stands after it."""
    before, section = page.split(head + "\n")
    lines = section.splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    last = next(i for i in range(first, len(lines)) if not lines[i].startswith("|"))
    return before + head + "\n" + "".join(lines[:first]), lines[first:last], "".join(lines[last:])


def names_of(room):
    """Return the losses, or the measures of distributions."""
    module = import_module(f"xent.{room}")
    names = [name for name in module.__all__ if name[0].islower()]
    if room == "losses":
        return names
    return [n for n in names if {"p", "joint"} & set(getattr(module, n).__annotations__)]


def options_of_losses(page):
    """Return the page with its table of options written anew; a new loss is its last row."""
    losses = import_module("xent.losses")
    before, lines, after = table_below(page, OPTIONS)
    options = [cell.strip(" `") for cell in lines[0].strip().strip("|").split("|")][1:]
    rows = lines[:2]
    order = [line.split("`")[1] for line in lines[2:]]
    names = names_of("losses")
    for name in sorted(names, key=lambda n: order.index(n) if n in order else len(order)):
        has = inspect.signature(getattr(losses, name)).parameters
        marks = ["yes" if option in has else "" for option in options]
        rows.append(f"| `{name}` | {' | '.join(marks)} |\n")
    return before + "".join(rows) + after


def formulas_of(room, head, page):
    """Return the page with a line for each loss or measure, a new one's from its docstring."""
    module = import_module(f"xent.{room}")
    before, lines, after = table_below(page, head)
    there = set(re.findall(r"`(\w+)[(`]", "".join(line.split(" | ")[0] for line in lines)))
    for name in names_of(room):
        if name not in there:
            called = name if room == "losses" else name + _arguments(getattr(module, name))
            cells = [f"`{called}`", *_formula_and_source(inspect.getdoc(getattr(module, name)))]
            cells.insert(2, NO_TRAP)
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n")
    return before + "".join(lines) + after


def _arguments(measure):
    """Return the arguments that a measure has to be given, as a call."""
    found = inspect.signature(measure).parameters.values()
    must = [p for p in found if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
    return f"({', '.join(p.name + '=' * (p.kind is p.KEYWORD_ONLY) for p in must)})"


def _formula_and_source(text):
    """Return the formula of a docstring, its second paragraph, and who published it when."""
    formula = text.split("\n\n")[1].replace("\n", " ")
    if "---" in formula or "References\n" not in text:
        raise SystemExit(f"A docstring says formula and reference: {text.splitlines()[0]}")
    source = text.split("References\n----------\n")[1].replace("\n", " ")
    who, year = re.match(r"(.*?) \((\d{4})\)", source).groups()
    who = re.sub(r",( [^\s,]+\.(-[^\s,]+\.)?)+", "", who).replace(" and ", " & ")
    return formula.partition(" = ")[2] or formula, f"{who} {year}"


def pages():
    """Return each page that has such tables, as it should be."""
    losses, measures = DOCS / "losses.md", DOCS / "measures.md"
    text = formulas_of("losses", "## Formula, trap, source", losses.read_text())
    rules = import_module("xent.audit._catalogue").RULES.values()
    return {
        **{DOCS / "audit" / f"{rule.id}.md": rule.page() for rule in rules},
        losses: options_of_losses(text),
        measures: formulas_of("measures", "## The functions", measures.read_text()),
    }


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text)
