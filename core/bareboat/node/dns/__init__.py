"""Names of the cluster, answered on every node."""
