"""A LightningModule with xent's loss, and its report as a metric that Lightning logs and merges."""

import warnings

import pytorch_lightning as lightning
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

from xent.evaluation import torchmetrics_metric
from xent.losses import cross_entropy


class Digits(lightning.LightningModule):
    """Two layers; the held-out bits of every epoch are logged."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
        )
        self.bits = torchmetrics_metric(kind="logits")

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        """Return the loss, which is PyTorch's."""
        x, target = batch
        logits = self.layers(x)
        loss = cross_entropy(logits, target)
        torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, target))
        return loss

    def validation_step(self, batch: list[torch.Tensor]) -> None:
        """Count a batch; Lightning computes and resets the metric after an epoch."""
        x, target = batch
        self.bits.update(self.layers(x), target)
        self.log("held_out_bits", self.bits)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=0.01)


X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y)
train = DataLoader(TensorDataset(X[:1437], y[:1437]), batch_size=64, shuffle=True)
test = DataLoader(TensorDataset(X[1437:], y[1437:]), batch_size=64)

lightning.seed_everything(0, verbose=False)
warnings.simplefilter("ignore")  # Lightning's own, of few workers and few batches
trainer = lightning.Trainer(
    max_epochs=5,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
model = Digits()
trainer.fit(model, train, test)
logged = float(trainer.callback_metrics["held_out_bits"])

with torch.no_grad():
    nats = torch.nn.functional.cross_entropy(model.layers(X[1437:]).double(), y[1437:])
print(f"{logged:.4f} bits held out")
assert abs(logged - float(nats) / 0.6931471805599453) < 1e-4
