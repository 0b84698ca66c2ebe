"""Measures of distributions that are objects: of scipy.stats and torch.distributions."""
