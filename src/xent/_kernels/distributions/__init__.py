"""Loops over rows of probabilities, counts and logits, and over samples: measures."""
