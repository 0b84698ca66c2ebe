"""The loops of the room, compiled by Numba. They check nothing."""
