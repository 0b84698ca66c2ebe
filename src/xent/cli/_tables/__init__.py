"""Tables that a command reads: what is said of them, how they are read, what is doubted."""
