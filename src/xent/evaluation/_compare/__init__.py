"""Two models or more on the same rows: how many bits lie between them, and how sure that is."""
