"""What is counted of rows, block by block, and kept exactly: see `tally`."""
