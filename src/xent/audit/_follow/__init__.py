"""Following a script without running it: what every name may hold, and what is made of it.

`values` are what names hold, `run` is the state of following one script, `script` the door;
`code` walks statements and calls, `pytorch` knows layers and losses, `averaging` the arithmetic
of totals and what is shown of it. `loaded` is what reading learns of a run.
"""
