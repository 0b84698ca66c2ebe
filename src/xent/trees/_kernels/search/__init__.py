"""The search for the best split, one file a form of column, over the rules in `criteria`."""
