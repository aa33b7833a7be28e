"""ResourceQuota: what a write would use, checked against the namespace's quotas and reserved in their status before it happens."""
