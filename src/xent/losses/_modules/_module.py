"""What the modules share: their options are attributes, which each call hands to the function."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from xent.losses._arguments import check_deprecated

_DEPRECATED = {"size_average", "reduce"}
# Registered by the constructor: setting them would make a Parameter among them one to be trained.
_BUFFERS = {"weight", "pos_weight", "alpha"}


class LossModule(torch.nn.Module):
    """A function of a loss as a module: ``class X(LossModule, torch.nn.X, function=x)``.

    Its constructor has torch's arguments, then the function's others. It hands torch's to
    ``super().__init__``, registers what other buffers there are, and ends with
    ``self.keep(locals())``.
    """

    function: ClassVar[Callable[..., Any]]
    option_names: ClassVar[list[str]]

    label_smoothing: float
    empty: str
    stats: bool

    def __init_subclass__(cls, function: Callable[..., Any] | None = None, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if function is not None:
            cls.function = staticmethod(function)
            taken = inspect.signature(function).parameters.keys() - _DEPRECATED
            cls.option_names = [n for n in inspect.signature(cls).parameters if n in taken]

    def keep(self, given: Mapping[str, Any]) -> None:
        """Keep the options that are no buffers as attributes."""
        check_deprecated(given.get("size_average"), given.get("reduce"))
        for name in self.option_names:
            if name not in _BUFFERS:
                setattr(self, name, given[name])

    def kept(self) -> dict[str, Any]:
        """Return the options as they are now."""
        return {name: getattr(self, name) for name in self.option_names}

    def forward(self, input: Tensor, target: Tensor, *, token_weight: Tensor | None = None) -> Any:
        """Return the loss of a batch; ``token_weight`` weighs its rows or answers."""
        options = self.kept()
        options["token_weight"] = token_weight  # a second dict for it would take longer
        return self.function(input, target, **options)
