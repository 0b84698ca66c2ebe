"""`make tables`: write the tables of the docs that the code itself knows.

Now one: which loss takes which option, in `docs/losses.md`, from the signatures. Its columns are
those of the page; a new option is a word in the first line there.
"""

import inspect
from pathlib import Path

from xent import losses

PAGE = Path(__file__).parent / "losses.md"
HEAD = "## Which option where"


def options_of_losses(page):
    """Return the page with its table of options written anew; a new loss is its last row."""
    before, section = page.split(HEAD)
    lines = section.splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    last = next(i for i in range(first, len(lines)) if not lines[i].startswith("|"))
    options = [cell.strip(" `") for cell in lines[first].strip().strip("|").split("|")][1:]
    rows = lines[first : first + 2]
    names = [name for name in losses.__all__ if name[0].islower()]
    order = [line.split("`")[1] for line in lines[first + 2 : last]]
    for name in sorted(names, key=lambda n: order.index(n) if n in order else len(order)):
        has = inspect.signature(getattr(losses, name)).parameters
        marks = ["yes" if option in has else "" for option in options]
        rows.append(f"| `{name}` | {' | '.join(marks)} |\n")
    return before + HEAD + "".join(lines[:first] + rows + lines[last:])


if __name__ == "__main__":
    PAGE.write_text(options_of_losses(PAGE.read_text()))
