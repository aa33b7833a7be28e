"""Kubernetes types and what belongs to them: codec, scheme, selectors, quantities, names, statuses.

`from bareboat.models import core_v1` gives the types of one group and version; nothing is loaded before it is asked for.
"""
