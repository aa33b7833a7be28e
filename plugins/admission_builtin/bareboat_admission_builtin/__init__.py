"""Admission plugins beyond those that every cluster has: limits, quota, pod security, defaults and restrictions."""
