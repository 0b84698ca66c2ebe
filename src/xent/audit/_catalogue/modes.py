"""X7xx: training mode and evaluation mode."""

from xent.audit._catalogue.rule import AuditRule

_EVAL = "https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.eval"

MODES_RULES = (
    AuditRule(
        id="X701",
        name="eval-in-train-mode",
        seen_by="SR",
        level="warning",
        message="the model is evaluated in training mode: its {layers} still {effect}",
        fix="model.eval() before the loop, model.train() after it",
        wrong="with torch.no_grad():\n    for x, y in val_loader:\n"
        "        total += criterion(model(x), y).item() * len(x)",
        right="model.eval()\nwith torch.no_grad():\n    ...\nmodel.train()",
        why="`no_grad` stops gradients, not Dropout; BatchNorm uses the batch and goes on learning "
        "its running statistics from validation data.",
        cost="A noisy and pessimistic loss; with BatchNorm validation data leak into the model.",
        silent="the model has no such layer.",
        source=_EVAL,
    ),
    AuditRule(
        id="X702",
        name="train-in-eval-mode",
        seen_by="SR",
        level="warning",
        message="the model is trained in evaluation mode from {since}: eval() was called and "
        "train() is not",
        fix="model.train() at the start of each epoch",
        wrong="model.train()\nfor epoch in range(10):\n    train(model)\n    model.eval()\n"
        "    validate(model)",
        right="for epoch in range(10):\n    model.train()\n    train(model)\n    model.eval()\n"
        "    validate(model)",
        why="`eval()` stays until `train()` is called: Dropout is off, BatchNorm's statistics "
        "fixed.",
        cost="No regularisation after the first epoch.",
        silent="no such layer; a frozen teacher, whose parameters no optimiser holds.",
        source=_EVAL,
    ),
)
