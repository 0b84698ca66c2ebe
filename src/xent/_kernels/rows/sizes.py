"""How a row is cut: sizes that the order of its sums rests on."""

ACCUMULATORS = 256
COLUMN_BLOCK = 4 * ACCUMULATORS  # classes that are read at once
PAD = 64  # buffers of a row are that much longer at most: up to the next whole vector
