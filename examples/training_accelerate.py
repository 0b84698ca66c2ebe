"""An accelerate loop with xent's loss; the held-out rows of all processes go to one Accumulator."""

import torch
from accelerate import Accelerator
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

from xent.evaluation import Accumulator
from xent.losses import cross_entropy

X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y)
torch.manual_seed(0)
model = torch.nn.Linear(64, 10)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
train = DataLoader(TensorDataset(X[:1437], y[:1437]), batch_size=64, shuffle=True)
test = DataLoader(TensorDataset(X[1437:], y[1437:]), batch_size=64)

accelerator = Accelerator(cpu=True)
model, optimizer, train, test = accelerator.prepare(model, optimizer, train, test)
for epoch in range(5):
    for x, target in train:
        logits = model(x)
        loss = cross_entropy(logits, target)
        torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, target))
        optimizer.zero_grad()
        accelerator.backward(loss)
        optimizer.step()
    counted = Accumulator()
    with torch.no_grad():
        for x, target in test:
            # Without the rows that a sampler repeats to fill the last batch.
            logits, target = accelerator.gather_for_metrics((model(x), target))
            counted.update(target, logits=logits)
    report = counted.result()
    accelerator.print(f"epoch {epoch}: {report.cross_entropy:.4f} bits held out")
assert report.rows == 360
