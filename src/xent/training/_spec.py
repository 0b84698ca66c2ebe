"""A choice with options in one text, `focal:gamma=2`: of losses, optimizers and schedules.

A text goes through a command line, a grid search and a saved model as it is; a call does not.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from xent import _check

OptionValues = dict[str, Any]


def parse(
    argument: str, text: object, known: Mapping[str, Collection[str]]
) -> tuple[str, OptionValues]:
    """Take a text like ``name:option=value,option=value`` apart.

    Parameters
    ----------
    argument : str
        What the text is called, for messages.
    text : str
        The text.
    known : mapping of str to collection of str
        Every name, and the options it has.

    Returns
    -------
    tuple of str and dict
        The name; the value of each option: a number, true or false, a list such as ``[3,6]``, or
        else a text.

    Raises
    ------
    ValueError
        If the name or an option is none of those known, or has no value, or has two.

    Examples
    --------
    >>> parse("loss", "focal:gamma=2", {"focal": ("gamma", "alpha")})
    ('focal', {'gamma': 2})
    """
    name, colon, rest = text.partition(":") if isinstance(text, str) else (text, "", "")
    name = _check.option(argument, name, known)
    options: OptionValues = {}
    for part in _parts(rest) if colon else []:
        option, equals, value = (piece.strip() for piece in part.partition("="))
        if option not in known[name]:
            raise _unknown(argument, name, option, known[name])
        if not (equals and value) or option in options:
            must = f"give each option of {name!r} one value, like {option}=1"
            raise _check.invalid(argument, must, repr(text))
        options[option] = _value(value)
    return name, options


def _unknown(argument: str, name: str, option: str, there: Collection[str]) -> ValueError:
    """Return the refusal of an option, which says what there is."""
    if not there:
        return _check.invalid(argument, f"name no option of {name!r}, which has none", repr(option))
    must = f"name options of {name!r}, which are {_check.join_names(there, last='and', limit=20)}"
    return _check.invalid(argument, must, repr(option))


def _parts(text: str) -> list[str]:
    """Split at the commas that stand in no bracket.

    >>> _parts("milestones=[3,6],gamma=0.5")
    ['milestones=[3,6]', 'gamma=0.5']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "[(") - (letter in "])")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _value(text: str) -> Any:
    """Read a number, true, false or a list; anything else stays a text."""
    try:
        return json.loads({"True": "true", "False": "false"}.get(text, text))
    except ValueError:
        try:
            return float(text)  # inf, 1e-8, .5
        except ValueError:
            return text
