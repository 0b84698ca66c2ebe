"""The audit of a script while it runs. PyTorch is loaded by the script itself, never from here.

`program` runs a script, `patches` puts watchers in front of PyTorch's losses, `observer` keeps what
they see, the files of rules judge it, and `settle` joins it with what reading found.
"""
