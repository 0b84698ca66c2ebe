"""Estimates from samples: of symbols by their counts, of real numbers by their distances."""
