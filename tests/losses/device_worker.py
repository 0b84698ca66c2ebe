"""Runs the losses on a device that is not there; `test_devices.py` starts it as a process.

A tensor of the simulated device wraps one of the CPU and does there what it is asked. It refuses to
meet tensors of the CPU, as an accelerator does, and counts what would wait for the device, the
operations, and the bytes that are alive. torch's Python backend for PrivateUse1 is set for a whole
process: so this is one of its own.
"""

import collections
import gc
import itertools
import os
import sys
import weakref
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

import xent.losses as L
from xent.losses._device import _chunks, _class, _class_indices
from xent.losses._reduction import WITHOUT_FLOAT64

_setup_privateuseone_for_python_backend("simulated")
torch._C._set_only_lift_cpu_tensors(True)
DEVICE = torch.device("simulated:0")
READS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal",
         "aten::masked_select", "aten::_unique2"}  # fmt: skip
LAUNCH_NOTHING = {"aten::view", "aten::slice", "aten::unsqueeze", "aten::squeeze", "aten::detach",
                  "aten::expand", "aten::transpose", "aten::t", "aten::permute", "aten::select",
                  "aten::_unsafe_view", "aten::alias", "aten::empty_like", "aten::new_empty",
                  "aten::empty", "aten::as_strided", "aten::split"}  # fmt: skip
CHUNKS = _chunks._ELEMENTS, _class_indices._ELEMENTS, _class._ELEMENTS
has_float64 = True
waits = collections.Counter()
launches = collections.Counter()
memory = collections.Counter()  # bytes of each storage that is alive
wrappers = collections.Counter()  # that share it
peak = None  # where bytes are counted: the most that were alive at once


class OnDevice(torch.Tensor):
    """A tensor that says it is on the device, and has its numbers on the CPU."""

    @staticmethod
    def __new__(cls, numbers):
        return torch.Tensor._make_wrapper_subclass(
            cls, numbers.size(), strides=numbers.stride(), dtype=numbers.dtype, device=DEVICE
        )

    def __init__(self, numbers):
        self.numbers = numbers
        storage = numbers.untyped_storage()
        place = storage.data_ptr()
        memory[place] = storage.nbytes()
        wrappers[place] += 1
        weakref.finalize(self, release, place)

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


def release(place):
    wrappers[place] -= 1
    if not wrappers[place]:
        del memory[place]


def run(func, args, kwargs):
    global peak
    found = run_there(func, args, kwargs)
    if func._schema.name not in LAUNCH_NOTHING:
        launches[func._schema.name] += 1
    if peak is not None and memory.total() > peak:
        gc.collect()  # a wrapper is part of a circle
        peak = max(peak, memory.total())
    return found


def run_there(func, args, kwargs):
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


def on_device(value):
    return OnDevice(value) if isinstance(value, torch.Tensor) else value


def beyond(call, *tensors):
    """Return the most bytes alive beside the inputs and the gradient, forward and backward."""
    global peak
    gc.collect()
    gc.freeze()
    with Watch():
        x, *others = (OnDevice(t) for t in tensors)
        x.requires_grad_()
        given, peak = memory.total(), 0
        call(x, *others).backward()
        most, peak = peak, None
    return most - given - x.numel() * x.element_size()


def call_all(cases):
    """Every loss of `test_devices.py`: the numbers of the CPU, and nothing that waits."""
    names = [name for name in vars(cases) if name.isupper()]
    tensors = {n: vars(cases)[n] for n in names if isinstance(vars(cases)[n], torch.Tensor)}
    for name, (call, loss, x) in cases.CALLS.items():
        for reduction, doubles in itertools.product(("mean", "sum", "none"), (True, False)):
            truth = cases.scored(name, reduction)
            vars(cases).update({n: OnDevice(t) for n, t in tensors.items()})
            set_float64(doubles)
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


def set_float64(there):
    """Let the device have float64, or not."""
    globals()["has_float64"] = there
    (WITHOUT_FLOAT64.discard if there else WITHOUT_FLOAT64.add)("simulated")


def set_chunks(elements):
    _chunks._ELEMENTS, _class_indices._ELEMENTS, _class._ELEMENTS = elements


