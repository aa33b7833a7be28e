"""Audit: who did what, when, from where and with which outcome, as far as a policy says (audit.k8s.io/v1)."""
