"""Mutating and validating webhooks: somebody else's server is asked before a write happens."""
