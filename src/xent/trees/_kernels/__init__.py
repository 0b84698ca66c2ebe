"""The loops of the room, compiled by Numba: sort, scan, grow, prune, walk. They check nothing."""
