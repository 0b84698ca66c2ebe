"""xent counts the bits a model wastes, and helps to waste fewer.

One room for each thing you can hold in your hand: a distribution (`xent.measures`), logits
(`xent.losses`), labelled data (`xent.training`), a training script (`xent.audit`), predictions
(`xent.evaluation`), text (`xent.language`), a table (`xent.trees`). A room is loaded when it is
first named, so ``import xent`` costs next to nothing.
"""

from importlib import import_module

__all__ = ["audit", "evaluation", "language", "losses", "measures", "training", "trees"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return import_module(f"xent.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("xent")
    raise AttributeError(f"module 'xent' has no attribute {name!r}")


def __dir__() -> list[str]:
    from importlib.util import find_spec

    # What `help(xent)` and completion ask for by name must be there.
    needs = {"torch": ("losses", "training"), "sklearn": ("training", "trees")}
    without = {room for library, rooms in needs.items() if not find_spec(library) for room in rooms}
    return [*(room for room in __all__ if room not in without), "__version__"]
