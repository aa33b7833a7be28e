"""Assembly: the only place that wires the kernel's parts together, from the cluster file to running processes."""
