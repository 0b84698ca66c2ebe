"""Loops over rows of predictions, each with the class that was true: evaluation."""
