"""Runs the losses on a device that is not there; `test_devices.py` starts it as a process.

A tensor of the simulated device wraps one of the CPU and does there what it is asked. It refuses to
meet tensors of the CPU, as an accelerator does, and counts what would wait for the device. torch's
Python backend for PrivateUse1 is set for a whole process: so this is one of its own.
"""

import collections
import itertools
import os
import sys

import torch
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from xent.losses._reduction import WITHOUT_FLOAT64

_setup_privateuseone_for_python_backend("simulated")
torch._C._set_only_lift_cpu_tensors(True)
DEVICE = torch.device("simulated:0")
READS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal",
         "aten::masked_select", "aten::_unique2"}  # fmt: skip
has_float64 = True
waits = collections.Counter()


class OnDevice(torch.Tensor):
    """A tensor that says it is on the device, and has its numbers on the CPU."""

    @staticmethod
    def __new__(cls, numbers):
        return torch.Tensor._make_wrapper_subclass(
            cls, numbers.size(), strides=numbers.stride(), dtype=numbers.dtype, device=DEVICE
        )

    def __init__(self, numbers):
        self.numbers = numbers

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


def run(func, args, kwargs):
    name = func._schema.name
    tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
    here = [t for t in tensors if isinstance(t, OnDevice)]
    there = [t for t in tensors if not isinstance(t, OnDevice)]
    device = kwargs.get("device")
    on_device = bool(here) if device is None else torch.device(device).type == "simulated"
    if device is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if name in READS and here:
        waits[name] += 1
    if name in ("aten::copy_", "aten::_to_copy") and tensors and bool(here) != on_device:
        waits[f"{name} between devices"] += 1
    elif here and any(t.dim() for t in there):
        raise RuntimeError(f"{name} of tensors on different devices")
    out = func(*tree_map(bare, args), **tree_map(bare, kwargs))
    made = [t.dtype for t in tree_leaves(out) if isinstance(t, torch.Tensor)]
    if on_device and torch.float64 in made and not has_float64:
        raise TypeError(f"{name}: this device has no float64")
    if name.endswith("_") and not name.startswith("aten::_") and isinstance(args[0], torch.Tensor):
        return args[0]
    if kwargs.get("out") is not None:
        return kwargs["out"]
    return tree_map(lambda t: OnDevice(t) if on_device and type(t) is torch.Tensor else t, out)


def bare(value):
    return value.numbers if isinstance(value, OnDevice) else value


class Watch(torch.utils._python_dispatch.TorchDispatchMode):
    """Sees what makes tensors out of nothing too."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


def main():
    sys.path.insert(0, str(__file__).rpartition("/")[0])
    import test_devices as cases

    names = [name for name in vars(cases) if name.isupper()]
    tensors = {n: vars(cases)[n] for n in names if isinstance(vars(cases)[n], torch.Tensor)}
    for name, (call, loss, x) in cases.CALLS.items():
        for reduction, doubles in itertools.product(("mean", "sum", "none"), (True, False)):
            truth = cases.scored(name, reduction)
            vars(cases).update({n: OnDevice(t) for n, t in tensors.items()})
            globals()["has_float64"] = doubles
            (WITHOUT_FLOAT64.discard if doubles else WITHOUT_FLOAT64.add)("simulated")
            waits.clear()
            with Watch():
                z = OnDevice(x.clone()).requires_grad_()
                value = call(z, loss, reduction=reduction)
                value.sum().backward()
            vars(cases).update(tensors)
            assert value.device == z.grad.device == DEVICE, name
            torch.testing.assert_close(value.detach().numbers, truth[0].detach(), msg=name)
            torch.testing.assert_close(z.grad.numbers, truth[1], msg=name)
            assert not waits, (name, reduction, waits)
        torch.set_default_device(DEVICE)
        found = cases.scored(name, "mean")
        torch.set_default_device(None)
        assert found[0].device.type == "cpu"
        assert torch.equal(found[1], cases.scored(name, "mean")[1]), name
    print("all right", flush=True)
    os._exit(0)  # the simulated backend does not survive the end of Python


if __name__ == "__main__":
    main()
