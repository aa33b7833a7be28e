"""Fake runtime, network and proxy: nodes as data."""
