"""From text to n-gram counts, in memory or spilled to disk and merged."""
