"""The losses as modules: torch's own classes, with this room's numbers.

Each subclasses the class of its name in torch.nn, so isinstance, repr and state_dict keys stay; the
keyword-only additions are those of the function.
"""
