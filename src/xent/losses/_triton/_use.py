"""Whether Triton computes a loss: where it is installed, on devices that it knows, and works there.

``XENT_TRITON=0`` in the environment turns it off; what it would compute the operations of torch do.
"""

import os
import warnings
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

# torch calls ROCm's devices so too. Under Triton's interpreter tests add the CPU.
DEVICES = {"cuda"}


def is_at_hand(input: Tensor) -> bool:
    """Say whether Triton's kernels may take a tensor."""
    if input.device.type not in DEVICES or os.environ.get("XENT_TRITON") == "0":
        return False
    return _works(input.device)


@cache
def _works(device: torch.device) -> bool:
    """Try a kernel once on a device: it takes a C compiler, and a processor that Triton knows."""
    if find_spec("triton") is None:
        return False
    from xent.losses._triton._launch import try_kernel

    try:
        try_kernel(device)
    except Exception as error:
        warnings.warn(
            f"Triton does not work on {device}, so losses take torch's operations there "
            f"(XENT_TRITON=0 says so without trying): {type(error).__name__}: {error}",
            stacklevel=2,
        )
        return False
    return True
