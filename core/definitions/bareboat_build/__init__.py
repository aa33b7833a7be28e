"""Turns published definitions and our own tables into the `bareboat_definitions` package. Runs at build time only."""
