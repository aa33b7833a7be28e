"""Every row of docs/performance.md, in its order."""

from bench.row import Row
from bench.rows import cluster, patches, reads, scheduling, start, watches, writes

ROWS: list[Row] = [*start.EMPTY, *writes.ROWS, *reads.ROWS, *patches.ROWS, *watches.ROWS, *start.ROWS, *scheduling.ROWS, *cluster.ROWS]
