"""A table as a grower sees it: columns, exactness, batches, bins, weights."""
