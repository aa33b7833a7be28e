"""``isolate: true``: a driver in a process of its own, called over a socket pair. What it breaks there breaks nobody else."""
