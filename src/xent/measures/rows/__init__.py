"""What comes in: arrays, typed arrays and sparse matrices as rows of outcomes, and their sums."""
