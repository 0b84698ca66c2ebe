"""Loops and losses of a script's own: without a loader, and without PyTorch's functions."""
