"""What the library's arguments are called on the command line of `xent train`."""

from __future__ import annotations

from typing import Any

from xent.cli._tables._load import DATA_HELP
from xent.cli._tables._options import words

IMAGES_HELP = (
    DATA_HELP.rstrip(".") + "; or images: a folder with MNIST's IDX files, or with a folder of "
    "images for each class, an IDX file, mnist.npz."
)

OPTIONS = (
    "loss", "hidden", "epochs", "batch_size", "learning_rate", "optimizer", "device", "checkpoint",
    "checkpoint_every",
    "allow_other_bits", "validation", "scale", "max_levels", "class_weight", "schedule", "patience",
    "image_size", "log", "module",
)  # fmt: skip


def train_words(**others: str) -> Any:
    """Let refusals of the room name what was typed."""
    typed = {"X": "DATA", "y": "--target", "random_state": "--seed", "sample_weight": "--weights"}
    return words(*OPTIONS, **{**typed, **others})