def grid(step):
    """Every combination of options of class losses, in one chunk and in many."""
    options = itertools.product(
        (False, True), ("mean", "sum", "none"), (0.0, 0.3), (False, True), (False, True),
        (1.0, 0.7), (None, 5.0), (0.0, 0.01), (-100, 1), (torch.float32, torch.bfloat16),
    )  # fmt: skip
    shapes = [((9, 7), None), ((2, 5, 4, 3), None), ((3, 4, 5), 2), ((1, 6), None), ((5,), None)]
    for seed, case in enumerate(options):
        if seed % step:
            continue
        soft, reduction, smoothing, weighted, tokens, t, cap, z_loss, ignored, dtype = case
        if (soft and ignored >= 0) or (t != 1) + (cap is not None) + (z_loss != 0) == 2:
            continue
        shape, axis = shapes[seed % len(shapes)]
        set_chunks([(1 << 20, 20)[seed % 2]] * 3)
        place = axis or (1 if len(shape) > 1 else 0)
        rows = shape[:place] + shape[place + 1 :]
        g = torch.Generator().manual_seed(seed)
        x = (torch.randn(shape, generator=g) * 4).to(dtype)
        y = torch.randint(0, shape[place], rows, generator=g)
        y = torch.randn(shape, generator=g).softmax(place) if soft else y
        weight = torch.rand(shape[place], generator=g) if weighted else None
        token = torch.rand(rows, generator=g).round(decimals=1) if tokens else None
        more = {"reduction": reduction, "label_smoothing": smoothing, "temperature": t,
                "softcap": cap, "z_loss": z_loss, "ignore_index": ignored, "axis": axis}  # fmt: skip
        ours = x.float().requires_grad_()  # no loops of the CPU's for one dtype more
        truth = L.cross_entropy(ours, y, weight, token_weight=token, **more)
        up = torch.randn(truth.shape, generator=g)
        truth.backward(up)
        set_float64(seed % 3 != 0)
        for inplace in (False, True):
            waits.clear()
            with Watch():
                z = OnDevice(x.clone()).requires_grad_()
                found = L.cross_entropy(
                    z, on_device(y), on_device(weight), token_weight=on_device(token),
                    inplace_backward=inplace, **more,
                )  # fmt: skip
                (grad,) = torch.autograd.grad(found, z, OnDevice(up))
            assert not waits, (case, waits)
            torch.testing.assert_close(found.detach().numbers, truth.detach(), msg=str(case))
            torch.testing.assert_close(grad.numbers, ours.grad.to(dtype), msg=str(case))
            shared = grad.numbers.data_ptr() == z.numbers.data_ptr()
            assert shared == inplace, case
    set_chunks(CHUNKS)


def corners():
    """Infinities, what counts for nothing, and sure rows: the CPU's numbers."""
    inf, nan = float("inf"), float("nan")
    x = torch.tensor([inf, inf, -inf, -inf, nan, 0.0, 20.0, -17.5, -95.0, 1e30, nan, inf, 3.0])
    t = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.5, 0.5, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0000004])
    w = torch.ones(13)
    w[10:12] = 0.0
    rows = torch.tensor([[1.0, -79.0, -80.0], [9.0, -9.0, 0.0], [nan, 1.0, 2.0], [-inf, 1.0, 0.0],
                         [1.0, 1.5, 2.5], [nan] * 3, [0.0, 60.0, 1.0]])  # fmt: skip
    p = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.0, 0.9, 0.1],
                      [0.3, 0.3, 0.4], [nan, 0.0, 1.0], [0.0, 1.0, 0.0]])  # fmt: skip
    y = torch.tensor([0, 1, -100, 1, 2, 0, 1])
    counts = torch.tensor([1.0, 1.0, 0.0, 0.5, 1.0, 0.0, 1.0])
    other = torch.tensor([[0.0, 1.0, -inf]]).expand(7, 3).contiguous()
    calls = [
        (L.binary_cross_entropy_with_logits, x, t, w, {"pos_weight": t + 0.5}),
        (L.binary_cross_entropy_with_logits, x, t, w, {"label_smoothing": 0.1}),
        (L.binary_cross_entropy_with_logits, x, t, w, {"softcap": 4.0, "ignore_index": 0.5}),
        (L.cross_entropy, rows, p, None, {"token_weight": counts}),
        (L.cross_entropy, rows, p, counts[:3], {"token_weight": counts, "z_loss": 0.1}),
        (L.cross_entropy, rows, y, None, {"token_weight": counts, "softcap": 50.0}),
        (L.cross_entropy, rows, y, counts[:3], {"token_weight": counts, "label_smoothing": 0.1}),
        (L.cross_entropy, rows, y, None, {"token_weight": counts, "label_smoothing": 1.0,
                                          "softcap": 50.0}),
        (L.focal_loss, rows, p, None, {"token_weight": counts, "gamma": 0.5}),
        (L.focal_loss, rows, y, None, {"token_weight": counts, "z_loss": 0.1, "gamma": 0.5}),
        (L.js_div, rows, other, None, {"token_weight": counts, "beta": 0.0}),
        (L.js_div, rows, other, None, {"token_weight": counts, "beta": 1.0}),
        (L.js_div, rows, other, None, {"token_weight": counts, "beta": 0.5}),
    ]  # fmt: skip
    for loss, logits, target, weight, options in calls:
        options = {"reduction": "none"} | options
        options |= {} if weight is None else {"weight": weight}
        ours = logits.clone().requires_grad_()
        truth = loss(ours, target, **options)
        truth.sum().backward()
        with Watch():
            z = OnDevice(logits.clone()).requires_grad_()
            found = loss(z, OnDevice(target), **{k: on_device(v) for k, v in options.items()})
            found.sum().backward()
        name = f"{loss.__name__} {options}"
        atol = 1e-7 if loss is L.js_div else 1e-37  # a difference of what two softmaxes say
        close = partial(torch.testing.assert_close, rtol=5e-5, atol=atol, equal_nan=True, msg=name)
        close(found.detach().numbers, truth.detach())
        close(z.grad.numbers, ours.grad)


