"""How far probabilities are off: one estimator a file, and the intervals around them."""
