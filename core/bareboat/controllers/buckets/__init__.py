"""Buckets and access to them on demand, called from the agents as the storage controllers are. ``provisioner`` does all of it."""
