"""How many rows of yes and no there are of each score: see `column`."""
