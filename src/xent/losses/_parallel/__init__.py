"""A vocabulary that several processes share: each has the logits of its classes."""
