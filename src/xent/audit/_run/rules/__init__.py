"""What is judged at one call of a loss, or over the calls of a run: a file a family of rules."""
