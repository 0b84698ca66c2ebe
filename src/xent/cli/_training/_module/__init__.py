"""Networks of one's own: their code, and data with a class at every place."""
