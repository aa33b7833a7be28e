"""DaemonSet: one pod on every node that it fits.

``nodes`` keeps what matters of nodes, ``pods`` makes the pod of a node and knows whose it is, ``placing`` says which nodes lack a pod
and which pods are too many, ``update`` which old ones may be replaced now, ``controller`` does it and tells the status.
"""
