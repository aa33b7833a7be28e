"""PodDisruptionBudgets: how many pods should be healthy, how many are, and so how many may be disrupted now.

``expected`` finds out how many pods there should be, ``controller`` counts the healthy ones and writes the status. Spending a disruption
is the eviction subresource's.
"""
