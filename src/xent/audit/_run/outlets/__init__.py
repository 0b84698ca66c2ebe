"""Where the numbers of a script leave it: streams, files, boards of curves, plots, histories."""
