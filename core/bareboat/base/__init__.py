"""Clock, ids, tasks, backoff. No I/O; imports nothing of ours."""
