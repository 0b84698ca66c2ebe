"""Batches of rows: measured elsewhere, and rows that several of them have counted once."""
