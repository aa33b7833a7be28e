"""Volumes on the node's own disk."""
