"""Losses of a linear head, whose logits are made chunk by chunk and never kept."""
