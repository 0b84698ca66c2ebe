"""The room's loops, compiled by Numba: text to ids, ids to counts, counts to probabilities, scores.

One file for each step of the way; nothing here checks an argument.
"""
