"""Loops over the values of one column of a table."""
