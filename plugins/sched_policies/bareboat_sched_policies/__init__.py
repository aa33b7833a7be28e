"""Scheduling policies: least-allocated and balanced-allocation."""
