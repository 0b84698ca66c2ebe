"""What mends probabilities: how each calibrator is fitted, used and kept."""
