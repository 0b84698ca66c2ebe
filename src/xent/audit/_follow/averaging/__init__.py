"""Totals: what is added, what divides it, in which window, and what it is shown as."""
