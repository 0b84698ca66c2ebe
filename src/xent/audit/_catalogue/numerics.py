"""X6xx: values that are not finite, negative, or below what is possible."""

from xent.audit._catalogue.rule import AuditRule

NUMERICS_RULES = (
    AuditRule(
        id="X601",
        name="log-of-softmax",
        seen_by="SR",
        level="warning",
        message="log of softmax: {effect}",
        fix="F.log_softmax(x, dim=...)",
        wrong="log_p = torch.log(F.softmax(x, dim=1))",
        right="log_p = F.log_softmax(x, dim=1)",
        why="softmax rounds to 0 where a logit is about 104 below the largest (float32). The "
        "logarithm of 0 is -inf. log_softmax subtracts before it exponentiates.",
        cost="-inf losses and NaN gradients on confident rows; digits lost near 1.",
        silent="no gradient flows. With an epsilon of 1e-6 or more, or kept from both ends by "
        "1e-7, it is a note.",
        source="https://docs.pytorch.org/docs/stable/generated/"
        "torch.nn.functional.log_softmax.html",
    ),
    AuditRule(
        id="X602",
        name="log-of-sigmoid",
        seen_by="SR",
        level="warning",
        message="log of sigmoid: {effect}",
        fix="F.logsigmoid(x), and F.logsigmoid(-x) for log(1 - sigmoid(x))",
        wrong="loss = -torch.log(1 - torch.sigmoid(x)).mean()",
        right="loss = -F.logsigmoid(-x).mean()",
        why="sigmoid rounds to 1 in float32 from x = 17, and to 0 from x = -104.",
        cost="-inf losses and NaN gradients on confident rows.",
        silent="no gradient flows. With an epsilon of 1e-6 or more, or kept from both ends by "
        "1e-7, it is a note.",
        source="https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.logsigmoid.html",
    ),
    AuditRule(
        id="X603",
        name="non-finite",
        seen_by="R",
        level="error",
        message="the loss is {value}; the first tensor that was not finite is {first}",
        fix="look at {first}",
        wrong="loss = (p * (p / q).log()).sum()      # q has a 0",
        right="loss = F.kl_div(log_q, p, reduction='batchmean')",
        why="NaN and inf spread through every sum and every step of the optimiser.",
        cost="The weights are lost.",
    ),
    AuditRule(
        id="X604",
        name="negative",
        seen_by="R",
        level="error",
        message="a cross-entropy is negative: {value}",
        fix="look at what enters the loss: log-probabilities, and targets in [0, 1]",
        wrong="loss = F.nll_loss(torch.softmax(z, 1), y)",
        right="loss = F.cross_entropy(z, y)",
        why="-log p of a probability is at least 0.",
        cost="Not a cross-entropy.",
        silent="densities, whose logarithm may have any sign.",
    ),
    AuditRule(
        id="X605",
        name="below-floor",
        seen_by="R",
        level="note",
        message="the loss, {value}, is below the least possible, {floor}",
        fix="look whether targets leak into the inputs, or padding is counted",
        wrong="loss = F.cross_entropy(z, y, label_smoothing=0.1)     # shown 0.01",
        right="nll = F.cross_entropy(z, y)",
        why="With soft or smoothed targets the loss is at least their entropy.",
        cost="Says that something else is measured than is thought.",
    ),
)
