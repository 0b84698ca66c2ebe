"""Predictions of other kinds than one class of several: soft, several at once, ordered, tokens."""
