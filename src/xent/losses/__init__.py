"""Logits in your hand: PyTorch losses, drop-in for torch.nn.functional."""

from xent._optional import need as _need

_need("torch", extra="torch", by="xent.losses")

from xent.losses._binary import (  # noqa: E402
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    multilabel_soft_margin_loss,
)
from xent.losses._class import cross_entropy, focal_loss, nll_loss  # noqa: E402
from xent.losses._contrast import info_nce, siglip  # noqa: E402
from xent.losses._divergence import js_div, kl_div  # noqa: E402
from xent.losses._focal import sigmoid_focal_loss  # noqa: E402
from xent.losses._heads._binary import linear_binary_cross_entropy  # noqa: E402
from xent.losses._heads._class import (  # noqa: E402
    linear_cross_entropy,
    linear_entropy,
    linear_log_prob,
)
from xent.losses._heads._distill import linear_js_div, linear_kl_div  # noqa: E402
from xent.losses._heads._policy import linear_grpo  # noqa: E402
from xent.losses._heads._preference import (  # noqa: E402
    linear_dpo,
    linear_kto,
    linear_orpo,
    linear_simpo,
)
from xent.losses._heads._sampled import linear_sampled_cross_entropy  # noqa: E402
from xent.losses._modules._answers import (  # noqa: E402
    BCELoss,
    BCEWithLogitsLoss,
    KLDivLoss,
)
from xent.losses._modules._class import CrossEntropyLoss, FocalLoss, NLLLoss  # noqa: E402
from xent.losses._modules._head import LinearCrossEntropyLoss  # noqa: E402
from xent.losses._parallel._sharded_logits import vocab_parallel_cross_entropy  # noqa: E402
from xent.losses._rows._stats import Stats  # noqa: E402
from xent.losses._squared import mse_loss  # noqa: E402

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "FocalLoss",
    "KLDivLoss",
    "LinearCrossEntropyLoss",
    "NLLLoss",
    "Stats",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "focal_loss",
    "info_nce",
    "js_div",
    "kl_div",
    "linear_binary_cross_entropy",
    "linear_cross_entropy",
    "linear_dpo",
    "linear_entropy",
    "linear_grpo",
    "linear_js_div",
    "linear_kl_div",
    "linear_kto",
    "linear_log_prob",
    "linear_orpo",
    "linear_sampled_cross_entropy",
    "linear_simpo",
    "mse_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "siglip",
    "sigmoid_focal_loss",
    "vocab_parallel_cross_entropy",
]
