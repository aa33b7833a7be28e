"""Kinds of resource.k8s.io: devices, what drivers publish of them, and claims to them."""
