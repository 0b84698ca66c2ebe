"""What reading must not mix up: which argument, which loop, the first number, ways that join."""

import re

import pytest

from xent.audit import Config, audit

PRELUDE = """\
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader
from somewhere import Net, data, flag, n

loader = DataLoader(data, batch_size=64)
model = Net()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
total = 0.0
"""
SCRIPTS = """
### means on both ways
with torch.no_grad():
    for x, y in loader:
        if flag:
            loss = criterion(model(x), y)
        else:
            loss = F.cross_entropy(model(x), y, label_smoothing=0.1)
        total += loss.item()
print(total / len(loader))  #! X402
### a mean on one way, a sum on the other
with torch.no_grad():
    for x, y in loader:
        if flag:
            loss = criterion(model(x), y)
        else:
            loss = F.cross_entropy(model(x), y, reduction="sum")
        total += loss.item()
print(total / len(loader))
### a sum on both ways, one of them by hand
with torch.no_grad():
    for x, y in loader:
        if flag:
            loss = criterion(model(x), y) * len(x)
        else:
            loss = F.cross_entropy(model(x), y, reduction="sum")
        total += loss.item()
print(total / len(loader))  #! X403
### counted from 1
for k, (x, y) in enumerate(loader, 1):
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
    total += loss.item()
    print(total / k)
### counted from 2
for k, (x, y) in enumerate(loader, 2):
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
    total += loss.item()
    print(total / k)  #! X403
### one and the number of the round, from 0
for k, (x, y) in enumerate(loader):
    total += criterion(model(x), y).item()
    print(total / (1 + k))
### two and the number of the round
for k, (x, y) in enumerate(loader):
    total += criterion(model(x), y).item()
    print(total / (2 + k))  #! X403
### a list whose last layer is taken away
layers = [nn.Linear(20, 10), nn.Softmax(1)]
net = nn.Sequential(*layers)
F.cross_entropy(net(data), flag)  #! X101
layers.pop()
net = nn.Sequential(*layers)
F.cross_entropy(net(data), flag)
### a list that is emptied and filled again
layers = [nn.Linear(20, 10), nn.LogSoftmax(1)]
layers.clear()
layers.append(nn.Linear(20, 10))
net = nn.Sequential(*layers)
F.nll_loss(net(data), flag)  #! X106
### the last batch is dropped, by the ninth argument
loader = DataLoader(data, 64, False, None, None, 0, None, False, True)
with torch.no_grad():
    for x, y in loader:
        total += F.cross_entropy(model(x), y, reduction="sum").item()
print(total / len(loader.dataset))  #! X403
### pinned, by the eighth
loader = DataLoader(data, 64, False, None, None, 0, None, True, False)
with torch.no_grad():
    for x, y in loader:
        total += F.cross_entropy(model(x), y, reduction="sum").item()
print(total / len(loader.dataset))
### one class, seen as two axes
fc = nn.Linear(20, 1)
F.cross_entropy(fc(data).view(n, 1), flag)  #! X108
### one output a row, seen as a row of n classes
fc = nn.Linear(20, 1)
F.cross_entropy(fc(data).view(n), flag)
### ten classes
fc = nn.Linear(20, 10)
F.cross_entropy(fc(data).softmax(1).view(n, 10), flag)  #! X101
#= no loss below 1.46
### n classes
fc = nn.Linear(20, 10)
F.cross_entropy(fc(data).softmax(1).view(n), flag)  #! X101
#= the loss has a floor
### a window, by its length and the number of the round
for k, (x, y) in enumerate(loader, 1):
    total += criterion(model(x), y).item()
    if k % 100 == 0:
        print(total / (100 * k))  #! X403
        total = 0.0
### such a window after the loop
for epoch in range(5):
    for k, (x, y) in enumerate(loader, 1):
        total += criterion(model(x), y).item()
    if k % 100 == 0:
        print(total / (100 * k))
### a window of which nobody says how long it is
for k, (x, y) in enumerate(loader, 1):
    total += criterion(model(x), y).item()
    if flag:
        print(total / 100)
### a window that begins with its remainder
for k, (x, y) in enumerate(loader, 1):
    total += criterion(model(x), y).item()
    if k % 100 > 50:
        print(total / 100)
### a window by `not`
for k, (x, y) in enumerate(loader, 1):
    total += criterion(model(x), y).item()
    if flag and not k % 100:
        print(total / 100)  #! X403
### exponentials of means, in a window that is not emptied
for k, (x, y) in enumerate(loader, 1):
    total += math.exp(criterion(model(x), y).item())
    if k % 100 == 0:
        print(total / 100)  #! X403
### exponentials of sums, of which nothing is known
for k, (x, y) in enumerate(loader, 1):
    total += math.exp(F.cross_entropy(model(x), y, reduction="sum").item())
    if k % 100 == 0:
        print(total / 100)
"""


@pytest.mark.parametrize("script", SCRIPTS.split("### ")[1:], ids=lambda text: text.split("\n")[0])
def test_script(script, tmp_path):
    path = tmp_path / "train.py"
    path.write_text(PRELUDE + script.partition("\n")[2])
    lines = enumerate(path.read_text().splitlines(), 1)
    marked = {(at, rule) for at, line in lines for rule in re.findall(r"#! (X\d+)", line)}
    found = audit(path, config=Config()).findings
    assert {(each.line, each.rule) for each in found if each.level != "note"} == marked
    for said in re.findall(r"#= (.*)", script):
        assert said in " ".join(each.message for each in found)
