"""Speed and accuracy of xent against named rivals; `python -m bench` writes RESULTS.md."""
