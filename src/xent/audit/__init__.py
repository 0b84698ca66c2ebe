"""The audit of training scripts: what is wrong with their loss, and the fix."""
