"""Logits in your hand: PyTorch losses, drop-in for torch.nn.functional."""

from xent._optional import need

need("torch", extra="torch", by="xent.losses")

from xent.losses._binary import binary_cross_entropy_with_logits  # noqa: E402
from xent.losses._class import cross_entropy, nll_loss  # noqa: E402
from xent.losses._squared import mse_loss  # noqa: E402

__all__ = ["binary_cross_entropy_with_logits", "cross_entropy", "mse_loss", "nll_loss"]
