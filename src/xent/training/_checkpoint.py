"""What a training run needs to go on from its last whole epoch, in one file.

A run that goes on gives the same bits as one that was never stopped: beside the weights the file
holds the optimizer's memory and the position of the generator that shuffles the rows. What else the
bits hang on, such as the number of threads, the file remembers: where it is other, they would be.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent import _check, _store
from xent._leftovers import in_any_case, lock, remove_dead

Layer = tuple[NDArray[Any], NDArray[Any]]
Memory = dict[str, NDArray[Any]]
FORMAT, VERSION = "xent.training.checkpoint", 2  # 2: amid an epoch
WHOLE_EPOCHS = 1  # the version of files after a whole epoch, which older versions of xent read


@dataclass(frozen=True)
class Within:
    """How far an epoch is.

    Parameters
    ----------
    batches : int
        How many it has trained on.
    loss, norm : float
        Their sums of losses and of gradient norms.
    """

    batches: int = 0
    loss: float = 0.0
    norm: float = 0.0


@dataclass(frozen=True)
class Progress:
    """Where a run stands after a whole epoch, or amid one.

    Parameters
    ----------
    layers : list of (weight, bias)
        The network.
    memory : dict of str to ndarray
        The optimizer's state, by names like ``"0.exp_avg"``; empty for one that keeps none.
    history : dict of str to list of float
        One entry an epoch so far.
    best : list of (weight, bias)
        The network of the epoch with the least held-out cross-entropy; empty where nobody asks.
    within : Within
        How far the next epoch is.
    """

    layers: list[Layer]
    memory: Memory
    history: dict[str, list[float]]
    best: list[Layer] = field(default_factory=list)
    within: Within = field(default_factory=Within)


class Checkpoint:
    """A file that a run writes after every epoch, or by time, and reads before its first.

    Parameters
    ----------
    path : str or PathLike
        Where it stands, or shall stand.
    settings : dict
        Options that decide the result. A run with others does not go on from this file.
    data : list of ndarray
        Arrays that decide the result.
    surroundings : dict
        What decides the last bits of the result: threads, versions, device.
    allow_other_bits : bool
        Whether a run goes on in other surroundings, with a warning.
    every : float, optional
        Seconds between two writings, amid an epoch too; None for after every epoch.

    Raises
    ------
    ValueError
        If the folder of ``path`` does not exist.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        settings: dict[str, Any],
        data: list[NDArray[Any]],
        surroundings: dict[str, Any],
        *,
        allow_other_bits: bool,
        every: float | None = None,
    ) -> None:
        _store.check_target(path, argument="checkpoint")
        self.path = path
        self.settings, self.surroundings = settings, surroundings
        self.allow_other_bits = allow_other_bits
        self.every, self.written = every, time.monotonic()
        digest = hashlib.sha256()
        for array in data:
            digest.update(json.dumps([array.dtype.str, array.shape]).encode())
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        self.data = digest.hexdigest()

    @property
    def due(self) -> bool:
        """Whether it is time to write; never where it is written after every epoch."""
        return self.every is not None and time.monotonic() - self.written >= self.every

    def read(self, epochs: int, rng: np.random.RandomState) -> Progress | None:
        """Return where the run stands and put ``rng`` there; None where there is no file yet.

        Parameters
        ----------
        epochs : int
            How many the run shall have in all.
        rng : RandomState
            Is set to the position that the file holds.

        Raises
        ------
        ValueError
            If the file is another's, damaged, of other data, options or surroundings, or past
            ``epochs``, or ``rng`` is of a kind whose position it cannot hold.
        """
        if (kind := rng.get_state(legacy=False)["bit_generator"]) != "MT19937":
            must = "draw by MT19937, as RandomState(seed) does, to go into a checkpoint"
            raise _check.invalid("random_state", must, kind)
        if not Path(self.path).exists():
            return None
        state, arrays = _store.load(
            self.path, format=FORMAT, version=VERSION, argument="checkpoint"
        )
        must, fresh = "be of the same run", "Name another file to start afresh."
        for name, value in self.settings.items():
            there = state["settings"].get(name)
            if there != value:
                got = f"one with {name}={there!r}, now {value!r}"
                if name == "module":
                    got = "one of another module"
                raise _check.invalid("checkpoint", must, got, fresh)
        if state["data"] != self.data:
            raise _check.invalid("checkpoint", must, "one on other data", fresh)
        history = {
            name.removeprefix("history."): array.tolist()
            for name, array in arrays.items()
            if name.startswith("history.")
        }
        done = len(history["loss"])
        if done > epochs:
            limit = "be of at most " + _check.setting("epochs", epochs)
            raise _check.invalid("checkpoint", limit, f"one of {done}", fresh)
        if done < epochs:
            self._check_surroundings(state.get("surroundings", {}))
        rng.set_state(("MT19937", arrays["generator"], *state["generator"]))
        return Progress(
            _layers(arrays, ""),
            {
                name.removeprefix("optimizer."): array
                for name, array in arrays.items()
                if name.startswith("optimizer.")
            },
            history,
            _layers(arrays, "best."),
            Within(*state.get("within", ())),
        )

    def _check_surroundings(self, there: dict[str, Any]) -> None:
        """Refuse to go on where the bits would be others than those of a run without a stop."""
        other = [name for name, value in self.surroundings.items() if there.get(name) != value]
        if not other:
            return
        was = ", ".join(f"{name} {there.get(name, 'unknown')}" for name in other)
        now = ", ".join(f"{name} {self.surroundings[name]}" for name in other)
        if self.allow_other_bits:
            _check.warn(
                f"The run of {str(self.path)!r} was made with {was}, and goes on with {now}: its "
                "bits will not be those of a run that was never stopped."
            )
            return
        must = "be of a run with the same threads, versions and device, or the bits are others"
        advice = "To go on all the same pass " + _check.setting("allow_other_bits", True) + "."
        raise _check.invalid("checkpoint", must, f"{was}, now {now}", advice)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs from writing the file within, those of other processes too.

        Raises
        ------
        ValueError
            If another run writes it.
        """
        target = Path(self.path).resolve()
        beside = target.with_name(f".{target.name}.lock")
        try:
            with ExitStack() as stack:
                self._take(stack, beside)
                try:
                    yield
                finally:
                    with suppress(OSError):  # Windows keeps files that are open
                        beside.unlink()
        except (KeyboardInterrupt, SystemExit):
            # The signal may have come before the file was locked, or while it was taken away.
            in_any_case(lambda: remove_dead([beside]))
            raise

    def _take(self, stack: ExitStack, beside: Path) -> None:
        """Lock a file beside the checkpoint for as long as the stack lasts, or refuse."""
        while True:
            held = stack.enter_context(open(beside, "ab"))  # noqa: SIM115
            try:
                lock(held)
            except BlockingIOError:
                must = "be written by one run at a time"
                got = f"{str(self.path)!r}, which another run is writing"
                raise _check.invalid("checkpoint", must, got) from None
            # Not one that its owner has just taken away.
            with suppress(FileNotFoundError):
                if os.stat(beside).st_ino == os.fstat(held.fileno()).st_ino:
                    return

    def write(self, progress: Progress, generator: Any) -> None:
        """Replace the file by one that says where the run stands now.

        Parameters
        ----------
        progress : Progress
            After a whole epoch, or amid one.
        generator : tuple
            The position of the RandomState from which the next epoch, or this one, draws.
        """
        _, key, *position = generator
        arrays: dict[str, NDArray[Any]] = {"generator": np.asarray(key, dtype=np.uint32)}
        for prefix, layers in (("", progress.layers), ("best.", progress.best)):
            for i, (weight, bias) in enumerate(layers):
                arrays |= {f"{prefix}weight{i}": weight, f"{prefix}bias{i}": bias}
        arrays |= {f"optimizer.{name}": array for name, array in progress.memory.items()}
        arrays |= {f"history.{name}": np.array(v) for name, v in progress.history.items()}
        state = {
            "settings": self.settings,
            "surroundings": self.surroundings,
            "data": self.data,
            "generator": position,
        }
        version = WHOLE_EPOCHS
        if progress.within.batches:
            version = VERSION
            state["within"] = list(astuple(progress.within))
        _store.save(self.path, format=FORMAT, version=version, state=state, arrays=arrays)
        self.written = time.monotonic()


def _layers(arrays: dict[str, NDArray[Any]], prefix: str) -> list[Layer]:
    count = sum(name.startswith(prefix + "weight") for name in arrays)
    return [(arrays[f"{prefix}weight{i}"], arrays[f"{prefix}bias{i}"]) for i in range(count)]
