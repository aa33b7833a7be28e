"""Plugins: inventory (what is installed), checks (is it sound), loader (the only user of stevedore and pluggy)."""
