"""Walking code: statements, expressions, calls, methods, and the functions everybody calls."""
