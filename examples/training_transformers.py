"""The Hugging Face Trainer with xent's loss as compute_loss_func, and compute_metrics in bits."""

import tempfile
import warnings

import torch
from sklearn.datasets import load_digits
from transformers import Trainer, TrainingArguments

from xent.evaluation import compute_metrics
from xent.losses import cross_entropy


class Digits(torch.nn.Module):
    """A model as the Trainer takes it: keyword arguments in, a dictionary out."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
        )

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> dict:
        """Return logits, and PyTorch's loss where labels are given."""
        logits = self.layers(x)
        if labels is None:
            return {"logits": logits}
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


def loss(
    outputs: dict, labels: torch.Tensor, num_items_in_batch: int | None = None
) -> torch.Tensor:
    """Return xent's cross-entropy, of a batch that is parted for accumulation too."""
    logits = outputs["logits"]
    if num_items_in_batch is None:
        found = cross_entropy(logits, labels)
    else:
        found = cross_entropy(logits, labels, reduction="sum") / num_items_in_batch
        theirs = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
        torch.testing.assert_close(found, theirs / num_items_in_batch)
    return found


X, y = load_digits(return_X_y=True)
rows = [
    {"x": torch.tensor(x / 16, dtype=torch.float32), "labels": int(t)}
    for x, t in zip(X, y, strict=True)
]
warnings.simplefilter("ignore")  # PyTorch's own, of pinned memory
torch.manual_seed(0)
with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        output_dir=folder,
        num_train_epochs=5,
        per_device_train_batch_size=64,
        learning_rate=0.01,
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=Digits(),
        args=arguments,
        train_dataset=rows[:1437],
        eval_dataset=rows[1437:],
        compute_loss_func=loss,
        compute_metrics=compute_metrics(),
    )
    trainer.train()
    found = trainer.evaluate()
print(found)
assert abs(found["eval_loss"] / 0.6931471805599453 - found["eval_cross_entropy_bits"]) < 1e-3
