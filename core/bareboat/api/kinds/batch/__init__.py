"""Kinds that run pods to their end: Job and CronJob."""
