"""`xent evaluate` of files of any size: piece by piece, on several processes, and after a kill."""
