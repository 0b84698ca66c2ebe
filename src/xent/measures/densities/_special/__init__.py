"""Functions and families that need code of their own."""
