"""Clients that write down all they see, faults that strike meanwhile, and a checker: ``python -m bareboat.testing.torture``."""
