"""A small network trained with xent's cross-entropy, its statistics, and a large vocabulary."""

import torch
from torch import nn

from xent.losses import CrossEntropyLoss, cross_entropy, linear_cross_entropy

torch.manual_seed(0)
X = torch.randn(256, 8)
y = X[:, :3].argmax(1)  # the class is the largest of the first three

model = nn.Linear(8, 3)
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
loss_of = CrossEntropyLoss(label_smoothing=0.05)
for _ in range(50):
    optimizer.zero_grad()
    loss_of(model(X), y).backward()
    optimizer.step()

loss, stats = cross_entropy(model(X), y, stats=True)
print(f"{loss.item():.3f} nats a row, accuracy {stats.accuracy.item():.1%}")

# Of 20,000 words the logits would take 20,000 numbers a token; they are never built.
hidden, head = torch.randn(64, 32, requires_grad=True), torch.randn(20_000, 32)
word = torch.randint(20_000, (64,))
loss = linear_cross_entropy(hidden, head, word)
loss.backward()
print(f"{loss.item():.3f} nats a word, from hidden states of {tuple(hidden.shape)}")
