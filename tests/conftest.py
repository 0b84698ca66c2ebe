"""The strictest settings for every test: the same examples each time, no threads left to chance."""

import os

# Before NumPy or PyTorch is loaded, here or in a child: two test processes with two threads each
# wait for one another on a small machine. Tests of threads ask for theirs.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings

settings.register_profile(
    "house",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))
