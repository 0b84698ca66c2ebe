"""X4xx: how losses of batches are added, divided and shown."""

from xent.audit._catalogue.rule import AuditRule

AVERAGING_RULES = (
    AuditRule(
        id="X401",
        name="batch-means-over-samples",
        seen_by="SR",
        level="error",
        message="means of batches{over} are added up and divided by the number of samples "
        "({divisor}): the result is too small by the batch size",
        fix="total += loss.item() * {size}    # or divide by the number of batches",
        wrong="for x, y in loader:\n    total += F.cross_entropy(model(x), y).item()\n"
        "print(total / len(loader.dataset))",
        right="for x, y in loader:\n    total += F.cross_entropy(model(x), y).item() * len(x)\n"
        "print(total / len(loader.dataset))",
        why="The loss of a batch is a mean over its B samples already. Sum over the N / B batches, "
        "divided by N: the mean, divided by B once more.",
        cost="Shown is 1/B of the loss: 0.036 bits for 2.3 with batches of 64.",
        silent="the loss is a sum (reduction='sum', or one's own that adds up); it is "
        "multiplied by "
        "the size of the batch when added.",
    ),
    AuditRule(
        id="X402",
        name="mean-of-batch-means",
        seen_by="SR",
        level="warning",
        message="a mean of batch means{over}: the samples of a smaller last batch count for more",
        fix="total += loss.item() * {size}; count += {size}; then total / count",
        wrong="for x, y in loader:\n    total += criterion(model(x), y).item()\n"
        "print(total / len(loader))",
        right="for x, y in loader:\n    total += criterion(model(x), y).item() * len(x)\n"
        "print(total / len(loader.dataset))",
        why="The mean over N samples weighs each by 1/N. A mean of means weighs a sample of the "
        "last "
        "batch, of r samples, by B/r times more.",
        cost="(mean of the last batch - mean of all) x (1/K - r/N): small where there are many "
        "batches, and another number for every batch size.",
        silent="N is a multiple of B; drop_last; one batch; a framework averages with weights. In "
        "training, where the model changes meanwhile, it is a note.",
    ),
    AuditRule(
        id="X403",
        name="wrong-divisor",
        seen_by="SR",
        level="error",
        message="{what}, but divided by {divisor}",
        fix="{fix}",
        wrong="for i, (x, y) in enumerate(loader):\n    total += loss.item()\n"
        "    if i % 100 == 0 and i > 0:          # the first window has 101 losses\n"
        "        print(total / 100)\n        total = 0",
        right="for i, (x, y) in enumerate(loader, 1):\n    total += loss.item()\n"
        "    if i % 100 == 0:\n        print(total / 100)\n        total = 0",
        why="A mean of k numbers is their sum divided by k. An index that starts at 0 is one "
        "short; "
        "a first window of k + 1 is one too many; a window never emptied grows.",
        cost="(k + 1)/k in the first window, 1/k where one loss is divided by k.",
        silent="a counter counts what is added, wherever it is shown.",
    ),
    AuditRule(
        id="X404",
        name="sum-as-average",
        seen_by="SR",
        level="warning",
        message="shown as an average ({label}), but it is a sum over the batches",
        fix="divide by the number of batches or samples that were added up",
        wrong="total += loss.item()\n...\nprint('average loss', total)",
        right="print('average loss', total / len(loader))",
        why="A sum over K batches is K times the mean.",
        cost="Off by the factor K, which changes with the batch size.",
        silent="no name says average (then it is a note); it is divided elsewhere.",
    ),
    AuditRule(
        id="X405",
        name="mean-of-perplexities",
        seen_by="SR",
        level="error",
        message="perplexities of batches are averaged: the perplexity of all is exp of the mean "
        "loss",
        fix="average the losses, then math.exp(total / count)",
        wrong="for x, y in loader:\n    ppl += math.exp(loss.item())\nprint(ppl / len(loader))",
        right="for x, y in loader:\n    total += loss.item() * y.numel()\n    count += y.numel()\n"
        "print(math.exp(total / count))",
        why="Perplexity is exp of a cross-entropy. exp is convex: the mean of exps is at least the "
        "exp of the mean (Jensen), and depends on the batch size.",
        cost="Too high by about half the variance of the batch losses, as a factor.",
        source="Jurafsky and Martin, Speech and Language Processing, 3.2.1.",
    ),
    AuditRule(
        id="X406",
        name="last-batch-only",
        seen_by="SR",
        level="warning",
        message="after the loop this is the loss of the last {of} alone{label}",
        fix="add up in the loop: total += loss.item() * {size}, and show total / count",
        wrong="for x, y in val_loader:\n    loss = criterion(model(x), y)\n"
        "print('validation loss', loss.item())",
        right="for x, y in val_loader:\n    total += criterion(model(x), y).item() * len(x)\n"
        "print('validation loss', total / len(val_loader.dataset))",
        why="A name keeps the last value it was given.",
        cost="A noisy estimate from a few samples.",
        silent="of training, where no name says average (then it is a note).",
    ),
    AuditRule(
        id="X407",
        name="never-added",
        seen_by="S",
        level="error",
        message="{name} is taken for a total, but {what}",
        fix="{total} += loss.item() * {size}    # in the loop",
        wrong="val_loss = 0\nfor x, y in loader:\n    loss = criterion(model(x), y)\n"
        "print(val_loss / len(loader))",
        right="val_loss = 0\nfor x, y in loader:\n    val_loss += criterion(model(x), y).item()\n"
        "print(val_loss / len(loader))",
        why="What is never added stays at its start; a name keeps the loss of the loop before.",
        cost="The number shown is 0, or the last batch divided by the number of batches.",
    ),
    AuditRule(
        id="X408",
        name="graph-kept",
        seen_by="SR",
        level="warning",
        message="the loss is added up with its graph: all batches stay in memory",
        fix="total += loss.item()    # or loss.detach()",
        wrong="total += loss\nloss.backward()",
        right="total += loss.item()\nloss.backward()",
        why="A tensor that requires a gradient keeps what its backward needs, and the sum keeps "
        "it.",
        cost="Memory grows with each batch.",
        silent="the sum itself is differentiated; no_grad.",
        source="https://docs.pytorch.org/docs/stable/notes/faq.html",
    ),
    AuditRule(
        id="X409",
        name="accumulation-weights",
        seen_by="SR",
        level="warning",
        message="micro-batches with unlike numbers of tokens are averaged with equal weights",
        fix="sum the losses (reduction='sum') and divide by the tokens of all micro-batches",
        wrong="loss = F.cross_entropy(logits, y, ignore_index=pad) / accumulation_steps\n"
        "loss.backward()",
        right="loss = F.cross_entropy(logits, y, ignore_index=pad, reduction='sum') / tokens\n"
        "loss.backward()",
        why="Each micro-batch divides by its own number of tokens that count. The gradient of the "
        "large batch divides by all of them.",
        cost="Tokens of short micro-batches weigh more; another gradient than the large batch's.",
        silent="the counts are equal.",
        source="https://huggingface.co/blog/gradient_accumulation",
    ),
    AuditRule(
        id="X410",
        name="added-twice",
        seen_by="S",
        level="error",
        message="the loss of this batch was added to the same total at line {line} already",
        fix="add it once",
        wrong="total += loss.item()\nloss.backward()\noptimizer.step()\ntotal += loss.item()",
        right="loss.backward()\noptimizer.step()\ntotal += loss.item()",
        why="The number does not change between the two lines: backward and step change the "
        "weights, not the loss that was computed before.",
        cost="The total, and every average of it, is twice too large.",
        silent="the two lines are in different branches; another loss was computed in between.",
    ),
)
