"""Kinds that keep pods running: Deployment, ReplicaSet, StatefulSet, DaemonSet, and the ReplicationController of old."""
