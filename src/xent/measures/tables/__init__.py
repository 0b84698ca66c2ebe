"""Columns of tables: ranked by what they tell about one of them, and compared with another."""
