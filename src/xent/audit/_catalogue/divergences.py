"""X3xx: Kullback-Leibler divergences, of distillation and of the ELBO."""

from xent.audit._catalogue.rule import AuditRule

_KL = "https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html"

DIVERGENCES_RULES = (
    AuditRule(
        id="X301",
        name="kl-input",
        seen_by="SR",
        level="error",
        message="kl_div takes log-probabilities as its input, but gets {what}",
        fix="F.kl_div(F.log_softmax(student, dim=-1), target, reduction='batchmean')",
        wrong="loss = F.kl_div(F.softmax(student, dim=1), F.softmax(teacher, dim=1))",
        right="loss = F.kl_div(\n    F.log_softmax(student, dim=1), F.softmax(teacher, dim=1), "
        "reduction='batchmean'\n)",
        why="`kl_div(input, target)` is target (log target - input): the input stands for log q.",
        cost="Not a divergence: it can be negative, and its least value is not at q = p.",
        source=_KL,
    ),
    AuditRule(
        id="X302",
        name="kl-mean",
        seen_by="SR",
        level="error",
        message="kl_div with reduction='mean' divides by the number of classes as well",
        fix="reduction='batchmean'",
        wrong="loss = F.kl_div(log_q, p)",
        right="loss = F.kl_div(log_q, p, reduction='batchmean')",
        why="D(p‖q) is a sum over the classes, averaged over the rows. 'mean' divides by rows "
        "times "
        "classes, so that the divergence is C times too small. PyTorch's own page says so.",
        cost="A divergence, and its weight against other losses, C times too small.",
        silent="batchmean; a sum divided by the rows by hand; multiplied by the classes again.",
        source=_KL,
    ),
    AuditRule(
        id="X303",
        name="kl-log-target",
        seen_by="SR",
        level="error",
        message="the target of kl_div is a log-probability, but log_target is not set",
        fix="log_target=True",
        wrong="F.kl_div(log_q, F.log_softmax(t, dim=1), reduction='batchmean')",
        right="F.kl_div(log_q, F.log_softmax(t, dim=1), reduction='batchmean', log_target=True)",
        why="target (log target - input) of a target below 0 is NaN or, where PyTorch masks it, 0.",
        cost="The loss is 0 or NaN.",
        source=_KL,
    ),
    AuditRule(
        id="X304",
        name="kl-swapped",
        seen_by="SR",
        level="warning",
        message="kl_div(input, target) is D(target‖input): here the input is fixed and the target "
        "is what learns",
        fix="F.kl_div(log_student, teacher, reduction='batchmean')",
        wrong="F.kl_div(teacher.log(), student, reduction='batchmean')",
        right="F.kl_div(student_log, teacher, reduction='batchmean')",
        why="The first argument is the model's log q, the second the truth p. Swapped, the "
        "divergence is the reverse one, D(q‖p).",
        cost="Another optimum: one mode of the teacher instead of all.",
        silent="both learn, or the reverse divergence is named.",
        source=_KL,
    ),
    AuditRule(
        id="X305",
        name="vae-kl-scale",
        seen_by="SR",
        level="warning",
        message="the two parts of the ELBO are averaged differently: the reconstruction is "
        "{first}, "
        "the divergence is {second}",
        fix="sum both over their dimensions and average both over the batch",
        wrong="recon = F.mse_loss(x_hat, x)                              # mean over N x D\n"
        "kl = -0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp())  # sum over N x K",
        right="recon = F.mse_loss(x_hat, x, reduction='sum') / len(x)\n"
        "kl = -0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp()) / len(x)",
        why="The ELBO of one example is a sum over its dimensions minus a divergence summed over "
        "the latent ones. Another average is a hidden beta that changes with the batch or image.",
        cost="A beta of N x D (all summed against mean), which switches the latent code off.",
        silent="an explicit beta weighs the divergence.",
        source="Kingma and Welling 2014, Auto-Encoding Variational Bayes, appendix B.",
    ),
)
