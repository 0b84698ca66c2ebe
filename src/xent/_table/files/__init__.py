"""Files of every kind: Parquet, CSV, JSON lines and NPZ, whole or in batches.

Reading is pyarrow's work and NumPy's; here stands which file is which (`endings`), what a CSV does
not say of itself (`csv`), how text is read block by block (`blocks`), what a column must be
(`columns`), and the sentence that says so when it is not. A two-dimensional array ``a`` of an NPZ
file becomes the columns ``a_0``, ``a_1``, ...
"""
