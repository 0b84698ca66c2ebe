"""What a fit is made of: its plan, its targets and weights, its record, the exact solution."""
