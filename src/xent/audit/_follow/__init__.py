"""Following a script without running it: what every name may hold, and what is made of it.

`values` are what names hold, `run` is the state of following one script, `statements`,
`expressions` and `calls` walk the code, `torch_names`, `layers` and `tensors` know PyTorch,
`losses` knows its losses, `averages` the arithmetic of totals, `shown` what is printed.
"""
