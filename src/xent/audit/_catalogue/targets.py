"""X2xx: targets, their range, shape and layout."""

from xent.audit._catalogue.rule import AuditRule

_CE = "https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html"

TARGETS_RULES = (
    AuditRule(
        id="X201",
        name="target-range",
        seen_by="R",
        level="error",
        message="the targets of {loss} must lie in {range}, got {got}",
        fix="{fix}",
        wrong="loss = F.binary_cross_entropy_with_logits(z, y)     # y is 0 or 255",
        right="loss = F.binary_cross_entropy_with_logits(z, y / 255)",
        why="-y log p - (1 - y) log(1 - p) is a cross-entropy for y in [0, 1] only; outside it has "
        "no lower end. PyTorch does not look.",
        cost="A loss that falls without end.",
        silent="soft targets in [0, 1].",
        source="https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html",
    ),
    AuditRule(
        id="X203",
        name="broadcast",
        seen_by="R",
        level="error",
        message="output {output} against target {target} is broadcast to {both}: every prediction "
        "is compared with every target",
        fix="squeeze the output, or unsqueeze the target, so that both are {wanted}",
        wrong="loss = F.mse_loss(model(x), y)             # (N, 1) against (N,)",
        right="loss = F.mse_loss(model(x).squeeze(1), y)",
        why="(N, 1) against (N,) becomes (N, N). The least loss is then at the mean of the "
        "targets.",
        cost="The model learns the mean of each batch.",
        silent="shapes are equal.",
        source="https://docs.pytorch.org/docs/stable/notes/broadcasting.html",
    ),
    AuditRule(
        id="X206",
        name="layout",
        seen_by="R",
        level="error",
        message="the logits {output} are read as (N, C, L): axis 1, of {axis}, is taken for "
        "classes",
        fix="F.cross_entropy(logits.flatten(0, 1), target.flatten())",
        wrong="loss = F.cross_entropy(logits, target)      # (B, T, V) and (B, T) with T = V",
        right="loss = F.cross_entropy(logits.transpose(1, 2), target)",
        why="`cross_entropy` has its classes in axis 1. A batch of sequences has them last; where "
        "the shapes happen to fit, nothing is said.",
        cost="A softmax over time, not over words.",
        source=_CE,
    ),
    AuditRule(
        id="X207",
        name="wrapped-target",
        seen_by="SR",
        level="warning",
        message="the last target of each row is the row's own first token, which does not "
        "follow it",
        fix="take one token more from the text: x = t[:-1], y = t[1:]",
        wrong="y = torch.roll(x, -1, dims=1)",
        right="x, y = tokens[:, :-1], tokens[:, 1:]",
        why="The token after the last one is not the first one. One target in T is noise.",
        cost="About (1/T) log V nats a token at the end of training.",
        silent="the text is circular on purpose.",
    ),
)
