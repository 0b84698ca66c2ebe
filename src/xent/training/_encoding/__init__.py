"""Tables as people have them, as numbers for a network: learned from training rows, kept as JSON.

`column` says how one column of each kind becomes numbers, `encoder` does so for a table.
"""

from xent.training._encoding.encoder import TableEncoder

__all__ = ["TableEncoder"]
