"""The benchmark suite: ``python -m bench`` (``make bench``) measures every row of docs/performance.md, in units of the yardstick."""
