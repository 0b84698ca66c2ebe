"""Loops over rows of logits: losses and their gradients."""
