"""Loops over rows, compiled by Numba: the numbers that xent computes itself, and fast.

Nothing here knows a room, checks an argument or allocates what it can be handed. A kernel is
decorated with `kernel`, releases the GIL, and is run over blocks of rows by `in_blocks`.
"""
