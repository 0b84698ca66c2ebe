"""Back-off models as arrays: estimated, scored, packed, pruned, stored, and written as ARPA."""