def losses_of(rows, classes, dtype):
    """Our losses and torch's of the same, with their tensors."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(rows, classes, generator=g).to(dtype)
    y = torch.randint(0, classes, (rows,), generator=g)
    p = torch.randn(rows, classes, generator=g).softmax(1)
    focal = partial(L.focal_loss, gamma=2.0)
    return {
        "cross_entropy": (L.cross_entropy, F.cross_entropy, x, y),
        "soft": (L.cross_entropy, F.cross_entropy, x, p.to(dtype)),
        "bce": (L.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits, x,
                p.to(dtype)),
        "kl": (partial(L.kl_div, reduction="batchmean"), partial(F.kl_div, reduction="batchmean"),
               x.log_softmax(1), p.to(dtype)),
        "focal": (focal, plain_focal, x, y),
        "soft focal": (focal, None, x, p.to(dtype)),
    }  # fmt: skip


def plain_focal(x, y):
    cost = F.cross_entropy(x, y, reduction="none")
    return ((1 - torch.exp(-cost)) ** 2 * cost).mean()


def memory_of(rows, classes):
    """Peaks beside inputs and gradient: at most torch's own, and the logits' in bfloat16."""
    for dtype in (torch.float32, torch.bfloat16):
        for name, (ours, theirs, *tensors) in losses_of(rows, classes, dtype).items():
            logits = rows * classes * tensors[0].element_size()
            found = beyond(ours, *tensors) / logits
            limit = beyond(theirs, *tensors) / logits if theirs else 1.0
            print(f"{name:14} {dtype} {found:.2f} torch {limit:.2f}", flush=True)
            assert found <= limit, name
            assert dtype == torch.float32 or found <= 1.0, name


# What is launched, in float32: for a call of one chunk, and for each further chunk. bfloat16 adds
# at most 3 conversions to each, but to the first.
LAUNCHES = {
    "plain": (20, 10, lambda x, y, p, w: L.cross_entropy(x, y)),
    "smoothing, z-loss": (35, 14, lambda x, y, p, w: L.cross_entropy(
        x, y, label_smoothing=0.1, z_loss=1e-4)),
    "softcap": (49, 20, lambda x, y, p, w: L.cross_entropy(x, y, softcap=30.0)),
    "class weights, smoothing": (64, 18, lambda x, y, p, w: L.cross_entropy(
        x, y, w, label_smoothing=0.1)),
    "probabilities": (37, 17, lambda x, y, p, w: L.cross_entropy(x, p)),
    "statistics": (60, 15, lambda x, y, p, w: L.cross_entropy(x, y, stats=True)[0]),
    "focal": (58, 10, lambda x, y, p, w: L.focal_loss(x, y)),
    "bce": (34, 31, lambda x, y, p, w: L.binary_cross_entropy_with_logits(x, p)),
    "kl_div": (33, 31, lambda x, y, p, w: L.kl_div(x, p, reduction="batchmean")),
    "js_div": (41, 39, lambda x, y, p, w: L.js_div(x, p)),
}  # fmt: skip


def launched():
    """How many operations are launched: for a call of one chunk, and for each further one."""
    g = torch.Generator().manual_seed(0)
    x, p = torch.randn(64, 1000, generator=g), torch.randn(64, 1000, generator=g).softmax(1)
    others = torch.randint(0, 1000, (64,), generator=g), p, torch.rand(1000, generator=g)
    for name, (first, further, call) in LAUNCHES.items():
        for dtype in (torch.float32, torch.bfloat16):
            more = 3 * (dtype == torch.bfloat16)
            counts = []
            for chunks in (1, 2, 4):
                set_chunks([64000 // chunks] * 3)
                with Watch():
                    z = OnDevice(x.to(dtype)).requires_grad_()
                    given = [OnDevice(t) for t in others]
                    launches.clear()
                    call(z, *given).backward()
                del launches["aten::ones_like"]  # of backward() itself
                counts.append(launches.total())
            each = (counts[2] - counts[1]) / 2
            print("launched", name, dtype, counts[0], each, flush=True)
            assert counts[0] <= first + more * (name != "plain"), (name, launches)
            assert each <= further + more, (name, launches)
    set_chunks(CHUNKS)


def what_cannot_be():
    """What is refused there, and what is not launched."""
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(6, 5, generator=g), torch.tensor([0, 4, 1, -100, 3, 1])
    weight, token = torch.rand(5, generator=g), torch.rand(6, generator=g)
    with Watch():
        z, labels, w, t = (OnDevice(a) for a in (x, y, weight, token))
        z.requires_grad_()
        for call in (
            lambda: L.cross_entropy(z, labels, empty="raise"),
            lambda: L.cross_entropy(z, labels, empty="raise", z_loss=0.1),
            lambda: L.nll_loss(z, labels, empty="raise"),
            lambda: L.linear_cross_entropy(z, z, labels, empty="raise"),
        ):
            with pytest.raises(
                ValueError, match="must be 'zero' or 'nan' on simulated:0, got 'raise'"
            ):
                call()
        with pytest.raises(ValueError, match="no row counts"):  # of an empty batch this is known
            L.cross_entropy(z[:0], labels[:0], empty="raise")
        assert L.cross_entropy(z, labels * 0 - 100, empty="nan").numbers.isnan()
        nothing = L.cross_entropy(z, labels * 0 - 100)
        assert not nothing.numbers
        nothing.backward()
        assert not z.grad.numbers.any()
        # No check whose answer nobody reads.
        launches.clear()
        L.cross_entropy(z, labels, w, token_weight=t).backward()
        L.binary_cross_entropy_with_logits(z, z.detach()).backward()
        L.kl_div(z, z.detach(), axis=1, reduction="sum").backward()
        assert not {"aten::ge", "aten::all", "aten::any", "aten::le"} & set(launches), launches
        # The logits are gone: a second backward says so.
        loss = L.cross_entropy(z, labels, inplace_backward=True)
        loss.backward(retain_graph=True)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()
        # Second derivatives go through the formula of all of it.
        z = OnDevice(x.clone()).requires_grad_()
        (grad,) = torch.autograd.grad(L.cross_entropy(z, labels), z, create_graph=True)
        (twice,) = torch.autograd.grad((grad * grad).sum(), z)
    ours = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad(L.cross_entropy(ours, y), ours, create_graph=True)
    (truth,) = torch.autograd.grad((grad * grad).sum(), ours)
    torch.testing.assert_close(twice.numbers, truth)


def main():
    sys.path.insert(0, str(__file__).rpartition("/")[0])
    import test_devices as cases

    for job in sys.argv[1:]:
        if job == "calls":
            call_all(cases)
        elif job == "some":
            grid(11)
        elif job == "grid":
            grid(1)
        elif job == "launched":
            launched()
        elif job == "corners":
            corners()
        elif job == "refused":
            what_cannot_be()
        elif job == "memory":  # the shape of the goal, a 256th of it, and of a chunk
            set_chunks([elements >> 8 for elements in CHUNKS])
            memory_of(128, 2000)
        elif job == "large":
            set_chunks(CHUNKS)
            memory_of(2048, 32000)
    print("all right", flush=True)
    os._exit(0)  # the simulated backend does not survive the end of Python


if __name__ == "__main__":
    main()
