"""`xent evaluate` of other kinds of predictions: soft truth, several labels, masks, tokens."""
