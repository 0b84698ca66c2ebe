"""A tree to look at: text, picture, rules, SQL, and what its splits are worth."""
