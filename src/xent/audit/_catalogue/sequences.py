"""X5xx: language models: the shift by one token, and padding."""

from xent.audit._catalogue.rule import AuditRule

SEQUENCES_RULES = (
    AuditRule(
        id="X501",
        name="not-shifted",
        seen_by="R",
        level="error",
        message="the target of each position is the token that the model was given there",
        fix="logits[:, :-1] against ids[:, 1:]",
        wrong="loss = F.cross_entropy(model(ids).flatten(0, 1), ids.flatten())",
        right="loss = F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())",
        why="A language model predicts the next token. Asked for the one it holds, it copies.",
        cost="A loss near 0 that says nothing.",
        silent="the loader shifts; masked models; sequence to sequence.",
    ),
    AuditRule(
        id="X502",
        name="shifted-twice",
        seen_by="R",
        level="error",
        message="the target is the token after the next one: it was shifted twice",
        fix="shift once: either in the loader or in front of the loss",
        wrong="x, y = t[:-1], t[1:]\nloss = model(input_ids=x, labels=y).loss   # shifts labels "
        "itself",
        right="loss = model(input_ids=t, labels=t).loss",
        why="Models with `labels=` shift by themselves.",
        cost="The model learns to skip a word.",
        source="https://huggingface.co/docs/transformers/main_classes/output",
    ),
    AuditRule(
        id="X503",
        name="padding-counted",
        seen_by="SR",
        level="error",
        message="padding is counted as a target: {what}",
        fix="{fix}",
        wrong="criterion = nn.CrossEntropyLoss()\n"
        "loss = criterion(logits.flatten(0, 1), pad_sequence(targets, True).flatten())",
        right="criterion = nn.CrossEntropyLoss(ignore_index=0)",
        why="Padding is easy to predict and says nothing. It lowers the mean and takes gradient.",
        cost="A share of the loss as large as the share of padding.",
        silent="padding of -100, the default of ignore_index; masked by hand. Of reduction='none' "
        "with an ignore_index the mean is told, where it is taken of all values.",
    ),
    AuditRule(
        id="X504",
        name="pad-is-eos",
        seen_by="SR",
        level="warning",
        message="padding and the end of text are one token: where padding is ignored, the end is "
        "never learned",
        fix="give padding a token of its own, or mask by attention_mask instead of by the id",
        wrong="tokenizer.pad_token = tokenizer.eos_token\nlabels[labels == "
        "tokenizer.pad_token_id] = -100",
        right="tokenizer.add_special_tokens({'pad_token': '<pad>'})",
        why="Every target equal to the padding is left out, the true end of each text among them.",
        cost="The model does not stop.",
        silent="texts are packed without padding.",
    ),
)
