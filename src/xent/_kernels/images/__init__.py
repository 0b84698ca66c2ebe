"""Loops over images of logits, the classes before the pixels."""
