"""Losses where their tensors are on no CPU: torch operations, few of them, chunk after chunk."""
