"""X8xx: terms of a loss whose sign or gradient is not the paper's."""

from xent.audit._catalogue.rule import AuditRule

TERMS_RULES = (
    AuditRule(
        id="X801",
        name="entropy-sign",
        seen_by="S",
        level="note",
        message="the entropy of the policy is added to the loss: it is made small, not large",
        fix="loss = policy_loss - beta * entropy",
        wrong="loss = policy_loss + 0.01 * dist.entropy().mean()",
        right="loss = policy_loss - 0.01 * dist.entropy().mean()",
        why="An entropy bonus is to keep the policy random. What is minimised must have -H.",
        cost="A policy that stops exploring.",
        silent="the entropy is to be small: semi-supervised learning, clustering.",
        source="Mnih et al. 2016, Asynchronous Methods for Deep Reinforcement Learning.",
    ),
    AuditRule(
        id="X802",
        name="focal-detached",
        seen_by="S",
        level="warning",
        message="the focal weight is cut from the graph: the gradient is not that of focal loss",
        fix="pt = torch.exp(-ce)    # without detach",
        wrong="pt = torch.exp(-ce).detach()\nloss = ((1 - pt) ** gamma * ce).mean()",
        right="pt = torch.exp(-ce)\nloss = ((1 - pt) ** gamma * ce).mean()",
        why="The derivative of (1 - p)^g (-log p) has two parts. Without the one of the weight "
        "the gradient of hard examples is smaller.",
        cost="Another loss than the one that is named.",
        source="Lin et al. 2017, Focal Loss for Dense Object Detection, appendix A.",
    ),
)
