"""Buckets of an S3 object store."""
