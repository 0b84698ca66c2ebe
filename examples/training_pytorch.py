"""A plain PyTorch loop with xent: the loss is that of PyTorch, the report is in bits."""

import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

from xent.evaluation import evaluate
from xent.losses import cross_entropy

X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y)
train, test = TensorDataset(X[:1437], y[:1437]), (X[1437:], y[1437:])

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
for epoch in range(5):
    for x, target in DataLoader(train, batch_size=64, shuffle=True):
        logits = model(x)
        loss = cross_entropy(logits, target, label_smoothing=0.1)
        theirs = torch.nn.functional.cross_entropy(logits, target, label_smoothing=0.1)
        torch.testing.assert_close(loss, theirs)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        report = evaluate(test[1], logits=model(test[0]))
    print(f"epoch {epoch}: {report.cross_entropy:.4f} bits, accuracy {report.accuracy:.3f}")
print(report)
