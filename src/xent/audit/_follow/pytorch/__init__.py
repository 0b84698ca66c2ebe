"""What PyTorch has: layers, functions of tensors, and losses with what they take."""
