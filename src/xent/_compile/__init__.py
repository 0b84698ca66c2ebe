"""How loops are compiled, kept on disk and spread over threads."""
