"""KenLM's binary files, read as they lie on the disk: hash tables and tries, quantised or not."""
