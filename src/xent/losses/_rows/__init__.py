"""Rows scored: the formula in torch operations, the compiled rows, and autograd around both."""
