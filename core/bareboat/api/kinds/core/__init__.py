"""The kinds of the core group, and the pod spec that every workload shares."""
