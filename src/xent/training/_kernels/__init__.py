"""Loops of training that are compiled."""
