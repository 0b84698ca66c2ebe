"""X1xx: what stands between the last layer and the loss."""

from xent.audit._catalogue.rule import AuditRule

_CE = "https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html"
_BCE = "https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html"

TAKES_LOGARITHMS = {  # what X106 says of a loss
    "nll_loss": "use F.cross_entropy on the logits, or F.log_softmax(logits, dim=1) in front of it",
    "ctc_loss": "F.log_softmax(logits, dim=2) in front of it",
}

ACTIVATIONS_RULES = (
    AuditRule(
        id="X101",
        name="double-softmax",
        seen_by="SR",
        level="error",
        message="cross-entropy takes logits, but softmax was applied to them at line {line}: "
        "{floor}",
        fix="give the loss the logits: remove the softmax of line {line}, or keep it for "
        "prediction",
        wrong="probs = torch.softmax(model(x), dim=1)\nloss = F.cross_entropy(probs, y)",
        right="logits = model(x)\nloss = F.cross_entropy(logits, y)",
        why="""`cross_entropy` is `nll_loss(log_softmax(input))`. Softmax of probabilities, which
lie between 0 and 1, can make no class more than e times as likely as another. With C classes the
loss is at least log(1 + (C - 1) / e), and the gradient goes through two softmaxes and is small.""",
        cost="No loss below 0.313 nats with 2 classes, 1.461 with 10, 3.62 with 100 is reachable.",
        silent="log_softmax stands in front (softmax of it is the same distribution); the softmax "
        "serves something else, such as a Dice term or a printed probability; soft targets.",
        source=_CE,
    ),
    AuditRule(
        id="X102",
        name="double-sigmoid",
        seen_by="SR",
        level="error",
        message="binary cross-entropy with logits takes logits, but sigmoid was applied to them at "
        "line {line}: a positive can be predicted with at most 0.731, a negative with at least 0.5",
        fix="give the loss the logits, or use F.binary_cross_entropy on the probabilities",
        wrong="p = torch.sigmoid(model(x))\nloss = F.binary_cross_entropy_with_logits(p, y)",
        right="loss = F.binary_cross_entropy_with_logits(model(x), y)",
        why="The loss applies the sigmoid itself. A second one maps (0, 1) to (0.5, 0.731).",
        cost="At least 0.313 nats for each positive and 0.693 (one bit) for each negative.",
        silent="layers follow the sigmoid (a gate).",
        source=_BCE,
    ),
    AuditRule(
        id="X103",
        name="sigmoid-before-cross-entropy",
        seen_by="SR",
        level="error",
        message="cross-entropy takes logits, but sigmoid squeezed them into (0, 1) at line {line}: "
        "{floor}",
        fix="give the loss what the sigmoid of line {line} was given",
        wrong="loss = F.cross_entropy(torch.sigmoid(model(x)), y)",
        right="loss = F.cross_entropy(model(x), y)",
        why="Logits between 0 and 1 differ by less than 1. So softmax makes no class more than e "
        "times as likely as another, and the loss is at least log(1 + (C - 1) / e).",
        cost="No loss below 0.313 nats with 2 classes, 1.461 with 10 is reachable.",
        silent="a layer follows the sigmoid.",
        source=_CE,
    ),
    AuditRule(
        id="X104",
        name="activation-on-logits",
        seen_by="SR",
        level="error",
        message="the logits went through {activation} at line {line}: {effect}",
        fix="remove the {activation} after the last layer",
        wrong="logits = F.relu(self.fc3(h))\nreturn F.log_softmax(logits, dim=1)",
        right="logits = self.fc3(h)\nreturn F.log_softmax(logits, dim=1)",
        why="A ReLU cuts negative logits off: no class can be called unlikely, and classes whose "
        "logit is cut get no gradient. Tanh and sigmoid bound all logits. Dropout on logits sets "
        "them to 0, which says nothing in particular about a class. Softmax into binary "
        "cross-entropy lets the labels of a row share one probability.",
        cost="Depends on the data; a network whose logits are all cut learns nothing more.",
        silent="a layer follows; the outputs are compared by distance or cosine; regression.",
        source=_CE,
    ),
    AuditRule(
        id="X105",
        name="softmax-axis",
        seen_by="SR",
        level="error",
        message="softmax without dim: {effect}",
        fix="write the axis of the classes: dim=-1 for (N, C) and (N, T, C), dim=1 for images",
        wrong="weights = F.softmax(scores)           # (B, T, T)",
        right="weights = F.softmax(scores, dim=-1)",
        why="Without `dim` PyTorch takes axis 0 for 1 and 3 dimensions and axis 1 otherwise. Of a "
        "batch of sequences (B, T, C) it normalises over the batch.",
        cost="Rows no longer sum to 1; examples of a batch influence each other.",
        silent="dim is given. For 2 dimensions, where the guess is right, it is a note.",
        source="https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html",
    ),
    AuditRule(
        id="X106",
        name="not-log-into-nll",
        seen_by="SR",
        level="error",
        message="{loss} takes log-probabilities, but gets {what}",
        fix="{fix}",
        wrong="loss = F.nll_loss(torch.softmax(logits, dim=1), y)",
        right="loss = F.nll_loss(F.log_softmax(logits, dim=1), y)",
        why="`nll_loss` only picks -input[target] and averages. Of probabilities it gives -p, "
        "which "
        "is bounded and negative; of logits it has no lower end, since nothing normalises.",
        cost="The loss is not a cross-entropy; of raw logits it falls without end.",
        silent="values <= 0 whose exponentials sum to 1.",
        source="https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html",
    ),
    AuditRule(
        id="X107",
        name="logits-into-bce",
        seen_by="SR",
        level="error",
        message="binary_cross_entropy takes probabilities, but gets {what}",
        fix="use F.binary_cross_entropy_with_logits (nn.BCEWithLogitsLoss)",
        wrong="loss = F.binary_cross_entropy(self.fc(h), y)",
        right="loss = F.binary_cross_entropy_with_logits(self.fc(h), y)",
        why="-y log p - (1 - y) log(1 - p) needs p between 0 and 1; PyTorch stops at other values.",
        cost="An error at the first value outside [0, 1].",
        source="https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html",
    ),
    AuditRule(
        id="X108",
        name="one-class",
        seen_by="SR",
        level="error",
        message="cross-entropy over one class is always 0 and has no gradient",
        fix="use F.binary_cross_entropy_with_logits for one output, or two outputs",
        wrong="self.fc = nn.Linear(128, 1)\nloss = F.cross_entropy(self.fc(h), y)",
        right="self.fc = nn.Linear(128, 1)\n"
        "loss = F.binary_cross_entropy_with_logits(self.fc(h).squeeze(1), y.float())",
        why="Softmax of one logit is 1, whatever the logit.",
        cost="Nothing is learned.",
        source=_CE,
    ),
)
