"""One module per verb. Each takes an ``Operation`` and the ``Service`` it runs in."""
